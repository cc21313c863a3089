"""What an answer's headers tell a client is the same in replay; links to providers lead to the door
through which a base URL's client came, and no account's name reaches a file."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.support.ports import unused_port
from tests.support.rawclient import Connection, Reply
from tests.support.rawprovider import providing
from tests.support.soak import proxy

HOST: Final = "generativelanguage.googleapis.com"
UPLOAD: Final = f"https://{HOST}/upload/v1beta/files?upload_id=AB12&upload_protocol=resumable"
STEER: Final = (
    ("X-Goog-Upload-URL", UPLOAD),
    ("X-Goog-Upload-Status", "active"),
    ("Location", "/v1beta/files/1"),
    ("Content-Location", f"https://{HOST}/v1beta/files/1"),
    ("Operation-Location", f"https://{HOST}/v1beta/operations/1?api-version=2"),
    ("Azure-AsyncOperation", f"https://{HOST}/v1beta/operations/1"),
    ("Link", f'<https://{HOST}/v1beta/files?page=2>; rel="next", <https://x.example/>; rel=up'),
    ("ETag", '"abc"'),
    ("Content-Range", "bytes 0-1/2"),
    ("Accept-Ranges", "bytes"),
    ("Retry-After", "1"),
    ("Retry-After-Ms", "1000"),
    ("X-RateLimit-Remaining-Requests", "59"),
    ("X-Latin", "caf\xe9 \xff"),
    ("X-UTF-8", "caf\xc3\xa9"),
)
ACCOUNT: Final = (
    ("OpenAI-Organization", "acme-org-name"),
    ("Anthropic-Organization-Id", "acme-org-id"),
    ("Anthropic-Workspace-Id", "acme-workspace"),
    ("DG-Project-Id", "acme-project"),
    ("Set-Cookie", "__cf_bm=acme-cookie"),
    ("X-Request-Id", "acme-request"),
    ("CF-Ray", "acme-ray"),
    ("X-Together-TraceId", "acme-trace"),
)


def answer(sock: socket.socket, head: bytes) -> None:
    is_head = head.startswith(b"HEAD")
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % (12345 if is_head else 2)]
    for name, value in (*STEER, *ACCOUNT):
        lines.append(f"{name}: {value}".encode("latin-1"))
    sock.sendall(b"\r\n".join((*lines, b"", b"")) + (b"" if is_head else b"{}"))


class Client:
    """A client of a proxy; `port` is the one its base URL names."""

    def __init__(self, connection: Connection, port: int) -> None:
        self.ask, self.port = connection.ask, port


@contextmanager
def connected(
    mode: str, env: dict[str, str], tmp_path: Path, *more: str, base: bool
) -> Iterator[Client]:
    ca = Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    base_port = unused_port()
    options = ("--base-url-port", str(base_port), *more)
    with proxy(mode, tmp_path / "recordings", env, *options) as (_, port):
        own = base_port if base else port
        with Connection(own, None if base else ca, HOST, base=base) as connection:
            yield Client(connection, own)


def steering(reply: Reply) -> dict[str, bytes]:
    names = {name.lower() for name, _ in STEER}
    return {
        name.lower(): value.encode("utf-8", "surrogateescape")
        for name, value in reply.headers
        if name.lower() in names
    }


@pytest.mark.parametrize("base", [False, True], ids=["proxy", "base URL"])
def test_headers_that_steer_a_client_are_replayed(
    clean_env: dict[str, str], tmp_path: Path, base: bool
) -> None:
    replies: dict[str, tuple[dict[str, bytes], int]] = {}
    with providing(answer) as url:
        more = ("--map", f"{HOST}={url}")
        with connected("record", clean_env, tmp_path, *more, base=base) as client:
            reply = client.ask("POST", "/upload/v1beta/files", {}, b"{}")
            replies["record"] = steering(reply), client.port
    with connected("replay", clean_env, tmp_path, base=base) as client:
        reply = client.ask("POST", "/upload/v1beta/files", {}, b"{}")
        replies["replay"] = steering(reply), client.port
    (file,) = (tmp_path / "recordings").rglob("*.json")
    text = file.read_text(encoding="utf-8", errors="surrogatepass")
    assert "acme" not in text
    assert json.loads(text)["response"]["headers"]["x-goog-upload-url"] == UPLOAD
    for found, port in replies.values():
        assert found.keys() == {name.lower() for name, _ in STEER}
        for name, value in STEER:
            expected = value
            if base:
                door = f"http://127.0.0.1:{port}/{HOST}"
                expected = value.replace(f"https://{HOST}", door)
                expected = f"{door}{expected}" if expected.startswith("/") else expected
            assert found[name.lower()] == expected.encode("latin-1")


def test_the_length_of_an_answer_to_head_is_replayed(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    lengths = []
    with providing(answer) as url:
        more = ("--map", f"{HOST}={url}")
        with connected("record", clean_env, tmp_path, *more, base=False) as client:
            lengths.append(client.ask("HEAD", "/v1beta/files/1").header("content-length"))
    with connected("replay", clean_env, tmp_path, base=False) as client:
        lengths.append(client.ask("HEAD", "/v1beta/files/1").header("content-length"))
    assert lengths == ["12345", "12345"]
