"""What the page shows of one recording. Everything is bounded: a recording may have 64 MiB in one
text, or 250,000 chunks.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from shlex import quote
from typing import Any, Final

from wiretape.config.load import Config
from wiretape.core.conversation.conversation import Conversation, conversation, printable_body
from wiretape.core.conversation.redactions import redactions, rule_of
from wiretape.core.conversation.timeline import (
    Timeline,
    at_once,
    lengths,
    points,
    thinned,
    timeline,
)
from wiretape.core.conversation.turns import Part, Turn, arguments
from wiretape.core.cost.prices import Money
from wiretape.core.cost.usage import Usage
from wiretape.core.model import Chunk, Request, Response, header
from wiretape.core.text.printable import size
from wiretape.core.wire import sse
from wiretape.library.recording_file import LoadedRecording
from wiretape.maintenance.inventory import recorded_at

EVENTS: Final = 200
"""Rows of the table of events that are shown at once."""
_TEXT: Final = 50_000
_PARTS: Final = 2_000
_ALL_TEXT: Final = 1_000_000
_RAW: Final = 4_000
_BRIEF: Final = 160
_POINTS: Final = 1_500
_WORDS: Final = 200_000
_REDACTIONS: Final = 200
_IMAGE: Final = 4_000_000
"""Characters of base64; what is larger is only described."""

_IMAGES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""Images that cannot hold a script, by how they begin; what a recording calls them is not asked."""
_SOUNDS: Final = {b"RIFF": "audio/wav", b"ID3": "audio/mpeg", b"OggS": "audio/ogg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A part of a turn; `more` counts the characters that are left out, `image` and `sound` are
    `data:` URLs.
    """

    kind: str
    text: str
    name: str = ""
    more: int = 0
    image: str = ""
    sound: str = ""


@dataclass(frozen=True, slots=True)
class TurnView:
    role: str
    parts: list[PartView]
    finish: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """A chunk as a row: `gap` is the wait before it, `raw` its bytes with their line ends drawn."""

    number: int
    at: float | None
    gap: float | None
    name: str
    size: int
    brief: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """A timeline to draw: `curve` and `dots` for SVG in a box of 1000 by 100, `data` for the plot
    that a script makes of it.
    """

    curve: str
    dots: list[float]
    data: dict[str, Any]
    first: float
    end: float
    longest: tuple[float, int] | None
    speed: float | None
    words: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """A recording as its template shows it."""

    name: str
    path: str
    method: str
    url: str
    status: int
    end: str
    model: str | None
    usage: Usage
    cost: Money | None
    tools: tuple[str, ...]
    recorded: datetime | None
    foreign: bool
    chunks: int
    size: int
    first: float | None
    total: float | None
    turns: list[TurnView]
    more_parts: int
    timeline: TimelineView | None
    events: list[EventView]
    events_from: int
    request_headers: list[tuple[str, str]]
    answer_headers: list[tuple[str, str]]
    redactions: list[tuple[str, str, list[str]]]
    curl: str

    @property
    def texts(self) -> list[str]:
        """List the texts of both sides, as far as they are shown."""
        words = self.timeline.words if self.timeline is not None else []
        parts = [part for turn in self.turns for part in turn.parts]
        return [*(f"{part.name} {part.text}" for part in parts), "".join(words)]


def recording_view(
    name: str,
    path: str,
    recording: LoadedRecording,
    events: int = EVENTS,
    config: Config | None = None,
) -> RecordingView:
    """Lay out a recording for the template: its first `events` chunks, and its cost by the prices
    of a configuration.
    """
    request, response = recording.exchange.request, recording.exchange.response
    seen = conversation(recording.document)
    turns, more_parts = _turns((*seen.request, *seen.answer))
    line = timeline(recording.document, response, seen.usage)
    return RecordingView(
        name=name,
        path=path,
        method=request.method,
        url=request.url,
        status=response.status,
        end=response.end,
        model=seen.model,
        usage=seen.usage,
        cost=None if config is None else _cost(config, request, seen),
        tools=seen.tools,
        recorded=recorded_at(recording.document),
        foreign=recording.foreign,
        chunks=len(response.chunks),
        size=sum(len(chunk.data) for chunk in response.chunks),
        first=response.chunks[0].at if response.chunks else None,
        total=response.end_at,
        turns=turns,
        more_parts=more_parts,
        timeline=None if line is None or not response.streaming else timeline_view(line),
        events=list(_events(response, 0, events)),
        events_from=0,
        request_headers=list(request.headers),
        answer_headers=list(response.headers),
        redactions=[
            (placeholder, rule_of(placeholder), paths)
            for placeholder, paths in islice(redactions(recording.document).items(), _REDACTIONS)
        ],
        curl=_curl(path, request.method, request.url, header(request.headers, "content-type")),
    )


def _cost(config: Config, request: Request, seen: Conversation) -> Money | None:
    provider = config.providers.find(request.host, request.port)
    return config.prices.cost(provider.name if provider else request.host, seen.model, seen.usage)


def at_event(view: RecordingView, recording: LoadedRecording, start: int) -> RecordingView:
    """Give the view with its chunks from number `start` on."""
    events = list(_events(recording.exchange.response, start, EVENTS))
    return replace(view, events=events, events_from=start)


def _curl(path: str, method: str, url: str, kind: str | None) -> str:
    """A command that asks the provider again, with the recorded body."""
    typed = f" -H {quote(f'content-type: {kind}')}" if kind else ""
    key = '-H "authorization: Bearer $KEY"'
    return (
        f"wiretape show --request {quote(path)} | curl -X {method} {quote(url)}{typed} {key}"
        " --data-binary @-"
    )


# ------------------------------------------------------------------ conversation


def _turns(turns: Sequence[Turn]) -> tuple[list[TurnView], int]:
    """The turns within bounds, and how many parts are left out."""
    shown: list[TurnView] = []
    room, parts_left = _ALL_TEXT, _PARTS
    left_out = 0
    for turn in turns:
        parts = []
        for part in turn.parts:
            if room <= 0 or parts_left <= 0:
                left_out += 1
                continue
            view = _part(part, min(_TEXT, room))
            room -= len(view.text) + len(view.image) // 8
            parts_left -= 1
            parts.append(view)
        if parts or not turn.parts:
            shown.append(TurnView(turn.role, parts, turn.finish))
    return shown, left_out


def _part(part: Part, room: int) -> PartView:
    text = part.text
    if part.kind in ("call", "data") and len(text) <= _TEXT:
        value = arguments(text)
        text = text if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return PartView(
        kind=part.kind,
        text=text[:room],
        name=part.name,
        more=max(0, len(text) - room),
        image=_data_url(part.base64, _IMAGES),
        sound=_data_url(part.base64, _SOUNDS),
    )


def _data_url(text: str, types: dict[bytes, str]) -> str:
    if not text or len(text) > _IMAGE:
        return ""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return ""
    kind = next((kind for start, kind in types.items() if data.startswith(start)), None)
    if kind is None or (kind == "image/webp") != (data[8:12] == b"WEBP"):
        return ""
    return f"data:{kind};base64,{text}"


# ------------------------------------------------------------------ timeline and events


def timeline_view(line: Timeline, end: float | None = None) -> TimelineView:
    """Thin a timeline to what a screen can show; `end` is that of the scale, in seconds."""
    moments = thinned(at_once(line.moments), _POINTS)
    so_far = lengths(moments)
    total = so_far[-1] or 1
    end = end or line.end or 1.0
    words = [moment.text for moment in moments] if total <= _WORDS else []
    return TimelineView(
        curve=points(
            [moment.at for moment in moments],
            [length / total for length in so_far],
            (1000 / end, 100),
        ),
        dots=sorted({round(moment.at / end * 1000, 1) for moment in line.moments})[:_POINTS],
        data={"at": [moment.at for moment in moments], "length": so_far, "end": end},
        first=line.first,
        end=line.end,
        longest=line.longest,
        speed=line.tokens_per_second,
        words=words,
    )


def _events(response: Response, start: int, number: int) -> Iterator[EventView]:
    before = response.chunks[start - 1].at if 0 < start <= len(response.chunks) else None
    for position, chunk in enumerate(response.chunks[start : start + number], start):
        gap = None if chunk.at is None or before is None else max(0.0, chunk.at - before)
        before = chunk.at
        name, brief = _named(chunk)
        yield EventView(
            number=position + 1,
            at=chunk.at,
            gap=gap,
            name=name,
            size=len(chunk.data),
            brief=brief[:_BRIEF],
            raw=_drawn(chunk.data),
        )


def _named(chunk: Chunk) -> tuple[str, str]:
    """What kind of event a chunk is, and its data."""
    text = _start(chunk.data)
    if text is None:
        return "binary", f"{size(len(chunk.data))} that are not text"
    event = sse.parse(chunk.data) if len(chunk.data) <= 4 * _RAW else None
    if event is None:
        return "", text.strip()
    return event.event or "", event.data or ""


def _drawn(data: bytes) -> str:
    """The bytes of a chunk to read, with a sign for each line end; hexadecimal if not text."""
    text = _start(data)
    if text is None:
        rows = (data[i : i + 16] for i in range(0, min(len(data), 512), 16))
        text = "\n".join(f"{i * 16:06x}  {row.hex(' ')}" for i, row in enumerate(rows))
    else:
        text = text.replace("\r", "␍").replace("\n", "␊\n").replace("␍\n", "␍\n")
    return text if len(data) <= _RAW else f"{text}\n… {size(len(data) - _RAW)} more"


def _start(data: bytes) -> str | None:
    """The first characters of a text; None for data that is not text."""
    if len(data) <= _RAW:
        return printable_body(data)
    # A character of UTF-8 may be cut.
    starts = (printable_body(data[: _RAW - cut]) for cut in range(4))
    return next((text for text in starts if text is not None), None)
