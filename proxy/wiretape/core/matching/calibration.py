"""The fewest and narrowest rules under which a second run of a program asks what the first asked,
and the proof that they do that and no more.

One rule for each endpoint, of the changes that its variations need (`variation.py`). What is not
needed for a pair of requests to be equal is left out again. No rule is made of a pair in which
anything varied that no rule may hide: that request has to be recorded anew in any case.
"""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from wiretape.core.recording.document import Document
from wiretape.core.text.jsonpath import Path
from wiretape.core.text.moments import on_another_day

from .body_changes import LIST_DEPTHS, BodyChange, for_all_items
from .matcher import Matcher
from .normalise import edited, leaves
from .question_guard import in_question, may_ask
from .request_pairs import RequestPair, SentRequest, differences, requests_of
from .suggested_rule import RuleParts, Suggestion, suggestion_of
from .variation import RuleEndpoint, Variation, variation
from .varying_text import VALUE_KINDS

_DAYS: Final = 9
"""Far enough for another weekday, and for a day of the month with fewer or more digits."""

_MOST_PROMPTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class CalibratedRule:
    """A rule, the variations that need it, and what it hides, in words."""

    suggestion: Suggestion
    parts: RuleParts
    variations: tuple[Variation, ...]

    @property
    def hides(self) -> tuple[str, ...]:
        """What requests may differ in and still have one answer, a line for each change."""
        return (
            *(_hides(change) for change in self.parts.changes),
            *(f"the query parameter {name}" for name in self.parts.query),
            *(f"the header {name}" for name in self.parts.headers),
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rules for what varied in pairs of requests, and what no rule may hide.

    `tamed` are the pairs that are equal under the rules.
    """

    rules: tuple[CalibratedRule, ...]
    untamed: tuple[Variation, ...]
    _: KW_ONLY
    tamed: tuple[RequestPair, ...]
    answers_differ: bool = False
    """Whether a pair was left out since earlier answers in it were not the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was tried of rules on the requests of both runs.

    `replayed` of `pairs` pairs have one key under the rules; `unneeded` are the names of rules (and
    what they hide) without which they had it too; of `prompts` changes of what was asked, `hidden`
    are those that would get the old answer.
    """

    pairs: int
    replayed: int
    prompts: int
    unneeded: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the rules do what they are for, and no more."""
        return self.replayed == self.pairs and not self.unneeded and not self.hidden


def calibrate(
    pairs: Sequence[RequestPair], matcher: Matcher, taken_names: Mapping[str, str] | None = None
) -> Calibration:
    """Find the rules under which the requests of each pair are equal; `taken_names` as `suggest`.

    >>> from wiretape.core.providers.registry import Providers
    >>> def asks(prompt, run):
    ...     body = {"prompt": prompt, "metadata": {"run": run}}
    ...     url = "https://llm.example/v1"
    ...     return SentRequest(run, {"method": "POST", "url": url, "body": body})
    >>> matcher = Matcher(Providers(()))
    >>> calibration = calibrate([RequestPair(asks("hi", "r-1"), asks("hi", "r-2"))], matcher)
    >>> [rule.hides for rule in calibration.rules], calibration.untamed
    ([('which id $.metadata.run is',)], ())
    >>> calibrate([RequestPair(asks("hi", "r"), asks("ho", "r"))], matcher).untamed[0].reason
    'it is a part of what is asked, or of the form of the answer'
    """
    tamed: dict[RuleEndpoint, list[tuple[RequestPair, RuleParts]]] = {}
    untamed: list[Variation] = []
    variations: dict[RuleEndpoint, list[Variation]] = {}
    answers_differ = False
    for pair in pairs:
        second = matcher.canonical(pair.second.document)
        varied = [variation(differing, second) for differing in differences(pair, matcher)]
        if not varied:
            continue
        if any(each.is_answer for each in varied) and not pair.is_moved:
            answers_differ = True
            continue
        parts = _parts(varied)
        if all(each.is_tamed for each in varied):
            if _are_equal(pair, _with(matcher, second.endpoint, parts)):
                tamed.setdefault(second.endpoint, []).append((pair, parts))
                variations.setdefault(second.endpoint, []).extend(varied)
                continue
            varied = [replace(each, reason=_TRIED) for each in varied]
        untamed += [each for each in varied if not each.is_tamed]
    taken = dict(taken_names or {})
    rules = []
    for endpoint, members in tamed.items():
        parts = _needed(endpoint, members, matcher)
        suggestion = suggestion_of(endpoint, parts, taken)
        taken[suggestion.rule.name] = suggestion.yaml
        rules.append(CalibratedRule(suggestion, parts, tuple(_unique(variations[endpoint]))))
    return Calibration(
        tuple(rules),
        tuple(_unique(untamed)),
        tamed=tuple(pair for members in tamed.values() for pair, _ in members),
        answers_differ=answers_differ,
    )


_TRIED: Final = "the rule that was tried does not make the requests equal"


def moved_pairs(requests: Iterable[SentRequest], days: Iterable[date]) -> list[RequestPair]:
    """Requests that name the day on which they were made, beside themselves as of another day.

    `days` are what that day is called here and elsewhere: near midnight it has two dates.
    """
    pairs = []
    for request in requests:
        document = copy.deepcopy(request.document)
        for day in days:
            document = _moved(document, day)
        if document != request.document:
            pairs.append(RequestPair(request, SentRequest(request.name, document), is_moved=True))
    return pairs


def _moved(document: Document, day: date) -> Document:
    other = day + timedelta(days=_DAYS)
    for member in ("body", "body_text"):
        if member in document:
            texts = [
                (path, leaf) for path, leaf in leaves(document[member]) if isinstance(leaf, str)
            ]
            edits = {path: on_another_day(leaf, day, other) for path, leaf in texts}
            document = {**document, member: edited(document[member], edits)}
    return document


# ------------------------------------------------------------------ as few as will do


type _Item = tuple[str, Any]
"""One thing that a rule takes out: the field of `RuleParts` that it is in, and itself."""

_ORDER: Final = (None, "ids", "uuids", "temporary-paths", "dates", "regex", "round", "sorted")
"""The order in which a rule makes its changes: what goes by a name before a pattern around it."""


def _parts(varied: Iterable[Variation]) -> RuleParts:
    items: list[_Item] = []
    for each in varied:
        items += [("changes", change) for change in each.changes]
        items += [("query", each.query)] if each.query else []
        items += [("headers", each.header)] if each.header else []
    return _of(items)


def _of(items: Iterable[_Item]) -> RuleParts:
    by_field: dict[str, list[Any]] = {"changes": [], "query": [], "headers": []}
    for name, item in dict.fromkeys(items):
        by_field[name].append(item)
    by_field["changes"].sort(key=lambda change: _ORDER.index(change.kind))
    return RuleParts(**{name: tuple(group) for name, group in by_field.items()})


def _items(parts: RuleParts) -> list[_Item]:
    return [
        (name, item) for name in ("changes", "query", "headers") for item in getattr(parts, name)
    ]


def _needed(
    endpoint: RuleEndpoint, members: Sequence[tuple[RequestPair, RuleParts]], matcher: Matcher
) -> RuleParts:
    """What the pairs of an endpoint need: for all items of a list where many have it."""

    def is_enough(items: Iterable[_Item]) -> bool:
        changed = _with(matcher, endpoint, _of(items))
        return all(_are_equal(pair, changed) for pair, _ in members)

    items = list(dict.fromkeys(item for _, parts in members for item in _items(parts)))
    for depth in LIST_DEPTHS:
        spread = _for_all_items(items, depth)
        if spread != items and is_enough(spread):
            items = spread
    for item in _items(_of(items)):
        fewer = [other for other in items if other != item]
        if is_enough(fewer):
            items = fewer
    return _of(items)


def _for_all_items(items: Sequence[_Item], depth: int) -> list[_Item]:
    """The same with one change where many items of a list have it."""
    changes = [item for name, item in items if name == "changes"]
    spread = iter(for_all_items(changes, depth))
    return list(
        dict.fromkeys((name, next(spread) if name == "changes" else item) for name, item in items)
    )


def _any_item(path: str) -> str:
    return re.sub(r"\[[0-9]+\]", "[*]", path)


def _with(matcher: Matcher, endpoint: RuleEndpoint, parts: RuleParts) -> Matcher:
    return matcher.with_rules([suggestion_of(endpoint, parts, {}).rule])


def _are_equal(pair: RequestPair, matcher: Matcher) -> bool:
    first, second = (matcher.canonical(side.document) for side in (pair.first, pair.second))
    return first.key == second.key


def _unique(varied: Iterable[Variation]) -> Iterator[Variation]:
    """Variations, one for each place and kind: the first that was met."""
    seen = set()
    for each in varied:
        where = (each.endpoint, _any_item(each.shown.path), each.kind, each.reason)
        if where not in seen:
            seen.add(where)
            yield each


# ------------------------------------------------------------------ what it hides


def _hides(change: BodyChange) -> str:
    path = change.path or "the whole body"
    if change.kind == "regex":
        kind = re.search(rf"\{{({'|'.join(VALUE_KINDS)})\}}", change.replace)
        return f"in {path}, the {kind[1] if kind else 'number'} of {change.replace!r}"
    texts = {
        None: f"all of {path}, and whether it is there",
        "ids": f"which id {path} is",
        "round": f"the digits of {path} after the {change.digits}th behind the point",
        "uuids": f"which UUIDs are in {path}",
        "temporary-paths": f"which temporary folders are in {path}",
        "dates": f"which dates are in {path}",
    }
    return texts[change.kind]


def prove(calibration: Calibration, requests: Sequence[SentRequest], matcher: Matcher) -> Proof:
    """Try the rules of a calibration: the tamed pairs are equal, each part of a rule is needed for
    that, and a request that asks something else has another key.

    `requests` are those of the first run, besides the pairs'. Of each every text that may ask is
    changed in three ways, as long as they are not more than a thousand texts.
    """
    rules = {rule.suggestion.rule.name: rule for rule in calibration.rules}
    changed = matcher.with_rules([rule.suggestion.rule for rule in rules.values()])
    unneeded = []
    for name, rule in rules.items():
        others = [other.suggestion.rule for key, other in rules.items() if key != name]
        for number, item in enumerate(_items(rule.parts)):
            fewer = _of([other for other in _items(rule.parts) if other != item])
            endpoint = rule.variations[0].endpoint
            without = matcher.with_rules([*others, suggestion_of(endpoint, fewer, {}).rule])
            if all(_are_equal(pair, without) for pair in calibration.tamed):
                unneeded.append(f"{name}: {rule.hides[number]}")
    tried = 0
    places = []
    for request, path, text in _questions([*requests, *requests_of(calibration.tamed)]):
        tried += 1
        key, old_key = changed.canonical(request).key, matcher.canonical(request).key
        for other in (f"{text} and more", f"Now {text}", "something else entirely"):
            changed_request = {
                **request,
                "body": edited(copy.deepcopy(request["body"]), {path: other}),
            }
            if (
                changed.canonical(changed_request).key == key
                and matcher.canonical(changed_request).key != old_key
            ):
                places.append("$" + "".join(f"[{step!r}]" for step in path))
    return Proof(
        pairs=len(calibration.tamed),
        replayed=sum(_are_equal(pair, changed) for pair in calibration.tamed),
        prompts=tried,
        unneeded=tuple(unneeded),
        hidden=tuple(dict.fromkeys(places)),
    )


def _questions(requests: Iterable[SentRequest]) -> Iterator[tuple[Document, Path, str]]:
    """Each text of requests that may ask something, each once: conversations repeat it."""
    seen: set[tuple[Path, str]] = set()
    for request in requests:
        for path, text in leaves(request.document.get("body")):
            names = [step for step in path if isinstance(step, str)]
            if not isinstance(text, str) or not (in_question(names) or may_ask(names, text)):
                continue
            if (path, text) not in seen and len(seen) < _MOST_PROMPTS:
                seen.add((path, text))
                yield request.document, path, text
