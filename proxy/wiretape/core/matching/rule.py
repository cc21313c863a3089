"""A rule of matching: what is not compared of a request, or in another form, and where."""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from wiretape.core.text.exact_json import Json
from wiretape.core.text.jsonpath import Finder

from .normalise import Normaliser

type RequestPart = Literal["method", "provider", "host", "path", "query", "headers", "body"]
"""What of a request may count; the host itself does only where a rule says so."""

type Condition = Callable[[Json], bool]
"""Whether a JSON body is of the kind that a rule is for."""


@dataclass(frozen=True, slots=True, eq=False)
class MemberCondition:
    """A condition that only an object with all these members meets: most rules are for one client's
    requests, and cost next to nothing for the others.
    """

    members: frozenset[str]
    holds: Condition

    def __call__(self, body: Json) -> bool:
        return isinstance(body, dict) and self.members <= body.keys() and self.holds(body)


@dataclass(frozen=True, slots=True)
class Rule:
    """What not to compare, and when: a rule applies when provider, method, host, path (globs both)
    and body fit. Names of parameters and headers have any case; a header's may end in an asterisk.

    `ignore` and `only` find paths of a JSON body, `null_is_absent` too (None: nowhere, empty:
    everywhere). `own` rules are the user's; one that is not leaves headers that are named in full.
    What a `never_recorded` rule is for is not recorded, and its misses are answered 204.
    `origin` says where it stands ("config.yaml:12", "the pack openai"), `text` what it says.
    """

    name: str
    _: KW_ONLY
    provider: str | None = None
    method: str | None = None
    path: str | None = None
    ignore: tuple[Finder, ...] = ()
    ignore_query: frozenset[str] = frozenset()
    ignore_headers: frozenset[str] = frozenset()
    host: str | None = None
    body: Condition | None = None
    on: frozenset[str] | None = None
    only: tuple[Finder, ...] = ()
    null_is_absent: tuple[Finder, ...] | None = None
    normalise: tuple[Normaliser, ...] = ()
    never_recorded: bool = False
    own: bool = True
    origin: str = ""
    text: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.method is not None:
            object.__setattr__(self, "method", self.method.upper())

    def applies(self, host_key: str, method: str, path: str) -> bool:
        """Whether a request to `path` at a provider (or host) is this rule's."""
        return (
            self.provider in (None, host_key)
            and self.method in (None, method)
            and self.fits_path(path)
        )

    def fits_path(self, path: str) -> bool:
        """Whether a path is one that the rule is for."""
        return self.path is None or fnmatch.fnmatchcase(path, self.path)

    def fits_host(self, host: str, port: int) -> bool:
        """Whether a host (lower-case) is one that the rule is for."""
        return self.host is None or any(
            fnmatch.fnmatchcase(name, self.host) for name in (host, f"{host}:{port}")
        )
