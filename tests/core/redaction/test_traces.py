"""What a recording tells of the values that it holds in redacted form."""

import pytest

from wiretape.core.redaction.token_ids import Mark
from wiretape.core.redaction.traces import KnownTraces, traces_in

FILES = {
    b'{"tok": "REDACTED-secret-3f9a1c07"}': KnownTraces(frozenset({"3f9a1c07"})),
    b'{"a": "REDACTED-secret", "b": "REDACTED-openai-key-3f9a1c07"}': KnownTraces(),
    b'{"context": [1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0]}': KnownTraces(
        marks=frozenset({Mark(11, "12345678")})
    ),
    b'{"tokenIds": ["1","2","3","4","5","6","7","8","1"]}': KnownTraces(
        marks=frozenset({Mark(9, "12345678")})
    ),
    b'{"prompt": [\n[1, 2, 3, 4, 5, 6, 7, 8, 1, 0]]}': KnownTraces(
        marks=frozenset({Mark(10, "12345678")})
    ),
    b'{"context": [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0]}': KnownTraces(),
    b'{"context": [1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 512]}': KnownTraces(),
    b'{"scores": [1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0]}': KnownTraces(),
    b"\xff{}": KnownTraces(),
}


@pytest.mark.parametrize("data", FILES)
def test_traces_are_read_from_a_file(data: bytes) -> None:
    assert KnownTraces.of(traces_in(data)) == FILES[data]
