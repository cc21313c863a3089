"""Regular expressions run by RE2: time is linear in the text, whatever the pattern. The user's are,
and looks for many things at once, for which RE2 takes no longer than for one.

RE2 knows neither look-around nor backreferences, and its \\w, \\d and \\s are ASCII.
"""

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, Final, Protocol

_LONE: Final = re.compile("[\ud800-\udfff]")


class Match(Protocol):
    """A match of an expression."""

    def span(self, group: int = 0, /) -> tuple[int, int]: ...


class Regex(Protocol):
    """A compiled expression, `re`'s or one of an engine like it."""

    @property
    def pattern(self) -> str: ...
    def finditer(self, string: str, pos: int = 0, /) -> Iterator[Match]: ...


class Linear:
    """An expression compiled by RE2; raises ValueError if RE2 does not support it. One that
    `is_checked` compiles when it is first used, for few runs use all rules.
    """

    def __init__(self, pattern: str, *, is_checked: bool = False) -> None:
        self.pattern: Final = pattern
        if not is_checked:
            _ = self._regex

    @cached_property
    def _regex(self) -> Any:
        import re2  # type: ignore[import-untyped]  # it ships no types; late: few need it

        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        try:
            return re2.compile(self.pattern, options)
        except re2.error as error:
            reason = error.args[0] if error.args else error
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise ValueError(text) from None

    def finditer(self, string: str, pos: int = 0, /) -> Iterator[Match]:
        """The matches from `pos` on, in order."""
        matches: Iterator[Match] = self._regex.finditer(_accepted(string), pos)
        return matches

    def occurs_in(self, text: str | bytes) -> bool:
        """Whether there is a match; bytes are a text in UTF-8."""
        # In bytes no place has to be counted in characters. A lone surrogate is no character there.
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return self._regex.search(data) is not None


@lru_cache(maxsize=128)
def linear(pattern: str) -> Linear:
    """An expression of our own, compiled when it is first used."""
    return Linear(pattern)


def may_occur(pattern: str, text: str | bytes) -> bool:
    """Whether a text holds a match, or is too short to be looked at: False is certain."""
    return is_short(text) or linear(pattern).occurs_in(text)


def is_short(text: str | bytes) -> bool:
    """Whether looking for one thing after the other in a text takes less time than one look by RE2,
    whose tables for many things no processor keeps at hand.
    """
    return len(text) < _short


_short = 2048


def expect_many_texts() -> None:
    """Take one look by RE2 at short texts, too, in this process from now on: where one text is
    looked at after the other, its tables stay at hand.
    """
    global _short
    _short = 0


def _accepted(string: str) -> str:
    # A byte that is not UTF-8 is a lone surrogate here, which RE2 does not accept.
    return string if string.isascii() else _LONE.sub("\ufffd", string)
