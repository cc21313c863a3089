"""A provider for tests that says exactly what it is told, write by write.

    with Upstream() as up:
        up.script("/v1/chat/completions", Answer.sse([{"id": "1"}, {"id": "2"}]))
        ...                       # a client that trusts up.ca_file asks up.url
        assert up.requests[0].body == b"..."

It runs on a thread of its own, so tests may be sync or async. Each write is one send (`wire.py`).
Two sends may still reach a slow reader as one read: where a test depends on the border, it holds
the second one back with a gate.
"""

import asyncio
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

import trustme
from tests.support.limits import PATIENCE
from tests.support.wire import Wire

HOSTS = (
    "api.together.xyz",
    "api.together.ai",
    "api-inference.together.ai",
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.mistral.ai",
    "api.groq.com",
    "openrouter.ai",
)

type Headers = Sequence[tuple[str, str]]


class Options(TypedDict, total=False):
    """What `Answer.json` and `Answer.sse` take besides; the fields of `Answer`."""

    status: int
    headers: Headers
    framing: Literal["chunked", "content-length", "close"]
    delays: Sequence[float]
    gates: Mapping[int, threading.Event]
    end: Literal["clean", "fin", "reset"]


@dataclass(frozen=True)
class Answer:
    """One scripted answer: a head, then each chunk as one write (and one HTTP chunk)."""

    status: int = 200
    headers: Headers = ()
    """Sent as they are, in this order. The header of the framing follows, unless it is here."""
    chunks: Sequence[bytes] = ()
    framing: Literal["chunked", "content-length", "close"] = "chunked"
    """How the body's end is known; "close": by the end of the connection. For a body cut short of
    its Content-Length put a greater one among the headers."""
    delays: Sequence[float] = ()
    """Seconds to wait before chunk k; one more is the wait before the end."""
    gates: Mapping[int, threading.Event] = field(default_factory=dict)
    """Events to wait for before chunk k; -1: before the head, len(chunks): before the end."""
    end: Literal["clean", "fin", "reset"] = "clean"
    """After the chunks: the end HTTP knows, or without that an orderly close or a TCP reset."""
    raw: bytes | None = None
    """The whole response in one write, whatever it is; of the others only -1 and `end` count."""

    @classmethod
    def json(cls, value: Any, **options: Unpack[Options]) -> "Answer":
        """A JSON answer in one piece, with a Content-Length unless told otherwise."""
        options.setdefault("framing", "content-length")
        data = json.dumps(value).encode()
        return cls(chunks=[data], **_typed("application/json", options))

    @classmethod
    def sse(
        cls,
        events: Iterable[bytes | str | Mapping[str, Any]],
        *,
        done: bool = True,
        **options: Unpack[Options],
    ) -> "Answer":
        """A stream with one chunk an event, `data: [DONE]` last: bytes stay as they are, str and
        dict are an event's data.
        """
        chunks = [_event(event) for event in events]
        if done:
            chunks.append(b"data: [DONE]\n\n")
        return cls(chunks=chunks, **_typed("text/event-stream", options))


def _typed(content_type: str, options: Options) -> Options:
    headers = options.get("headers", ())
    if not _names(headers) & {"content-type"}:
        headers = [("Content-Type", content_type), *headers]
    return {**options, "headers": headers}


def _event(event: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(event, bytes):
        return event
    data = event if isinstance(event, str) else json.dumps(event, separators=(",", ":"))
    return f"data: {data}\n\n".encode()


def _names(headers: Headers) -> set[str]:
    return {name.lower() for name, _ in headers}


def split(data: bytes, *offsets: int) -> list[bytes]:
    """Cut bytes at offsets: split(b"abcdef", 1, 3) gives [b"a", b"bc", b"def"]."""
    borders = [0, *offsets, len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    """In the order and the case they came in."""
    body: bytes
    """Without its transfer coding."""
    connection: int
    """Which connection it came on, from 1."""
    head: bytes
    """Request line and headers, byte for byte, with the blank line."""

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def path(self) -> str:
        """The target without scheme, host and query."""
        target = self.target
        if not target.startswith("/"):
            target = "/" + target.partition("://")[2].partition("/")[2]
        return target.partition("?")[0]


NOT_SCRIPTED = Answer.json({"error": {"message": "this path has no script"}}, status=404)


class Upstream:
    """The provider; a context manager. It is up when the context opens, gone when it closes.

    A fault of the script or of a request's framing is raised when the context closes.
    """

    def __init__(self, hosts: Iterable[str] = HOSTS, *, tls: bool = True) -> None:
        self.requests: list[Received] = []
        """In the order they were complete."""
        self.sent: list[list[float]] = []
        """For each of `requests`: time.monotonic() just before each chunk's write."""
        self.connections = 0
        """How many were accepted, whatever became of them."""
        self._hosts = (*hosts, "localhost", "127.0.0.1")
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._scripts: dict[str, _Script] = {}
        self._changed = threading.Condition()
        self._faults: list[Exception] = []
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self.ca_file = Path(self._folder.name) / "ca.pem"
        """The authority to trust, PEM."""
        if self._tls:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(str(self.ca_file))
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_alpn_protocols(["http/1.1"])
            authority.issue_cert(*self._hosts).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        # No thread is to be left at a gate that nobody opens any more.
        for script in self._scripts.values():
            for answer in script.answers:
                for gate in answer.gates.values():
                    gate.set()
        self._folder.cleanup()
        if kind is None and self._faults:
            raise ExceptionGroup("in the upstream", self._faults)

    def script(self, target: str, *answers: Answer) -> None:
        """Queue answers for a path, or for a path with its query; the last one repeats."""
        self._scripts.setdefault(target, _Script()).answers.extend(answers)

    def wait_for_request(self, number: int = 1, timeout: float = PATIENCE) -> Received:
        """Block until `number` requests have come; give the last of these. TimeoutError else."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= number, timeout):
                raise TimeoutError(f"{len(self.requests)} of {number} requests came in {timeout} s")
            return self.requests[number - 1]

    async def request_came(self, number: int = 1) -> Received:
        """`wait_for_request` for tests that have a loop to keep running."""
        return await asyncio.to_thread(self.wait_for_request, number)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        talks: set[asyncio.Task[None]] = set()
        with self._listener:
            self._loop.add_reader(self._listener, self._accept, talks)
            self._ready.set()
            await self._stop.wait()
            self._loop.remove_reader(self._listener)
            for talk in talks:
                talk.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    def _accept(self, talks: set[asyncio.Task[None]]) -> None:
        with suppress(BlockingIOError):
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            talk = self._loop.create_task(self._talk(sock, self.connections))
            talks.add(talk)
            talk.add_done_callback(talks.discard)
            talk.add_done_callback(lambda _: sock.close())

    async def _talk(self, sock: socket.socket, number: int) -> None:
        wire = Wire(sock, self._context)
        try:
            await wire.begin()
            while True:
                request = await _read_request(wire, number)
                times: list[float] = []
                with self._changed:
                    self.requests.append(request)
                    self.sent.append(times)
                    self._changed.notify_all()
                script = self._scripts.get(request.target) or self._scripts.get(request.path)
                if not await _answer(wire, request, script, times):
                    break
        except (OSError, EOFError):
            pass  # the client left, or trusts another authority: its side will tell
        except Exception as error:  # any other is a fault of the test: raised at the end
            self._faults.append(error)


class _Script:
    """A queue whose last answer repeats; others may join it at any time."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._next = 0

    def take(self) -> Answer:
        number = min(self._next, len(self.answers) - 1)
        self._next = number + 1
        return self.answers[number]


async def _read_request(wire: Wire, connection: int) -> Received:
    head = await wire.read_until(b"\r\n\r\n")
    line, *fields = head.decode("latin-1")[:-4].split("\r\n")
    method, target, version = line.split(" ")
    headers = [(name, value.strip(" \t")) for name, _, value in (f.partition(":") for f in fields)]
    values = {name.lower(): value for name, value in headers}
    if values.get("expect", "").lower() == "100-continue":
        await wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if values.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunked(wire)
    else:
        body = await wire.read_exactly(int(values.get("content-length", "0")))
    return Received(method, target, version, headers, body, connection, head)


async def _read_chunked(wire: Wire) -> bytes:
    # RFC 9112, section 7.1; trailers are read and dropped.
    body = b""
    while size := int((await wire.read_until(b"\r\n")).partition(b";")[0], 16):
        body += (await wire.read_exactly(size + 2))[:-2]
    while await wire.read_until(b"\r\n") != b"\r\n":
        pass
    return body


async def _answer(
    wire: Wire, request: Received, script: _Script | None, times: list[float]
) -> bool:
    """Play one answer; False where the connection ends with it."""
    answer = script.take() if script else NOT_SCRIPTED
    await _pass(answer.gates.get(-1))
    if answer.raw is not None:
        await wire.write(answer.raw)
    else:
        await _write(wire, request, answer, times)
    if answer.end == "reset":
        wire.reset()
        return False
    if answer.end == "fin" or not _stays_open(request, answer):
        await wire.finish()
        return False
    return True


async def _write(wire: Wire, request: Received, answer: Answer, times: list[float]) -> None:
    # RFC 9110, section 6.4.1: these have no body, whatever their headers say.
    bodiless = request.method == "HEAD" or answer.status in (204, 304)
    await wire.write(_head(answer))
    if bodiless:
        return
    chunked = answer.framing == "chunked"
    for number, chunk in enumerate(answer.chunks):
        await _wait(answer, number)
        times.append(time.monotonic())
        await wire.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
    await _wait(answer, len(answer.chunks))
    if chunked and answer.end == "clean":
        await wire.write(b"0\r\n\r\n")


def _head(answer: Answer) -> bytes:
    headers = list(answer.headers)
    if answer.status not in (204, 304) and not _names(headers) & {
        "content-length",
        "transfer-encoding",
    }:
        if answer.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        elif answer.framing == "content-length":
            headers.append(("Content-Length", str(sum(map(len, answer.chunks)))))
    if answer.framing == "close":
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _stays_open(request: Received, answer: Answer) -> bool:
    says = {(request.header("connection") or "").lower()}
    says |= {value.lower() for name, value in answer.headers if name.lower() == "connection"}
    if request.version == "HTTP/1.0" and "keep-alive" not in says:
        return False
    return answer.framing != "close" and "close" not in says


async def _wait(answer: Answer, number: int) -> None:
    await _pass(answer.gates.get(number))
    if number < len(answer.delays):
        await asyncio.sleep(answer.delays[number])


async def _pass(gate: threading.Event | None) -> None:
    """Wait for an event of the test's thread, on a thread of its own: a pool would run out."""
    if gate is None or gate.is_set():
        return
    loop = asyncio.get_running_loop()
    opened = asyncio.Event()

    def watch() -> None:
        gate.wait()
        with suppress(RuntimeError):  # the upstream is gone, and its loop
            loop.call_soon_threadsafe(opened.set)

    threading.Thread(target=watch, daemon=True).start()
    await opened.wait()
