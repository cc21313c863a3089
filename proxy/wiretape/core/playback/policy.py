"""What a run may do: how it writes recordings, what happens on a miss, and which recordings
`wiretape refresh --only …` records again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal, Self

from wiretape.core.matching.canonical import Canonical
from wiretape.core.text.age import AGE, parse_age

type RecordMode = Literal["replace", "append", "missing-only"]
"""Whether recording a key again replaces its takes, adds to them, or leaves them alone."""


MISS_STATUS: Final = 400
"""All measured clients show it and do not retry (docs/replay.md). Claude Code takes a 404 for
an unknown model, and coding agents retry it five times.
"""


@dataclass(frozen=True, slots=True)
class OnMiss:
    """What happens on a miss: it fails, is recorded, or passes through, but only to `hosts` (a
    host, host:port, or a pattern such as *.example.com).
    """

    action: Literal["fail", "record", "passthrough"]
    hosts: tuple[str, ...] = ()

    def passes(self, host: str, port: int | None = None) -> bool:
        """Whether a miss of this host (any case) goes to the provider unrecorded."""
        host = host.lower().rstrip(".")
        return self.action == "passthrough" and any(
            fnmatchcase(name, pattern)
            for pattern in self.hosts
            for name in (host, f"{host}:{port}")
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects recordings by the rules that apply to them, by path or by age; any match is enough.

    An empty selection selects all.
    """

    rules: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    older_than: timedelta | None = None

    @classmethod
    def parse(cls, texts: Iterable[str], rules: Iterable[str]) -> Self:
        """Read command-line values: a path (`/v1/chat/*`), an age (`older-than:90d`, `90d`), or the
        name of one of `rules`. Raises ValueError, which says what is expected.
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
            elif AGE.fullmatch(text):
                ages.append(parse_age(text))
            else:
                raise ValueError(
                    f"{text!r}: expected a path such as /v1/chat/*, an age such as older-than:90d,"
                    " or a rule's name (`wiretape rules` lists them)"
                )
        return cls(frozenset(chosen), tuple(paths), min(ages, default=None))

    @property
    def by_age(self) -> bool:
        """Whether it needs the age of a recording."""
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


_RECORD: Final = OnMiss("record")


@dataclass(frozen=True, slots=True)
class Policy:
    """When a run may contact the provider: for what `fresh` selects, for misses, and with `fill`
    for takes that are missing in the middle of a sequence.
    """

    on_miss: OnMiss = _RECORD
    fresh: Selection | None = None
    fill: bool = False
