"""Find where two requests differ, with the items of their lists lined up.

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
"""The most differences that are listed."""

_ITEMS: Final = 300
"""Items of a list that are lined up; those of a longer list are paired as they come."""

_ALIKE: Final = 400
"""Pairs of items whose likeness is looked at."""

_TEXT: Final = 2_000

type Steps = tuple[str | int, ...]
type Pair = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Differing:
    """Where two canonical values differ; the steps are those of the request, or of the recorded
    value for what only that has.
    """

    steps: Steps
    got: Any
    recorded: Any

    @property
    def path(self) -> str:
        """The steps as a reader writes them: "body.messages[1].content"."""
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
    """List where two canonical values differ, at most `limit` paths of them, in order.

    >>> differing({"body": {"json": [1, 2, 3]}}, {"body": {"json": [2, 3]}})
    [Differing(steps=('body', 'json', 0), got=1, recorded=absent)]
    """
    # What Python finds equal is passed over, which is fast; but it holds True for 1.
    return _walk(got, recorded, limit, trust=True) or _walk(got, recorded, limit, trust=False)


def _walk(got: Any, recorded: Any, limit: int, *, trust: bool) -> list[Differing]:
    differences: list[Differing] = []
    stack: list[tuple[Steps, Any, Any]] = [((), got, recorded)]
    while stack and len(differences) < limit:
        steps, got, recorded = stack.pop()
        if trust and type(got) is type(recorded) and got == recorded:
            continue
        if (
            isinstance(got, dict)
            and isinstance(recorded, dict)
            and not (is_token(got) or is_token(recorded))
        ):
            stack += [
                ((*steps, name), got.get(name, ABSENT), recorded.get(name, ABSENT))
                for name in sorted(got.keys() | recorded.keys(), reverse=True)
            ]
        elif isinstance(got, list) and isinstance(recorded, list):
            pairs = _pairs(got, recorded) if trust else [(n, n) for n in range(len(got))]
            stack += reversed([_child(steps, got, recorded, pair) for pair in pairs])
        elif type(got) is not type(recorded) or got != recorded:
            differences.append(Differing(steps, got, recorded))
    return differences


def _child(steps: Steps, got: list[Any], recorded: list[Any], pair: Pair) -> tuple[Steps, Any, Any]:
    got_index, recorded_index = pair
    if got_index is None:
        assert recorded_index is not None
        return (*steps, recorded_index), ABSENT, recorded[recorded_index]
    return (
        (*steps, got_index),
        got[got_index],
        ABSENT if recorded_index is None else recorded[recorded_index],
    )


# ------------------------------------------------------------------ lists


def _pairs(got: Sequence[Any], recorded: Sequence[Any]) -> list[Pair]:
    """The items of two lists that differ, in pairs or alone."""
    start, shorter = 0, min(len(got), len(recorded))
    while start < shorter and got[start] == recorded[start]:
        start += 1
    end = 0
    while end < shorter - start and got[-1 - end] == recorded[-1 - end]:
        end += 1
    left, right = range(start, len(got) - end), range(start, len(recorded) - end)
    if not left or not right or max(len(left), len(right)) > _ITEMS:
        return _in_order(left, right)
    if len(left) == len(right) and not any(isinstance(got[n], dict | list) for n in left):
        return _in_order(left, right)
    got_texts, recorded_texts = (
        [_as_text(items[n]) for n in some] for items, some in ((got, left), (recorded, right))
    )
    pairs: list[Pair] = []
    for kind, a, b, c, d in SequenceMatcher(
        None, got_texts, recorded_texts, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            pairs += _aligned(got, recorded, left[a:b], right[c:d])
    return pairs


def _as_text(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _in_order(left: Sequence[int], right: Sequence[int]) -> list[Pair]:
    shorter = min(len(left), len(right))
    pairs: list[Pair] = list(zip(left, right, strict=False))
    pairs += [(n, None) for n in left[shorter:]]
    pairs += [(None, n) for n in right[shorter:]]
    return pairs


def _aligned(
    got: Sequence[Any], recorded: Sequence[Any], left: Sequence[int], right: Sequence[int]
) -> list[Pair]:
    """Items paired so that as many as can be are, in order, and the pairs are the most alike."""
    if len(left) == len(right) == 1 or len(left) * len(right) > _ALIKE:
        return _in_order(left, right)
    word_counts = [
        [_word_counts(items[n]) for n in some] for items, some in ((got, left), (recorded, right))
    ]
    # best[i][j]: what the pairs of the items from i and from j on are worth.
    best = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    similarity = [[_similarity(a, b) for b in word_counts[1]] for a in word_counts[0]]
    for i in reversed(range(len(left))):
        for j in reversed(range(len(right))):
            best[i][j] = max(similarity[i][j] + best[i + 1][j + 1], best[i + 1][j], best[i][j + 1])
    pairs: list[Pair] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if best[i][j] == similarity[i][j] + best[i + 1][j + 1]:
            pairs.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((left[i], None))
            i += 1
        else:
            pairs.append((None, right[j]))
            j += 1
    return pairs + _in_order(left[i:], right[j:])


def _similarity(first: Counter[str], second: Counter[str]) -> float:
    # Any partner is better than none: a pair is compared path by path.
    return 0.2 + word_diff.common(first, second)


def _word_counts(item: Any) -> Counter[str]:
    """The words of an item; its role and type weigh more than one word."""
    counts: Counter[str] = Counter()
    length = 0
    for name, text in _texts(item):
        counts.update(word_diff.words(text[:_TEXT]))
        if name in ("role", "type"):
            counts[f"{name}={text}"] += 3
        length += len(text)
        if length > _TEXT:
            break
    return counts


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
