"""llama-stack's recordings are read in every spelling a client may ask them in."""

import io
import json

import pytest
from tests.support import paths

from wiretape.core.errors import FormatError
from wiretape.exchange_formats import stored
from wiretape.exchange_formats.foreign import ForeignExchange, LeftOut


def test_the_seeds_are_read() -> None:
    for path in sorted(paths.RECORDINGS.rglob("*.json")):
        with path.open("rb") as file:
            items = list(stored.read(file))
        assert items
        for item in items:
            assert isinstance(item, ForeignExchange)
            assert item.body
            assert item.outcome == "ended"


def test_each_spelling_of_a_call_has_the_answer() -> None:
    document = {
        "request": {
            "method": "POST",
            "url": "http://localhost:11434/api/chat",
            "endpoint": "/api/chat",
            "body": {"model": "m", "messages": []},
        },
        "response": {"body": {"__type__": "t", "__data__": {"done": True}}, "is_streaming": False},
    }
    items = list(stored.read(io.BytesIO(json.dumps(document).encode())))
    bodies = [item.request.body for item in items if isinstance(item, ForeignExchange)]
    assert len(set(bodies)) == 2


def test_what_never_was_http_is_left_out() -> None:
    document = {"request": {"provider": "tavily", "tool_name": "search"}, "response": {}}
    (item,) = stored.read(io.BytesIO(json.dumps(document).encode()))
    assert isinstance(item, LeftOut)
    assert "Python call" in item.reason


@pytest.mark.parametrize(
    ("text", "said"), [(b"{", "not JSON"), (b"[]", "an object"), (b'{"wiretape": 1}', "copy it")]
)
def test_what_is_none_is_a_fault(text: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        list(stored.read(io.BytesIO(text)))
