"""Why no recording answers a request, told so that the next step is plain."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, Literal

from .match import ABSENT, Canonical, Difference, differences

type Reason = Literal["no-recordings", "no-endpoint", "differs", "takes-used"]

SHOWN: Final = 5
_LONGEST: Final = 160


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that no recording answers: why, the nearest recording and how it differs."""

    method: str
    url: str
    reason: Reason
    nearest: str | None = None
    differences: tuple[Difference, ...] = ()
    recordings: int = 0

    @property
    def message(self) -> str:
        """The report as text, for the HTTP body and the terminal."""
        head = f"no recording answers {self.method} {self.url}"
        if self.reason == "no-recordings":
            return f"{head}: there are no recordings. Record it: wiretape record -- CMD"
        if self.reason == "takes-used":
            return f"{head}: all takes of {self.nearest} have been given (replay.repeat: miss)"
        if self.reason == "no-endpoint":
            return (
                f"{head}: none of the {self.recordings} recordings is of this endpoint."
                " Record it: wiretape record -- CMD"
            )
        lines = [f"{head}; nearest is {self.nearest}, which differs in"]
        lines += [f"  {describe(difference)}" for difference in self.differences[:SHOWN]]
        if len(self.differences) > SHOWN:
            lines.append(f"  … and {len(self.differences) - SHOWN} more")
        rule = self.rule
        if rule:
            lines.append(f"If that should not count, add to match.rules: {rule}")
        lines.append("Else record it: wiretape record -- CMD")
        return "\n".join(lines)

    @property
    def rule(self) -> str | None:
        """A rule for config.yaml under which the nearest recording would match, in YAML's flow
        form.
        """
        paths, query, headers = [], [], []
        for difference in self.differences:
            kind, _, rest = difference.path.partition(".")
            if kind == "body" and rest and "[" not in kind:
                paths.append("$." + rest)
            elif kind == "headers":
                headers.append(rest)
            elif kind == "query":
                query.append(rest.partition("[")[0])
            else:
                return None
        members = {"ignore": paths, "ignore_query": query, "ignore_headers": headers}
        parts = [f"{key}: {json.dumps(value)}" for key, value in members.items() if value]
        return "{name: my-rule, " + ", ".join(parts) + "}" if parts else None

    def as_json(self) -> dict[str, Any]:
        """The miss for `--report`."""
        return {
            "reason": self.reason,
            "method": self.method,
            "url": self.url,
            "nearest": self.nearest,
            "differences": [
                {"path": d.path, "got": _plain(d.got), "recorded": _plain(d.recorded)}
                for d in self.differences
            ],
            "rule": self.rule,
        }


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def describe(difference: Difference) -> str:
    """One difference on one line: "body.temperature: got 0.7, recorded 0.2"."""
    got, recorded = difference.got, difference.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        got, recorded = _around(got, recorded)
    return f"{difference.path}: got {_short(got)}, recorded {_short(recorded)}"


def _short(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _around(got: str, recorded: str) -> tuple[str, str]:
    """The part of two long texts where they first differ."""
    if max(len(got), len(recorded)) <= _LONGEST // 2:
        return got, recorded
    start = next(
        (i for i, (a, b) in enumerate(zip(got, recorded, strict=False)) if a != b),
        min(len(got), len(recorded)),
    )
    start = max(0, start - 20)
    lead = "…" if start else ""
    return tuple(  # type: ignore[return-value]  # two in, two out
        lead
        + text[start : start + _LONGEST // 2]
        + ("…" if start + _LONGEST // 2 < len(text) else "")
        for text in (got, recorded)
    )


def distance(one: Canonical, two: Canonical) -> tuple[float, tuple[Difference, ...]]:
    """How far two requests are apart, and where: each difference counts 1, similar texts less."""
    found = differences(one.value, two.value)
    return sum(_weight(difference) for difference in found), tuple(found)


def _weight(difference: Difference) -> float:
    got, recorded = difference.got, difference.recorded
    if isinstance(got, str) and isinstance(recorded, str):
        # The start and the end are enough to tell a near text from a far one, and bounded.
        matcher = SequenceMatcher(None, got[:500], recorded[:500], autojunk=False)
        return 1.0 - 0.9 * matcher.quick_ratio()
    return 1.0


def explain(
    request: Canonical, url: str, recorded: Iterable[tuple[str, Canonical]], total: int
) -> Miss:
    """The miss of `request`, given its endpoint's recordings by name and the count of all."""
    method = request.value["method"]
    best: tuple[float, str, tuple[Difference, ...]] | None = None
    for name, other in recorded:
        apart, found = distance(request, other)
        if best is None or (apart, name) < best[:2]:
            best = (apart, name, found)
    if best is None:
        reason: Reason = "no-endpoint" if total else "no-recordings"
        return Miss(method, url, reason, recordings=total)
    return Miss(method, url, "differs", best[1], best[2], total)
