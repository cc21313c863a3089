"""A word diff of two texts that leaves out what is the same.

    … the quick [-brown-]{+red+} fox …

The common start and end are skipped and only the middle is split into words. Words that occur once
in each text are aligned first (Bram Cohen's patience diff); what lies between two of those is
compared in full, up to `_FULL` words, so a megabyte takes a moment. Only the first `_MIDDLE`
characters of a middle are compared.

The library `patiencediff` could align the words; it is under the GPL, and wiretape is not.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, Literal

type RunKind = Literal["same", "removed", "added", "left out"]

_MIDDLE: Final = 20_000
_FULL: Final = 200
"""The most words that are compared each with each, which takes quadratic time."""

_LONG_WORD: Final = 40

# Languages without spaces between words are compared character by character.
_TOKEN: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in both texts, only in the old or only in the new; "left out" stands
    for text that is not shown.
    """

    kind: RunKind
    text: str


def runs(old: str, new: str) -> list[Run]:
    """Both texts as runs in order; if they are too long, a run "left out" ends the list.

    >>> [(run.kind, run.text) for run in runs("say hi", "say bye")]
    [('same', 'say '), ('removed', 'hi'), ('added', 'bye')]
    """
    start = _same_start(old, new)
    end = _same_end(old[start:], new[start:])
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    rest = Run("same", old[len(old) - end :])
    result = [Run("same", old[:start])]
    if max(len(old_middle), len(new_middle)) > _MIDDLE:
        old_middle, new_middle = old_middle[:_MIDDLE], new_middle[:_MIDDLE]
        rest = Run("left out", "")
    result += _compared(_TOKEN.findall(old_middle), _TOKEN.findall(new_middle))
    return list(_joined([*result, rest]))


def shown(diff: Sequence[Run], context: int = 24, limit: int = 400) -> list[Run]:
    """The runs to show: `context` characters of what is the same on either side of a change, the
    beginning of a long change, and about `limit` characters in all.
    """
    result: list[Run] = []
    length = 0
    for number, run in enumerate(diff):
        before, after = number > 0, number < len(diff) - 1
        if length >= limit:
            result.append(Run("left out", ""))
            break
        for piece in _piece(run, context, before=before, after=after, room=limit - length):
            result.append(piece)
            length += len(piece.text)
    return list(_joined(result))


def in_brackets(diff: Iterable[Run]) -> str:
    """Write runs on one line.

    >>> in_brackets(runs("say hi", "say bye"))
    'say [-hi-]{+bye+}'
    """
    marks: dict[RunKind, str] = {
        "same": "{}",
        "removed": "[-{}-]",
        "added": "{{+{}+}}",
        "left out": "…",
    }
    return "".join(marks[run.kind].format(one_line(run.text)) for run in diff)


def one_line(text: str) -> str:
    """A text with its line ends and tabs spelled as JSON spells them."""
    return text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def likeness(old: str, new: str) -> float:
    """The share of words that two texts have in common, from 0 to 1, whatever their order.

    It looks at a bounded part of long texts: enough to tell similar texts from different ones.
    """
    return common(words(old), words(new))


def words(text: str) -> Counter[str]:
    """Count a text's words; of a long text those of its start and its end."""
    if len(text) > 8_000:
        text = text[:4_000] + " " + text[-4_000:]
    return Counter(token for token in _TOKEN.findall(text) if not token.isspace())


def common(old: Counter[str], new: Counter[str]) -> float:
    """The share of words that two counts have in common, from 0 to 1."""
    size = old.total() + new.total()
    return 2 * (old & new).total() / size if size else 1.0


# ------------------------------------------------------------------ comparing


def same_start(old: str, new: str) -> int:
    """How many characters both texts begin with."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old.startswith(new[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _same_start(old: str, new: str) -> int:
    """How many characters both texts begin with, up to the start of a word."""
    same = back = same_start(old, new)
    while back and same - back < _LONG_WORD and _within_word(old, new, back):
        back -= 1
    return same if back and _within_word(old, new, back) else back


def _within_word(old: str, new: str, at: int) -> bool:
    return any(_is_word(text[at - 1 : at]) and _is_word(text[at : at + 1]) for text in (old, new))


def _is_word(character: str) -> bool:
    # A character that is a word of its own is not part of another.
    return (character.isalnum() or character == "_") and not "\u3040" <= character <= "\u9fff"


def _same_end(old: str, new: str) -> int:
    """How many characters both texts end with, from the end of a word."""
    return _same_start(old[::-1], new[::-1])


def _compared(old: list[str], new: list[str]) -> Iterator[Run]:
    new_done = old_done = 0
    for old_at, new_at, size in [*_blocks(old, new), (len(old), len(new), 0)]:
        if old_done < old_at:
            yield Run("removed", "".join(old[old_done:old_at]))
        if new_done < new_at:
            yield Run("added", "".join(new[new_done:new_at]))
        if size:
            yield Run("same", "".join(old[old_at : old_at + size]))
        old_done, new_done = old_at + size, new_at + size


def _blocks(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Where both have the same words: (index in old, index in new, how many)."""
    anchors = _anchors(old, new) if max(len(old), len(new)) > _FULL else []
    for (old_at, new_at), (old_until, new_until) in pairwise(
        [(-1, -1), *anchors, (len(old), len(new))]
    ):
        if old_at >= 0:
            yield old_at, new_at, 1
        old_gap, new_gap = old[old_at + 1 : old_until], new[new_at + 1 : new_until]
        start = end = 0
        shorter = min(len(old_gap), len(new_gap))
        while start < shorter and old_gap[start] == new_gap[start]:
            start += 1
        while end < shorter - start and old_gap[-1 - end] == new_gap[-1 - end]:
            end += 1
        if start:
            yield old_at + 1, new_at + 1, start
        old_gap, new_gap = old_gap[start : len(old_gap) - end], new_gap[start : len(new_gap) - end]
        old_gap, new_gap = old_gap[:_FULL], new_gap[:_FULL]
        if old_gap and new_gap:
            # Matching white space would cut a sentence into words.
            matcher = SequenceMatcher(str.isspace, old_gap, new_gap, autojunk=False)
            for block in matcher.get_matching_blocks():
                if block.size:
                    yield old_at + 1 + start + block.a, new_at + 1 + start + block.b, block.size
        if end:
            yield old_until - end, new_until - end, end


def _anchors(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """The indexes of words that both have exactly once: the longest row that rises in both."""
    olds, news = Counter(old), Counter(new)
    new_at = {word: index for index, word in enumerate(new) if olds[word] == news[word] == 1}
    pairs = [(index, new_at[word]) for index, word in enumerate(old) if word in new_at]
    # Patience sorting: the last of each pile, and what lay on the pile before it.
    piles: list[int] = []
    tops: list[int] = []
    under: list[int] = []
    for number, (_, index) in enumerate(pairs):
        pile = bisect_left(piles, index)
        if pile == len(piles):
            piles.append(index)
            tops.append(number)
        else:
            piles[pile] = index
            tops[pile] = number
        under.append(tops[pile - 1] if pile else -1)
    row: list[tuple[int, int]] = []
    number = tops[-1] if tops else -1
    while number >= 0:
        row.append(pairs[number])
        number = under[number]
    return row[::-1]


# ------------------------------------------------------------------ showing


def _joined(diff: Iterable[Run]) -> Iterator[Run]:
    """Drop empty runs and join neighbours of a kind; of neighbouring changes the removed text goes
    first.
    """
    changes: dict[RunKind, str] = {}
    last: Run | None = None
    for run in diff:
        if run.kind in ("removed", "added"):
            changes[run.kind] = changes.get(run.kind, "") + run.text
            continue
        if not run.text and run.kind == "same":
            continue
        if changes:
            if last is not None:
                yield last
                last = None
            yield from _changes(changes)
            changes = {}
        if last is not None and last.kind == run.kind:
            last = Run(run.kind, last.text + run.text)
        else:
            if last is not None:
                yield last
            last = run
    if last is not None:
        yield last
    yield from _changes(changes)


def _changes(changes: dict[RunKind, str]) -> Iterator[Run]:
    kinds: tuple[RunKind, ...] = ("removed", "added")
    yield from (Run(kind, changes[kind]) for kind in kinds if changes.get(kind))


def _piece(run: Run, context: int, *, before: bool, after: bool, room: int) -> Iterator[Run]:
    """What is shown of a run, next to a change before it, after it or both."""
    text = run.text
    if run.kind != "same":
        longest = max(40, room // 2)
        yield run if len(text) <= longest else Run(run.kind, text[: longest - 1] + "…")
        return
    head = context if before else 0
    tail = context if after else 0
    if len(text) <= head + tail + 8:
        yield run
        return
    yield Run("same", _cut_after(text[:head]))
    yield Run("left out", "")
    yield Run("same", _cut_before(text[len(text) - tail :]))


def _cut_after(text: str) -> str:
    """A text up to its last space, if it has one."""
    cut = text.rfind(" ")
    return text[: cut + 1] if cut > 0 else text


def _cut_before(text: str) -> str:
    cut = text.find(" ")
    return text[cut:] if 0 <= cut < len(text) - 1 else text
