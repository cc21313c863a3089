"""What a run may do: how it writes recordings, what becomes of a request that none answers, and
which recordings `wiretape refresh --only …` makes anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal, Self

from wiretape.core.matching.canonical import Canonical
from wiretape.core.text.age import AGE, parse_age

type RecordMode = Literal["replace", "append", "missing-only"]
"""A key that is recorded again: its takes are replaced, added to, or left as they are."""


MISS_STATUS: Final = 400
"""Asked once and shown by all clients that were measured (docs/replay.md). A 404 Claude Code takes
for a model that does not exist, and coding agents ask five times again.
"""


@dataclass(frozen=True, slots=True)
class OnMiss:
    """What becomes of a miss: it fails, is recorded, or passes through to these hosts alone (a
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


_RECORD: Final = OnMiss("record")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a run that may contact the provider asks it for: what `fresh` selects, misses, and with
    `fill` the takes that are missing in the middle of a sequence.
    """

    on_miss: OnMiss = _RECORD
    fresh: Selection | None = None
    fill: bool = False
