"""Sketches: find which of many recordings are nearly equal to a request without reading them.

A sketch is a one-permutation minhash (Li, Owen and Zhang, "One Permutation Hashing", NIPS 2012).
What a value says is taken apart into features: each leaf under its path, and for a text its pairs
of words. Each feature falls by its hash into one of 512 bins; a bin keeps two bits of the smallest
hash that fell into it, or none. Two sketches differ in more bits the less the values have in
common. A list's index is no part of a path, so a message put in front moves nothing.

A sketch is good for choosing candidates and for nothing else: nothing is ever matched by it. It is
the same on every machine and in every run, so an index may keep it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from heapq import nsmallest
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

LENGTH: Final = 128
"""Bytes of a sketch."""

_MIX: Final = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads what CRC-32 leaves in patterns
_WORD_BITS: Final = 2**64 - 1
_ORDER_BITS: Final = 2**32 - 1

# A long text counts as this many pairs of words, so that a system prompt does not drown a question.
_PAIRS: Final = 16
_END: Final = 16 * 1024
_MOST_CACHED: Final = 4096
_LEAVES: Final = 20_000
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w{1,40}")


def sketch(value: dict[str, Any]) -> bytes:
    """What a canonical value says, in `LENGTH` bytes; in time bounded by `value`'s size."""
    # The last one of a bin stays, which is the smallest.
    smallest = {feature >> 32: feature for feature in sorted(_features(value), reverse=True)}
    bits = 0
    for number, feature in smallest.items():
        # Never 0, which is an empty bin: in a small value each feature is to be seen.
        bits |= (1 + (feature & _ORDER_BITS) % 3) << 2 * number
    return bits.to_bytes(LENGTH, "little")


def _mixed(feature: int) -> int:
    """A feature's bin, and below it the 32 bits by which it is the smallest there."""
    return (feature * _MIX & _WORD_BITS) >> 23


class Sketches[T]:
    """Sketches by name, to find those nearest to others in: a tenth of a second for a million."""

    def __init__(self, sketches: Iterable[tuple[T, bytes]]) -> None:
        pairs = [(name, int.from_bytes(data, "little")) for name, data in sketches]
        self._names: Final = [name for name, _ in pairs]
        self._values: Final = [value for _, value in pairs]

    def __len__(self) -> int:
        return len(self._names)

    def nearest(self, sketch: bytes, limit: int) -> list[T]:
        """The names of the `limit` nearest, nearest first; those that are as near stay in order."""
        mine = int.from_bytes(sketch, "little")
        distances = [(mine ^ value).bit_count() for value in self._values]
        furthest, count = 8 * LENGTH, 0
        for distance, number in sorted(Counter(distances).items()):
            count += number
            if count >= limit:
                furthest = distance
                break
        near = [at for at, distance in enumerate(distances) if distance <= furthest]
        near.sort(key=distances.__getitem__)
        return [self._names[at] for at in near[:limit]]


def rank[T](sketch: bytes, others: Iterable[tuple[T, bytes]], limit: int) -> list[T]:
    """The `limit` nearest of `others`, as `Sketches.nearest` has them."""
    return Sketches(others).nearest(sketch, limit)


def _features(value: dict[str, Any]) -> list[int]:
    """The mixed hashes of what a value says, at most those of its first `_LEAVES` leaves."""
    features: list[int] = []
    seen: dict[int, int] = {}
    leaves = 0
    stack: list[tuple[int, Any]] = [(0, value)]
    while stack and leaves < _LEAVES:
        path, here = stack.pop()
        if isinstance(here, dict):
            stack += [(_below(path, name), item) for name, item in here.items()]
            continue
        if isinstance(here, list):
            under = crc32(b"[]", path)
            stack += [(under, item) for item in here[:_LEAVES]]
            continue
        leaves += 1
        if isinstance(here, str):
            read = _text if len(here) <= _MOST_CACHED else _text.__wrapped__
            leaf, pairs = read(here, path)
            features += pairs
        else:
            leaf = crc32(repr(here).encode(), ~path & 0xFFFFFFFF)
        # The third "user" of a conversation is another feature than the second.
        times = seen[leaf] = seen.get(leaf, 0) + 1
        features.append(_mixed(leaf + (times << 32)))
    return features


@lru_cache(maxsize=4096)
def _below(path: int, name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass"), path + 1)


# Most texts of a request are in the others of its folder, too.
@lru_cache(maxsize=2048)
def _text(text: str, path: int) -> tuple[int, tuple[int, ...]]:
    """The hash of a text, and the mixed ones of its pairs of neighbouring words; of a long text
    those that are smallest: a choice that does not depend on where a pair stands.
    """
    leaf = crc32(text.encode("utf-8", "surrogatepass"), path)
    if len(text) > 2 * _END:
        text = f"{text[:_END]} {text[-_END:]}"
    texts = _WORD.findall(text)
    if len(texts) < 2:
        return leaf, ()
    words = [crc32(word.encode("utf-8", "surrogatepass"), path) for word in texts]
    pairs = {(31 * first + second) * _MIX >> 16 & _ORDER_BITS for first, second in pairwise(words)}
    few = pairs if len(pairs) <= _PAIRS else nsmallest(_PAIRS, pairs)
    return leaf, tuple([_mixed(pair) for pair in few])
