import re

import pytest

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Chunk, Request, Response
from wiretape.core.playback.faults import Fault, FaultRule, Faults

STREAM = Response(
    200,
    (("content-type", "text/event-stream"),),
    tuple(Chunk(b'data: {"n":%d}\n\n' % n, n / 10) for n in range(5)),
    streaming=True,
)
WHOLE = Response(200, (("content-type", "application/json"),), (Chunk(b'{"a":1}', 0.1),))
REQUEST = Request("POST", "https", "api.openai.com", 443, "/v1/chat/completions")


def canonical(body: object = None):  # type: ignore[no-untyped-def]
    document = {"method": "POST", "url": REQUEST.url, "headers": {}, "body": body}
    return Matcher(built_in()).canonical(document)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("status=503", Fault("header", status=503)),
        (
            "rate-limit=30, probability=0.5, seed=7",
            Fault("header", rate_limit=30.0, probability=0.5, seed=7),
        ),
        ("delay=2.5,cut=3", Fault("header", delay=2.5, cut=3)),
        ("malformed=1", Fault("header", malformed=1)),
    ],
)
def test_a_header_names_a_fault(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected NAME=NUMBER"),
        ("explode=1", "got 'explode=1'"),
        ("cut=x", "got 'cut=x'"),
        ("cut=-1", "got 'cut=-1'"),
        ("cut=1,cut=2", "each once"),
        ("probability=0.5", "expected one of status, delay"),
        ("status=200", "status: expected a number from 400 to 599"),
        ("delay=9999", "delay: expected a number from 0 to 3600"),
        ("probability=2,cut=1", "probability: expected a number from 0 to 1"),
        ("status=500,cut=1", "status and cut exclude each other"),
    ],
)
def test_a_header_that_names_none_is_told_what_would(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Fault.parse(text)


def test_a_status_is_told_in_the_providers_shape() -> None:
    answer = Fault("down", status=529).apply(STREAM, "anthropic")
    assert answer.status == 529
    assert answer.body.startswith(b'{"type":"error","error":{"type":"wiretape_fault"')
    assert b"a fault on demand (down)" in answer.body


def test_a_rate_limit_says_when_to_come_again() -> None:
    answer = Fault("busy", rate_limit=1.5).apply(WHOLE, "openai")
    assert answer.status == 429
    assert ("retry-after", "1.5") in answer.headers


@pytest.mark.parametrize(
    ("what", "end"), [("cut", "cut"), ("reset", "reset"), ("stall", "timeout")]
)
def test_a_stream_ends_after_some_chunks(what: str, end: str) -> None:
    answer = Fault("f", **{what: 2}).apply(STREAM, "openai")
    assert answer.chunks == STREAM.chunks[:2]
    assert answer.end == end


def test_a_whole_answer_is_cut_in_its_middle() -> None:
    answer = Fault("f", cut=1).apply(WHOLE, "openai")
    assert (answer.body, answer.end) == (b'{"a', "cut")
    assert Fault("f", cut=0).apply(WHOLE, "openai").body == b""


def test_one_chunk_comes_malformed_and_the_others_as_they_are() -> None:
    answer = Fault("f", malformed=2).apply(STREAM, "openai")
    assert answer.chunks[1].data == b'data: {"n":1\n\n'
    assert answer.chunks[0] == STREAM.chunks[0]
    assert answer.chunks[2:] == STREAM.chunks[2:]
    assert answer.end == "complete"


def test_a_chunk_that_never_comes_is_not_malformed() -> None:
    assert Fault("f", malformed=9).apply(STREAM, "openai") == STREAM


def test_a_delay_leaves_the_answer_as_it_is() -> None:
    assert Fault("f", delay=1.0).apply(STREAM, "openai") == STREAM


def rules(*faults: Fault, **when: object) -> Faults:
    return Faults(FaultRule(f, Rule(f.name, **when)) for f in faults)  # type: ignore[arg-type]


def test_the_first_rule_that_fits_gives_the_fault() -> None:
    first, second = Fault("a", cut=1), Fault("b", cut=2)
    assert rules(first, second).choose(["openai"], REQUEST, canonical()) is first


@pytest.mark.parametrize(
    "when",
    [
        {"provider": "anthropic"},
        {"method": "GET"},
        {"path": "/v1/embeddings"},
        {"host": "*.example.com"},
        {"body": lambda body: body == {"stream": True}},
    ],
)
def test_a_rule_for_other_requests_gives_none(when: dict[str, object]) -> None:
    chosen = rules(Fault("a", cut=1), **when)
    assert chosen.choose(["openai"], REQUEST, canonical({"stream": False})) is None


def test_a_rule_may_look_at_the_body() -> None:
    chosen = rules(Fault("a", cut=1), body=lambda body: body == {"stream": True})
    assert chosen.choose(["openai"], REQUEST, canonical({"stream": True})) is not None


def test_chances_are_the_same_in_every_run() -> None:
    fault = Fault("a", cut=1, probability=0.3, seed=1)
    faults, again = Faults(), Faults()
    first = [faults.strikes(fault) for _ in range(200)]
    assert first == [again.strikes(fault) for _ in range(200)]
    assert 30 < sum(first) < 90
    other = Faults()
    assert first != [other.strikes(Fault("a", cut=1, probability=0.3, seed=2)) for _ in first]


def test_a_fault_without_a_chance_never_strikes() -> None:
    assert not Faults().strikes(Fault("a", cut=1, probability=0.0))
