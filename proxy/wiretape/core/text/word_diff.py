"""How one text became another, word by word, with what is the same left out.

    … the quick [-brown-]{+red+} fox …

Only the middle, between what two texts begin and end with, is taken apart into words; there the
words that each text has once are lined up first (the idea of Bram Cohen's patience diff), and what
is between two of them is compared in full, up to a number of words. So a megabyte takes a moment.
Of a middle that is longer than `_MIDDLE` characters the first ones are compared.
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
"""Words of which each is compared with each, which takes time by the square: the first ones."""

_LONG_WORD: Final = 40

# A language that puts no spaces between words is compared character by character.
_TOKEN: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text that is in both, in the old one only or in the new one only; "left out"
    stands for any text that need not be shown.
    """

    kind: RunKind
    text: str


def runs(old: str, new: str) -> list[Run]:
    """Both texts as runs in order: without the added ones the old text, without the removed ones
    the new one, up to a run "left out" where they are too long.
    """
    start = _same_start(old, new)
    end = _same_end(old[start:], new[start:])
    one, two = old[start : len(old) - end], new[start : len(new) - end]
    rest = old[len(old) - end :]
    found = [Run("same", old[:start])]
    if max(len(one), len(two)) > _MIDDLE:
        one, two, rest = one[:_MIDDLE], two[:_MIDDLE], ""
        found += [*_compared(_TOKEN.findall(one), _TOKEN.findall(two)), Run("left out", "")]
    else:
        found += _compared(_TOKEN.findall(one), _TOKEN.findall(two))
    found.append(Run("same", rest))
    return list(_joined(found))


def shown(found: Sequence[Run], context: int = 24, limit: int = 400) -> list[Run]:
    """The runs to show: of what is the same `context` characters beside a change, of a long change
    its beginning, and `limit` characters or little more in all.
    """
    result: list[Run] = []
    length = 0
    for number, run in enumerate(found):
        before, after = number > 0, number < len(found) - 1
        if length >= limit:
            result.append(Run("left out", ""))
            break
        for piece in _piece(run, context, before=before, after=after, room=limit - length):
            result.append(piece)
            length += len(piece.text)
    return list(_joined(result))


def plain(found: Iterable[Run]) -> str:
    """Runs on one line of plain text: "… the quick [-brown-]{+red+} fox …"."""
    marks: dict[RunKind, str] = {
        "same": "{}",
        "removed": "[-{}-]",
        "added": "{{+{}+}}",
        "left out": "…",
    }
    return "".join(marks[run.kind].format(one_line(run.text)) for run in found)


def one_line(text: str) -> str:
    """A text with its line ends and tabs spelled as JSON spells them."""
    return text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def likeness(one: str, two: str) -> float:
    """How much two texts have in common, from 0 to 1, by their words and without their order;
    exact enough to tell a near text from a far one, and bounded.
    """
    return common(words(one), words(two))


def words(text: str) -> Counter[str]:
    """A text's words with their counts; of a long one those of its start and its end."""
    if len(text) > 8_000:
        text = text[:4_000] + " " + text[-4_000:]
    return Counter(token for token in _TOKEN.findall(text) if not token.isspace())


def common(one: Counter[str], two: Counter[str]) -> float:
    """The part of two texts' words that they share, from 0 to 1."""
    size = one.total() + two.total()
    return 2 * (one & two).total() / size if size else 1.0


# ------------------------------------------------------------------ comparing


def same_start(one: str, two: str) -> int:
    """How many characters two texts both begin with."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(two[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _same_start(one: str, two: str) -> int:
    """How many characters both begin with, back to where a word begins."""
    same = back = same_start(one, two)
    while back and same - back < _LONG_WORD and _within_word(one, two, back):
        back -= 1
    return same if back and _within_word(one, two, back) else back


def _within_word(one: str, two: str, at: int) -> bool:
    return any(_is_word(text[at - 1 : at]) and _is_word(text[at : at + 1]) for text in (one, two))


def _is_word(character: str) -> bool:
    # Not a word's part where each character is a word of its own.
    return (character.isalnum() or character == "_") and not "\u3040" <= character <= "\u9fff"


def _same_end(one: str, two: str) -> int:
    """How many characters both end with, from where a word ends."""
    return _same_start(one[::-1], two[::-1])


def _compared(old: list[str], new: list[str]) -> Iterator[Run]:
    at = was = 0
    for one, two, size in [*_blocks(old, new), (len(old), len(new), 0)]:
        if was < one:
            yield Run("removed", "".join(old[was:one]))
        if at < two:
            yield Run("added", "".join(new[at:two]))
        if size:
            yield Run("same", "".join(old[one : one + size]))
        was, at = one + size, two + size


def _blocks(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Where both have the same words: (place in old, place in new, how many)."""
    anchors = _anchors(old, new) if max(len(old), len(new)) > _FULL else []
    for (one, two), (until_one, until_two) in pairwise([(-1, -1), *anchors, (len(old), len(new))]):
        if one >= 0:
            yield one, two, 1
        left, right = old[one + 1 : until_one], new[two + 1 : until_two]
        start = end = 0
        shorter = min(len(left), len(right))
        while start < shorter and left[start] == right[start]:
            start += 1
        while end < shorter - start and left[-1 - end] == right[-1 - end]:
            end += 1
        if start:
            yield one + 1, two + 1, start
        left, right = left[start : len(left) - end], right[start : len(right) - end]
        left, right = left[:_FULL], right[:_FULL]
        if left and right:
            # White space that happens to be the same would cut a sentence into words.
            matcher = SequenceMatcher(str.isspace, left, right, autojunk=False)
            for block in matcher.get_matching_blocks():
                if block.size:
                    yield one + 1 + start + block.a, two + 1 + start + block.b, block.size
        if end:
            yield until_one - end, until_two - end, end


def _anchors(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """The longest rising row of words that both have exactly once."""
    olds, news = Counter(old), Counter(new)
    places = {word: place for place, word in enumerate(new) if olds[word] == news[word] == 1}
    pairs = [(place, places[word]) for place, word in enumerate(old) if word in places]
    # Patience sorting: the last of each pile, and what lay on the pile before it.
    piles: list[int] = []
    tops: list[int] = []
    under: list[int] = []
    for number, (_, place) in enumerate(pairs):
        pile = bisect_left(piles, place)
        if pile == len(piles):
            piles.append(place)
            tops.append(number)
        else:
            piles[pile] = place
            tops[pile] = number
        under.append(tops[pile - 1] if pile else -1)
    row: list[tuple[int, int]] = []
    number = tops[-1] if tops else -1
    while number >= 0:
        row.append(pairs[number])
        number = under[number]
    return row[::-1]


# ------------------------------------------------------------------ showing


def _joined(found: Iterable[Run]) -> Iterator[Run]:
    """The runs without empty ones, and neighbours of one kind as one; of neighbouring changes the
    removed text goes first.
    """
    held: dict[RunKind, str] = {}
    last: Run | None = None
    for run in found:
        if run.kind in ("removed", "added"):
            held[run.kind] = held.get(run.kind, "") + run.text
            continue
        if not run.text and run.kind == "same":
            continue
        if held:
            if last is not None:
                yield last
                last = None
            yield from _held(held)
            held = {}
        if last is not None and last.kind == run.kind:
            last = Run(run.kind, last.text + run.text)
        else:
            if last is not None:
                yield last
            last = run
    if last is not None:
        yield last
    yield from _held(held)


def _held(held: dict[RunKind, str]) -> Iterator[Run]:
    kinds: tuple[RunKind, ...] = ("removed", "added")
    yield from (Run(kind, held[kind]) for kind in kinds if held.get(kind))


def _piece(run: Run, context: int, *, before: bool, after: bool, room: int) -> Iterator[Run]:
    """A run as it is shown, beside a change before it, after it or both."""
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
    """A text up to its last whole word, where it has spaces."""
    cut = text.rfind(" ")
    return text[: cut + 1] if cut > 0 else text


def _cut_before(text: str) -> str:
    cut = text.find(" ")
    return text[cut:] if 0 <= cut < len(text) - 1 else text
