"""Try a rule on the requests of a whole folder before anybody relies on it.

A rule is safe where no two recordings become equal by it that differ without it: only then does
each request still have the answer that was recorded for it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wiretape.core.recording.document import Document

from .matcher import Matcher
from .rule import Rule


@dataclass(frozen=True, slots=True)
class RuleTrial:
    """What rules would do to a folder: how many requests they were tried on, which recordings they
    would make equal though they differ, and which would answer the request in question.
    """

    tried: int
    merged: tuple[tuple[str, ...], ...] = ()
    answering: tuple[str, ...] = ()
    by_key: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    """The recordings by the key that they have under the rules."""

    @property
    def is_safe(self) -> bool:
        """Whether all recordings that differ without the rules still differ with them."""
        return not self.merged

    def of(self, matcher: Matcher, rules: Sequence[Rule], request: Document) -> "RuleTrial":
        """The same trial for another request: no recording is looked at again."""
        keys = [key for key, _ in _keys(matcher.with_rules(rules), request)]
        return replace(self, answering=tuple(_flat(self.by_key.get(key, ()) for key in keys)))


def try_rules(
    matcher: Matcher,
    rules: Sequence[Rule],
    recorded: Iterable[tuple[str, Document]],
    request: Document | None = None,
) -> RuleTrial:
    """Say what adding `rules` to a matcher's own would do to recordings; changes nothing.

    `recorded` has each recording's name and the `request` part of its document, redacted as a live
    request is; a WebSocket has an item for each message of the client. `request` is a live one
    that the rules are to let match. Takes some 0.2 ms for a request of 1 KB, 4 ms for 60 KB.

    >>> from wiretape.core.providers.registry import Providers
    >>> from wiretape.core.text.jsonpath import compiled
    >>> def asks(prompt, trace):
    ...     body = {"prompt": prompt, "trace": trace}
    ...     return {"method": "POST", "url": "https://llm.example/v1", "body": body}
    >>> folder = [("a.json", asks("hi", 1)), ("b.json", asks("bye", 2))]
    >>> ignore_trace = Rule("trace", ignore=(compiled("$.trace"),))
    >>> try_rules(Matcher(Providers(())), [ignore_trace], folder, asks("hi", 3))
    RuleTrial(tried=2, merged=(), answering=('a.json',))
    >>> ignore_prompt = Rule("prompt", ignore=(compiled("$.prompt"), compiled("$.trace")))
    >>> try_rules(Matcher(Providers(())), [ignore_prompt], folder).merged
    (('a.json', 'b.json'),)
    """
    changed = matcher.with_rules(rules)
    tried_names = {rule.name for rule in rules}
    # By the key under the rules: the keys without them, each with the recordings that have it.
    by_key: dict[str, dict[str, list[str]]] = {}
    tried = 0
    for name, document in recorded:
        tried += 1
        new = _keys(changed, document)
        # Most rules change few requests: the others keep their keys.
        is_touched = any(not tried_names.isdisjoint(applied) for _, applied in new)
        old = _keys(matcher, document) if is_touched else new
        for (new_key, _), (old_key, _) in zip(new, old, strict=True):
            by_key.setdefault(new_key, {}).setdefault(old_key, []).append(name)
    merged = [tuple(_flat(names.values())) for names in by_key.values() if len(names) > 1]
    trial = RuleTrial(
        tried,
        tuple(dict.fromkeys(merged)),
        by_key={key: tuple(_flat(names.values())) for key, names in by_key.items()},
    )
    return trial if request is None else trial.of(matcher, rules, request)


def _keys(matcher: Matcher, document: Document) -> list[tuple[str, tuple[str, ...]]]:
    """A request's key, then the one with its ids spelled, each with the rules that applied."""
    forms = [matcher.canonical(document)]
    if "ids" in document:
        spelled = {name: value for name, value in document.items() if name != "ids"}
        forms.append(matcher.canonical(spelled))
    return [(form.key, form.rules) for form in forms]


def _flat(groups: Iterable[Iterable[str]]) -> Iterator[str]:
    """Each name of some groups once, in order."""
    return iter(dict.fromkeys(name for names in groups for name in names))
