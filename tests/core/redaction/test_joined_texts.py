"""Strings that are only looked at are joined as those that are searched."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import check_each
from tests.support.limits import examples

from wiretape.core.redaction import joined_texts
from wiretape.core.redaction.joined_texts import JoinedTexts
from wiretape.core.redaction.stream_texts import TextPath, is_text, leaves, merged

_NAME_TEXT = """
    choices index delta content logprobs top_logprobs tokens token_strings parts text token logprob
    type content_block 7 decoded_token rank thought output_index item id bytes
"""
NAMES = st.sampled_from(_NAME_TEXT.split())
STRINGS = st.sampled_from(["", "a", "b", "cd", "content_block_start", "message"])
ATOMS = st.one_of(STRINGS, st.integers(0, 2), st.none(), st.booleans(), st.just(-0.5))
ROWS = st.tuples(st.just(-0.5), st.integers(0, 9), STRINGS).map(list)
EVENTS = st.recursive(
    ATOMS | ROWS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


def joined_leaves(values: list[Any], *, singles: bool) -> list[str] | None:
    """As `JoinedTexts` joins them, from the leaves that a search takes apart."""
    by_path: dict[TextPath, list[tuple[int, str]]] = {}
    for chunk, value in enumerate(values):
        for leaf in leaves(value)[0]:
            by_path.setdefault(leaf.path, []).append((chunk, leaf.text))
    single = ((path, texts[0][0]) for path, texts in by_path.items() if len(texts) == 1)
    if merged(single):
        return None
    return [
        "".join(text for _, text in texts)
        for path, texts in by_path.items()
        if (singles if len(texts) == 1 else is_text(path) or len({text for _, text in texts}) > 1)
    ]


def check(values: list[Any], *, singles: bool) -> None:
    texts = JoinedTexts()
    texts.add(values, range(len(values)))
    joined, expected = texts.joined(singles=singles), joined_leaves(values, singles=singles)
    assert (joined is None) == (expected is None)
    assert sorted(joined or ()) == sorted(expected or ())


def changed(value: Any, letter: str) -> Any:
    """A value of the same shape with other texts."""
    if isinstance(value, list):
        return [changed(item, letter) for item in value]
    if isinstance(value, dict):
        return {name: changed(item, letter) for name, item in value.items()}
    return value + letter if isinstance(value, str) else value


@pytest.mark.parametrize(("few", "deep"), [(0, 20), (0, 2), (4, 20)])
def test_what_is_only_looked_at_is_joined_as_what_is_searched(
    few: int, deep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined_texts, "_FEW", few)
    monkeypatch.setattr(joined_texts, "_DEEP", deep)

    @settings(max_examples=examples(150), deadline=None)
    @given(st.lists(EVENTS, max_size=4), st.sampled_from(("", "a", "abcde")), st.booleans())
    def property_holds(values: list[Any], letters: str, singles: bool) -> None:
        check(
            values + [changed(value, each) for each in letters for value in values], singles=singles
        )

    property_holds()


DELTA = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
STREAMS: dict[str, Any] = {
    "texts of one shape": [DELTA] * 9,
    "a text that goes on in another shape": [DELTA, {**DELTA, "usage": None}] * 5,
    "two choices in turns": [DELTA, {"choices": [{"index": 1, "delta": {"content": "b"}}]}] * 5,
    "two choices at once": [{"choices": [*DELTA["choices"], {"index": 1, "text": "b"}]}] * 5,
    "parts": [{"parts": [{"text": "a"}, {"text": "b"}, "c"]}, {"parts": [{"text": "d"}]}] * 5,
    "a list as content": [{"delta": {"content": [{"text": "a"}, {"text": "b"}]}}] * 5,
    "a number that is none": [{"index": "0", "text": "a"}, {"index": 0, "text": "b"}] * 5,
    "true for a number": [{"thought": True, "text": "a"}, {"thought": 1, "text": "b"}] * 5,
    "tokens by their numbers": [{"7": {"decoded_token": "a"}, "8": {"decoded_token": "b"}}] * 5,
    "log probabilities": [{"tokens": [{"token": "a", "logprob": -1}] * 2}] * 5,
    "no first item": [{"tokens": [None, {"token": "a", "logprob": -1}]}] * 5,
    "rows": [{"meta": {"top_logprobs": [[-1.5, 7, "a"], [-2.5, 8, "b"]]}}] * 5,
    "blocks": [{"type": "content_block_start", "index": 0, "content_block": {"text": "a"}}] * 5
    + [{"type": "content_block_delta", "index": 0, "delta": {"text": "b"}}] * 5,
    "a text for a block": [{"content_block": "a", "delta": "b"}] * 5,
    "texts, objects and lists in one place": [{"a": "b"}, {"a": {"b": "c"}}, {"a": ["d"]}, "e"] * 5,
    "deep": [json.loads('{"a":' * 30 + '["b"]' + "}" * 30)] * 5,
    "deeper than is looked": [json.loads('{"a":' * 300 + '"b"' + "}" * 300)] * 5,
}


def test_streams_are_joined_as_they_are_searched() -> None:
    def check_stream(values: Any) -> None:
        values = [changed(value, f"{number}.") for number, value in enumerate(values)]
        check(values, singles=False)
        check(values, singles=True)

    check_each(check_stream, STREAMS)


def test_texts_of_one_shape_are_not_walked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JoinedTexts, "_into", lambda *_: pytest.fail("walked"))
    for name in ("texts of one shape", "two choices in turns", "parts", "blocks"):
        texts = JoinedTexts()
        texts.add(STREAMS[name], range(len(STREAMS[name])))
        assert texts.joined()


def test_numbers_that_count_the_chunks_take_more_than_joining() -> None:
    texts = JoinedTexts()
    texts.add([{"index": chunk, "text": "a"} for chunk in range(4)], range(4))
    assert texts.joined() is None
