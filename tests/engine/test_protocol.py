"""What is answered without aiohttp is what aiohttp would have answered: the same bytes, the same
rows of the report. aiohttp's way is the truth; both are fed by hand, without sockets.
"""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.cases import check_each_async
from tests.support.limits import PATIENCE, examples, part_of
from tests.support.virtual_time import VirtualTimeLoop

from wiretape.config.load import load
from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.playback.faults import Fault, FaultRule, Faults
from wiretape.core.playback.pace import Pace
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.handler import Handler
from wiretape.engine.http_request import Origin
from wiretape.engine.protocol import IDLE_SECONDS, HttpServer
from wiretape.engine.replayer import Replayer, ReplayOptions
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sequences.shared_log import Tail
from wiretape.sessions.sessions import Sessions
from wiretape.sessions.shared import SharedSessions

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")

HOST: Final = "api.openai.com"
MOST_BODY: Final = 1 << 17
"""The largest body here that is read the short way: less than the product's, to take less time."""

JSON: Final = ("content-type", "application/json")
BODY: Final = b'{"model":"m","input":"hello"}'
EVENTS: Final = tuple(Chunk(b'data: {"n":%d}\n\n' % n, n / 1000) for n in range(4))
WHOLE: Final = Response(200, (JSON, ("x-a", "1"), ("x-a", "2")), (Chunk(b'{"a":1}', 0.001),))
STREAM: Final = Response(200, (("content-type", "text/event-stream"),), EVENTS, streaming=True)
ANSWERS: Final = {
    "whole": WHOLE,
    "stream": STREAM,
    "gzip": replace(WHOLE, coding="gzip"),
    "gzip-stream": replace(STREAM, coding="gzip"),
    "trailers": replace(STREAM, trailers=(("x-sum", "7"),)),
    "cut": replace(STREAM, end="cut"),
    "half": replace(WHOLE, end="cut"),
    "none": Response(204),
    "same": Response(304, (("etag", '"1"'),)),
    "empty": Response(200, (JSON,)),
    "error": Response(429, (JSON, ("retry-after", "1")), WHOLE.chunks),
    "unusual": Response(299, (("connection", "close"), ("server", "other"))),
    "no-type": Response(200, (), (Chunk(b"?"),)),
    "not-utf-8": Response(200, (("x-a", "caf\udce9 é"),), (Chunk(b"\xff\0"),)),
    "link": Response(302, (("location", "/v1/whole"),)),
    "large": replace(WHOLE, chunks=(Chunk(b"x" * 300_000),)),
    "large-stream": replace(STREAM, chunks=(Chunk(b"data: " + b"x" * 300_000 + b"\n\n"),)),
    "logprobs": replace(STREAM, chunks=(Chunk(b"data: " + b"x" * 999 + b"\n\n"),) * 200),
}


@pytest.fixture(scope="module", autouse=True)
def _most_body() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wiretape.engine.http_request.MOST_BODY", MOST_BODY)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two takes of each answer to a GET, and one to a POST."""
    path = tmp_path_factory.mktemp("protocol") / "r"
    library = Library(path, Matcher(built_in()), lambda document: document)
    library.load()
    for name, answer in ANSWERS.items():
        for take in range(2):
            response = replace(answer, headers=(*answer.headers, ("x-take", str(take))))
            request = Request("GET", "https", HOST, 443, f"/v1/{name}")
            write(library, Exchange(request, response, "2026-11-20T17:30:00.5Z"))
    post = Request("POST", "https", HOST, 443, "/v1/post", headers=(JSON,), body=BODY)
    write(library, Exchange(post, WHOLE, "2026-11-20T17:30:00.5Z"))
    return path


def write(library: Library, exchange: Exchange) -> None:
    document = from_exchange(exchange)
    smaller, files = recording_format.externalise(document)
    assert library.write(smaller, recording_format.dumps(smaller), files) is not None


# ------------------------------------------------------------------ two ways, fed by hand


class Wire(asyncio.Transport):
    """A connection whose other side is the test; what is written to it is `sent`."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.sent = bytearray()
        self.is_over = False
        self.is_read = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.is_over

    def write(self, data: Any) -> None:
        if not self.is_over:
            self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class Way:
    """A connection to a replayer, which begins anew."""

    def __init__(self, replayer: Replayer, scenario: "Scenario", *, is_fast: bool) -> None:
        replayer.sessions.own.reset()
        for name in ("a",):
            replayer.sessions.forget(name)
        self.report = replayer.report
        self.report.rows.clear()
        self.handler = Handler(replayer, scenario.pace, max_body=2 * MOST_BODY)
        self.server = HttpServer(self.handler)
        self.wire = Wire()
        protocol = self.server(scenario.tunnel) if is_fast else self.server.aiohttp()
        if scenario.tunnel is not None:
            self.handler.tunnels[self.wire] = scenario.tunnel
        self.wire.protocol = protocol
        protocol.connection_made(self.wire)

    async def feed(self, data: bytes) -> None:
        """Send a part of a request."""
        if not self.wire.is_over:
            self.wire.protocol.data_received(data)
            for _ in range(12):
                await asyncio.sleep(0)

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until all that comes of them has been written."""
        await self.feed(data)
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing is under way, and nothing begins."""
        turns = 0
        while turns < 12:
            turns = 0 if self.handler.under_way else turns + 1
            await asyncio.wait_for(self.handler.idle(), PATIENCE)
            await asyncio.sleep(0)

    def outcome(self) -> "tuple[str, bool, list[dict[str, Any]]]":
        """What was written but for its time, whether the connection is over, and the rows."""
        text = re.sub(rb"\r\nDate: [^\r]+", b"\r\nDate: now", bytes(self.wire.sent))
        rows = [row.as_json() for row in self.report.rows]
        for row in rows:
            for name in ("duration", "first_chunk"):
                row[name] = name in row
        return text.decode("latin-1"), self.wire.is_over, rows

    async def close(self) -> None:
        self.wire.close()
        await self.quiet()
        await self.server.close()


class SlowLog:
    """A log of other processes, of which there are none, that has to be waited for."""

    async def append(self, name: str, entries: Sequence[str] = ()) -> Tail:
        await asyncio.sleep(0)
        return Tail(is_appended=True)

    def forget(self, name: str) -> None: ...
    async def close(self) -> None: ...


@cache
def replayers(folder: Path, faults: tuple[FaultRule, ...], is_shared: bool) -> tuple[Replayer, ...]:
    """A replayer for each of the two ways."""
    config = load(None, {})

    def opened(session: str | None) -> Library:
        library = Library(folder, config.matcher, session=session)
        library.load()
        return library

    def replayer(*, is_shared: bool) -> Replayer:
        redactor, sessions, report = Redactor(config.redaction), Sessions(opened), Report("replay")
        options = ReplayOptions(
            faults=Faults(faults), shared=SharedSessions(sessions, SlowLog()) if is_shared else None
        )
        return Replayer(sessions, config.matcher, redactor, config.providers, report, options)

    return replayer(is_shared=False), replayer(is_shared=is_shared)


class Scenario(SimpleNamespace):
    """How a run replays, whether other processes take part, and in which tunnel it is asked."""

    pace = Pace()
    is_shared = False
    faults: tuple[FaultRule, ...] = ()
    tunnel: Origin | None = None


SCENARIOS: Final = {
    "base URL": Scenario(),
    "tunnel": Scenario(tunnel=Origin("https", HOST, 443)),
    "session": Scenario(tunnel=Origin("https", HOST, 443, "a")),
    "paced": Scenario(pace=Pace(100.0)),
    "workers": Scenario(is_shared=True),
    "faulty": Scenario(
        faults=(FaultRule(Fault("half", status=429, probability=0.5), Rule("half")),)
    ),
}


async def compared(
    folder: Path,
    scenario: Scenario,
    requests: Sequence[bytes],
    pieces: Callable[[list[bytes]], Sequence[bytes]] = list,
) -> str:
    """Send requests on aiohttp's way, each when the one before is answered, and in `pieces` on the
    other; what was answered. What follows the last request of a connection is left out: aiohttp
    answers 400 to it, and to all that came with it.
    """
    slow_replayer, fast_replayer = replayers(folder, scenario.faults, scenario.is_shared)
    truth = Way(slow_replayer, scenario, is_fast=False)
    fast = Way(fast_replayer, scenario, is_fast=True)
    sent = []
    try:
        for request in requests:
            if not truth.wire.is_over:
                await truth.send(request)
                sent.append(request)
        for piece in pieces(sent):
            await fast.feed(piece)
        await fast.quiet()
        assert fast.outcome() == truth.outcome()
        return truth.outcome()[0]
    finally:
        await truth.close()
        await fast.close()


def head(target: str, *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = (f"{method} {target} HTTP/{version}", "Host: localhost", *more, "", "")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def get(name: str, *more: str, method: str = "GET", version: str = "1.1") -> bytes:
    return head(f"/{HOST}/v1/{name}", *more, method=method, version=version)


def post(*more: str, body: bytes = BODY) -> bytes:
    length = f"Content-Length: {len(body)}"
    return get("post", "Content-Type: application/json", length, *more, method="POST") + body


def large(size: int) -> bytes:
    return post(body=b'{"model":"m","input":"' + b"x" * size + b'"}')


CHUNKED: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
REQUESTS: Final = {
    "post": post(),
    "close": post("Connection: close"),
    "keep-alive": post("Connection: keep-alive"),
    "body of a GET": get("whole", "Content-Length: 2") + b"{}",
    "credentials": post("Authorization: Bearer sk-abcdefghijklmnop1234"),
    "not UTF-8": post("X-Name: caf\udce9"),
    "many encodings": get("gzip", "Accept-Encoding: br;q=0.5, gzip"),
    "gzip stream": get("gzip-stream", "Accept-Encoding: gzip"),
    "absolute form": head(f"http://{HOST}/v1/whole"),
    "HEAD": get("whole", method="HEAD"),
    "OPTIONS": get("whole", method="OPTIONS"),
    "asterisk": head("*", method="OPTIONS"),
    "HTTP/1.0": get("whole", version="1.0"),
    "HTTP/1.0 kept alive": get("stream", "Connection: keep-alive", version="1.0"),
    "HTTP/2": get("whole", version="2.0"),
    "chunked": post(body=b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    + CHUNKED,
    "expects": post("Expect: 100-continue"),
    "upgrade": get("whole", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "WebSocket": get(
        *("whole", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "miss": get("other"),
    "miss with a body": post(body=b'{"model":"m","input":"other"}'),
    "session": get("whole", "X-Wiretape-Session: a"),
    "session's name": get("whole", "X-Wiretape-Session: ../a"),
    "proxy's credentials": get("whole", "Proxy-Authorization: Basic ?"),
    "fault": get("whole", "X-Wiretape-Fault: 500"),
    "fault's name": get("whole", "X-Wiretape-Fault: ?"),
    "foreign host": get("whole").replace(b"localhost", b"evil.example"),
    "foreign page": get("whole", "Sec-Fetch-Site: cross-site"),
    "control": head("/wiretape/sessions/a"),
    "no provider": head("/other.example/v1"),
    "no host in the path": head("/"),
    "too large for a recording": large(2 * MOST_BODY),
    "an upload": large(MOST_BODY),
}
"""Each is one message, as far as HTTP goes."""
MALFORMED: Final = {
    "bare LF": get("whole").replace(b"\r\n", b"\n"),
    "bare CR": get("whole", "X-A: a\rb"),
    "folded": get("whole", "X-A: a\r\n b"),
    "no Host": get("whole").replace(b"Host: localhost\r\n", b""),
    "two Hosts": get("whole", "Host: localhost"),
    "two lengths": post("Content-Length: 29"),
    "lengths that differ": post("Content-Length: 3"),
    "lengths in one": post().replace(b"Length: 29", b"Length: 29, 29"),
    "length and chunks": post("Transfer-Encoding: chunked"),
    "chunks of another coding": get("whole", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "empty length": get("whole", "Content-Length:"),
    "signed length": post().replace(b"Length: 29", b"Length: +29"),
    "hexadecimal length": post().replace(b"Length: 29", b"Length: 0x1d"),
    "negative length": post().replace(b"Length: 29", b"Length: -1"),
    "immense length": post().replace(b"Length: 29", b"Length: 99999999999999999999999"),
    "space before a colon": post().replace(b"Length: 29", b"Length : 29"),
    "NUL": get("whole", "X-A: \0"),
    "no colon": get("whole", "X-A"),
    "no method": get("whole", method=""),
    "lower-case method": get("whole", method="get"),
    "unknown method": get("whole", method="FETCH"),
    "space in the target": head("/a b"),
    "no version": b"GET /\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "CONNECT": head("api.openai.com:443", method="CONNECT"),
    "long target": get("a" * 70_000),
    "long header": get("whole", "X-A: " + "a" * 70_000),
    "many headers": get("whole", *(f"X-{n}: 1" for n in range(140))),
    "two empty lines first": b"\r\n\r\n" + get("whole"),
    "old WebSocket": get("whole", "Sec-WebSocket-Key1: a"),
}


@pytest.mark.parametrize(("number", "scenario"), [*enumerate(SCENARIOS)])
async def test_an_answer_is_the_one_that_aiohttp_would_write(
    folder: Path, number: int, scenario: str
) -> None:
    async def check(name: str) -> None:
        request = head(f"/v1/{name}") if SCENARIOS[scenario].tunnel else get(name)
        answers = await compared(folder, SCENARIOS[scenario], [request] * 3)
        if scenario == "base URL":
            assert "x-take: 0" in answers
            assert ("x-take: 1" in answers) == (name not in ("cut", "half"))

    await check_each_async(check, {name: name for name in part_of(ANSWERS, number)})


@pytest.mark.parametrize(
    ("name", "is_ours"), [("logprobs", True), ("large", False), ("large-stream", False)]
)
async def test_what_a_client_may_leave_half_read_is_written_by_aiohttp(
    folder: Path, name: str, is_ours: bool
) -> None:
    way = Way(replayers(folder, (), False)[1], Scenario(), is_fast=True)
    ours = way.wire.protocol
    await way.send(get(name))
    assert (way.wire.protocol is ours) is is_ours
    await way.close()


@pytest.mark.parametrize(("number", "scenario"), [*enumerate(["base URL", "workers", "paced"])])
async def test_a_request_is_answered_as_aiohttp_would(
    folder: Path, number: int, scenario: str
) -> None:
    async def check(request: bytes) -> None:
        await compared(folder, SCENARIOS[scenario], [get("whole"), request, get("stream")])

    requests = {**REQUESTS, **MALFORMED}.items()
    await check_each_async(check, dict(part_of(requests, number, of=3)))


@pytest.mark.parametrize(
    ("number", "name"), [*enumerate(["post", "close", "chunked", "miss", "HEAD"])]
)
async def test_where_a_request_is_cut_changes_nothing(folder: Path, number: int, name: str) -> None:
    request = REQUESTS[name]
    slow_replayer, fast_replayer = replayers(folder, (), False)
    truth = Way(slow_replayer, Scenario(), is_fast=False)
    await truth.send(request)
    for cut in part_of(range(1, len(request)), number):
        fast = Way(fast_replayer, Scenario(), is_fast=True)
        await fast.feed(request[:cut])
        await fast.send(request[cut:])
        assert fast.outcome() == truth.outcome(), cut
        await fast.close()
    await truth.close()


# aiohttp loses what comes in one read with an upgrade that it does not know.
names = st.sampled_from(
    [name for name in REQUESTS if name != "upgrade" and len(REQUESTS[name]) < 1000]
)


@given(
    st.lists(names, min_size=1, max_size=5),
    st.lists(st.integers(0, 1000), max_size=4),
    st.sampled_from(["base URL", "workers", "paced"]),
)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_requests_that_are_sent_at_once_are_answered_in_turn(
    folder: Path, sent: list[str], cuts: list[int], scenario: str
) -> None:
    def pieces(requests: list[bytes]) -> list[bytes]:
        data = b"".join(requests)
        edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
        return [data[start:end] for start, end in pairwise(edges) if start < end]

    await compared(folder, SCENARIOS[scenario], [REQUESTS[name] for name in sent], pieces)


async def test_what_is_no_request_follows_an_answer(folder: Path) -> None:
    async def check(malformed: bytes) -> None:
        requests = [get("whole"), get("stream"), malformed]
        await compared(folder, Scenario(), requests, lambda sent: [b"".join(sent)])

    await check_each_async(check, MALFORMED)


# ------------------------------------------------------------------ clients that leave


async def test_a_client_that_does_not_read_gets_no_more_answers_until_it_does(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], Scenario(), is_fast=True)
    way.wire.protocol.pause_writing()
    number = 0
    while way.wire.is_read and number < 2000:
        way.wire.protocol.data_received(get("whole"))
        number += 1
    assert not way.wire.sent
    assert 100 < number < 2000, "what it sends is not read without end"
    way.wire.protocol.resume_writing()
    assert way.wire.sent.count(b"HTTP/1.1 200 OK") == number
    assert way.wire.is_read
    await way.close()


async def test_an_answer_that_nobody_waits_for_any_more_is_not_looked_up(folder: Path) -> None:
    way = Way(replayers(folder, (), True)[1], Scenario(), is_fast=True)
    way.wire.protocol.data_received(get("whole"))
    way.wire.is_over = True
    way.wire.protocol.connection_lost(ConnectionResetError())
    await way.quiet()
    assert not way.wire.sent
    assert not way.report.rows
    assert not [task for task in asyncio.all_tasks() if "Handler.answer" in repr(task)]
    await way.close()


SLOW: Final = Scenario(pace=Pace(0.01))


async def test_a_stream_at_a_pace_ends_when_its_client_leaves(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], SLOW, is_fast=True)
    way.report.watched = True
    way.wire.protocol.data_received(get("stream"))
    assert way.handler.under_way == 1
    (underway,) = way.report.underway.values()
    assert (underway.row.path, underway.count()) == ("/v1/stream", 1)
    assert EVENTS[0].data in way.wire.sent
    way.wire.close()
    await way.quiet()
    (row,) = way.report.rows
    assert (row.outcome, row.note, row.chunks) == ("replayed", "the client left", 4)
    assert not way.report.underway
    way.report.watched = False
    await way.close()


async def test_thousands_of_clients_that_leave_at_once_leave_nothing_behind(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], SLOW, is_fast=True)
    wires = [Wire() for _ in range(2_000)]
    for wire in wires:
        wire.protocol = way.server()
        wire.protocol.connection_made(wire)
        wire.protocol.data_received(get("stream"))
    assert (way.handler.under_way, len(way.server.connections)) == (2_000, 2_001)
    for wire in wires:
        wire.is_over = True
        wire.protocol.connection_lost(ConnectionResetError())
    assert (way.handler.under_way, len(way.server.connections)) == (0, 1)
    assert Counter(row.note for row in way.report.rows) == {"the client left": 2_000}
    before = [bytes(wire.sent) for wire in wires]
    way.wire.protocol.data_received(get("whole"))
    await way.quiet()
    assert b"HTTP/1.1 200 OK" in way.wire.sent
    assert [bytes(wire.sent) for wire in wires] == before
    await way.close()


async def test_a_stream_at_a_pace_waits_for_a_client_that_does_not_read(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], Scenario(pace=Pace(1.0)), is_fast=True)
    late: list[float] = []
    way.report.lateness = late.append
    way.wire.protocol.data_received(get("stream"))
    way.wire.protocol.pause_writing()
    before = len(way.wire.sent)
    await asyncio.sleep(0.02)
    assert len(way.wire.sent) == before
    way.wire.protocol.resume_writing()
    way.wire.protocol.data_received(get("whole"))
    await way.quiet()
    assert way.wire.sent.count(b"\r\n0\r\n\r\n") == 1
    assert [row.path for row in way.report.rows] == ["/v1/stream", "/v1/whole"]
    assert len(late) == len(EVENTS)
    way.report.lateness = None
    await way.close()


async def test_a_server_that_closes_ends_a_stream_at_a_pace(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], SLOW, is_fast=True)
    way.wire.protocol.data_received(get("stream"))
    await way.server.close()
    await way.quiet()
    assert [row.note for row in way.report.rows] == ["the client left"]
    assert way.wire.is_over
    assert not way.handler.under_way


def test_a_connection_without_requests_is_closed_after_an_hour(folder: Path) -> None:
    async def test() -> None:
        idle, asking = (
            Way(replayers(folder, (), False)[1], Scenario(), is_fast=True) for _ in "ab"
        )
        idle.wire.protocol.data_received(get("whole"))
        asking.server.connections.add(idle.wire.protocol)
        for _ in range(2 * int(IDLE_SECONDS) // 1000):
            await asyncio.sleep(1000)
            asking.wire.protocol.data_received(get("whole"))
        assert (idle.wire.is_over, asking.wire.is_over) == (True, False)
        await asking.close()
        await idle.server.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test())


async def test_many_clients_may_leave_at_once(folder: Path) -> None:
    way = Way(replayers(folder, (), False)[1], Scenario(pace=Pace(1.0)), is_fast=True)
    listener = await way.server.loop.create_server(way.server, "127.0.0.1", 0, backlog=1024)
    address = listener.sockets[0].getsockname()
    requests = (b"GET", get("whole"), get("stream"), post()[:-1], get("other"), get("cut"))
    for number in range(300):
        with socket.socket() as client:
            client.setblocking(False)
            await way.server.loop.sock_connect(client, address)
            client.send(requests[number % len(requests)])
            if number % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with asyncio.timeout(PATIENCE):
        while way.handler.under_way or len(way.server.connections) > 1:
            await way.quiet()
            await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(get("whole"))
    assert await reader.readuntil(b'{"a":1}')
    writer.close()
    listener.close()
    await way.close()


@pytest.mark.parametrize("sent", [b"", b"GET", get("whole"), get("miss"), post()[:-1]])
async def test_a_server_that_closes_ends_its_connections(folder: Path, sent: bytes) -> None:
    way = Way(replayers(folder, (), False)[1], Scenario(), is_fast=True)
    if sent:
        await way.send(sent)
    assert not way.wire.is_over
    await way.server.close()
    assert way.wire.is_over
    await way.quiet()
    assert not way.server.connections
