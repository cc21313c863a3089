"""What no memory holds passes through the real proxy in little: bodies of 300 MB, and providers
that never end.
"""

import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
import zstandard
from tests.support.rawclient import Connection, Reply
from tests.support.rawprovider import Talk, providing
from tests.support.soak import proxy, resident

from wiretape_mitm.upload import IN_MEMORY

MEBI: Final = 1 << 20
LARGE: Final = 300 * MEBI
BLOCK: Final = bytes(range(256)) * 4096
HOST: Final = "api.openai.com"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BOUND: Final = 200 * MEBI
"""More memory than this no exchange may take: 64 MiB are recorded, and the least of copies."""


class Place:
    """A proxy that records, and a provider behind it."""

    def __init__(self, pid: int, port: int, ca: Path, folder: Path) -> None:
        self.pid, self._port, self._ca, self.folder = pid, port, ca, folder
        self._began = resident(pid)

    def connect(self) -> Connection:
        return Connection(self._port, self._ca, HOST)

    @property
    def taken(self) -> int:
        """The most memory that was taken since the proxy was up, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024 - self._began


class Record(Protocol):
    """Starts a proxy before a provider."""

    def __call__(self, talk: Talk, mode: str = "record") -> Iterator[Place]: ...


@pytest.fixture
def record(clean_env: dict[str, str], tmp_path: Path) -> Record:
    def started(talk: Talk, mode: str = "record") -> Iterator[Place]:
        folder, report = tmp_path / "recordings", tmp_path / "report.json"
        ca = Path(clean_env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
        with (
            providing(talk) as url,
            proxy(mode, folder, clean_env, "--map", f"{HOST}={url}", "--report", report) as up,
        ):
            yield Place(up[0].pid, up[1], ca, folder)

    return started


def told(tmp_path: Path) -> list[tuple[str, str | None]]:
    """The outcomes and notes of a run that is over."""
    document: dict[str, Any] = json.loads((tmp_path / "report.json").read_bytes())
    return [(row["outcome"], row.get("note")) for row in document["exchanges"]]


# ------------------------------------------------------------------ large bodies


def test_a_large_download_passes_in_little_memory(record: Record, tmp_path: Path) -> None:
    def talk(sock: socket.socket, head: bytes) -> None:
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\n\r\n" % LARGE
        )
        for _ in range(LARGE // MEBI):
            sock.sendall(BLOCK)

    for place in record(talk):
        with place.connect() as connection:
            connection.send("GET", "/v1/files/large")
            assert connection.take_head().header("content-length") == str(LARGE)
            left = LARGE
            while left and (data := connection.read(MEBI)):
                left -= len(data)
            assert left == 0
        assert place.taken < BOUND
    assert told(tmp_path) == [("refused", "not recorded: an answer of more than 64 MiB")]


@pytest.mark.parametrize("mode", ["record", "auto"])
def test_a_large_upload_passes_in_little_memory(record: Record, tmp_path: Path, mode: str) -> None:
    got: list[int] = []

    def talk(sock: socket.socket, head: bytes) -> None:
        size = len(head.partition(b"\r\n\r\n")[2])
        while size < LARGE and (data := sock.recv(MEBI)):
            size += len(data)
        got.append(size)
        sock.sendall(OK)

    for place in record(talk, mode):
        with place.connect() as connection:
            length = {"content-length": str(LARGE), "content-type": "application/octet-stream"}
            connection.send("POST", "/v1/files", length)
            for _ in range(LARGE // MEBI):
                connection.write(BLOCK)
            reply = connection.take()
            assert (reply.status, reply.body) == (200, b"{}")
        assert place.taken < BOUND
    assert got == [LARGE]
    assert told(tmp_path) == [("refused", "not recorded: a request of more than 64 MiB")]


def test_a_large_upload_is_no_burden_to_replay(clean_env: dict[str, str], tmp_path: Path) -> None:
    ca = Path(clean_env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    with proxy("replay", tmp_path / "recordings", clean_env) as (process, port):
        place = Place(process.pid, port, ca, tmp_path)
        with place.connect() as connection:
            length = {"content-length": str(LARGE), "content-type": "application/octet-stream"}
            connection.send("POST", "/v1/files", length)
            try:
                for _ in range(LARGE // MEBI):
                    connection.write(BLOCK)
            except OSError:
                pass  # it may hang up on what it will not take
            else:
                assert connection.take().status in (400, 413)
        assert place.taken < BOUND


def test_an_upload_that_goes_out_as_it_comes_is_recorded(
    record: Record, clean_env: dict[str, str], tmp_path: Path
) -> None:
    body = b'{"input": "%b"}' % (b"word " * (9 * MEBI // 5))
    assert len(body) > IN_MEMORY

    def talk(sock: socket.socket, head: bytes) -> None:
        size = len(head.partition(b"\r\n\r\n")[2])
        while size < len(body) and (data := sock.recv(MEBI)):
            size += len(data)
        sock.sendall(OK)

    told_length = {"content-type": "application/json"}
    for place in record(talk):
        with place.connect() as connection:
            assert connection.ask("POST", "/v1/files", told_length, body).body == b"{}"
    assert told(tmp_path) == [("recorded", None)]
    ca = Path(clean_env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    with proxy("replay", tmp_path / "recordings", clean_env) as (_, port):
        for sent, status in ((body, 200), (body.replace(b"word ", b"ward ", 1), 400)):
            with Connection(port, ca, HOST) as connection:
                assert connection.ask("POST", "/v1/files", told_length, sent).status == status


def test_an_answer_before_its_upload_has_ended_is_not_recorded(
    record: Record, tmp_path: Path
) -> None:
    def talk(sock: socket.socket, head: bytes) -> None:
        sock.recv(MEBI)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        # As servers do (RFC 9112, section 9.6): a close with unread bytes is a reset, and
        # that may overtake the answer.
        while sock.recv(MEBI):
            pass

    for place in record(talk):
        with place.connect() as connection:
            connection.send("POST", "/v1/files", {"content-length": str(LARGE)})
            connection.write(BLOCK * 10)
            assert connection.take().status == 413
    (row,) = told(tmp_path)
    assert row == ("refused", "not recorded: the answer came before its upload had ended")


def test_twenty_megabytes_of_json_are_recorded_and_replayed(
    record: Record, clean_env: dict[str, str], tmp_path: Path
) -> None:
    item = {"embedding": [n / 1000 for n in range(100)], "text": "word " * 1600}
    body = json.dumps({"data": [item] * 2500}).encode()
    assert len(body) > 20 * MEBI

    def talk(sock: socket.socket, head: bytes) -> None:
        lines = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        sock.sendall(lines % len(body) + body)

    for place in record(talk):
        with place.connect() as connection:
            assert connection.ask("GET", "/v1/embeddings/1").body == body
    assert told(tmp_path) == [("recorded", None)]
    ca = Path(clean_env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    with (
        proxy("replay", tmp_path / "recordings", clean_env) as (_, port),
        Connection(port, ca, HOST) as connection,
    ):
        assert connection.ask("GET", "/v1/embeddings/1").body == body


# ------------------------------------------------------------------ providers that mean harm

STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
STREAM_HEAD: Final = STREAM + b"\r\n\r\n"


def endlessly(start: bytes, part: bytes, most: int) -> Talk:
    """Sends `part` again and again until `most` bytes are sent, then hangs up."""

    def talk(sock: socket.socket, _: bytes) -> None:
        sock.sendall(start)
        block = part * (65536 // len(part) + 1)
        for _sent in range(most // len(block)):
            sock.sendall(block)

    return talk


def asked(record: Record, talk: Talk, bound: int = BOUND) -> Reply:
    """A client's answer."""
    for place in record(talk):
        with place.connect() as connection:
            reply = connection.ask("GET", "/v1/models")
        with place.connect() as connection:
            assert connection.ask("GET", "/healthy").status in (200, 502), "it goes on"
        taken = place.taken
    assert taken < bound
    return reply


@pytest.mark.parametrize("part", [b"A: b\r\n", b"a"], ids=["lines", "a line"])
def test_endless_headers_are_a_502(record: Record, part: bytes) -> None:
    reply = asked(record, endlessly(b"HTTP/1.1 200 OK\r\n", part, 50 * MEBI), 32 * MEBI)
    assert (reply.status, reply.header("x-wiretape")) == (502, "upstream-error")
    assert b"head" in reply.body


def test_an_endless_line_is_passed_on_until_it_ends(record: Record, tmp_path: Path) -> None:
    block = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    reply = asked(record, endlessly(STREAM_HEAD, block, 2 * MEBI), BOUND // 3)
    assert (reply.status, reply.end, len(reply.body) > MEBI) == (200, "cut", True)
    assert told(tmp_path)[0][0] in ("recorded", "refused")


def bomb(coding: str) -> bytes:
    """A body of some KiB that says a gigabyte."""
    if coding == "zstd":
        pack = zstandard.ZstdCompressor(level=1).compressobj()
        parts = [pack.compress(bytes(MEBI)) for _ in range(1024)]
        return b"".join(parts) + pack.flush()
    return gzip.compress(bytes(MEBI * 64)) * 16


@pytest.mark.parametrize("coding", ["gzip", "zstd", "gzip, gzip"])
def test_a_bomb_is_passed_on_and_not_undone(record: Record, tmp_path: Path, coding: str) -> None:
    body = bomb(coding)
    if "," in coding:
        body = gzip.compress(body)
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %b\r\n"
        b"Content-Length: %d\r\n\r\n" % (coding.encode(), len(body))
    )
    talk: Talk = lambda sock, _: sock.sendall(head + body)  # noqa: E731  # one line, used here
    reply = asked(record, talk, 3 * BOUND)
    assert (reply.status, reply.body) == (200, body)
    assert told(tmp_path)[0] == (
        "refused",
        "not recorded: an answer of more than 64 MiB when decompressed",
    )


def test_a_million_tiny_events_are_passed_on(record: Record, tmp_path: Path) -> None:
    events = b"data:1\n\n" * 1000
    block = b"%x\r\n%b\r\n" % (len(events), events)
    talk: Talk = lambda sock, _: sock.sendall(STREAM_HEAD + block * 1000 + b"0\r\n\r\n")  # noqa: E731  # as above
    reply = asked(record, talk, 3 * BOUND)
    assert (reply.end, reply.body) == ("whole", events * 1000)
    assert told(tmp_path)[0] == ("refused", "not recorded: an answer of more than 250,000 chunks")
