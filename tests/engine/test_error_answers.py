"""wiretape's own errors: an answer a client can read, and a row that fails the run."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from tests.support.parts import parts_in

from wiretape.engine.error_answers import ErrorAnswers
from wiretape.report.report import Report
from wiretape.sessions.own_port import Refusal

KEY = "tgp_v1_" + "k3Yx9Qw7Tr5Pk2Lm" * 3
HTTP = cast(Any, SimpleNamespace(method="POST", path=f"/v1/{KEY}/chat?key={KEY}"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ErrorAnswers, Report]:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    parts = parts_in(tmp_path, "replay")
    assert parts.replayer is not None
    return ErrorAnswers(parts.replayer), parts.report


def message(answer: web.StreamResponse) -> str:
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    text: str = json.loads(answer.body)["error"]["message"]
    return text


def test_what_is_not_http_fails_the_run(own: tuple[ErrorAnswers, Report]) -> None:
    errors, report = own
    errors.unreadable()
    assert [(row.outcome, row.path) for row in report.rows] == [("failed", "?")]


def test_a_fault_of_our_own_names_its_kind_and_no_key(own: tuple[ErrorAnswers, Report]) -> None:
    errors, report = own
    answer = errors.failed(HTTP, KeyError(KEY))
    assert answer.status == 500
    assert "KeyError" in message(answer)
    row = report.rows[0]
    assert row.outcome == "failed"
    assert KEY not in message(answer) + row.path + str(row.note)


def test_a_body_that_is_too_large_is_a_miss(own: tuple[ErrorAnswers, Report]) -> None:
    errors, report = own
    answer = errors.too_large(HTTP, "more than 1 MiB")
    assert (answer.status, message(answer)) == (400, "wiretape: more than 1 MiB")
    assert report.rows[0].outcome == "missed"
    assert KEY not in report.rows[0].path


def test_who_cannot_be_served_may_come_again_on_another_connection(
    own: tuple[ErrorAnswers, Report],
) -> None:
    errors, _ = own
    answer = errors.unavailable("the sequences are gone")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert message(answer) == "wiretape: the sequences are gone"
    assert answer.keep_alive is False


def test_a_refusal_counts_the_host_it_was_for(own: tuple[ErrorAnswers, Report]) -> None:
    errors, report = own
    answer = errors.refused(Refusal("not here", other_host=("other.example", 443)))
    assert answer.status == 403
    assert "not here" in message(answer)
    assert report.other_hosts == {"other.example": {"refused": 1}}
