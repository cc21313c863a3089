"""Recognise secrets by their shape: patterns of keys, and names beside a value."""

from collections.abc import Iterable, Iterator
from typing import Final

from . import encodings
from .credential_names import CredentialNames
from .key_patterns import LITERALS, SIGNS, STARTS, Pattern
from .placeholder import SECRET, digest_of, exact_placeholder, placeholder

_SHAPE: Final = 20
"""The length of the shortest pattern of `key_patterns.py` (an AWS access key's id)."""
_OWN: Final = 12
"""The fewest bytes in base64 or hexadecimal digits that the user's patterns are matched with."""


class Shapes:
    """Recognises secrets by their pattern or by a name beside them.

    The shipped patterns are separate, since one look tells whether they are absent. `parameters`
    are names of query parameters and form fields in addition to wiretape's own. With `exact`, what
    the user's own rules name is told from any other value (`placeholder.exact_placeholder`).
    """

    def __init__(
        self, patterns: Iterable[Pattern], parameters: Iterable[str] = (), *, exact: bool = False
    ) -> None:
        patterns = tuple(patterns)
        self._exact = exact
        self.names: Final = CredentialNames(parameters)
        self._shipped = tuple((p, LITERALS[p]) for p in patterns if p in LITERALS)
        self.own: Final = tuple(p for p in patterns if p not in LITERALS)
        self.signs: Final = f"{STARTS}|{encodings.ESCAPES}|{self.names.signs}|\\x00"
        """Matches a text that could hold a secret, unless that is encoded: for RE2."""
        self.shortest: Final = _OWN if self.own else _SHAPE
        """The fewest bytes that are looked for in base64 or hexadecimal digits."""

    def placeholder(self, value: str) -> str:
        """The placeholder of a value, which names the pattern that matches all of it."""
        for pattern in (*self.own, *(p for p, literal in self._shipped if literal in value)):
            if any(match.span() == (0, len(value)) for match in pattern.regex.finditer(value)):
                if pattern in self.own:
                    return self._own(placeholder(pattern.name, value), value)
                return placeholder(pattern.name, value)
        return placeholder(SECRET, value)

    def named(self, value: str) -> str:
        """The placeholder of a value at one of the user's JSON paths."""
        return self._own(self.placeholder(value), value)

    def _own(self, shown: str, value: str) -> str:
        return exact_placeholder(value) if self._exact and digest_of(value) is None else shown

    def for_text(self, text: str, *, own: bool) -> Iterator[Pattern]:
        """The patterns to search for in a text; `own` includes the user's."""
        if SIGNS.search(text):
            yield from (pattern for pattern, literal in self._shipped if literal in text)
        if own:
            yield from self.own
