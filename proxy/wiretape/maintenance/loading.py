"""Load recordings that a user names, and compare two: for `show`, `diff` and the page."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wiretape.core.conversation.compare import Comparison, Side, compare
from wiretape.core.conversation.conversation import conversation
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import escaped
from wiretape.library.recording_file import LoadedRecording, load
from wiretape.scanning.scan import search

from .names import NamedRecording, find

SHARED_CHUNKS: Final = 1_000
"""The most chunks that a page in one file has as they are on the wire."""


def load_named(
    folder: Path, wanted: str, session: str | None = None
) -> tuple[NamedRecording, LoadedRecording]:
    """The recording that `wanted` names, as `names.find` does; StoreError if it is not one."""
    named = find(folder, wanted, session)
    try:
        return named, load(named.path)
    except (FormatError, StoreError) as error:
        raise StoreError(f"{escaped(named.name)}: {error}") from None


def check_shareable(
    named: NamedRecording, recording: LoadedRecording, texts: Iterable[str], redactor: Redactor
) -> None:
    """StoreError if what is shared of a recording holds a secret, as it may if it was edited or is
    another tool's: its request, its headers and first chunks, and `texts`.
    """
    response = recording.document["response"]
    body = response.get("body")
    first = body[:SHARED_CHUNKS] if isinstance(body, list) else body
    shared = {**recording.document, "response": {**response, "body": first}, "texts": list(texts)}
    name = escaped(named.name)
    data = json.dumps(shared, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    hit = next(iter(search(name, data, redactor)), None)
    if hit is not None:
        raise StoreError(
            f"{name}: holds a secret ({hit.rule}); nothing was written."
            f" `wiretape redact {named.path}` takes it out"
        )


def compare_recordings(
    a: LoadedRecording, b: LoadedRecording, matcher: Matcher, redactor: Redactor
) -> Comparison:
    """Find where two recordings differ, without what rules ignore."""

    def side(recording: LoadedRecording) -> Side:
        seen = conversation(recording.document)
        response = recording.exchange.response
        facts: dict[str, float | int | None] = {
            "chunks": len(response.chunks),
            "first_chunk": response.chunks[0].at if response.chunks else None,
            "end_at": response.end_at,
            "tokens_in": seen.usage.tokens_in,
            "tokens_out": seen.usage.tokens_out,
        }
        canonical = matcher.canonical(redactor.request(recording.document["request"]))
        return Side(canonical, seen, response.status, response.end, facts)

    return compare(side(a), side(b))
