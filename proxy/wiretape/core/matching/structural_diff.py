"""Where two requests differ, with the items of their lists lined up.

A message put in front of a conversation is one difference, not one in each message that moved:
items are paired where they are equal, else where they are alike, in order. What has no partner is a
difference of its own, against ABSENT.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from wiretape.core.text import word_diff

from .canonical import ABSENT
from .normalise import is_token

LIMIT: Final = 50
"""The most differences that are told of."""

_ITEMS: Final = 300
"""Items of a list that are lined up; those of a longer one are paired as they come."""

_ALIKE: Final = 400
"""Pairs of items whose likeness is looked at."""

_TEXT: Final = 2_000

type Steps = tuple[str | int, ...]
type Pair = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Differing:
    """One place in which two canonical values differ; its steps are those of the request, or of the
    recorded one for what only that has.
    """

    steps: Steps
    got: Any
    recorded: Any

    @property
    def path(self) -> str:
        """The place as a reader writes it: "body.messages[1].content"."""
        return readable(self.steps)


def readable(steps: Steps) -> str:
    """Steps of a canonical value as one path: "body.messages[1].content"."""
    text = ""
    for number, step in enumerate(steps):
        if isinstance(step, int):
            text += f"[{step}]"
        # The kind of body ("json", "form") is a level that no reader needs; nor is a mark.
        elif not (number == 1 and steps[0] == "body") and not step.startswith("\0"):
            text += f".{step}" if text else step
    return text


def differing(got: Any, recorded: Any, limit: int = LIMIT) -> list[Differing]:
    """Where two canonical values differ, at most `limit` places of them, in order."""
    # What Python finds equal is passed over, which is fast; but it holds True for 1.
    return _walk(got, recorded, limit, trust=True) or _walk(got, recorded, limit, trust=False)


def _walk(got: Any, recorded: Any, limit: int, *, trust: bool) -> list[Differing]:
    found: list[Differing] = []
    stack: list[tuple[Steps, Any, Any]] = [((), got, recorded)]
    while stack and len(found) < limit:
        steps, one, two = stack.pop()
        if trust and type(one) is type(two) and one == two:
            continue
        if isinstance(one, dict) and isinstance(two, dict) and not (is_token(one) or is_token(two)):
            stack += [
                ((*steps, name), one.get(name, ABSENT), two.get(name, ABSENT))
                for name in sorted(one.keys() | two.keys(), reverse=True)
            ]
        elif isinstance(one, list) and isinstance(two, list):
            pairs = _pairs(one, two) if trust else [(n, n) for n in range(len(one))]
            stack += reversed([_child(steps, one, two, pair) for pair in pairs])
        elif type(one) is not type(two) or one != two:
            found.append(Differing(steps, one, two))
    return found


def _child(steps: Steps, one: list[Any], two: list[Any], pair: Pair) -> tuple[Steps, Any, Any]:
    mine, other = pair
    if mine is None:
        assert other is not None
        return (*steps, other), ABSENT, two[other]
    return (*steps, mine), one[mine], ABSENT if other is None else two[other]


# ------------------------------------------------------------------ lists


def _pairs(one: Sequence[Any], two: Sequence[Any]) -> list[Pair]:
    """The items of two lists that differ, in pairs or alone."""
    start, shorter = 0, min(len(one), len(two))
    while start < shorter and one[start] == two[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == two[-1 - end]:
        end += 1
    left, right = range(start, len(one) - end), range(start, len(two) - end)
    if not left or not right or max(len(left), len(right)) > _ITEMS:
        return _in_order(left, right)
    if len(left) == len(right) and not any(isinstance(one[n], dict | list) for n in left):
        return _in_order(left, right)
    mine, other = ([_told(items[n]) for n in some] for items, some in ((one, left), (two, right)))
    pairs: list[Pair] = []
    for kind, a, b, c, d in SequenceMatcher(None, mine, other, autojunk=False).get_opcodes():
        if kind != "equal":
            pairs += _alike(one, two, left[a:b], right[c:d])
    return pairs


def _told(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _in_order(left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    shorter = min(len(left), len(right))
    pairs: list[Pair] = list(zip(left, right, strict=False))
    pairs += [(n, None) for n in left[shorter:]]
    pairs += [(None, n) for n in right[shorter:]]
    return pairs


def _alike(
    one: Sequence[Any], two: Sequence[Any], left: Sequence[int], right: Sequence[int]
) -> list[Pair]:
    """Items paired so that as many as can be are, in order, and the pairs are the most alike."""
    if len(left) == len(right) == 1 or len(left) * len(right) > _ALIKE:
        return _in_order(left, right)
    bags = [[_bag(items[n]) for n in some] for items, some in ((one, left), (two, right))]
    # best[i][j]: what the pairs of the items from i and from j on are worth.
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    worth = [[_worth(a, b) for b in bags[1]] for a in bags[0]]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            best[i][j] = max(worth[i][j] + best[i + 1][j + 1], best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if best[i][j] == worth[i][j] + best[i + 1][j + 1]:
            pairs.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((left[i], None))
            i += 1
        else:
            pairs.append((None, right[j]))
            j += 1
    return pairs + _in_order(left[i:], right[j:])


def _worth(one: Counter[str], two: Counter[str]) -> float:
    # Any partner is better than none: what has one is told place by place.
    return 0.2 + word_diff.common(one, two)


def _bag(item: Any) -> Counter[str]:
    """The words of an item; whose part or of what type it is weighs more than one word."""
    bag: Counter[str] = Counter()
    length = 0
    for name, text in _texts(item):
        bag.update(word_diff.words(text[:_TEXT]))
        if name in ("role", "type"):
            bag[f"{name}={text}"] += 3
        length += len(text)
        if length > _TEXT:
            break
    return bag


def _texts(item: Any) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, Any]] = [("", item)]
    while stack:
        name, here = stack.pop()
        if isinstance(here, dict):
            stack += [(member, here[member]) for member in sorted(here, reverse=True)]
        elif isinstance(here, list):
            stack += [(name, child) for child in reversed(here[:_TEXT])]
        else:
            yield name, here if isinstance(here, str) else json.dumps(here)
