"""Names of headers: which they may be, and sets of them as rules and settings write them
("x-stainless-*" stands for a prefix).
"""

import re
from collections.abc import Iterable
from typing import Final

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header, a method or a coding may be called (RFC 9110, section 5.6.2)."""


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
