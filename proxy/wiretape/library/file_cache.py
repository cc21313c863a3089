"""Cache recordings while their files are unchanged: their answers, and their requests if needed."""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from wiretape.core.matching.canonical import Canonical
from wiretape.core.model import Exchange, Response
from wiretape.core.recording.document import (
    Document,
    RecordedAnswer,
    from_request,
    to_request,
    to_request_headers,
)
from wiretape.core.wire.selecting_headers import vary

from .recording_file import Stat, load_answer, side_files_beside, stat_of

_MOST: Final = 2_048
_MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class CachedRecording:
    """A recording: its answer and its request as stored; its exchange and canonical forms once
    they are needed. `checked` is when its file was last seen unchanged.
    """

    path: str
    stat: Stat
    request: Document
    answer: RecordedAnswer
    checked: float
    forms: tuple[Canonical, ...] = ()
    _exchange: Exchange | None = None
    _vary: tuple[str, ...] | None = None

    @classmethod
    def of(cls, exchange: Exchange) -> "CachedRecording":
        """An exchange that takes a recording's place."""
        response, recorded_at, paths = exchange.response, exchange.recorded_at, exchange.paths
        return cls(
            path="",
            stat=(0, 0, 0),
            request=from_request(exchange.request),
            answer=RecordedAnswer(response, recorded_at, paths),
            checked=0.0,
            _exchange=exchange,
        )

    @property
    def response(self) -> Response:
        return self.answer.response

    @property
    def vary(self) -> tuple[str, ...]:
        """The request headers that the answer's Vary names."""
        if self._vary is None:
            self._vary = vary(self.response.headers)
        return self._vary

    @property
    def exchange(self) -> Exchange:
        """The exchange; FormatError if the request is not valid."""
        if self._exchange is None:
            request = to_request(self.request, side_files_beside(self.path))
            self._exchange = Exchange(request, *self.answer)
        return self._exchange

    @property
    def accept(self) -> tuple[str, ...]:
        """The values of the request's Accept; FormatError if its headers are not valid."""
        headers = to_request_headers(self.request)
        return tuple(value for name, value in headers if name.lower() == "accept")


class RecordingCache:
    """The recordings below a folder, by name; the least recently used are dropped. `fetch` is
    called before a file is read, and sees to it that it is there.
    """

    def __init__(self, folder: Path, fetch: Callable[[str], None] = lambda name: None) -> None:
        self._fetch = fetch
        self._prefix = os.path.join(folder, "")
        self._recordings: OrderedDict[str, CachedRecording] = OrderedDict()
        self._bytes = 0
        self._guard = Lock()
        self.cache_seconds = 0.0
        """Seconds until a file is checked again."""

    def get(self, name: str) -> CachedRecording:
        """A recording as it is now; FormatError or StoreError if it went bad."""
        now = monotonic()
        with self._guard:
            cached = self._recordings.get(name)
            if cached is not None:
                if now < cached.checked + self.cache_seconds:
                    return cached
                with suppress(OSError):
                    if stat_of(cached.path) == cached.stat:
                        cached.checked = now
                        self._recordings.move_to_end(name)
                        return cached
        path = self._prefix + name
        self._fetch(name)
        request, answer, stat = load_answer(path)
        cached = CachedRecording(path=path, stat=stat, request=request, answer=answer, checked=now)
        with self._guard:
            old = self._recordings.pop(name, None)
            self._recordings[name] = cached
            self._bytes += cached.stat[2] - (old.stat[2] if old else 0)
            while self._is_full:
                self._bytes -= self._recordings.popitem(last=False)[1].stat[2]
        return cached

    @property
    def _is_full(self) -> bool:
        count = len(self._recordings)
        return count > _MOST or (self._bytes > _MOST_BYTES and count > 1)
