"""Send a recorded answer: each chunk as an HTTP chunk, at its time, with the recorded end."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web

from wiretape.core.model import Headers, Response, header
from wiretape.core.playback.faults import Fault
from wiretape.core.playback.pace import Pace, Schedule
from wiretape.core.providers.base_url import links_to_door
from wiretape.core.providers.registry import Providers
from wiretape.core.wire import content_coding
from wiretape.core.wire.http1 import (
    BODILESS,
    PIECE,
    framed,
    is_ready,
    is_whole,
    last_chunk,
    ready_head,
)
from wiretape.report.report import Report

from .answer import ReplayAnswer, replayed_row
from .framing import ChunkedBodies, replayed_headers
from .http_request import HttpRequest
from .paced_stream import PacedAnswer
from .request import ReplayRequest
from .under_way import UNTYPED, AnswerUnderWay, Delivery, whole_response

_MOST_CACHED: Final = 256
_MOST_CACHED_BYTES: Final = 1 << 20
_MOST_LINKED: Final = 1024
BASE_URL: Final = "wiretape.door"
"""A key of a request: the URL of the base-URL port it came to."""


class ReadyAnswer(NamedTuple):
    """An answer in HTTP/1.1 that leaves in one write: its head up to the time in the `Date` that
    ends it, and the body.
    """

    head: bytes
    body: bytes


class AnswerSender:
    """Sends answers at a pace and tells the report of each."""

    def __init__(self, pace: Pace, report: Report, providers: Providers) -> None:
        self._pace = pace
        self._report = report
        self._providers = providers
        self._encoded: dict[tuple[str, str | None], tuple[Response, Headers, Response]] = {}
        self._chunked = ChunkedBodies()
        self._ready: dict[tuple[str, str | None, str | None], tuple[Response, ReadyAnswer]] = {}
        self._schedules: dict[str, tuple[Response, Schedule]] = {}
        self._linked: dict[tuple[Headers, str, str, int], Headers] = {}

    async def send(
        self,
        http: web.BaseRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        due_from: float,
        fault: Fault | None = None,
    ) -> web.StreamResponse:
        """Answer a request that came at the loop's time `started`."""
        response, request_time = answer.response, due_from
        if fault is not None:
            response = fault.apply(response, request.shape)
            due_from += fault.delay or 0.0
            answer = replace(answer, response=response, fault=fault.name)
        due = None if self._pace.is_instant else self._pace.schedule(response)
        if due is None and fault is not None and fault.delay:
            due = Schedule(0.0, (0.0,) * len(response.chunks), 0.0)
        name, door = answer.entry.name, http.get(BASE_URL)
        headers, response = self._coded(name, response, _accepted(http, response))
        headers = self._with_links(headers, request, door)
        sent_headers = replayed_headers(headers, name).copy()
        if fault is not None:
            sent_headers["x-wiretape-fault"] = fault.name
        if http.method == "HEAD":
            response = replace(response, chunks=(), streaming=False)
            length = header(headers, "content-length")
            if length is not None and length.isdecimal():
                sent_headers["content-length"] = length
        elif response.status in BODILESS:
            response = replace(response, chunks=())
        if due is None and not response.streaming and is_whole(response):
            http[UNTYPED] = "content-type" not in sent_headers
            took = asyncio.get_running_loop().time() - request_time
            self._report.add(replayed_row(request, answer, None, took))
            return whole_response(response.status, sent_headers, response.body)
        delivery = Delivery(response=response, due=due, begun=request_time, started=due_from)
        sending = AnswerUnderWay(self._report, self._chunked, http, request, answer, delivery)
        return await sending.run(sent_headers)

    def ready(
        self,
        http: HttpRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        started: float,
        door: str | None,
    ) -> ReadyAnswer | PacedAnswer | None:
        """The answer to a request in HTTP/1.1, not HEAD, if it can leave in one write, or is a
        stream at a pace. What leaves in one write is reported then. Arguments as `send` has them;
        `door` is the URL of the base-URL port.
        """
        if not is_ready(answer.response):
            return None
        if not self._pace.is_instant:
            return self._paced(http, request, answer, started, door)
        ready = self._ready_answer(http, request, answer, door)
        if ready is not None:
            took = asyncio.get_running_loop().time() - started
            first = took if answer.response.streaming else None
            self._report.add(replayed_row(request, answer, first, took))
        return ready

    def _ready_answer(
        self, http: HttpRequest, request: ReplayRequest, answer: ReplayAnswer, door: str | None
    ) -> ReadyAnswer | None:
        response, name = answer.response, answer.entry.name
        accepted = _accepted(http, response)
        cached = self._ready.get((name, door, accepted))
        if cached is not None and cached[0] is response:
            return cached[1]
        headers, coded = self._coded(name, response, accepted)
        linked = self._with_links(headers, request, door)
        pieces = self._chunked.of(name, coded) if response.streaming else (coded.body,)
        if not isinstance(pieces, tuple):
            return None
        body = pieces[0]
        if response.streaming and len(body) > PIECE:
            return None
        ready = ReadyAnswer(ready_head(coded, linked, name, len(body)), body)
        # Relative links lead elsewhere from another URL.
        if linked == headers:
            _remember(self._ready, (name, door, accepted), (response, ready))
        return ready

    def _paced(
        self,
        http: HttpRequest,
        request: ReplayRequest,
        answer: ReplayAnswer,
        started: float,
        door: str | None,
    ) -> PacedAnswer | None:
        response, name = answer.response, answer.entry.name
        if not response.streaming:
            return None
        headers, coded = self._coded(name, response, _accepted(http, response))
        return PacedAnswer(
            head=ready_head(coded, self._with_links(headers, request, door), name, 0),
            chunks=coded.chunks,
            due=self._schedule(name, response),
            started=started,
            framed=framed,
            end=last_chunk(coded),
            row_of=partial(replayed_row, request, answer),
            report=self._report,
        )

    def _schedule(self, name: str, response: Response) -> Schedule:
        """When the chunks of an answer are due: the same for each stream of it."""
        cached = self._schedules.get(name)
        if cached is not None and cached[0] is response:
            return cached[1]
        schedule = self._pace.schedule(response)
        _remember(self._schedules, name, (response, schedule))
        return schedule

    def _coded(
        self, name: str, response: Response, accepted: str | None
    ) -> tuple[Headers, Response]:
        """Encode an answer in the content coding that its provider chose, if the client accepts it;
        the latest few are cached.
        """
        if response.coding is None:
            return response.headers, response
        cached = self._encoded.get((name, accepted))
        if cached is not None and cached[0] is response:
            return cached[1:]
        headers, coded = content_coding.encode(response, accepted)
        chunks = zip(response.chunks, coded, strict=True)
        encoded = replace(
            response, chunks=tuple(replace(chunk, data=data) for chunk, data in chunks)
        )
        if sum(map(len, coded)) <= _MOST_CACHED_BYTES:
            _remember(self._encoded, (name, accepted), (response, headers, encoded))
        return headers, encoded

    def _with_links(self, headers: Headers, request: ReplayRequest, door: str | None) -> Headers:
        """An answer's headers; with links that lead back to a base-URL port, if it came to one."""
        if door is None:
            return headers
        providers, url = self._providers, request.live.url
        key = (headers, url, door, providers.changes)
        if key not in self._linked:
            if len(self._linked) >= _MOST_LINKED:
                self._linked.clear()
            self._linked[key] = links_to_door(headers, url, door, providers)
        return self._linked[key]


def _accepted(http: HttpRequest, response: Response) -> str | None:
    """The content codings that a client accepts, where an answer has one."""
    return http.headers.get("accept-encoding") if response.coding is not None else None


def _remember[Key, Value](cache: dict[Key, Value], key: Key, value: Value) -> None:
    """Keep a value, and of too many not the oldest."""
    cache[key] = value
    if len(cache) > _MOST_CACHED:
        del cache[next(iter(cache))]
