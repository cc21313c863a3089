"""The user's regular expressions, which take time in proportion to a text whatever they say: RE2.

RE2 knows neither look-around nor backreferences, and its \\w, \\d and \\s are ASCII.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # it ships no types

from wiretape.core.redaction.key_patterns import Match

_LONE: Final = re.compile("[\ud800-\udfff]")


class Linear:
    """A compiled expression; ValueError where RE2 has none such."""

    def __init__(self, pattern: str) -> None:
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
