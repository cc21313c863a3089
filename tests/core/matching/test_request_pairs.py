"""The requests of two runs are paired by what they say, in whatever order they come."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.request_pairs import (
    Pairing,
    SentRequest,
    differences,
    pair_up,
    requests_of,
)

MATCHER = Matcher(built_in())


def sent(name: str, body: Any, target: str = "/v1/chat/completions") -> SentRequest:
    url = f"https://api.openai.com{target}"
    return SentRequest(name, {"method": "POST", "url": url, "endpoint": target, "body": body})


def asks(name: str, prompt: str, run: int) -> SentRequest:
    return sent(name, {"messages": [{"role": "user", "content": prompt}], "run": run})


def names(pairing: Pairing) -> list[tuple[str, str]]:
    return [(pair.first.name, pair.second.name) for pair in pairing.pairs]


@given(st.permutations(range(4)))
def test_concurrent_requests_find_their_own_whatever_the_order(order: list[int]) -> None:
    prompts = ("capital of France?", "tell a joke on cats", "sort these numbers", "who is Ada")
    first = [asks(f"a{n}", prompt, n) for n, prompt in enumerate(prompts)]
    second = [asks(f"b{n}", prompts[n], 100 + n) for n in order]
    assert sorted(names(pair_up(first, second, MATCHER))) == [(f"a{n}", f"b{n}") for n in range(4)]


def test_equal_requests_are_no_pair_and_the_rest_is_named() -> None:
    first = [asks("a0", "hi", 1), asks("a1", "hi", 1), asks("a2", "more", 2)]
    second = [asks("b0", "hi", 1), sent("b1", {"input": "x"}, "/v1/embeddings")]
    pairing = pair_up(first, second, MATCHER)
    assert pairing.equal == 1
    assert pairing.pairs == []
    assert [request.name for request in pairing.only_first] == ["a1", "a2"]
    assert [request.name for request in pairing.only_second] == ["b1"]


def test_what_looks_alike_in_the_same_place_is_paired_in_order() -> None:
    first = [asks(f"a{n}", "hi", n) for n in range(3)]
    second = [asks(f"b{n}", "hi", n + 10) for n in range(3)]
    assert names(pair_up(first, second, MATCHER)) == [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]


def test_a_title_is_not_paired_with_a_question() -> None:
    def title(name: str, run: int) -> SentRequest:
        return sent(name, {"system": "make a title", "messages": [], "run": run})

    pairing = pair_up([title("a0", 1), asks("a1", "hi", 2)], [asks("b0", "hi", 3)], MATCHER)
    assert names(pairing) == [("a1", "b0")]
    assert [found.path for found in differences(pairing.pairs[0], MATCHER)] == ["body.run"]
    assert requests_of(pairing.pairs * 2) == [pairing.pairs[0].first, pairing.pairs[0].second]
