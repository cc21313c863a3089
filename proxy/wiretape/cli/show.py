"""What `wiretape show` and `wiretape diff` print."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from wiretape.config.load import Config, load
from wiretape.core.conversation.compare import Comparison
from wiretape.core.conversation.compare import lines as difference_lines
from wiretape.core.conversation.conversation import (
    Conversation,
    conversation,
    lines,
    printable_body,
)
from wiretape.core.conversation.timeline import plot, timeline
from wiretape.core.errors import StoreError
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count, size
from wiretape.library.recording_file import LoadedRecording
from wiretape.maintenance.loading import (
    SHARED_CHUNKS,
    check_shareable,
    compare_recordings,
    load_named,
)
from wiretape.maintenance.names import NamedRecording

from .command import FOUND, print_json
from .folder import Scope
from .terminal import echo


def _find(scope: Scope, config: Config, wanted: str) -> tuple[NamedRecording, LoadedRecording]:
    return load_named(scope.recordings or config.recordings, wanted, scope.session)


def show_body(scope: Scope, name: str, *, request: bool) -> int:
    """Write the body of an answer, or of its request, as it is on the wire."""
    exchange = _find(scope, load(scope.config_file, os.environ), name)[1].exchange
    data = exchange.request.body if request else exchange.response.body
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return 0
    text = printable_body(data)
    if text is None:
        raise StoreError(f"{name}: {len(data)} bytes that are not text; send them to a file")
    echo(text)
    return 0


def show_html(scope: Scope, name: str, file: Path) -> int:
    """Write a recording as a page in one file."""
    from wiretape.ui.page import one_file, write_page
    from wiretape.ui.recording_view import recording_view

    config = load(scope.config_file, os.environ)
    named, recording = _find(scope, config, name)
    view = recording_view(named.name, named.name, recording, events=SHARED_CHUNKS, config=config)
    check_shareable(named, recording, view.texts, Redactor(config.redaction))
    page = one_file(
        "recording.html", folder="", view="recording", recording=view, takes=(), used_by=()
    )
    write_page(file, page)
    return 0


def show(
    scope: Scope, names: tuple[str, ...], *, as_json: bool, chunks: bool, draw: bool = False
) -> int:
    """Print recordings as conversations, chunk by chunk, or as timelines."""
    config = load(scope.config_file, os.environ)
    recordings = [_find(scope, config, name) for name in names]
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
            for named, recording in recordings
        ]
        print_json("show", recordings=rows)
        return 0
    for number, (named, recording) in enumerate(recordings):
        if number:
            echo("")
        if draw:
            _plot(named, recording)
        else:
            _show_one(named, recording, chunks=chunks)
    return 0


def _plot(named: NamedRecording, recording: LoadedRecording) -> None:
    seen = conversation(recording.document)
    line = timeline(recording.document, recording.exchange.response, seen.usage)
    echo(named.name, "faint")
    if line is None:
        echo("no times were recorded")
        return
    for text in plot(line, min(120, shutil.get_terminal_size().columns - 10)):
        echo(text)


def _head(named: NamedRecording, recording: LoadedRecording) -> dict[str, Any]:
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
        "edited": "edited" in recording.document,
    }


def _chunks(recording: LoadedRecording) -> list[tuple[float | None, str | None, int]]:
    """Each chunk's time, its text (None if binary) and its bytes."""
    response = recording.exchange.response
    return [(chunk.at, printable_body(chunk.data), len(chunk.data)) for chunk in response.chunks]


def _show_one(named: NamedRecording, recording: LoadedRecording, *, chunks: bool) -> None:
    head = _head(named, recording)
    seen = conversation(recording.document)
    response = recording.exchange.response
    echo(named.name, "faint")
    echo(f"{head['method']} {head['url']}", "role")
    facts = [str(response.status), seen.model or "", count(len(response.chunks), "chunk")]
    facts += [] if response.end == "complete" else [response.end]
    facts += [_tokens(seen)]
    facts += [] if response.end_at is None else [f"{response.end_at:.3f}s"]
    facts += [recording.exchange.recorded_at or ""]
    facts += ["edited"] if "edited" in recording.document else []
    echo("  ".join(fact for fact in facts if fact), "faint")
    if not chunks:
        for style, text in lines(seen):
            echo(text, style)
        return
    for at, chunk, weight in _chunks(recording):
        when = f"{at:9.3f}s" if at is not None else "         —"
        body = f"[{size(weight)}]" if chunk is None else chunk.rstrip("\r\n") or "(empty)"
        lead, *rest = body.replace("\r\n", "\n").split("\n")
        echo(f"{when}  {lead}")
        for line in rest:
            echo(f"{'':10}  {line}")


def _tokens(seen: Conversation) -> str:
    tokens = ((seen.usage.tokens_in, "in"), (seen.usage.tokens_out, "out"))
    text = ", ".join(f"{number} {noun}" for number, noun in tokens if number is not None)
    return f"~{text}" if seen.usage.estimated else text


# ------------------------------------------------------------------ diff


def diff(scope: Scope, a: str, b: str, *, as_json: bool, html: Path | None = None) -> int:
    """Print where two recordings differ, or write it as a page in one file."""
    config = load(scope.config_file, os.environ)
    redactor = Redactor(config.redaction)
    (first, left), (second, right) = (_find(scope, config, name) for name in (a, b))
    result = compare_recordings(left, right, config.matcher, redactor)
    if html is not None:
        from wiretape.ui.diff_view import diff_view
        from wiretape.ui.page import one_file, write_page

        for named, recording in ((first, left), (second, right)):
            check_shareable(named, recording, [conversation(recording.document).text], redactor)
        view = diff_view((first.name, left), (second.name, right), result)
        write_page(html, one_file("diff.html", folder="", view="diff", diff=view))
    if as_json:
        print_json("diff", a=first.name, b=second.name, **result.as_json())
    elif html is None:
        echo(f"- {first.name}", "-")
        echo(f"+ {second.name}", "+")
        print_comparison(result)
        if result.equal:
            echo("they ask the same and answer the same")
    return 0 if result.equal else FOUND


def print_comparison(result: Comparison) -> None:
    """Print the differences of two recordings, and the facts that do not count."""
    for difference in (*result.request, *result.answer):
        for mark, text in difference_lines(difference):
            echo(text if mark == "=" else f"  {' ' if mark == '~' else mark} {text}", mark)
    for fact, (was, now) in result.facts.items():
        if was is not None or now is not None:
            same = "" if was != now else "the same, "
            echo(f"{fact}: {same}{_both(was, now)}", "faint")


def _both(a: float | int | None, b: float | int | None) -> str:
    first, second = ("unknown" if value is None else f"{value:g}" for value in (a, b))
    return first if a == b else f"{first} and {second}"
