"""Reports say each change once, and no provider's words become anything but words in them."""

from typing import Any
from xml.etree import ElementTree

import pytest

from wiretape.core.drift.rules import FoundChange, JudgedChange
from wiretape.core.model import Request
from wiretape.drift.measure import DriftReport, Measurement
from wiretape.drift.printing import as_json, junit, lines, markdown
from wiretape.drift.targets import Target

HOSTILE = "x|y`<img src=z>`[a](http://e) **b** #1 @me\x1b[2J"


def measurement(name: str, *changes: tuple[str, str], **more: Any) -> Measurement:
    request = Request("POST", "https", "api.openai.com", 443, "/v1/responses")
    target = Target(
        names=(name,),
        session=None,
        provider=None,
        provider_name="openai",
        request=request,
        model="m",
    )
    judged: Any = tuple(
        JudgedChange(FoundChange(tier="shape", change="member-went", path=path), verdict)  # type: ignore[arg-type]
        for path, verdict in changes
    )
    return Measurement(target=target, changes=judged, **more)


REPORT = DriftReport(
    measurements=[
        *(measurement(f"{n}.json", ("answer.id", "regression")) for n in range(5)),
        measurement("new.json", (HOSTILE, "new"), ("answer.b", "benign")),
        measurement("same.json"),
        measurement("failed.json", failed="no key for openai"),
        measurement("skipped.json", skipped="a WebSocket"),
    ],
    unreadable=["broken.json: not JSON"],
)


def test_a_change_of_many_recordings_is_one_row() -> None:
    text = markdown(REPORT, "wiretape drift")
    rows = [line for line in text.splitlines() if line.startswith("| ❌")]
    assert rows == [
        "| ❌ regression | **shape** `answer.id: a member went` | `0.json`<br>`1.json`<br>`2.json`"
        "<br>and 2 more |"
    ]
    assert "7 of 9 measured: 5 regressions, 1 new, 1 same; 1 skipped; 1 not measured" in text
    assert "- ⏭️ skipped: `a WebSocket`: `skipped.json`" in text
    assert "unreadable: `broken.json: not JSON`" in text


def test_what_a_provider_names_stays_text() -> None:
    [row] = [line for line in markdown(REPORT, "t").splitlines() if line.startswith("| 🆕")]
    assert row == (
        "| 🆕 new | **shape** `x¦y'<img src=z>'[a](http://e) **b** #1 @me�[2J: a member went`"
        " | `new.json` |"
    )
    root = ElementTree.fromstring(junit(REPORT, HOSTILE))
    suite = root[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == list("9511")
    assert "\x1b" not in ElementTree.tostring(root, encoding="unicode")


def test_json_and_lines_have_every_request() -> None:
    outcomes = {"regression": 5, "new": 1, "failed": 1, "skipped": 1, "same": 1}
    assert as_json(REPORT)["outcomes"] == outcomes
    text = "\n".join(line for _, line in lines(REPORT))
    assert "same.json" not in text
    assert "answer.b" not in text
    assert "answer.b" in "\n".join(line for _, line in lines(REPORT, everything=True))


@pytest.mark.parametrize(
    ("measurements", "status"),
    [
        ([measurement("a")], 0),
        ([measurement("a", ("x", "new"))], 0),
        ([measurement("a", ("x", "regression")), measurement("b", failed="down")], 5),
        ([measurement("a"), measurement("b", failed="down")], 6),
        ([measurement("a"), measurement("b", skipped="unsafe")], 0),
        ([measurement("b", skipped="unsafe")], 6),
        ([], 6),
    ],
)
def test_the_exit_status_says_what_happened(measurements: list[Measurement], status: int) -> None:
    assert DriftReport(measurements=measurements).exit_status == status
    refused = DriftReport(measurements=measurements, refused=["x"])
    assert refused.exit_status == 4
