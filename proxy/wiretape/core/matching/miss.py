"""Explain why no recording answers a request, so that the next step is plain.

Everything here is shown to people and written to files: canonical values are redacted, and of two
values of which one is redacted the other is never shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Final, Literal, Protocol

from wiretape.core.text import word_diff
from wiretape.core.wire.jsonrpc import SESSION_HEADER, STDIO_HOST

from .canonical import ABSENT, Canonical, Difference
from .diff_text import clipped, describe, difference, is_edited, is_redaction
from .rule import Rule
from .rule_trial import RuleTrial
from .side_request import request_kind
from .structural_diff import Differing, differing
from .suggested_rule import NoRule, Suggestion, suggest

type Reason = Literal[
    "no-recordings",
    "session",
    "no-endpoint",
    "differs",
    "streaming",
    "redaction",
    "normalised",
    "side-request",
    "takes-used",
    "guessable",
    "corrupt",
]
"""no-recordings: there are none; session: the named session has none; no-endpoint: none is of this
endpoint; differs: the nearest is another request; streaming: one is streamed and the other is not;
redaction: they differ only where one is redacted; normalised: only in what a rule's normaliser has
changed; side-request: only one of the two is what a user asks; takes-used: all takes have been
given; guessable: an earlier request differs only in a value that redaction hides without a digest;
corrupt: the file that should answer cannot be read.
"""

SHOWN: Final = 5
MESSAGE_LENGTH: Final = 4_000
"""The most characters of a message: SDKs put it into an exception's text."""

_RULE: Final = 1_200
_FAULTS: Final = 3

_STDIO: Final = f"http://{STDIO_HOST}/"
_AFTER_CALLS: Final = (
    "The answers of a server on standard input and output may depend on the tools that were called"
    f" before: {SESSION_HEADER} names the last call, and the calls of this run are others. Where"
    f" they do not depend on it: match.without_headers: [{SESSION_HEADER}]"
)


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
    withheld: str = ""
    """Why no rule is suggested, "" where there is nothing to say of that."""
    is_repeated: bool = False
    """Whether an earlier miss of the run suggested the same rule."""
    rules: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    session: str | None = None

    @property
    def message(self) -> str:
        """The report as text, for the HTTP body and pipes: at most `MESSAGE_LENGTH` characters."""
        text = ""
        for shown in range(SHOWN, 0, -1):
            lines = (f"  {describe(difference)}" for difference in self.differences[:shown])
            text = "\n".join([self.head, *lines, *self.tail(shown)])
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
            return f"there are no recordings. Record it: {self._command}"
        if self.reason == "session":
            return f"session {self.session} has no recordings. Record it: {self._command}"
        if self.reason == "takes-used":
            return f"all takes of {self.nearest} have been given (replay.repeat: miss)"
        if self.reason == "guessable":
            return (
                "an earlier request of this run differs from it only in a value that is redacted"
                f" and could be guessed, so nothing tells whose answer {self.nearest} is. Use"
                " values that cannot be guessed, or let it not count (match.rules: ignore)"
            )
        if self.reason == "corrupt":
            if self.nearest is None:
                return f"the recordings of this endpoint cannot be read. Record it: {self._command}"
            return "the file that should cannot be used. Mend it, or delete it and record it again"
        if self.reason == "no-endpoint":
            count = self.recordings
            subject = (
                "the one recording is not" if count == 1 else f"none of the {count} recordings is"
            )
            return f"{subject} of this endpoint. Record it: {self._command}"
        if self.reason == "side-request":
            return (
                "what is recorded there is of another kind (of the two one warms up, checks a quota"
                f" or makes a title), such as {self.nearest}. Record it: {self._command}"
            )
        return f"{self.nearest} reads the same, but is another request. Record it: {self._command}"

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
            if self.is_repeated:
                name = self.suggestion.rule.name
                lines.append(f"If that should not count: {name}, suggested before, covers it too.")
            elif len(self.suggestion.yaml) <= _RULE:
                lines.append("If that should not count, add under match.rules in config.yaml:")
                lines.append(self.suggestion.yaml)
            else:
                lines.append("A rule that would ignore it is in the file of --report.")
            lines += [f"Warning: {warning}." for warning in self.suggestion.warnings]
        elif self.withheld:
            lines.append(f"No rule is suggested: {self.withheld}.")
        if any(f"headers.{SESSION_HEADER}" == each.path for each in self.differences):
            lines += [_AFTER_CALLS] if self.url.startswith(_STDIO) else []
        lines.append(
            f"{'Record' if self.suggestion is None else 'Else record'} it: {self._command}"
        )
        return lines

    @property
    def _command(self) -> str:
        """The command that records what is missing."""
        is_stdio = self.url.startswith(_STDIO)
        return "wiretape mcp --record -- SERVER" if is_stdio else "wiretape record -- CMD"

    @property
    def rule(self) -> str | None:
        """A rule for config.yaml under which the nearest recording would match: an item of
        `match.rules` in YAML's block form.
        """
        return self.suggestion.yaml if self.suggestion else None

    def as_json(self) -> dict[str, Any]:
        """The miss for `--report`."""
        members: dict[str, Any] = {
            "message": self.message,
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
            "no_rule": self.withheld,
            "rules": list(self.rules),
            "faults": list(self.faults),
            "session": self.session,
        }
        return members | {name: value for name, value in further.items() if value}


def as_told(value: Any) -> Any:
    """A value of a difference as JSON has it: what is absent is null."""
    return None if value is ABSENT else value


# ------------------------------------------------------------------ why

type TryRule = Callable[[Rule], RuleTrial | None]
"""Tries a rule on all recordings of the folder; None where they are too many."""


class RuleNames:
    """The names of a run's rules: those of the configuration and those suggested so far."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self.taken: Final = dict.fromkeys(configured, "")
        """Each name with the YAML of its rule, "" where that is not known."""

    def add(self, suggestion: Suggestion) -> bool:
        """Take a suggestion's name; gives whether the same rule was suggested before."""
        is_known = suggestion.rule.name in self.taken
        self.taken[suggestion.rule.name] = suggestion.yaml
        return is_known


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """What a miss has to know of the recordings beside the likely ones.

    `total` counts all recordings, `of_endpoint` those of the request's endpoint; `takes_used` names
    the recording whose takes have all been given, `indistinct` one that may be another request's
    (`guessable`), `faults` the files that could not be read.
    Without `try_rule` no rule is suggested: none is that was not tried.
    """

    total: int
    of_endpoint: int = 0
    takes_used: str | None = None
    indistinct: str | None = None
    faults: Sequence[Faulty] = ()
    session: str | None = None
    try_rule: TryRule | None = None
    rule_names: RuleNames = field(default_factory=RuleNames)


def miss_for(
    request: Canonical, url: str, candidates: Iterable[tuple[str, Canonical]], folder: FolderState
) -> Miss:
    """Explain why nothing answers `request`; `candidates` are recordings of its endpoint by name,
    those that are likely to be near.

    >>> from wiretape.core.providers.registry import Providers
    >>> from .matcher import Matcher
    >>> def asks(heat):
    ...     body = {"prompt": "hi", "temperature": heat}
    ...     document = {"method": "POST", "url": "https://llm.example/v1", "body": body}
    ...     return Matcher(Providers(())).canonical(document)
    >>> candidates = [("a.json", asks(0.2))]
    >>> miss = miss_for(asks(0.7), "https://llm.example/v1", candidates, FolderState(total=1))
    >>> miss.reason, miss.nearest, miss.differences
    ('differs', 'a.json', (Difference(path='body.temperature', got=0.7, recorded=0.2),))
    """
    new_miss = partial(
        Miss, request.value["method"], url, recordings=folder.total, session=folder.session
    )
    corrupt = [fault for fault in folder.faults if _is_of(fault, request.key)]
    if folder.indistinct is not None:
        return new_miss("guessable", nearest=folder.indistinct)
    if folder.takes_used is not None:
        return new_miss("takes-used", nearest=folder.takes_used)
    if corrupt:
        return new_miss("corrupt", nearest=corrupt[0].name, faults=tuple(map(_line, corrupt)))
    best = _nearest(request, candidates)
    if best is None:
        reason: Reason = "session" if folder.session else "no-recordings"
        if folder.of_endpoint:
            reason = "corrupt"
        elif folder.total:
            reason = "no-endpoint"
        return new_miss(reason, faults=tuple(map(_line, folder.faults)))
    name, recorded, differences = best
    reason, rules = _reason(request, recorded, differences)
    if reason == "side-request":
        return new_miss(reason, nearest=name)
    suggestion, withheld, is_repeated = _rule(reason, request, recorded, differences, folder)
    return new_miss(
        reason,
        nearest=name,
        differences=tuple(map(difference, differences)),
        suggestion=suggestion,
        withheld=withheld,
        is_repeated=is_repeated,
        rules=rules,
    )


def _rule(
    reason: Reason,
    request: Canonical,
    recorded: Canonical,
    differences: Sequence[Differing],
    folder: FolderState,
) -> tuple[Suggestion | None, str, bool]:
    """The rule to suggest, why there is none, and whether it was suggested before."""
    if reason == "redaction" or not differences or folder.try_rule is None:
        return None, "", False
    suggestion = suggest(request, recorded, differences, folder.rule_names.taken)
    if isinstance(suggestion, NoRule):
        hidden = ", ".join(suggestion.hidden[:3])
        return None, f"it would hide what was asked ({hidden})" if hidden else "", False
    trial = folder.try_rule(suggestion.rule)
    if trial is None:
        return None, "it was not tried on all recordings, of which there are too many", False
    if trial.merged:
        names = ", ".join(trial.merged[0][:3])
        return None, f"recordings that differ would become equal by it ({names})", False
    if not trial.answering:
        return None, "", False
    return suggestion, "", folder.rule_names.add(suggestion)


def _is_of(fault: Faulty, key: str) -> bool:
    """Whether a file is named for a request's key: KEY12.json, KEY12.TAKE.json."""
    return fault.name.rpartition("/")[2].partition(".")[0] == key[:12]


def _line(fault: Faulty) -> str:
    return clipped(f"{fault.name}: {fault.reason}", 300)


def _nearest(
    request: Canonical, candidates: Iterable[tuple[str, Canonical]]
) -> tuple[str, Canonical, list[Differing]] | None:
    best: tuple[int, float, str] | None = None
    nearest: tuple[str, Canonical, list[Differing]] | None = None
    kind = request_kind(request)
    for name, recorded in candidates:
        differences = differing(request.value, recorded.value)
        # What an agent asks for itself, such as a title, is not near to what its user asks.
        rank = (kind.distance(request_kind(recorded)), sum(map(_weight, differences)), name)
        if best is None or rank < best:
            best, nearest = rank, (name, recorded, differences)
    return nearest


def _weight(difference: Differing) -> float:
    if isinstance(difference.got, str) and isinstance(difference.recorded, str):
        return 1.0 - 0.9 * word_diff.likeness(difference.got, difference.recorded)
    return 1.0


def _reason(
    request: Canonical, recorded: Canonical, differences: Sequence[Differing]
) -> tuple[Reason, tuple[str, ...]]:
    if not differences:
        return "differs", ()
    if request_kind(request).is_aside != request_kind(recorded).is_aside:
        return "side-request", ()
    if all(map(_is_streaming, differences)):
        return "streaming", ()
    if all(map(is_redaction, differences)):
        return "redaction", ()
    changed: Mapping[str, tuple[str, Any]] = {**recorded.ignored, **request.ignored}
    if all(d.path in changed and ABSENT not in (d.got, d.recorded) for d in differences):
        return "normalised", tuple(dict.fromkeys(changed[d.path][0] for d in differences))
    return "differs", ()


_STREAMED: Final = (
    ("body", "json", "stream"),
    ("body", "json", "stream_options"),
    ("query", "alt"),
)


def _is_streaming(difference: Differing) -> bool:
    return any(difference.steps[: len(steps)] == steps for steps in _STREAMED)
