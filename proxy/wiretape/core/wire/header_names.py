"""Sets of header names as rules and settings write them: "x-stainless-*" stands for a prefix."""

from collections.abc import Iterable
from typing import Final


class HeaderNames:
    """Names of headers, in any case; one that ends in an asterisk matches as a prefix.

    >>> "x-stainless-os" in HeaderNames(["X-Stainless-*", "date"])
    True
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        lower = [name.lower() for name in names]
        self.in_full: Final = frozenset(name for name in lower if not name.endswith("*"))
        self._starts = tuple(name[:-1] for name in lower if name.endswith("*"))

    def __contains__(self, name: str) -> bool:
        """Whether a name, in lower case, is in the set."""
        return name in self.in_full or name.startswith(self._starts)
