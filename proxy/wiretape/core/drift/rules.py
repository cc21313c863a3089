"""Judge the differences of an answer by rules that are data; the first that fits decides.

Packs add rules under `drift`, config.yaml under `drift.rules`, and both go before these:

    drift:
      rules:
        - {tier: shape, change: member-came, path: "*.obfuscation", verdict: benign}
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, get_args

type Tier = Literal["transport", "shape", "tools", "usage", "text", "timing"]
type DriftVerdict = Literal["benign", "new", "regression"]

TIERS: Final[tuple[Tier, ...]] = get_args(Tier.__value__)
VERDICTS: Final[tuple[DriftVerdict, ...]] = get_args(DriftVerdict.__value__)
"""From the mildest to the gravest: benign breaks no client, new may matter, a regression breaks
clients that relied on the recorded answer."""

CHANGES: Final[dict[Tier, dict[str, str]]] = {
    "transport": {
        "status": "another status",
        "streaming": "streamed, or no longer",
        "end": "the answer was cut",
        "header-came": "a header that steers clients came",
        "header-went": "a header that steers clients went",
        "header": "a header that steers clients changed",
    },
    "shape": {
        "not-json": "no longer JSON",
        "kind-went": "an event or object of this kind went",
        "kind-came": "an event or object of this kind came",
        "order": "events in another order",
        "last": "the stream ends with another event",
        "member-went": "a member went",
        "member-came": "a member came",
        "null-went": "a member that was only null went",
        "null-came": "a member that is only null came",
        "optional": "a member that was always there is missing at times",
        "optional-event": "a member of all events of a kind is missing in some",
        "type": "another type",
        "nullable": "null where it never was",
        "filled": "a value where there was only null",
        "variant-went": "items of this type went",
        "variant-came": "items of this type came",
    },
    "tools": {
        "call-went": "a tool is no longer called",
        "call-came": "a tool is called that was not",
        "argument-went": "an argument went",
        "argument-went-optional": "an argument went that the tool does not require",
        "argument-came": "an argument came",
        "argument-came-declared": "an argument came that the tool declares",
        "argument-undeclared": "an argument came that the tool does not declare",
        "argument-type": "an argument of another type",
        "arguments-broken": "arguments that are not a JSON object",
    },
    "usage": {
        "tokens-in": "another number of tokens for the same request",
        "tokens-out": "another number of tokens in the answer",
        "usage-went": "the answer reports no tokens",
        "usage-came": "the answer reports tokens",
    },
    "text": {
        "choice-went": "fewer choices",
        "choice-came": "more choices",
        "went": "no words of this kind",
        "came": "words of a kind that was not there",
        "normalised": "the same but for case, spaces and punctuation",
        "similar": "similar words",
        "different": "other words",
        "json-broken": "the text is no longer JSON",
        "json-went": "a member of the JSON text went",
        "json-came": "a member of the JSON text came",
        "json-type": "another type in the JSON text",
        "size": "other media, or an embedding of another size",
        "finish": "ended for another reason",
        "finish-unknown": "ended for a reason that no client knows",
    },
    "timing": {
        "first-chunk-slower": "the first chunk comes later",
        "first-chunk-faster": "the first chunk comes sooner",
        "slower": "slower",
        "faster": "faster",
    },
}
"""Every kind of change, by tier, and its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Up to where a number or a text counts as the same.

    Tokens are the same within `usage` times the least and the greatest recorded, or `tokens` more
    or fewer. Texts are similar from `similar` on: twice the words they share through all words of
    both (Dice's coefficient). Times are the same within `timing` times, or `seconds` more or fewer.
    """

    usage: float = 1.5
    tokens: int = 10
    similar: float = 0.5
    timing: float = 3.0
    seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """What a change is; each pattern may have `*` for any text. `provider` None: every one's."""

    verdict: DriftVerdict
    tier: str = "*"
    change: str = "*"
    path: str = "*"
    was: str = "*"
    now: str = "*"
    provider: str | None = None

    def fits(self, change: "FoundChange", provider: str | None) -> bool:
        """Whether this rule judges a change in an answer of a provider."""
        return self.provider in (None, provider) and all(
            _pattern(pattern).fullmatch(text) is not None
            for pattern, text in (
                (self.tier, change.tier),
                (self.change, change.change),
                (self.path, change.path),
                (self.was, change.was),
                (self.now, change.now),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChange:
    """A difference before it is judged; `path` names the event, member, tool or header."""

    tier: Tier
    change: str
    path: str = ""
    was: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class JudgedChange:
    """A difference of an answer from the recorded ones, and what it is."""

    change: FoundChange
    verdict: DriftVerdict

    def __str__(self) -> str:
        change = self.change
        text = CHANGES[change.tier][change.change]
        where = f"{change.path}: " if change.path else ""
        values = " → ".join(filter(None, (change.was, change.now)))
        return where + text + (f" ({values})" if values else "")

    def as_json(self) -> dict[str, Any]:
        """The change for `--json`."""
        members = {name: getattr(self.change, name) for name in FoundChange.__slots__}
        return {"verdict": self.verdict} | {k: v for k, v in members.items() if v}


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)


def _all(verdict: DriftVerdict, tier: Tier, *changes: str) -> Iterable[DriftRule]:
    return (DriftRule(verdict=verdict, tier=tier, change=change) for change in changes)


def _finish(verdict: DriftVerdict, *reasons: str) -> Iterable[DriftRule]:
    return (
        DriftRule(verdict=verdict, tier="text", change="finish", now=reason) for reason in reasons
    )


RULES: Final[tuple[DriftRule, ...]] = (
    # An error that is answered now breaks nobody who waits for an answer.
    *(
        DriftRule(verdict="new", tier="transport", change="status", was=f"{digit}*", now="2*")
        for digit in "45"
    ),
    # Kept alive by events without content.
    *(
        DriftRule(verdict="benign", tier="shape", change=c, path="ping")
        for c in ("kind-*", "order")
    ),
    *_all("new", "transport", "header-came"),
    *_all("benign", "shape", "null-went", "null-came"),
    *_all("new", "shape", "kind-came", "member-came", "variant-came", "filled", "optional-event"),
    *_all("benign", "tools", "argument-went-optional", "argument-came-declared"),
    *_all("new", "tools", "call-came", "argument-came"),
    *_all("new", "usage", "tokens-out", "usage-came"),
    *_all("benign", "text", "normalised", "similar"),
    # Whether reasoning is shown does not change the answer.
    *(
        DriftRule(verdict="new", tier="text", change=change, path="*reasoning")
        for change in ("went", "came", "different")
    ),
    DriftRule(verdict="regression", tier="text", change="came", path="*refusal"),
    DriftRule(verdict="regression", tier="text", change="came", path="*error"),
    *_all("new", "text", "different", "came", "choice-came", "json-came"),
    *_finish("regression", "content_filter", "refusal", "SAFETY", "RECITATION", "PROHIBITED*"),
    *_all("new", "text", "finish"),
    *_all("benign", "timing", "first-chunk-faster", "faster"),
    *_all("new", "timing", "first-chunk-slower", "slower"),
    DriftRule(verdict="regression"),
)
"""The rules that come with wiretape; what none of the others names is a regression."""


def judged(
    changes: Iterable[FoundChange], rules: Sequence[DriftRule] = (), provider: str | None = None
) -> tuple[JudgedChange, ...]:
    """Judge changes by further rules, then by `RULES`; the gravest first.

    >>> [change] = judged([FoundChange(tier="shape", change="member-came", path="chunk.new")])
    >>> change.verdict, str(change)
    ('new', 'chunk.new: a member came')
    """
    results = []
    for change in changes:
        rule = next(rule for rule in (*rules, *RULES) if rule.fits(change, provider))
        results.append(JudgedChange(change, rule.verdict))
    return tuple(sorted(results, key=lambda item: -VERDICTS.index(item.verdict)))


def worst(changes: Iterable[JudgedChange]) -> DriftVerdict | None:
    """The gravest verdict of some changes; None without a change."""
    verdicts = [change.verdict for change in changes]
    return max(verdicts, key=VERDICTS.index, default=None)
