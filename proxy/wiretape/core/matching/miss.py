"""Why no recording answers a request, told so that the next step is plain.

Everything here is told to people and files: canonical values are redacted, and of two values of
which one is redacted the other is never shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Final, Literal, Protocol

from wiretape.core.text import word_diff

from .canonical import ABSENT, Canonical, Difference
from .diff_text import clipped, describe, difference, is_edited, is_redaction
from .structural_diff import Differing, differing
from .suggested_rule import Suggestion, suggest

type Reason = Literal[
    "no-recordings",
    "session",
    "no-endpoint",
    "differs",
    "streaming",
    "redaction",
    "normalised",
    "takes-used",
    "corrupt",
]
"""no-recordings: there are none; session: the named session has none; no-endpoint: none is of this
endpoint; differs: the nearest is another request; streaming: one is streamed and the other is not;
redaction: they differ only where one is redacted; normalised: only in what a rule's normaliser has
changed; takes-used: all takes have been given; corrupt: the file that should answer cannot be read.
"""

SHOWN: Final = 5
MESSAGE_LENGTH: Final = 4_000
"""The most characters of a message: SDKs put it into an exception's text."""

_RULE: Final = 1_200
_FAULTS: Final = 3

_RECORD: Final = "Record it: wiretape record -- CMD"


class Faulty(Protocol):
    """A file that could not be used: its name below the folder, and why."""

    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that no recording answers: why, the nearest recording and how it differs."""

    method: str
    url: str
    reason: Reason
    _: KW_ONLY
    nearest: str | None = None
    differences: tuple[Difference, ...] = ()
    recordings: int = 0
    suggestion: Suggestion | None = None
    rules: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    session: str | None = None

    @property
    def message(self) -> str:
        """The report as text, for the HTTP body and pipes: at most `MESSAGE_LENGTH` characters."""
        text = ""
        for shown in range(SHOWN, 0, -1):
            told = map(describe, self.differences[:shown])
            text = "\n".join([self.head, *(f"  {line}" for line in told), *self.tail(shown)])
            if len(text) <= MESSAGE_LENGTH:
                break
        return clipped(text, MESSAGE_LENGTH)

    @property
    def head(self) -> str:
        """What was asked for, and why nothing answers it."""
        url = clipped(self.url, 400)
        head = f"no recording answers {self.method} {url}"
        if self.differences:
            return f"{head}; nearest is {self.nearest}, which differs {self._how()}"
        return f"{head}: {self._why()}"

    def _how(self) -> str:
        rules = f" ({', '.join(self.rules)})" if self.rules else ""
        hows: dict[Reason, str] = {
            "streaming": "only in whether the answer is streamed:",
            "redaction": "only where a value is redacted:",
            "normalised": f"only in what a rule has changed before comparing{rules}:",
        }
        how = hows.get(self.reason, "in")
        marked = any(map(is_edited, self.differences[:SHOWN]))
        return f"{how} ([-recorded-]{{+got+}})" if marked else how

    def _why(self) -> str:
        if self.reason == "no-recordings":
            return f"there are no recordings. {_RECORD}"
        if self.reason == "session":
            return f"session {self.session} has no recordings. {_RECORD}"
        if self.reason == "takes-used":
            return f"all takes of {self.nearest} have been given (replay.repeat: miss)"
        if self.reason == "corrupt":
            if self.nearest is None:
                return f"the recordings of this endpoint cannot be read. {_RECORD}"
            return "the file that should cannot be used. Mend it, or delete it and record it again"
        if self.reason == "no-endpoint":
            one = self.recordings == 1
            none = (
                "the one recording is not"
                if one
                else f"none of the {self.recordings} recordings is"
            )
            return f"{none} of this endpoint. {_RECORD}"
        return f"{self.nearest} is as good as the same, and yet another request. {_RECORD}"

    def tail(self, shown: int = SHOWN) -> list[str]:
        """The lines after the first `shown` differences: how many more there are, what to do."""
        lines = []
        if len(self.differences) > shown:
            lines.append(f"  … and {len(self.differences) - shown} more")
        lines += [f"  {fault}" for fault in self.faults[:_FAULTS]]
        if len(self.faults) > _FAULTS:
            lines.append(f"  … and {len(self.faults) - _FAULTS} more files cannot be used")
        if not self.differences:
            return lines
        if self.reason == "redaction":
            lines.append(
                "The redaction rules have changed since it was recorded: record it again, or bring"
                " them back."
            )
        if self.suggestion is not None:
            if len(self.suggestion.yaml) <= _RULE:
                lines.append("If that should not count, add under match.rules in config.yaml:")
                lines.append(self.suggestion.yaml)
            else:
                lines.append("A rule that would ignore it is in the file of --report.")
            lines += [f"Warning: {warning}." for warning in self.suggestion.warnings]
        lines.append(
            _RECORD if self.suggestion is None else "Else record it: wiretape record -- CMD"
        )
        return lines

    @property
    def rule(self) -> str | None:
        """A rule for config.yaml under which the nearest recording would match: an item of
        `match.rules` in YAML's block form.
        """
        return self.suggestion.yaml if self.suggestion else None

    def as_json(self) -> dict[str, Any]:
        """The miss for `--report`."""
        members: dict[str, Any] = {
            "reason": self.reason,
            "method": self.method,
            "url": self.url,
            "nearest": self.nearest,
            "differences": [
                {"path": d.path, "got": as_told(d.got), "recorded": as_told(d.recorded)}
                for d in self.differences
            ],
            "rule": self.rule,
        }
        further = {
            "warnings": list(self.suggestion.warnings) if self.suggestion else [],
            "rules": list(self.rules),
            "faults": list(self.faults),
            "session": self.session,
        }
        return members | {name: value for name, value in further.items() if value}


def as_told(value: Any) -> Any:
    """A value of a difference as JSON has it: what is absent is null."""
    return None if value is ABSENT else value


# ------------------------------------------------------------------ why


def explain(
    request: Canonical,
    url: str,
    candidates: Iterable[tuple[str, Canonical]],
    total: int,
    of_endpoint: int | None = None,
    takes_used: str | None = None,
    faults: Sequence[Faulty] = (),
    session: str | None = None,
) -> Miss:
    """The miss of `request`, given recordings of its endpoint by name, those that are likely to be
    near.

    `total` counts all recordings, `of_endpoint` those of the endpoint; `takes_used` names the
    recording whose takes have all been given, `faults` the files that could not be read.
    """
    missed = partial(Miss, request.value["method"], url, recordings=total, session=session)
    named = [one for one in faults if _is_of(one, request.key)]
    if takes_used is not None:
        return missed("takes-used", nearest=takes_used)
    if named:
        return missed("corrupt", nearest=named[0].name, faults=tuple(map(_told, named)))
    best = _nearest(request, candidates)
    if best is None:
        reason: Reason = "no-endpoint" if total else "session" if session else "no-recordings"
        if of_endpoint:
            reason = "corrupt"
        return missed(reason, faults=tuple(map(_told, faults)))
    name, recorded, found = best
    reason, rules = _reason(request, recorded, found)
    return missed(
        reason,
        nearest=name,
        differences=tuple(difference(one) for one in found),
        suggestion=None if reason == "redaction" else suggest(request, recorded, found),
        rules=rules,
    )


def _is_of(fault: Faulty, key: str) -> bool:
    """Whether a file is named for a request's key: KEY12.json, KEY12.TAKE.json."""
    return fault.name.rpartition("/")[2].partition(".")[0] == key[:12]


def _told(fault: Faulty) -> str:
    return clipped(f"{fault.name}: {fault.reason}", 300)


def _nearest(
    request: Canonical, candidates: Iterable[tuple[str, Canonical]]
) -> tuple[str, Canonical, list[Differing]] | None:
    best: tuple[bool, float, str] | None = None
    nearest: tuple[str, Canonical, list[Differing]] | None = None
    for name, other in candidates:
        found = differing(request.value, other.value)
        apart = sum(map(_weight, found))
        # A message that only warms a cache up (`generate: false`) is not near to a question.
        rank = (_warms_up(request) != _warms_up(other), apart, name)
        if best is None or rank < best:
            best, nearest = rank, (name, other, found)
    return nearest


def _warms_up(canonical: Canonical) -> bool:
    body = (canonical.value["body"] or {}).get("json")
    return isinstance(body, dict) and body.get("generate") is False


def _weight(one: Differing) -> float:
    if isinstance(one.got, str) and isinstance(one.recorded, str):
        return 1.0 - 0.9 * word_diff.likeness(one.got, one.recorded)
    return 1.0


def _reason(
    request: Canonical, recorded: Canonical, found: Sequence[Differing]
) -> tuple[Reason, tuple[str, ...]]:
    if not found:
        return "differs", ()
    if all(_is_streaming(one) for one in found):
        return "streaming", ()
    if all(is_redaction(one) for one in found):
        return "redaction", ()
    changed: Mapping[str, tuple[str, Any]] = {**recorded.ignored, **request.ignored}
    if all(one.path in changed and ABSENT not in (one.got, one.recorded) for one in found):
        return "normalised", tuple(dict.fromkeys(changed[one.path][0] for one in found))
    return "differs", ()


_STREAMED: Final = (
    ("body", "json", "stream"),
    ("body", "json", "stream_options"),
    ("query", "alt"),
)


def _is_streaming(one: Differing) -> bool:
    return any(one.steps[: len(place)] == place for place in _STREAMED)
