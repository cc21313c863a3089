"""A store is what it should be, or said not to be: real SeaweedFS, memory, files."""

import http.server
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from tests.support.ports import unused_port
from tests.support.seaweedfs import environment, seaweedfs

from wiretape.core.errors import ConfigError, StoreError
from wiretape.stores.store import ObjectStore, OutOfReach, in_parallel

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as environ:
        yield environ


@pytest.fixture(params=["s3", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        return ObjectStore(f"s3://recordings/{tmp_path.name}", request.getfixturevalue("s3"))
    return ObjectStore("memory:///" if request.param == "memory" else f"file://{tmp_path}/store")


def test_what_was_created_is_not_overwritten(store: ObjectStore) -> None:
    assert store.create("h/e/a.json", b"1")
    assert not store.create("h/e/a.json", b"2")
    assert store.create("h/e/a.json", b"1"), "the answer to an earlier try may have been lost"
    there = store.read("h/e/a.json")
    assert there is not None
    assert there.data == b"1"
    assert store.read("h/e/b.json") is None
    assert list(store.names("h/e")) == ["h/e/a.json"]
    assert store.replace("h/e/a.json", b"3", there.tag)
    assert not store.replace("h/e/a.json", b"4", there.tag)
    assert not store.replace("h/e/none.json", b"4", there.tag)
    store.remove("h/e/a.json")
    store.remove("h/e/a.json")
    assert list(store.names("h/e")) == []


def test_a_store_that_enforces_conditions_passes_the_probe(store: ObjectStore) -> None:
    store.probe()
    assert list(store.names()) == []


class Careless(http.server.BaseHTTPRequestHandler):
    """An S3 that ignores the conditions of writes, as some servers do."""

    objects: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.objects[self.path] = self.rfile.read(int(self.headers["content-length"]))
        self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("etag", '"1"')
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_store_that_ignores_conditions_is_refused() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        careless = ObjectStore("s3://b/p", environment(server.server_address[1]))
        with pytest.raises(StoreError, match=r"overwrites what was to be created.*wiretape push"):
            careless.probe()
        server.shutdown()


class Failing(http.server.BaseHTTPRequestHandler):
    """An S3 that answers the name of an object: its status and the code of an error."""

    def do_GET(self) -> None:
        status, code = self.path.rpartition("/")[2].split("-")
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(int(status))
        self.send_header("etag", '"1"')
        self.send_header("last-modified", "Mon, 30 Nov 2026 00:00:00 GMT")
        self.send_header("content-length", str(len(body) + (status == "200")))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def failing() -> Iterator[ObjectStore]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ObjectStore("s3://b/p", environment(server.server_address[1]))
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("400-ExpiredToken", r"ExpiredToken.*AWS_SECRET_ACCESS_KEY.*expired"),
        ("403-RequestTimeTooSkewed", r"RequestTimeTooSkewed.*clock is off"),
        ("400-AuthorizationHeaderMalformed", r"AuthorizationHeaderMalformed.*AWS_REGION"),
        ("301-PermanentRedirect", r"another region than AWS_REGION"),
        ("404-NoSuchBucket", "NoSuchBucket"),
        ("503-SlowDown", "does not answer .*"),
        ("200-truncated", "."),
    ],
)
def test_what_goes_wrong_is_told_with_what_to_do(
    failing: ObjectStore, name: str, reason: str
) -> None:
    with pytest.raises(StoreError, match=reason):
        failing.read(name)


def test_a_listing_of_very_many_objects_is_not_in_memory_at_once() -> None:
    most = begun = 0
    done: list[str] = []

    def names() -> Iterator[str]:
        nonlocal begun, most
        for number in range(20_000):
            begun += 1
            most = max(most, begun - len(done))
            yield f"notes/{number}.txt"

    in_parallel(done.append, names(), "reading")
    assert len(done) == 20_000
    assert most < 1_000


def test_a_dead_endpoint_is_named_with_its_variable() -> None:
    port = unused_port()
    before = time.monotonic()
    with pytest.raises(OutOfReach, match=rf"http://127.0.0.1:{port} \(AWS_ENDPOINT_URL\)"):
        ObjectStore("s3://b/p", environment(port)).read("a")
    # Two retries of 50 to 200 ms; without the retry policy it is three minutes.
    assert time.monotonic() - before < 60


@pytest.mark.parametrize(
    ("user", "secret", "reason"),
    [
        ("reader", None, "AccessDenied"),
        ("writer", "another", "SignatureDoesNotMatch"),
        ("nobody", "madeup", "InvalidAccessKeyId"),
    ],
)
def test_what_is_refused_is_told_with_where_credentials_are_from(
    s3: Mapping[str, str], user: str, secret: str | None, reason: str
) -> None:
    port = int(s3["AWS_ENDPOINT_URL"].rpartition(":")[2])
    store = ObjectStore("s3://recordings/x", environment(port, user, secret))
    with pytest.raises(StoreError, match=rf"{reason}.*AWS_SECRET_ACCESS_KEY") as caught:
        store.probe()
    assert str(secret) not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "service", "variable"),
    [
        ("s3://b/x", "http://169.254.169.254/latest/api/token", "AWS_ACCESS_KEY_ID"),
        ("gs://b/x", "http://metadata.google.internal/v1", "GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_who_gives_no_credentials_is_told_where_they_are_read(
    url: str, service: str, variable: str
) -> None:
    """obstore asks the machine's own service then, which answers what no user understands."""
    exceptions = pytest.importorskip("obstore.exceptions", reason="it is in wiretape[fleet]")
    store = ObjectStore(url, {})
    refused = pytest.raises(StoreError, match=f"no credentials are given.*{variable}")
    with refused, store._errors("a"):
        raise exceptions.GenericError(f"Error performing PUT {service}: 403 Forbidden")


@pytest.mark.parametrize(
    "endpoint", ["notaurl", "127.0.0.1:9000", "http://", "http://a b", "http://key:hunter2@host"]
)
def test_an_endpoint_that_is_none_is_refused_by_the_name_of_its_variable(endpoint: str) -> None:
    environ = {**environment(1), "AWS_ENDPOINT_URL": endpoint}
    with pytest.raises(ConfigError, match="AWS_ENDPOINT_URL: expected http://HOST") as caught:
        ObjectStore("s3://b/x", environ)
    assert "hunter2" not in str(caught.value)


def test_what_the_library_gives_up_on_is_no_traceback() -> None:
    environ = {**environment(1), "AWS_SESSION_TOKEN": "two\nlines"}
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        ObjectStore("s3://b/x", environ).read("a")


def test_who_names_no_account_of_azure_is_told_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=r"az://c/x: .*Account.*AZURE_STORAGE_ACCOUNT_NAME"):
        ObjectStore("az://c/x", {})


def test_a_bucket_that_is_not_there_is_no_empty_store(s3: Mapping[str, str]) -> None:
    store = ObjectStore("s3://nowhere/x", s3)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        store.read("a")
    with pytest.raises(StoreError, match="NoSuchBucket"):
        list(store.names())


@pytest.mark.parametrize(
    "url", ["s3://key:hunter2@bucket/x", "s3://bucket/x?secret=hunter2", "s3:///x"]
)
def test_credentials_in_a_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"s3://.*(SCHEME://BUCKET|expected s3:)") as caught:
        ObjectStore(url, {})
    assert "hunter2" not in str(caught.value)


def test_the_usual_files_are_read(s3: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[ci]\naws_access_key_id = writer\naws_secret_access_key = {s3['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (tmp_path / ".aws/config").write_text("[profile ci]\nregion = us-east-1\n")
    environ = {
        "HOME": str(tmp_path),
        "AWS_PROFILE": "ci",
        "AWS_ENDPOINT_URL": s3["AWS_ENDPOINT_URL"],
    }
    ObjectStore(f"s3://recordings/{tmp_path.name}", environ).probe()
