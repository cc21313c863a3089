"""The user's regular expressions, which take time in proportion to a text whatever they say: RE2.

RE2 knows neither look-around nor backreferences, and its \\w, \\d and \\s are ASCII.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

_LONE: Final = re.compile("[\ud800-\udfff]")


class Match(Protocol):
    """Where an expression fits."""

    def span(self, group: int = 0, /) -> tuple[int, int]: ...


class Regex(Protocol):
    """A compiled expression, `re`'s or one of an engine like it."""

    @property
    def pattern(self) -> str: ...
    def finditer(self, string: str, pos: int = 0, /) -> Iterator[Match]: ...


class Linear:
    """A compiled expression; ValueError where RE2 has none such."""

    def __init__(self, pattern: str) -> None:
        import re2  # type: ignore[import-untyped]  # it ships no types; late: few need it

        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        try:
            self._regex: Final[Any] = re2.compile(pattern, options)
        except re2.error as error:
            reason = error.args[0] if error.args else error
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise ValueError(text) from None
        self.pattern: Final = pattern

    def finditer(self, string: str, pos: int = 0, /) -> Iterator[Match]:
        """Where it fits from `pos` on, in order."""
        # A byte that is no UTF-8 is a lone surrogate here, which RE2 takes no more than UTF-8 does.
        text = string if string.isascii() else _LONE.sub("\ufffd", string)
        matches: Iterator[Match] = self._regex.finditer(text, pos)
        return matches
