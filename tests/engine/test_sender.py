"""Recorded answers as they leave on a raw connection, whatever the request and the client."""

import json
import socket
import sys
import textwrap
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from tests.support.commands import Wiretape, port_of, serving
from tests.support.limits import PATIENCE
from tests.support.timed_stream import EVENTS, STREAM

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.pace import Pace
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.engine.sender import AnswerSender
from wiretape.library.library import Library
from wiretape.report.report import Report

HOST = "api.openai.com"
TEXT, JSON, BYTES = (
    (("content-type", kind),) for kind in ("text/plain", "application/json", "audio/mpeg")
)
WHOLE = Response(200, JSON, (Chunk(b'{"a":1}', 0.1),))
LARGE = bytes(range(256)) * 20_000
ANSWERS = {
    "stream": STREAM,
    "cut": replace(STREAM, end="cut"),
    "left": replace(STREAM, end="client-closed"),
    "trailers": replace(STREAM, trailers=(("x-sum", "7"), ("x-end", "yes"))),
    "whole": WHOLE,
    "half": replace(WHOLE, chunks=(Chunk(b'{"a"', 0.1),), end="cut"),
    "none": Response(204),
    "same": Response(304),
    "empty": Response(200, JSON),
    "large": Response(200, BYTES, (Chunk(LARGE, 0.1),)),
    "large-stream": replace(
        STREAM, chunks=tuple(Chunk(b"data: " + b"x" * 300_000 + b"\n\n", 0.1) for _ in range(20))
    ),
    "reset": Response(502, JSON, (), end="reset"),
    **{coding: replace(STREAM, coding=coding) for coding in ("gzip", "br", "zstd", "deflate")},
    "gzip-whole": replace(WHOLE, coding="gzip"),
    "gzip-cut": replace(STREAM, coding="gzip", end="cut"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the answers to GET (and HEAD, for what HEAD may have)."""
    path = tmp_path_factory.mktemp("sender") / "r"
    library = Library(path, Matcher(built_in()), lambda document: document)
    library.load()
    for name, answer in ANSWERS.items():
        for method in ("GET", "HEAD") if name in ("stream", "whole", "empty") else ("GET",):
            request = Request(method, "https", HOST, 443, f"/v1/{name}")
            document = from_exchange(Exchange(request, answer, "2026-11-20T17:30:00.5Z"))
            smaller, files = recording_format.externalise(document)
            assert library.write(smaller, recording_format.dumps(smaller), files) is not None
    return path


@pytest.fixture(scope="module", params=["instant", "4x"])
def port(folder: Path, clean_env: dict[str, str], request: pytest.FixtureRequest) -> Iterator[int]:
    """A replay's port, at each of two paces."""
    args: list[str | Path] = ["replay", "-r", folder, "--pace", request.param]
    with serving(args, clean_env, folder.parent) as (_, ready):
        yield port_of(ready)


def head(name: str, *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} /{HOST}/v1/{name} HTTP/{version}", "Host: localhost", *more, "", ""]
    return "\r\n".join(lines).encode()


class Client:
    """A raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.stream: BinaryIO = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, *requests: bytes) -> None:
        self.socket.sendall(b"".join(requests))

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self.stream.readline().split()[1])
        headers = {}
        while (line := self.stream.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def chunks(self) -> list[bytes]:
        """A chunked body's chunks; without the end of the body too."""
        found = []
        while size := int(self.stream.readline() or b"0", 16):
            found.append(self.stream.read(size))
            assert self.stream.readline() == b"\r\n"
        return found

    def trailers(self) -> list[bytes]:
        found = []
        while (line := self.stream.readline()) != b"\r\n":
            found.append(line)
        return found

    def is_kept(self) -> bool:
        """Whether the connection takes another request."""
        self.send(head("whole"))
        status, headers = self.head()
        return (status, self.stream.read(int(headers["content-length"]))) == (200, b'{"a":1}')

    def is_over(self) -> bool:
        return self.stream.read(1) == b""


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with Client(port) as connected:
        yield connected


# ------------------------------------------------------------------ every request


def test_a_stream_comes_in_its_chunks_and_the_connection_is_kept(client: Client) -> None:
    client.send(head("stream"))
    status, headers = client.head()
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert client.chunks() == EVENTS
    assert client.trailers() == []
    assert client.is_kept()


def test_trailers_are_announced_and_follow(client: Client) -> None:
    client.send(head("trailers"))
    assert client.head()[1]["trailer"] == "x-sum, x-end"
    assert client.chunks() == EVENTS
    assert client.trailers() == [b"x-sum: 7\r\n", b"x-end: yes\r\n"]
    assert client.is_kept()


@pytest.mark.parametrize(("name", "status"), [("none", 204), ("same", 304)])
def test_an_answer_that_has_no_body_has_none(client: Client, name: str, status: int) -> None:
    client.send(head(name))
    got, headers = client.head()
    assert got == status
    assert "transfer-encoding" not in headers
    assert client.is_kept()


@pytest.mark.parametrize("name", ["stream", "whole", "empty"])
def test_head_gets_no_body_whatever_is_recorded(client: Client, name: str) -> None:
    client.send(head(name, method="HEAD"))
    assert client.head()[0] == 200
    assert client.is_kept()


def test_an_empty_answer_says_that_it_is(client: Client) -> None:
    client.send(head("empty"))
    assert client.head()[1]["content-length"] == "0"
    assert client.is_kept()


def test_requests_that_are_sent_at_once_are_answered_in_their_order(client: Client) -> None:
    client.send(head("stream"), head("whole"), head("none"), head("trailers"), head("whole"))
    assert client.head()[0] == 200
    assert client.chunks() == EVENTS
    assert client.trailers() == []
    assert client.stream.read(int(client.head()[1]["content-length"])) == b'{"a":1}'
    assert client.head()[0] == 204
    assert client.head()[0] == 200
    assert client.chunks() == EVENTS
    assert len(client.trailers()) == 2
    assert client.stream.read(int(client.head()[1]["content-length"])) == b'{"a":1}'
    assert client.is_kept()


@pytest.mark.parametrize("name", ["stream", "trailers"])
def test_http_1_0_gets_a_stream_that_the_connections_end_ends(client: Client, name: str) -> None:
    client.send(head(name, version="1.0"))
    headers = client.head()[1]
    assert not headers.keys() & {"transfer-encoding", "content-length", "trailer"}
    assert client.stream.read() == b"".join(EVENTS)


def test_http_1_0_gets_a_whole_answer_with_its_length(client: Client) -> None:
    client.send(head("whole", version="1.0"))
    assert client.head()[1]["content-length"] == "7"
    assert client.stream.read() == b'{"a":1}'


# ------------------------------------------------------------------ ends


def test_a_cut_stream_lacks_the_end_of_its_body(client: Client) -> None:
    client.send(head("cut"))
    assert client.head()[0] == 200
    assert client.chunks() == EVENTS
    assert client.is_over()


def test_a_cut_whole_answer_is_shorter_than_it_says(client: Client) -> None:
    client.send(head("half"))
    assert int(client.head()[1]["content-length"]) > 4
    assert client.stream.read() == b'{"a"'


def test_a_reset_before_the_answer_is_all_there_is(client: Client) -> None:
    client.send(head("reset"))
    with pytest.raises(ConnectionResetError):
        client.stream.readline()


def test_who_stays_where_a_client_had_left_is_cut_off_in_the_end(client: Client) -> None:
    began = time.monotonic()
    client.send(head("left"))
    assert client.head()[0] == 200
    assert client.chunks() == EVENTS
    assert client.is_over()
    # Twice the silence of 0.1 s, and a second.
    assert time.monotonic() - began >= 1.2


# ------------------------------------------------------------------ codings

DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31).decompress,
    "deflate": lambda: zlib.decompressobj().decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}


@pytest.mark.parametrize("coding", DECODERS)
def test_a_coding_that_is_accepted_is_there_again_with_the_same_borders(
    client: Client, coding: str
) -> None:
    client.send(head(coding, f"Accept-Encoding: {coding}, identity;q=0.5"))
    assert client.head()[1]["content-encoding"] == coding
    decode = DECODERS[coding]()
    decoded = [decode(chunk) for chunk in client.chunks()]
    assert decoded == EVENTS
    assert client.trailers() == []
    assert client.is_kept()


@pytest.mark.parametrize("accepted", [(), ("Accept-Encoding: identity",), ("Accept-Encoding: x",)])
@pytest.mark.parametrize("coding", DECODERS)
def test_a_coding_that_is_not_accepted_is_not_there(
    client: Client, coding: str, accepted: tuple[str, ...]
) -> None:
    client.send(head(coding, *accepted))
    assert "content-encoding" not in client.head()[1]
    assert client.chunks() == EVENTS


def test_a_whole_answer_is_coded_too_and_says_its_coded_length(client: Client) -> None:
    client.send(head("gzip-whole", "Accept-Encoding: gzip"))
    headers = client.head()[1]
    data = client.stream.read(int(headers["content-length"]))
    assert (headers["content-encoding"], zlib.decompress(data, 31)) == ("gzip", b'{"a":1}')
    assert client.is_kept()


def test_a_coded_stream_that_was_cut_lacks_the_codings_end(client: Client) -> None:
    client.send(head("gzip-cut", "Accept-Encoding: gzip"))
    assert client.head()[0] == 200
    decode = zlib.decompressobj(31)
    assert [decode.decompress(chunk) for chunk in client.chunks()] == EVENTS
    assert not decode.eof


# ------------------------------------------------------------------ pace

PACES = [
    ("instant", 0.0),
    ("recorded", 0.5),
    ("2x", 0.25),
    ("0.5x", 1.0),
    ("ttft=0.2,tps=10", 0.6),
    ("ttft=0.3", 0.8),
]


@pytest.mark.parametrize(("pace", "least"), [*PACES, ("ttft=200ms,tps=10,jitter=0.5,seed=1", 0.4)])
def test_chunks_are_the_same_at_every_pace_and_none_is_early(
    folder: Path, clean_env: dict[str, str], pace: str, least: float
) -> None:
    args: list[str | Path] = ["replay", "-r", folder, "--pace", pace]
    with serving(args, clean_env, folder.parent) as (_, ready), Client(port_of(ready)) as client:
        began = time.monotonic()
        client.send(head("stream"))
        assert client.head()[0] == 200
        assert client.chunks() == EVENTS
        assert client.trailers() == []
        assert time.monotonic() - began > least - 0.001


def test_a_page_of_another_site_is_refused_after_who_may_ask(client: Client) -> None:
    assert client.is_kept()
    two = ("Origin: http://localhost", "Origin: https://evil.example")
    foreign: list[tuple[str, ...]] = [two, ("Sec-Fetch-Site: cross-site",)]
    for more in foreign:
        client.send(head("whole", *more))
        status, headers = client.head()
        assert status == 403
        client.stream.read(int(headers["content-length"]))
    assert client.is_kept()


# ------------------------------------------------------------------ large, and not read


def test_a_large_answer_out_of_a_side_file_is_whole(folder: Path, client: Client) -> None:
    assert [path.stat().st_size for path in folder.rglob("*.bin")] in ([len(LARGE)], [])
    client.send(head("large"))
    headers = client.head()[1]
    assert client.stream.read(int(headers["content-length"])) == LARGE
    assert client.is_kept()


def test_a_large_stream_comes_in_its_chunks(client: Client) -> None:
    client.send(head("large-stream"))
    assert client.head()[0] == 200
    assert client.chunks() == [chunk.data for chunk in ANSWERS["large-stream"].chunks]
    assert client.trailers() == []
    assert client.is_kept()


NOT_READING = textwrap.dedent("""
    # python not_reading.py NAME COUNT: ask so many times and do not read; tells the proxy's memory.
    import os, re, socket, sys, time

    port = int(os.environ["HTTP_PROXY"].rpartition(":")[2])
    status = f"/proc/{os.getppid()}/status"

    def memory():
        return int(re.search(r"VmRSS:\\s+(\\d+)", open(status).read())[1])

    def ask():
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /api.openai.com/v1/%b HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
                       % sys.argv[1].encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        return client

    clients = [ask()]
    before = memory()
    clients += [ask() for _ in range(int(sys.argv[2]))]
    print(memory() - before)
    for client in clients:
        client.close()
""")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["large", "large-stream"])
def test_little_is_kept_for_clients_that_do_not_read_and_their_rows_say_they_left(
    wiretape: Wiretape, folder: Path, tmp_path: Path, name: str
) -> None:
    script = tmp_path / "not_reading.py"
    script.write_text(NOT_READING)
    client = [sys.executable, str(script), name, "20"]
    done = wiretape("replay", "-r", folder, "--report", "report.json", "--", *client)
    assert done.returncode == 0, done.stderr
    # 20 of them would be 100 MiB and more.
    assert int(done.stdout) < 40 * 1024
    rows = json.loads((tmp_path / "report.json").read_text())["exchanges"]
    assert [row.get("note") for row in rows] == ["the client left"] * 21


@pytest.mark.parametrize("text", ["recorded", "2x", "ttft=0.4,tps=60,jitter=0.5"])
def test_all_streams_of_an_answer_share_its_times_until_it_changes(text: str) -> None:
    pace = Pace.parse(text)
    sender = AnswerSender(pace, Report("replay"), built_in())
    shared = sender._schedule("a.json", STREAM)
    assert shared == pace.schedule(STREAM)
    assert sender._schedule("a.json", STREAM) is shared
    changed = replace(STREAM, chunks=STREAM.chunks[1:])
    for name, response in (("b.json", changed), ("a.json", changed), ("a.json", STREAM)):
        assert sender._schedule(name, response) == pace.schedule(response)
    for number in range(1000):
        sender._schedule(f"{number}.json", STREAM)
    assert len(sender._schedules) < 1000
