"""What is written in a row is what is read of it."""

import pytest

from wiretape.core.cost.usage import Usage
from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.index_rows import blob, ids_of, known_of, known_text, usage_of, usage_text


@pytest.mark.parametrize(
    "known", [KnownRequest("ab" * 32), KnownRequest("cd" * 32, ("a", "é"), "m", ("rule", "other"))]
)
def test_what_is_known_of_a_request(known: KnownRequest) -> None:
    assert known_of(blob(known.key), known_text(known)) == known


@pytest.mark.parametrize(
    "usage",
    [None, Usage(0, 0), Usage(3, None), Usage(None, 7), Usage(9, 8, cached=1, cache_write=2)],
)
def test_a_usage(usage: Usage | None) -> None:
    read = usage_of(usage_text(usage))
    assert (read is None) == (usage is None)
    assert read is None or usage is None or read.as_json() == usage.as_json()


def test_ids() -> None:
    assert ids_of('[["a", "created"], ["b", "named"]]') == (
        AnswerId("a", "created"),
        AnswerId("b", "named"),
    )
    assert ids_of("") == ()
