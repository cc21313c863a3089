"""What a calibration found, in words and as JSON."""

from typing import Any

import pytest

from wiretape.calibration.printing import as_json, lines
from wiretape.calibration.rounds import CalibrationOutcome, RunSummary
from wiretape.core.matching.calibration import Proof, calibrate
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.request_pairs import RequestPair, SentRequest
from wiretape.core.providers.registry import Providers


def asks(prompt: str, run: str) -> SentRequest:
    body = {"prompt": prompt, "metadata": {"run": run}}
    return SentRequest(run, {"method": "POST", "url": "https://llm.example/v1", "body": body})


def outcome(*pairs: RequestPair, **more: Any) -> CalibrationOutcome:
    first = RunSummary(number=1, status=0, recorded=2, replayed=0, varied=0)
    second = RunSummary(number=2, status=0, recorded=0, replayed=1, varied=1)
    calibration = calibrate(pairs, Matcher(Providers(())))
    return CalibrationOutcome(runs=[first, second], calibration=calibration, **more)


def printed(found: CalibrationOutcome, *, written: bool = False) -> str:
    return "\n".join(lines(found, "config.yaml", written=written))


VARIED = RequestPair(asks("hi", "r-1"), asks("hi", "r-2"))
ASKED = RequestPair(asks("hi", "r"), asks("ho\x1b[31m", "r"))
PROOF = Proof(pairs=1, replayed=1, prompts=3)


def test_each_run_has_a_line() -> None:
    text = printed(outcome())
    assert text.startswith("run 1: 2 requests recorded\nrun 2: 1 of 2 requests answered from run 1")


def test_a_rule_is_shown_with_what_varies_and_what_it_hides() -> None:
    text = printed(outcome(VARIED, proven=True, proof=PROOF))
    assert '  varies: id: body.metadata.run: got "r-2", recorded "r-1"' in text
    assert "  hides: which id $.metadata.run is" in text
    assert "tried: 1 of 1 varied request equal under the rules; of 3 texts" in text
    assert text.endswith("--write adds them to config.yaml")
    written = printed(outcome(VARIED, proven=True, proof=PROOF), written=True)
    assert written.endswith("config.yaml: rules added")


def test_what_cannot_be_tamed_says_why_and_no_terminal_obeys_it() -> None:
    text = printed(outcome(ASKED, proven=True))
    assert "cannot be tamed: body.prompt: got " in text
    assert "it is a part of what is asked" in text
    assert "\x1b" not in text
    assert text.endswith("CMD does not replay yet; nothing is written")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            {"only_later": ("POST /a", "POST /b")},
            "run 2 sent 2 requests that run 1 did not: POST",
        ),
        ({"only_first": ("POST /a",)}, "run 2 did not send 1 request of run 1: POST /a"),
        ({"withheld": {"- name: x": "recordings would be equal"}}, "withheld: recordings would be"),
        ({"proven": True}, "CMD replays: run 2 was answered from run 1 alone, and needs no rules"),
    ],
)
def test_what_else_was_found_has_a_line(more: dict[str, Any], line: str) -> None:
    assert line in printed(outcome(**more))


def test_json_has_all_of_it() -> None:
    document = as_json(outcome(VARIED, ASKED, proof=PROOF), "config.yaml", written=False)
    (rule,) = document["rules"]
    assert rule["hides"] == ["which id $.metadata.run is"]
    assert rule["variations"][0]["first"] == "r-1"
    assert rule["variations"][0]["later"] == "r-2"
    assert [each["place"] for each in document["untamed"]] == ["body.prompt"]
    assert document["proof"]["holds"] is True
    assert (document["settled"], document["problem"]) == (False, None)
    assert [run["number"] for run in document["runs"]] == [1, 2]
