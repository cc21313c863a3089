"""A folder of recordings that mean harm: each is named, none is believed, and the run goes on."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE

HOST = "api.openai.com"
GOOD: dict[str, Any] = {
    "wiretape": 1,
    "request": {"method": "GET", "url": f"https://{HOST}/v1/models", "headers": {}},
    "response": {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "is_streaming": False,
        "body": {"__data__": {"ok": True}},
    },
}


def changed(path: str, value: Any) -> str:
    """The text of a recording with one member changed: "response.status"."""
    document = json.loads(json.dumps(GOOD))
    *parents, name = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place[name] = value
    return json.dumps(document)


SECRET = "not to be read by anybody"
BAD: dict[str, str | bytes] = {
    "path-up": changed("response.body", {"file": "../../secret.txt"}),
    "path-absolute": changed("response.body", {"file": "/etc/passwd"}),
    "path-null": changed("response.body", {"file": "a\0b"}),
    "path-long": changed("response.body", {"file": "a" * 100_000}),
    "path-request": changed("request.body_file", "../../secret.txt"),
    "file-list": changed("response.body", {"file": ["a"]}),
    "status-text": changed("response.status", "200"),
    "status-huge": changed("response.status", 10**400),
    "status-float": changed("response.status", 1).replace('"status": 1', '"status": 2e999'),
    "status-true": changed("response.status", True),
    "digits": changed("response.status", 0).replace('"status": 0', '"status": ' + "9" * 100_000),
    "at-huge": changed("response.end_at", 1e300),
    "at-negative": changed("response.headers_at", -1),
    "at-text": changed("response.body", {"__data__": 1, "at": "soon"}),
    "at-nan": changed("response.end_at", 1.5).replace("1.5", "NaN"),
    "deep": "[" * 200_000 + "]" * 200_000,
    "deep-body": changed("response.body.__data__", 0).replace(
        '"__data__": 0', '"__data__": ' + "[" * 100_000 + "]" * 100_000
    ),
    "cut": json.dumps(GOOD)[:-20],
    "empty": "",
    "a-list": "[]",
    "a-number": "1",
    "bytes": b"\xff\xfe\0\0",
    "nothing-in-it": '{"wiretape": 1, "request": {}, "response": {}}',
    "version": changed("wiretape", 2),
    "version-text": changed("wiretape", "1"),
    "method-lines": changed("request.method", "GET\r\nX: y"),
    "url-none": changed("request.url", "nowhere"),
    "url-number": changed("request.url", 7),
    "url-port": changed("request.url", "https://api.openai.com:99999999/v1"),
    "header-lines": changed("response.headers", {"a": "b\r\nSet-Cookie: c"}),
    "header-name": changed("response.headers", {"a b:": "c"}),
    "header-number": changed("response.headers", {"a": 1}),
    "headers-list": changed("response.headers", ["a"]),
    "trailer-lines": changed("response.trailers", {"a": "b\nc"}),
    "end": changed("response.end", "never"),
    "coding": changed("response.coding", "gzip\r\nX: y"),
    "coding-many": changed("response.coding", ", ".join(["gzip"] * 1000)),
    "chunks-object": changed("response.is_streaming", True),
    "base64": changed("response.body", {"base64": "!!"}),
    "pad": changed("response.body", {"__data__": {}, "pad": 10**12}),
    "json-style": changed("response.json", "indent999999999"),
    "charset": changed("response.body", {"text": "a", "charset": "../x"}),
    "framing": changed("response.framing", "magic").replace("false", "true"),
}
CURL = ["curl", "-sS", f"https://{HOST}/v1/models"]


def placed(folder: Path, name: str) -> Path:
    place = folder / HOST / "v1-bad"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}.json"
    content = BAD[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one recording that is good."""
    found = tmp_path / "recordings"
    (found / HOST / "v1-models").mkdir(parents=True)
    good = json.dumps(GOOD)
    (found / HOST / "v1-models" / "a.json").write_text(good)
    (tmp_path / "secret.txt").write_text(SECRET)
    return found


def test_each_recording_that_means_harm_is_named_and_the_run_goes_on(
    folder: Path, wiretape: Wiretape
) -> None:
    for name in BAD:
        placed(folder, name)
    done = wiretape("replay", "-r", folder, "--", *CURL)
    assert json.loads(done.stdout) == {"ok": True}, done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    unnamed = [name for name in BAD if f"/v1-bad/{name}.json: " not in done.stderr]
    assert unnamed == []
    assert max(map(len, done.stderr.splitlines())) < 1000


@pytest.mark.parametrize("ids", [["a"], {"a": 1}, "a", {"a": {}}])
def test_ids_that_are_none_do_not_count(folder: Path, wiretape: Wiretape, ids: Any) -> None:
    (folder / HOST / "v1-models" / "a.json").write_text(changed("request.ids", ids))
    done = wiretape("replay", "-r", folder, "--", *CURL)
    assert json.loads(done.stdout) == {"ok": True}, done.stderr


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _great(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


@pytest.mark.parametrize("make", [_fifo, _folder, _loop, _outside, _endless, _great])
def test_what_is_no_file_stops_nothing(
    folder: Path, wiretape: Wiretape, make: Callable[[Path], None]
) -> None:
    make(folder / HOST / "v1-models" / "odd.json")
    done = wiretape("replay", "-r", folder, "--", *CURL, timeout=PATIENCE)
    assert json.loads(done.stdout) == {"ok": True}, done.stderr
    assert "Traceback" not in done.stderr
    assert "root:" not in done.stderr


def test_a_side_file_that_leads_elsewhere_is_not_given(
    folder: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    name = "0" * 64 + ".bin"
    (folder / HOST / "v1-models" / "a.json").write_text(changed("response.body", {"file": name}))
    (folder / HOST / "v1-models" / name).symlink_to(tmp_path / "secret.txt")
    done = wiretape("replay", "-r", folder, "--", *CURL)
    assert SECRET not in done.stdout + done.stderr
    assert done.returncode == 3
