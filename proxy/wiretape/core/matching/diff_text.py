"""Word a difference between two requests: bounded, readable, and without what only one side has
redacted.
"""

import json
import re
from typing import Any, Final

from wiretape.core.redaction.placeholder import PLACEHOLDER
from wiretape.core.text import word_diff as words
from wiretape.core.text.word_diff import Run

from . import normalise
from .canonical import ABSENT, Difference
from .structural_diff import Differing

_LONGEST: Final = 160
_SHORT_TEXT: Final = 60
_ALIKE: Final = 0.4
_SAME: Final = 20

_KEPT: Final = 4_000
"""The most characters of a value that are shown, with `_AROUND` of what is the same around it."""

_AROUND: Final = 200

_HIDDEN: Final = "(a text that is not redacted)"
_LONE: Final = re.compile("[\ud800-\udfff]")


def describe(difference: Difference) -> str:
    """Write a difference on one line; of long texts only what differs.

    >>> describe(Difference("body.temperature", 0.7, 0.2))
    'body.temperature: got 0.7, recorded 0.2'
    >>> text = "Please tell me in one sentence what the weather is like in %s today"
    >>> describe(Difference("body.prompt", text % "Rome", text % "Bonn"))
    'body.prompt: … the weather is like in [-Bonn-]{+Rome+} today'
    """
    runs = word_diff(difference)
    text = words.in_brackets(runs) if runs else ", ".join(sides(difference))
    return f"{clipped(difference.path, _LONGEST)}: {text}"


def word_diff(difference: Difference) -> list[Run] | None:
    """How a long text differs: "removed" is what was recorded, "added" what was asked for; None
    where a difference is not one of long texts.
    """
    if not is_edited(difference):
        return None
    return words.shown(words.runs(difference.recorded, difference.got))


def is_edited(difference: Difference) -> bool:
    """Whether a difference is one of long texts that have something in common."""
    got, recorded = difference.got, difference.recorded
    if not (isinstance(got, str) and isinstance(recorded, str)):
        return False
    if max(len(got), len(recorded)) <= _SHORT_TEXT:
        return False
    # Of two texts that have little in common a word diff would be a muddle.
    return (
        words.likeness(got, recorded) >= _ALIKE
        or got[:_SAME] == recorded[:_SAME]
        or got[-_SAME:] == recorded[-_SAME:]
    )


def sides(difference: Difference) -> tuple[str, str]:
    """The two sides of a difference: ("got 0.7", "recorded 0.2")."""
    return f"got {_short(difference.got)}", f"recorded {_short(difference.recorded)}"


def _short(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    return clipped(json.dumps(value, ensure_ascii=False), _LONGEST)


def clipped(text: str, length: int) -> str:
    """A text of at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


# ------------------------------------------------------------------ from canonical values


def is_redaction(difference: Differing) -> bool:
    """Whether two texts could be the same but for which of their values are redacted."""
    got, recorded = difference.got, difference.recorded
    if not (isinstance(got, str) and isinstance(recorded, str)):
        return False
    return _fits(got, recorded) or _fits(recorded, got)


def _fits(redacted: str, other: str) -> bool:
    """Whether a text could be another one with values in it redacted, or redacted otherwise."""
    first, *rest = PLACEHOLDER.split(redacted)
    if not rest or not other.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for part in middle:
        start = other.find(part, at)
        if start < 0:
            return False
        at = start + len(part)
    return len(other) - at >= len(last) and other.endswith(last)


def difference(differing: Differing) -> Difference:
    """Make a difference fit to be shown: bounded, with readable ids and normalised values, without
    what only one side has redacted.
    """
    got, recorded = differing.got, differing.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        got, recorded = _covered(got, recorded), _covered(recorded, got)
        if max(len(got), len(recorded)) > _KEPT:
            got, recorded = _windows(got, recorded)
    return Difference(_readable(differing.path), _bounded(got), _bounded(recorded))


def _windows(got: str, recorded: str) -> tuple[str, str]:
    """Two texts without most of what both begin and end with."""
    start = words.same_start(got, recorded)
    begin = max(0, start - _AROUND)
    end = max(0, words.same_start(got[start:][::-1], recorded[start:][::-1]) - _AROUND)
    got_window, recorded_window = (
        ("…" if begin else "") + text[begin : len(text) - end] + ("…" if end else "")
        for text in (got, recorded)
    )
    return got_window, recorded_window


def _covered(text: str, other: str) -> str:
    """A text without what stands where the other has a placeholder and it has none."""
    if PLACEHOLDER.search(text) or not _fits(other, text):
        return text
    first, *_, last = PLACEHOLDER.split(other)
    return f"{first}{_HIDDEN}{last}"


def _bounded(value: Any) -> Any:
    if normalise.is_token(value):
        return normalise.shown_token(value)
    if isinstance(value, str):
        return clipped(_readable(value), _KEPT)
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
        # NUL, the mark of a numbered name, as JSON spells it.
        plain = _readable(text.replace("\\u0000", "\0"))
        return value if plain == text and len(text) <= _KEPT else clipped(plain, _KEPT)
    return value


def _readable(text: str) -> str:
    """A text without marks and without what UTF-8 has no way to write."""
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", normalise.shown(text).replace("\0", ""))
