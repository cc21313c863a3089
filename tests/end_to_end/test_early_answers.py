"""A client that waits for an answer before it has sent all of its request gets it, and the exchange
is recorded whole."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.rawclient import Connection
from tests.support.rawprovider import Talk, providing
from tests.support.soak import proxy

HOST: Final = "api.openai.com"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
CLOSING: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
UNTIL_CLOSE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}"
TARGET: Final = "/v1/files"
PLAIN: Final = {"content-type": "text/plain"}


class Run:
    def __init__(self, port: int, ca: Path, tmp_path: Path) -> None:
        self._port, self._ca, self._tmp_path = port, ca, tmp_path

    def connect(self, *, base: bool = False) -> Connection:
        return Connection(self._port, None if base else self._ca, HOST, base=base)

    @property
    def exchanges(self) -> list[tuple[str, str | None]]:
        document: dict[str, Any] = json.loads((self._tmp_path / "report.json").read_bytes())
        return [(row["outcome"], row.get("note")) for row in document["exchanges"]]

    @property
    def requests(self) -> list[dict[str, Any]]:
        files = sorted((self._tmp_path / "recordings").rglob("*.json"))
        return [json.loads(file.read_bytes())["request"] for file in files]


@contextmanager
def recording(
    talk: Talk, env: dict[str, str], tmp_path: Path, mode: str = "record"
) -> Iterator[Run]:
    ca = Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
    with providing(talk) as url:
        more = ("--map", f"{HOST}={url}", "--report", tmp_path / "report.json")
        with proxy(mode, tmp_path / "recordings", env, *more) as (_, port):
            yield Run(port, ca, tmp_path)


def rest(sock: socket.socket, head: bytes, size: int) -> bytes:
    body = head.partition(b"\r\n\r\n")[2]
    while len(body) < size and (data := sock.recv(65536)):
        body += data
    return body


@pytest.mark.parametrize("answer", [OK, CHUNKED, CLOSING, UNTIL_CLOSE], ids=len)
@pytest.mark.parametrize("first", [b"", b"abc"], ids=["head alone", "a part"])
def test_an_answer_comes_before_the_rest_of_its_request(
    clean_env: dict[str, str], tmp_path: Path, answer: bytes, first: bytes
) -> None:
    got: list[bytes] = []

    def talk(sock: socket.socket, head: bytes) -> None:
        while head:
            sock.sendall(answer)
            if answer == UNTIL_CLOSE:
                sock.shutdown(socket.SHUT_WR)
            if b"content-length: 6" in head.lower():
                got.append(rest(sock, head, 6))
            # One that is closed here might be used before the proxy knows.
            head = sock.recv(65536) if answer in (OK, CHUNKED) else b""

    with recording(talk, clean_env, tmp_path) as run, run.connect() as connection:
        connection.send("POST", TARGET, {**PLAIN, "content-length": "6"})
        connection.write(first)
        reply = connection.take()
        assert (reply.status, reply.body, reply.end) == (200, b"{}", "whole")
        connection.write(b"abcdef"[len(first) :])
        if answer != CLOSING:
            # The connection is as good as new.
            connection.send("POST", TARGET, {**PLAIN, "content-length": "0"})
            assert connection.take().status == 200
        else:
            assert connection.read(1) == b""
    assert got[0] == b"abcdef"
    assert run.exchanges[0] == ("recorded", None)
    assert "abcdef" in [request.get("body_text") for request in run.requests]


def test_a_request_in_chunks_of_its_own_time_goes_out_as_it_comes(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    def talk(sock: socket.socket, head: bytes) -> None:
        # Each piece is answered before the next is sent, as a duplex client has it.
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        seen = head.partition(b"\r\n\r\n")[2]
        for letter in (b"a", b"b", b"c"):
            while letter not in seen:
                seen += sock.recv(65536)
            sock.sendall(b"1\r\n" + letter + b"\r\n")
        while b"0\r\n\r\n" not in seen:
            seen += sock.recv(65536)
        sock.sendall(b"0\r\n\r\n")

    with recording(talk, clean_env, tmp_path) as run, run.connect() as connection:
        connection.send("POST", TARGET, {**PLAIN, "transfer-encoding": "chunked"})
        assert connection.take_head().status == 200
        for letter in (b"a", b"b", b"c"):
            connection.write(b"1\r\n" + letter + b"\r\n")
            assert letter in connection.read(65536)
        connection.write(b"0\r\n\r\n")
        while b"0\r\n\r\n" not in (data := connection.read(65536)):
            assert data
    assert run.exchanges == [("recorded", None)]
    assert [request["body_text"] for request in run.requests] == ["abc"]


def test_a_client_that_stops_at_an_early_answer_leaves_no_recording_and_says_so(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    def talk(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        while sock.recv(65536):
            pass

    with recording(talk, clean_env, tmp_path) as run, run.connect() as connection:
        connection.send("POST", TARGET, {**PLAIN, "content-length": "6"})
        connection.write(b"abc")
        assert connection.take().status == 413
    assert run.exchanges == [
        ("refused", "not recorded: the answer came before its upload had ended")
    ]


def test_a_provider_that_leaves_after_an_early_answer_does_not_cut_the_upload(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    size, answered = 4 << 20, threading.Event()
    piece = b"a word. " * (1 << 13)

    def talk(sock: socket.socket, head: bytes) -> None:
        if b"GET" in head:
            sock.sendall(OK)
            return
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        answered.wait()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with recording(talk, clean_env, tmp_path) as run, run.connect() as connection:
        connection.send("POST", TARGET, {**PLAIN, "content-length": str(size)})
        connection.write(piece)
        assert connection.take().status == 413
        answered.set()
        for _ in range(size // len(piece) - 1):
            connection.write(piece)
        connection.send("GET", TARGET)
        assert connection.take().status == 200
    assert run.exchanges == [("recorded", None)] * 2


def test_what_is_looked_up_is_held_until_it_is_whole(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    heads: list[bytes] = []

    def talk(sock: socket.socket, head: bytes) -> None:
        heads.append(rest(sock, head, 6))
        sock.sendall(OK)

    with recording(talk, clean_env, tmp_path, "auto") as run, run.connect() as connection:
        connection.send("POST", TARGET, {**PLAIN, "content-length": "6"})
        connection.write(b"abc")
        assert heads == []
        connection.write(b"def")
        assert connection.take().body == b"{}"
    assert heads == [b"abcdef"]
    assert run.exchanges == [("recorded", None)]
