"""What a recording holds in redacted form, and tells again in a later request: the digests of
placeholders, the marks of neutral lists of token ids.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from .token_ids import Mark, marks_in

_DIGEST: Final = re.compile(rb"REDACTED-secret-([0-9a-f]{8})(?![0-9a-f])")


class KnownTraces(NamedTuple):
    """What recordings hold in redacted form. Of a value that fits a pattern the digest does not
    count: any key is as good as another.

    >>> KnownTraces.of(traces_in(b'"tok": "REDACTED-secret-3f9a1c07"'))
    KnownTraces(digests=frozenset({'3f9a1c07'}), marks=frozenset())
    """

    digests: frozenset[str] = frozenset()
    marks: frozenset[Mark] = frozenset()

    @classmethod
    def of(cls, traces: Iterable[str]) -> Self:
        """From the traces of recordings, as an index keeps them."""
        digests, marks = set(), set()
        for trace in traces:
            length, is_mark, digits = trace.partition(":")
            if is_mark:
                marks.add(Mark(int(length), digits))
            else:
                digests.add(trace)
        return cls(frozenset(digests), frozenset(marks))


def traces_in(recording: bytes) -> frozenset[str]:
    """The traces of a recording file: a digest, or LENGTH:DIGITS of a list."""
    traces = {f"{mark.length}:{mark.digits}" for mark in marks_in(recording)}
    if b"REDACTED-secret-" in recording:
        traces.update(digest.decode() for digest in _DIGEST.findall(recording))
    return frozenset(traces)
