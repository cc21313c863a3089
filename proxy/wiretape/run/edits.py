"""Answers that are changed for one run: `wiretape replay --set KEY.text=…`; no file is touched."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wiretape.core.conversation.editing import edited
from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.core.model import Exchange
from wiretape.core.recording.document import to_response
from wiretape.library.recording_file import load
from wiretape.maintenance.names import find


class PartEdit(NamedTuple):
    """A recording as users name it, a part of its answer, and what it is to say."""

    name: str
    part: str
    text: str


def parse_edit(value: str) -> PartEdit:
    """Read KEY.PART=TEXT; ValueError says what is expected.

    >>> parse_edit("3f2a.2.text=Hello")
    PartEdit(name='3f2a.2', part='text', text='Hello')
    """
    left, equals, text = value.partition("=")
    name, dot, part = left.rpartition(".")
    if not (equals and dot and name and part):
        raise ValueError(f"{value!r:.60}: expected KEY.PART=TEXT, such as 3f2a.text=Hello")
    return PartEdit(name, part, text)


def edited_exchanges(
    folder: Path, session: str | None, edits: Iterable[PartEdit]
) -> Mapping[Path, Exchange]:
    """The changed exchanges by the paths of their files; ConfigError names what cannot be."""
    changes: dict[Path, dict[str, str]] = {}
    for edit in edits:
        path = find(folder, edit.name, session).path.resolve()
        changes.setdefault(path, {})[edit.part] = edit.text
    result = {}
    for path, parts in changes.items():
        try:
            recording = load(path)
            response = edited(recording.document, parts).document["response"]
            answer = to_response(response, recording.exchange.request.path)
        except (FormatError, StoreError) as error:
            raise ConfigError(f"--set {path.stem}: {error}") from None
        result[path] = replace(recording.exchange, response=answer)
    return result
