"""What `wiretape show` and `wiretape diff` print."""

import os
import sys
from typing import Any

from wiretape.config.load import Config, load
from wiretape.core.conversation.compare import Side, compare
from wiretape.core.conversation.compare import lines as difference_lines
from wiretape.core.conversation.conversation import (
    Conversation,
    conversation,
    lines,
    printable_body,
)
from wiretape.core.conversation.turns import size
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.recording_file import Recording
from wiretape.library.recording_file import load as load_recording
from wiretape.maintenance.names import Named, find

from .folder import FOUND, Place, count, print_json
from .terminal import echo, for_terminal


def _find(place: Place, config: Config, wanted: str) -> tuple[Named, Recording]:
    found = find(place.recordings or config.recordings, wanted, place.session)
    try:
        return found, load_recording(found.path)
    except (FormatError, StoreError) as error:
        raise StoreError(f"{for_terminal(found.name)}: {error}") from None


def show_body(place: Place, name: str, *, request: bool) -> int:
    """Write the body of an answer, or of its request, as it is on the wire."""
    exchange = _find(place, load(place.config_file, os.environ), name)[1].exchange
    data = exchange.request.body if request else exchange.response.body
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return 0
    text = printable_body(data)
    if text is None:
        raise StoreError(f"{name}: {len(data)} bytes that are no text; send them to a file")
    echo(text)
    return 0


def show(place: Place, names: tuple[str, ...], *, as_json: bool, chunks: bool) -> int:
    """Print recordings as conversations, or chunk by chunk."""
    config = load(place.config_file, os.environ)
    found = [_find(place, config, name) for name in names]
    if as_json:
        rows = [
            {
                **_head(named, recording),
                **conversation(recording.document).as_json(),
                "chunks": [
                    {"at": at, "text": text, "bytes": weight}
                    for at, text, weight in _chunks(recording)
                ],
            }
            for named, recording in found
        ]
        print_json("show", recordings=rows)
        return 0
    for number, (named, recording) in enumerate(found):
        if number:
            echo("")
        _show_one(named, recording, chunks=chunks)
    return 0


def _head(named: Named, recording: Recording) -> dict[str, Any]:
    request, response = recording.exchange.request, recording.exchange.response
    return {
        "name": named.name,
        "method": request.method,
        "url": request.url,
        "status": response.status,
        "end": response.end,
        "streamed": response.streaming,
        "recorded_at": recording.exchange.recorded_at,
        "headers_at": response.headers_at,
        "end_at": response.end_at,
        "foreign": recording.foreign,
    }


def _chunks(recording: Recording) -> list[tuple[float | None, str | None, int]]:
    """Each chunk's time, its text (None where it is none) and its bytes."""
    response = recording.exchange.response
    return [(chunk.at, printable_body(chunk.data), len(chunk.data)) for chunk in response.chunks]


def _show_one(named: Named, recording: Recording, *, chunks: bool) -> None:
    head = _head(named, recording)
    told = conversation(recording.document)
    response = recording.exchange.response
    echo(named.name, "faint")
    echo(f"{head['method']} {head['url']}", "role")
    facts = [str(response.status), told.model or "", count(len(response.chunks), "chunk")]
    facts += [] if response.end == "complete" else [response.end]
    facts += [_tokens(told)]
    facts += [] if response.end_at is None else [f"{response.end_at:.3f}s"]
    facts += [recording.exchange.recorded_at or ""]
    echo("  ".join(fact for fact in facts if fact), "faint")
    if not chunks:
        for style, text in lines(told):
            echo(text, style)
        return
    for at, chunk, weight in _chunks(recording):
        when = f"{at:9.3f}s" if at is not None else "         —"
        body = f"[{size(weight)}]" if chunk is None else chunk.rstrip("\r\n") or "(empty)"
        lead, *rest = body.replace("\r\n", "\n").split("\n")
        echo(f"{when}  {lead}")
        for line in rest:
            echo(f"{'':10}  {line}")


def _tokens(told: Conversation) -> str:
    said = ((told.usage.tokens_in, "in"), (told.usage.tokens_out, "out"))
    return ", ".join(f"{number} {noun}" for number, noun in said if number is not None)


# ------------------------------------------------------------------ diff


def diff(place: Place, a: str, b: str, *, as_json: bool) -> int:
    """Print where two recordings differ."""
    config = load(place.config_file, os.environ)
    redactor = Redactor(config.redaction)

    def side(found: Recording) -> Side:
        return _side(found, config.matcher.canonical(redactor.request(found.document["request"])))

    (one, left), (two, right) = (_find(place, config, name) for name in (a, b))
    found = compare(side(left), side(right))
    if as_json:
        print_json("diff", a=one.name, b=two.name, **found.as_json())
        return 0 if found.equal else FOUND
    echo(f"- {one.name}", "-")
    echo(f"+ {two.name}", "+")
    for difference in (*found.request, *found.answer):
        for mark, text in difference_lines(difference):
            echo(text if mark == "=" else f"  {' ' if mark == '~' else mark} {text}", mark)
    for fact, (first, second) in found.facts.items():
        if first is not None or second is not None:
            same = "" if first != second else "the same, "
            echo(f"{fact}: {same}{_told(first, second)}", "faint")
    if found.equal:
        echo("they ask the same and answer the same")
    return 0 if found.equal else FOUND


def _told(a: float | int | None, b: float | int | None) -> str:
    one, two = ("unknown" if value is None else f"{value:g}" for value in (a, b))
    return one if a == b else f"{one} and {two}"


def _side(found: Recording, canonical: Canonical) -> Side:
    told = conversation(found.document)
    response = found.exchange.response
    facts: dict[str, float | int | None] = {
        "chunks": len(response.chunks),
        "first_chunk": response.chunks[0].at if response.chunks else None,
        "end_at": response.end_at,
        "tokens_in": told.usage.tokens_in,
        "tokens_out": told.usage.tokens_out,
    }
    return Side(canonical, told, response.status, response.end, facts)
