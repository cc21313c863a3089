"""Which recordings `wiretape refresh --only …` makes anew."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, Self

from wiretape.core.matching.canonical import Canonical

_AGE: Final = re.compile(r"(?:older-than[:=])?(\d{1,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta:
    """An age such as 90d, 12h or 2w; ValueError for anything else."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: expected an age such as 90d, 12h or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@dataclass(frozen=True, slots=True)
class Selection:
    """Recordings by the rules that apply to them, by path or by age; one that fits is enough.

    An empty one selects all.
    """

    rules: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    older_than: timedelta | None = None

    @classmethod
    def parse(cls, texts: Iterable[str], rules: Iterable[str]) -> Self:
        """From command-line values: a path (`/v1/chat/*`), an age (`older-than:90d`, `90d`), or the
        name of one of `rules`. ValueError says what would be understood.
        """
        known = frozenset(rules)
        chosen: set[str] = set()
        paths: list[str] = []
        ages: list[timedelta] = []
        for text in texts:
            if text in known:
                chosen.add(text)
            elif text.startswith(("/", "*")):
                paths.append(text)
            elif _AGE.fullmatch(text):
                ages.append(parse_age(text))
            else:
                raise ValueError(
                    f"{text!r}: expected a path such as /v1/chat/*, an age such as older-than:90d,"
                    " or a rule's name (`wiretape rules` lists them)"
                )
        return cls(frozenset(chosen), tuple(paths), min(ages, default=None))

    @property
    def by_age(self) -> bool:
        """Whether it has to be told how old a recording is."""
        return self.older_than is not None

    def __call__(self, request: Canonical, age: timedelta | None) -> bool:
        """Whether the recording of a request, `age` old (None: unknown), is selected."""
        if not (self.rules or self.paths or self.older_than):
            return True
        return (
            not self.rules.isdisjoint(request.rules)
            or any(fnmatchcase(request.endpoint[2], path) for path in self.paths)
            or (self.older_than is not None and age is not None and age > self.older_than)
        )
