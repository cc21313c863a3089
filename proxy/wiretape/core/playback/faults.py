"""Faults on demand, to test what a client does when its provider fails it.

A fault changes a replayed answer: another status, a wait, an end in the middle. A rule of the
configuration asks for it, or a request's own header, which only loopback may send:

    x-wiretape-fault: status=503
    x-wiretape-fault: rate_limit=30, probability=0.5, seed=7
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Final, Self

from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Chunk, Headers, Request, Response
from wiretape.core.providers.registry import ErrorShape, error_body

from .seeded_random import draw

HEADER: Final = "x-wiretape-fault"

_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with an answer; a member that is None does not.

    `delay` and `rate_limit` (the retry-after of a 429) are seconds; `cut`, `reset` and `stall` are
    the number of chunks that still come before the connection is closed, is reset, or falls silent;
    `malformed` is the number of the chunk (from 1) that comes without its last byte.
    """

    name: str
    _: KW_ONLY
    status: int | None = None
    delay: float | None = None
    cut: int | None = None
    reset: int | None = None
    stall: int | None = None
    malformed: int | None = None
    rate_limit: float | None = None
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a fault that does nothing, or things that exclude each other."""
        what = [name for name in WHAT if getattr(self, name) is not None]
        if not what:
            raise ValueError(f"expected one of {', '.join(WHAT)}")
        ends = [name for name in ("status", "rate_limit", "cut", "reset", "stall") if name in what]
        if len(ends) > 1:
            raise ValueError(f"{' and '.join(ends)} exclude each other")
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name}: expected a number from {least} to {most}")

    @classmethod
    def parse(cls, text: str, name: str = "header") -> Self:
        """Read a header's value; raises ValueError, which says what is expected.

        >>> fault = Fault.parse("cut=3, probability=0.5")
        >>> fault.cut, fault.probability
        (3, 0.5)
        """
        members: dict[str, float] = {}
        for part in text.split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            key = key.replace("-", "_")
            if not equals or key not in _TYPES or key in members or not _NUMBER.fullmatch(value):
                raise ValueError(
                    f"expected NAME=NUMBER, each once, of {', '.join(_TYPES)},"
                    f" got {part.strip()[:40]!r}"
                )
            members[key] = _TYPES[key](float(value))
        return cls(name, **members)  # type: ignore[arg-type]  # each of its own type, see _TYPES

    def apply(self, response: Response, shape: ErrorShape) -> Response:
        """Change an answer; `delay` is left to the sender."""
        if self.rate_limit is not None:
            wait = (("retry-after", f"{self.rate_limit:.12g}"),)
            return _refusal(429, shape, self.name, wait)
        if self.status is not None:
            return _refusal(self.status, shape, self.name)
        if self.malformed is not None:
            response = replace(response, chunks=_malformed(response, self.malformed))
        if self.cut is not None:
            return replace(response, chunks=_first(response, self.cut), end="cut")
        if self.reset is not None:
            return replace(response, chunks=_first(response, self.reset), end="reset")
        if self.stall is not None:
            return replace(response, chunks=_first(response, self.stall), end="timeout")
        return response


WHAT: Final = ("status", "delay", "cut", "reset", "stall", "malformed", "rate_limit")
_TYPES: Final[Mapping[str, type[int] | type[float]]] = {
    field.name: float if field.name in ("delay", "rate_limit", "probability") else int
    for field in fields(Fault)
    if field.name != "name"
}
_BOUNDS: Final = {
    "status": (400, 599),
    "delay": (0, 3600),
    "cut": (0, 1_000_000),
    "reset": (0, 1_000_000),
    "stall": (0, 1_000_000),
    "malformed": (1, 1_000_000),
    "rate_limit": (0, 86_400),
    "probability": (0, 1),
}


def _refusal(status: int, shape: ErrorShape, name: str, more: Headers = ()) -> Response:
    text = f"wiretape: a fault on demand ({name})"
    body = error_body(shape, status, text, "wiretape_fault")
    return Response(status, (("content-type", "application/json"), *more), (Chunk(body),))


def _first(response: Response, count: int) -> tuple[Chunk, ...]:
    """The first chunks of a streamed answer, or the first half of another's body."""
    if not response.streaming and response.chunks:
        body = response.body
        return (replace(response.chunks[0], data=body[: len(body) // 2]),) if count else ()
    return response.chunks[:count]


def _malformed(response: Response, number: int) -> tuple[Chunk, ...]:
    chunks = list(response.chunks)
    if number > len(chunks):
        return response.chunks
    data = chunks[number - 1].data
    text = data.rstrip(b"\r\n")
    # The line ends stay, so that the client sees an event with truncated JSON.
    chunks[number - 1] = replace(chunks[number - 1], data=text[:-1] + data[len(text) :])
    return tuple(chunks)


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A fault of the configuration; `rule` says which requests it is for."""

    fault: Fault
    rule: Rule


class Faults:
    """Chooses the fault of a request.

    Probabilities are drawn in the order of the requests, by each fault's seed, so that every run
    fails in the same way.
    """

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._rules: Final = tuple(rules)
        # Keyed by value: a fault from a header comes as a new object with each request.
        self._drawn: dict[Fault, int] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def choose(self, names: Iterable[str], request: Request, canonical: Canonical) -> Fault | None:
        """The fault of the first rule for a request that strikes; `names` are the names of the
        request's provider.
        """
        method, path, host, port = request.method, request.path, request.host, request.port
        names = tuple(names)
        for entry in self._rules:
            rule = entry.rule
            if (
                any(rule.applies(name, method, path) for name in names)
                and rule.fits_host(host, port)
                and (rule.body is None or rule.body((canonical.value["body"] or {}).get("json")))
                and self.strikes(entry.fault)
            ):
                return entry.fault
        return None

    def strikes(self, fault: Fault) -> bool:
        """Draw whether a fault happens this time, by its probability."""
        if fault.probability >= 1:
            return True
        number = self._drawn[fault] = self._drawn.get(fault, -1) + 1
        return draw(f"{fault.name}:{fault.seed}", number) < fault.probability
