"""Real exchanges through the real proxy, provider to client to recording to client: the same bytes
at every step.
"""

import hashlib
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape, serving
from tests.support.forms import CODINGS, ENCODERS, coded, filed, frame, in_base64
from tests.support.limits import PATIENCE
from tests.support.npm import NODE
from tests.support.rawclient import SEES_RESETS, Connection, Pairs, Reply
from tests.support.realwire import WIRE, Real, exchanges
from tests.support.sdk import documents
from tests.support.upstream import Answer, Upstream, split

from wiretape.config import load
from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Headers, Request, Response
from wiretape.core.recording.document import framing_of, from_exchange
from wiretape.core.redaction.answer_headers import DROP_RESPONSE_HEADERS, AnswerHeaders
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import SECRET_HEADERS, RedactionRules
from wiretape.core.wire.content_coding import codings, decoder

ALL = "gzip, deflate, br, zstd"
HOST = "api.together.xyz"
HOP = {"connection", "content-length", "transfer-encoding", "host", "accept-encoding", "expect"}


@dataclass(frozen=True)
class Door:
    """A proxy that is up."""

    port: int
    base_url_port: int
    ca: Path
    pid: int

    def connect(self, host: str, *, base: bool = False) -> Connection:
        return Connection(self.base_url_port if base else self.port, self.ca, host, base=base)

    def ask(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", host: str = HOST
    ) -> Reply:
        """One request on a connection of its own."""
        with self.connect(host) as connection:
            return connection.ask(method, target, headers, body)


@contextmanager
def door(
    mode: str, folder: Path, env: Mapping[str, str], *more: str | Path, cwd: Path | None = None
) -> Iterator[Door]:
    arguments = [mode, "-q", "-r", folder, *more]
    with serving(arguments, env, cwd or folder.parent) as (process, ready):
        assert "is ready" in ready, process.communicate(timeout=PATIENCE)
        port = int(ready.split("HTTPS_PROXY=http://127.0.0.1:")[1].split(",")[0])
        base = int(ready.split("base URLs http://127.0.0.1:")[1].split("/")[0])
        ca = Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
        yield Door(port, base, ca, process.pid)


def mapped(upstream: Upstream, *hosts: str) -> list[str | Path]:
    """The options that take the upstream for these hosts."""
    routes = [word for host in hosts for word in ("--map", f"{host}={upstream.url}")]
    return ["--upstream-ca", upstream.ca_file, *routes]


# ------------------------------------------------------------------ real exchanges


@dataclass(frozen=True)
class Case:
    """A real exchange, the content codings it is sent in, and what is to be recorded of it."""

    real: Real
    request: Request
    names: tuple[str, ...]
    answer: Answer
    stored: Sequence[bytes]
    """The answer's chunks as a recording has them, redacted."""
    framed: bool
    """Whether they are events, lines or the whole; else they are reads, as they happened to be."""
    redacted: bool


def cases() -> list[Case]:
    found = []
    for number, (real, names) in enumerate(zip(exchanges(), cycle(CODINGS), strict=False)):
        host = real.request.host if "<" not in real.request.host else "provider.invalid"
        if real.request.method == "HEAD" or not real.plain:
            names = ()
        asked = tuple(one for one in real.request.headers if one[0].lower() not in HOP)
        request = replace(real.request, scheme="https", host=host, port=443, headers=asked)
        dropped = {*HOP, "content-encoding"}
        told = [one for one in real.headers if one[0].lower() not in dropped]
        if names:
            told.append(("Content-Encoding", ", ".join(names)))
        body = coded(real.plain, names) if names else real.plain
        places = sorted(number * 7919 * at % (len(body) + 1) for at in range(1, 6))
        answer = Answer(real.status, told, [part for part in split(body, *places) if part])
        response, redacted = _stored(request, real, tuple(told), body)
        stored = [chunk.data for chunk in response.chunks]
        framed = framing_of(response, request.path) != "reads" or not response.streaming
        found.append(Case(real, request, names, answer, stored, framed, redacted))
    return found


def _stored(request: Request, real: Real, told: Headers, body: bytes) -> tuple[Response, bool]:
    recorder = Recorder(request)
    recorder.start(real.status, (*told, ("Transfer-Encoding", "chunked")), 0)
    if request.method != "HEAD":
        recorder.read(body, 0)
    redactor = Redactor(RedactionRules())
    plain = from_exchange(recorder.finish("ended", 0))
    document, findings = redactor.document(plain, redactor.secrets(request))
    redacted = any(one.where.startswith("response.body") for one in findings)
    return filed(document).response, redacted


def ask_all(door: Door, found: list[Case], accepted: str | None) -> list[Reply]:
    """Every case's request in turn, on one connection a host."""
    connections: dict[str, Connection] = {}
    replies = []
    try:
        for case in found:
            request = case.request
            if request.host not in connections:
                connections[request.host] = door.connect(request.host)
            headers = list(request.headers)
            if accepted is not None:
                headers.append(("Accept-Encoding", accepted))
            connection = connections[request.host]
            reply = connection.ask(request.method, request.target, headers, request.body)
            replies.append(reply)
            if reply.header("connection") == "close":
                connections.pop(request.host).close()
    finally:
        for connection in connections.values():
            connection.close()
    return replies


def kept(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those a recording keeps, but for the coding's."""
    recorded = AnswerHeaders(DROP_RESPONSE_HEADERS, (), {*SECRET_HEADERS, "content-encoding"})
    return sorted((n.lower(), v) for n, v in headers if recorded.is_recorded(n))


def undone(reply: Reply) -> list[bytes]:
    """Each chunk decoded."""
    undo = decoder(codings(tuple(reply.headers)) if reply.chunks else ())
    found = [undo.decode(data) for data in reply.chunks]
    assert undo.flush() == b""
    return found


@dataclass(frozen=True)
class Round:
    """What clients got: live, replayed to one that decodes, and replayed to one that does not."""

    cases: list[Case]
    live: list[Reply]
    coded: list[Reply]
    plain: list[Reply]


@pytest.fixture(scope="module")
def real_round(clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Round:
    found = cases()
    if not found:
        pytest.skip(f"real exchanges ({WIRE.name}) are not beside the project (../shared/data)")
    place = tmp_path_factory.mktemp("real")
    folder = place / "recordings"
    known = load.load(None, {}).providers
    hosts = sorted({case.request.host for case in found})
    own = [host for host in hosts if known.find(host, 443) is None]
    providers = {f"own-{number}": {"hosts": [host]} for number, host in enumerate(own)}
    # PostHog's clients send their key in the body, which the gate asks to be told.
    redact = {"json": ["$.api_key"]}
    (place / "config.yaml").write_text(
        json.dumps({"providers": providers, "record": {"errors": True}, "redact": redact})
    )
    with Upstream() as upstream:
        for case in found:
            upstream.script(case.request.target, case.answer)
        options = ["--report", place / "report.json", *mapped(upstream, *hosts)]
        with door("record", folder, clean_env, *options) as recording:
            live = ask_all(recording, found, ALL)
    with door("replay", folder, clean_env) as replaying:
        again = ask_all(replaying, found, ALL)
    with door("replay", folder, clean_env) as replaying:
        plain = ask_all(replaying, found, None)
    return Round(found, live, again, plain)


def differing(real_round: Round, differs: object) -> list[str]:
    """The names of the cases for which `differs(case, live, coded, plain)` says so."""
    assert callable(differs)
    rows = zip(real_round.cases, real_round.live, real_round.coded, real_round.plain, strict=True)
    return [row[0].real.name for row in rows if differs(*row)]


def test_a_client_gets_a_providers_bytes_through_the_proxy(real_round: Round) -> None:
    def differs(case: Case, live: Reply, *_: Reply) -> bool:
        head = case.request.method == "HEAD"
        body = b"" if head else b"".join(case.answer.chunks)
        return (live.status, live.body, live.end) != (case.real.status, body, "whole")

    assert differing(real_round, differs) == []


def test_a_client_gets_from_disk_what_it_got_live(real_round: Round) -> None:
    def differs(case: Case, live: Reply, again: Reply, plain: Reply) -> bool:
        body = b"" if case.request.method == "HEAD" else case.real.plain
        if case.redacted:
            body = b"".join(case.stored)
        got = b"".join(undone(again))
        return not (
            again.status == plain.status == live.status
            and got == plain.body == body
            and again.end == plain.end == "whole"
        )

    assert differing(real_round, differs) == []


def test_an_answer_from_disk_has_the_headers_that_are_kept(real_round: Round) -> None:
    def differs(case: Case, live: Reply, again: Reply, plain: Reply) -> bool:
        there = kept(case.answer.headers)
        return not kept(live.headers) == kept(again.headers) == kept(plain.headers) == there

    assert differing(real_round, differs) == []


def test_a_coding_is_given_again_to_a_client_that_accepts_it(real_round: Round) -> None:
    def differs(case: Case, live: Reply, again: Reply, plain: Reply) -> bool:
        was = ", ".join(case.names) or None
        codings = [one.header("content-encoding") for one in (live, again, plain)]
        return codings != [was, was, None]

    assert differing(real_round, differs) == []


def test_chunks_from_disk_end_where_events_do(real_round: Round) -> None:
    def differs(case: Case, live: Reply, again: Reply, plain: Reply) -> bool:
        return case.framed and not undone(again) == plain.chunks == list(case.stored)

    assert differing(real_round, differs) == []


def test_most_real_answers_hold_no_secret(real_round: Round) -> None:
    changed = [case.real.name for case in real_round.cases if case.redacted]
    assert len(changed) < len(real_round.cases) / 10


# ------------------------------------------------------------------ odd answers


def typed(content_type: str, *chunks: bytes, **more: Any) -> Answer:
    return Answer(headers=[("Content-Type", content_type)], chunks=chunks, **more)


def raw(head: str, body: bytes = b"", **more: Any) -> Answer:
    """An answer byte for byte; the lines of its head end in LF here."""
    return Answer(raw=(head.strip() + "\n\n").replace("\n", "\r\n").encode() + body, **more)


def frames(*payloads: bytes) -> list[bytes]:
    return [frame(payload) for payload in payloads]


NOISE = random.Random(5).randbytes(100_000)
SSE, JSON, TEXT = "text/event-stream", "application/json", "text/plain"
EVENT = b'data: {"a":1}\n\n'
ODD: dict[str, Answer] = {
    "frames of Amazon's": typed(
        "application/vnd.amazon.eventstream",
        *frames(in_base64('{"a":1}'), b'{"b":"\xc3\xbc"}'),
    ),
    "frames cut anywhere": typed(
        "application/vnd.amazon.eventstream", *split(b"".join(frames(b"{}", NOISE[:99])), 3, 40, 90)
    ),
    "lines": typed("application/x-ndjson", b'{"a":1}\n{"b"', b":2}\r\n", b"\n", b'{"c":3}'),
    "lines of no type": Answer(chunks=[b'{"a":1}\n{"b":', b'2}\n{"done":true}\n']),
    "lines of octets": typed("application/octet-stream", b'{"a":1}\n', b'{"b":2}\n'),
    "parts": typed("multipart/mixed; boundary=b", b"--b\r\n\r\n" + NOISE[:900] + b"\r\n--b--\r\n"),
    "audio": typed("audio/mpeg", *split(NOISE, 7, 9000, 70_000)),
    "an image": typed("image/png", NOISE, framing="content-length"),
    "nothing": typed(JSON, framing="content-length"),
    "no chunks": typed(SSE),
    "204": Answer(204),
    "304": Answer(304, [("ETag", '"x"')]),
    "deep JSON": typed(JSON, b"[" * 5000 + b"]" * 5000),
    "a name twice": typed(JSON, b'{"a":1,"a":2}'),
    "what JSON has not": typed(JSON, b'{"a":NaN,"b":-Infinity,"c":1e999,"d":00}'),
    "great numbers": typed(
        JSON, b'{"a":' + b"9" * 9000 + b',"b":1e-9999,"c":18446744073709551617}'
    ),
    "JSON that is not": typed(JSON, b"<html>busy</html>"),
    "JSON called events": typed(SSE, b'{"error":{"message":"no"}}'),
    "events called JSON": typed(JSON, EVENT, EVENT, b"data: [DONE]\n\n"),
    "events called text": typed(TEXT, EVENT + EVENT[:5], EVENT[5:]),
    "events with a mark": typed(SSE, b"\xef\xbb", b"\xbf" + EVENT + EVENT),
    "events by CR": typed(SSE, b'data: {"a":1}\r\rdata: x\r', b"\r: ping\r\rdata: y\r\r"),
    "events by CRLF": typed(SSE, b'data: {"a":1}\r', b"\n\r\ndata: x\r\n\r\n"),
    "events of all fields": typed(
        SSE, b": hi\n\nevent: a\nid: 1\nretry: 9\ndata: x\ndata:y\ndata\nfoo\n\n\n\n:\n\n"
    ),
    "events in UTF-16": typed(SSE + "; charset=utf-16", EVENT.decode().encode("utf-16-le")),
    "an event without its end": typed(SSE, EVENT, b'data: {"a":2}'),
    "events that are not UTF-8": typed(
        SSE, b"data: \xff\xfe\n\n", b'data: {"a":"\xed\xa0\x80"}\n\n'
    ),
    "a half character": typed(JSON, b'{"a":"\\ud800","b":"\\ud83d\\ude00","c":"\xf0\x9f\x98\x80"}'),
    "an unknown coding": typed(JSON, NOISE[:99]),
    "a coding that is not there": Answer(
        headers=[("Content-Type", JSON), ("Content-Encoding", "gzip")], chunks=[b'{"a":1}']
    ),
    "trailers": raw(
        "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked",
        b'f\r\ndata: {"a":1}\n\n\r\n0\r\nx-checksum: abc\r\n\r\n',
    ),
    "hints before it": raw(
        "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 102 Processing\n\n"
        "HTTP/1.1 200 OK\nContent-Length: 2",
        b"{}",
    ),
    "HTTP/1.0": raw("HTTP/1.0 200 OK\nContent-Type: text/plain", b"old but well", end="fin"),
    "an end that is the connection's": typed(TEXT, b"a", b"b", framing="close", end="fin"),
    "less than it says": raw("HTTP/1.1 200 OK\nContent-Length: 99", b'{"a":1}', end="fin"),
    "a folded head": raw(
        "HTTP/1.1 200 OK\nContent-Length: 2\nContent-Type: text/plain;\n a=b", b"ok"
    ),
    "two equal lengths": raw("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2", b"{}"),
    "a line end within a head": raw(
        "HTTP/1.1 200 OK\nContent-Length: 2\nRetry-After: 1\rX-E: 2", b"{}"
    ),
    "a header of bytes": raw("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Type: a/\xfc", b"{}"),
    "a status of nobody's": raw("HTTP/1.1 299 \nContent-Length: 2", b"{}"),
    "a cut": typed(SSE, EVENT, EVENT, end="fin"),
    "a reset": typed(SSE, EVENT, EVENT, end="reset"),
    "an error of the moment": typed(JSON, b'{"error":{}}', status=529),
}
ODD["an unknown coding"] = replace(
    ODD["an unknown coding"], headers=[("Content-Type", JSON), ("Content-Encoding", "x-odd")]
)


@dataclass(frozen=True)
class Odd:
    """What a client got of an odd answer, live and from disk, and what the provider had sent."""

    answer: Answer
    live: Reply
    again: Reply


def sent(answer: Answer) -> tuple[int, bytes, list[tuple[str, str]]]:
    """An answer's status, body and headers, told by its own words."""
    if answer.raw is None:
        return answer.status, b"".join(answer.chunks), list(answer.headers)
    head, _, body = answer.raw.rpartition(b"HTTP/1.")[2].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    if b"chunked" in head:
        body = body.split(b"\r\n")[1]
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return int(first.split()[1]), body, pairs


@pytest.fixture(scope="module")
def odd_round(
    clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Odd]:
    place = tmp_path_factory.mktemp("odd")
    folder, paths = place / "recordings", {name: f"/v1/odd/{n}" for n, name in enumerate(ODD)}
    (place / "config.yaml").write_text(
        "record: {errors: true}\n"
        "redact: {unsearched: [x-odd, gzip], keep_response_headers: [x-checksum]}\n"
    )
    told = {"accept-encoding": ALL}
    with Upstream() as upstream:
        for name, answer in ODD.items():
            upstream.script(paths[name], answer)
        with door("record", folder, clean_env, *mapped(upstream, HOST)) as recording:
            live = {name: recording.ask("GET", paths[name], told) for name in ODD}
    with door("replay", folder, clean_env) as replaying:
        again = {name: replaying.ask("GET", paths[name], told) for name in ODD}
    return {name: Odd(ODD[name], live[name], again[name]) for name in ODD}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_the_same_live_and_from_disk(odd_round: dict[str, Odd], name: str) -> None:
    odd = odd_round[name]
    status, body, _ = sent(odd.answer)
    ends = {
        "a cut": "cut",
        "less than it says": "cut",
        "a reset": "reset" if SEES_RESETS else "cut",
    }
    assert (odd.live.status, odd.live.body) == (status, body)
    assert (odd.again.status, odd.again.body) == (status, body)
    assert (odd.live.end, odd.again.end) == (ends.get(name, "whole"),) * 2
    assert odd.again.trailers == odd.live.trailers
    assert odd.again.header("content-type") == odd.live.header("content-type")


def test_trailers_are_given(odd_round: dict[str, Odd]) -> None:
    assert odd_round["trailers"].again.trailers == [("x-checksum", "abc")]


@pytest.mark.parametrize(
    ("name", "chunks"),
    [
        ("frames cut anywhere", frames(b"{}", NOISE[:99])),
        ("lines", [b'{"a":1}\n', b'{"b":2}\r\n', b"\n", b'{"c":3}']),
        ("lines of no type", [b'{"a":1}\n', b'{"b":2}\n', b'{"done":true}\n']),
        ("events called JSON", [EVENT, EVENT, b"data: [DONE]\n\n"]),
        ("events called text", [EVENT, EVENT]),
        ("events with a mark", [b"\xef\xbb\xbf" + EVENT, EVENT]),
        ("events by CR", [b'data: {"a":1}\r\r', b"data: x\r\r", b": ping\r\r", b"data: y\r\r"]),
        ("events by CRLF", [b'data: {"a":1}\r\n\r\n', b"data: x\r\n\r\n"]),
        ("an event without its end", [EVENT, b'data: {"a":2}']),
    ],
)
def test_chunks_of_odd_answers_end_where_events_do(
    odd_round: dict[str, Odd], name: str, chunks: list[bytes]
) -> None:
    assert odd_round[name].again.chunks == chunks


def test_a_provider_starts_no_header_in_a_value(odd_round: dict[str, Odd]) -> None:
    odd = odd_round["a line end within a head"]
    assert odd.live.header("retry-after") == odd.again.header("retry-after") == "1 X-E: 2"
    assert odd.live.header("x-e") is odd.again.header("x-e") is None


# ------------------------------------------------------------------ odd requests


ENCODED = {name: ENCODERS[name] for name in ("gzip", "zstd", "br", "deflate")}
ASKED = b'{"model":"m","input":"a long question, a long question","stream":false}'
TOLD = {"content-type": JSON}


@pytest.mark.parametrize("name", ENCODED)
def test_a_coded_request_goes_out_untouched_and_is_compared_decoded(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path, name: str
) -> None:
    upstream.script("/v1/responses", Answer.json({"ok": True}))
    told, body = {**TOLD, "content-encoding": name}, ENCODED[name](ASKED)
    folder = tmp_path / "r"
    with door("record", folder, clean_env, *mapped(upstream, HOST)) as recording:
        assert recording.ask("POST", "/v1/responses", told, body).status == 200
    assert upstream.requests[0].body == body
    assert upstream.requests[0].header("content-encoding") == name
    (document,) = documents(folder).values()
    assert document["request"]["body"] == json.loads(ASKED)
    with door("replay", folder, clean_env) as replaying:
        spaced = ENCODED["gzip"](ASKED.replace(b'":', b'" :\n'))
        gzipped = {**TOLD, "content-encoding": "gzip"}
        assert replaying.ask("POST", "/v1/responses", told, body).status == 200
        assert replaying.ask("POST", "/v1/responses", TOLD, ASKED).status == 200
        assert replaying.ask("POST", "/v1/responses", gzipped, spaced).status == 200
        other = ENCODED[name](ASKED.replace(b"long", b"short"))
        assert replaying.ask("POST", "/v1/responses", told, other).status == 400


def form(boundary: str, voice: bytes = NOISE) -> tuple[dict[str, str], bytes]:
    """A multipart upload of a sound, with this boundary."""
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    body = (
        f'{head}"model"\r\n\r\nwhisper-1\r\n{head}"file"; filename="a.mp3"\r\n'
        "Content-Type: audio/mpeg\r\n\r\n"
    ).encode()
    body += voice + f"\r\n--{boundary}--\r\n".encode()
    return {"content-type": f"multipart/form-data; boundary={boundary}"}, body


def test_an_upload_is_found_whatever_its_boundary(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path
) -> None:
    path = "/v1/audio/transcriptions"
    upstream.script(path, Answer.json({"text": "hello"}))
    with door("record", tmp_path / "r", clean_env, *mapped(upstream, HOST)) as recording:
        recording.ask("POST", path, *form("one"))
    assert upstream.requests[0].body == form("one")[1]
    with door("replay", tmp_path / "r", clean_env) as replaying:
        assert replaying.ask("POST", path, *form("d0d1e2")).body == b'{"text": "hello"}'
        assert replaying.ask("POST", path, *form("one", NOISE[1:])).status == 400


def test_a_request_without_a_length_is_the_same_request(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path
) -> None:
    upstream.script("/v1/responses", Answer.json({"ok": True}))
    chunked = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, ASKED[:9], len(ASKED) - 9, ASKED[9:])

    def ask(at: Door) -> int:
        with at.connect(HOST) as connection:
            told = {**TOLD, "transfer-encoding": "chunked", "expect": "100-continue"}
            connection.send("POST", "/v1/responses", told)
            connection.write(chunked)
            return connection.take().status

    with door("record", tmp_path / "r", clean_env, *mapped(upstream, HOST)) as recording:
        assert ask(recording) == 200
    assert upstream.requests[0].body == ASKED
    with door("replay", tmp_path / "r", clean_env) as replaying:
        assert replaying.ask("POST", "/v1/responses", TOLD, ASKED).status == 200
        assert ask(replaying) == 200


def test_a_head_is_answered_with_no_body(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path
) -> None:
    upstream.script("/v1/files/1", typed("a/b", b"x" * 1234, framing="content-length"))
    with door("record", tmp_path / "r", clean_env, *mapped(upstream, HOST)) as recording:
        live = recording.ask("HEAD", "/v1/files/1")
    with door("replay", tmp_path / "r", clean_env) as at, at.connect(HOST) as connection:
        again = connection.ask("HEAD", "/v1/files/1")
        assert connection.ask("HEAD", "/v1/files/1").status == 200, "the connection is usable"
    assert (live.status, live.body) == (again.status, again.body) == (200, b"")
    assert again.header("content-type") == live.header("content-type") == "a/b"


def test_the_base_url_gives_the_same_bytes(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path
) -> None:
    upstream.script("/v1/responses", Answer.sse([{"a": 1}, {"b": "ü"}]))
    replies = []
    for mode in ("record", "replay"):
        options = mapped(upstream, HOST) if mode == "record" else ["--base-url-port", "0"]
        with door(mode, tmp_path / "r", clean_env, *options) as at:
            for base in (False, True):
                with at.connect(HOST, base=base) as connection:
                    replies.append(connection.ask("POST", "/v1/responses", TOLD, ASKED))
    body = b"".join(Answer.sse([{"a": 1}, {"b": "ü"}]).chunks)
    assert [(reply.status, reply.body) for reply in replies] == [(200, body)] * 4


def test_binary_answers_lie_beside_their_recordings(
    upstream: Upstream, clean_env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    for path in ("/v1/images/1", "/v1/images/2"):
        upstream.script(path, typed("image/png", NOISE, framing="content-length"))
    with door("record", folder, clean_env, *mapped(upstream, HOST)) as recording:
        for path in ("/v1/images/1", "/v1/images/2"):
            assert recording.ask("GET", path).body == NOISE
    found = {document["response"]["body"]["file"] for document in documents(folder).values()}
    assert found == {hashlib.sha256(NOISE).hexdigest() + ".bin"}
    with door("replay", folder, clean_env) as replaying:
        assert replaying.ask("GET", "/v1/images/2").body == NOISE


# ------------------------------------------------------------------ clients that offer HTTP/2

NODE_ASKS = """
import http from 'node:http'
import https from 'node:https'
import tls from 'node:tls'
const [host, port] = new URL(process.env.HTTPS_PROXY).host.split(':')
http.request({ host, port, method: 'CONNECT', path: 'HOST:443' })
  .on('connect', (_, socket) => {
    const wire = tls.connect({ socket, servername: 'HOST', ALPNProtocols: ['h2', 'http/1.1'] })
    wire.on('secureConnect', () => {
      process.stdout.write(wire.alpnProtocol + ' ')
      https.get({ createConnection: () => wire, host: 'HOST', path: '/v1/models' }, (answer) => {
        answer.pipe(process.stdout)
        answer.on('end', () => wire.end())
      })
    })
  })
  .end()
""".replace("HOST'", HOST + "'").replace("'HOST:", f"'{HOST}:")
HTTPX_ASKS = """
import httpx
with httpx.Client(http2=True, timeout=600) as client:
    answer = client.get("https://HOST/v1/models")
    print(answer.http_version.lower(), answer.text, end="")
""".replace("HOST", HOST)
CURL_ASKS = ["curl", "-sS", "--http2", "-w", "%{http_version}", f"https://{HOST}/v1/models"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (CURL_ASKS, '{"ok": true}1.1'),
        ([sys.executable, "-c", HTTPX_ASKS], 'http/1.1 {"ok": true}'),
        ([NODE, "--input-type=module", "-e", NODE_ASKS], 'http/1.1 {"ok": true}'),
    ],
    ids=["curl", "httpx", "node"],
)
def test_a_client_that_offers_http_2_speaks_http_1_1(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, command: list[str], said: str
) -> None:
    upstream.script("/v1/models", Answer.json({"ok": True}))
    live = wiretape("record", "-r", tmp_path / "r", *mapped(upstream, HOST), "--", *command)
    assert (live.returncode, live.stdout) == (0, said), live.stderr
    again = wiretape("replay", "-r", tmp_path / "r", "--", *command)
    assert (again.returncode, again.stdout) == (0, said), again.stderr
