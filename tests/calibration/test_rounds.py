"""Runs of CMD until it replays: what each round compares, and what ends the search.

CMD is a function here that records what it sends; tests/end_to_end/test_calibrate runs programs.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.stored import document, put

from wiretape.calibration import rounds
from wiretape.calibration.one_run import CommandEnd
from wiretape.calibration.rounds import CalibrationOutcome, CalibrationPlan, calibrate_command
from wiretape.calibration.workplace import WorkplaceMaker
from wiretape.config.load import Config, load
from wiretape.core.errors import ConfigError
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.library import Library
from wiretape.report.report import Report, Row
from wiretape.run.settings import Settings

type Sends = Callable[[int], Sequence[dict[str, Any]]]
"""The documents of the requests that a run of CMD makes, by its number."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return tmp_path


def plan(most_runs: int = 5) -> CalibrationPlan:
    def load_config(path: Path | None) -> Config:
        return load(path, {})

    workplaces = WorkplaceMaker(
        source=Path.cwd(), environ={"PATH": "/bin:/usr/bin"}, choice="keep", keep_home=True
    )
    return CalibrationPlan(
        command=[sys.executable],
        load=load_config,
        source="config.yaml",
        workplaces=workplaces,
        time_limit=600.0,
        most_runs=most_runs,
    )


async def calibrated(
    sends: Sends, monkeypatch: pytest.MonkeyPatch, most_runs: int = 5, keep: Path | None = None
) -> tuple[CalibrationOutcome, list[str]]:
    number = 0

    async def run_command(
        settings: Settings,
        command: object,
        program: str,
        folder: Path,
        limit: float,
        report: Report,
    ) -> CommandEnd:
        nonlocal number
        number += 1
        config = settings.config
        library = Library(settings.recordings, config.matcher, Redactor(config.redaction).request)
        library.load()
        for stored in sends(number):
            takes = library.takes(library.matched(stored["request"]).key)
            row = Row("recorded", "together", "POST", "/v1/chat/completions", "m", status=200)
            if takes and settings.mode == "auto":
                row = replace(row, outcome="replayed", recording=takes[0].name)
            else:
                put(settings.recordings, stored)
            report.add(row)
        library.close()
        return CommandEnd(STATUS[-1], timed_out=False)

    STATUS[:] = STATUS or [0]
    monkeypatch.setattr(rounds, "run_command", run_command)
    told: list[str] = []
    return await calibrate_command(plan(most_runs), told.append, keep), told


STATUS: list[int] = []


@pytest.fixture(autouse=True)
def succeeding() -> None:
    STATUS[:] = [0]


async def test_a_cmd_that_says_the_same_needs_no_rules(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, told = await calibrated(
        lambda number: [document("Hi")], monkeypatch, keep=here / "kept"
    )
    assert (outcome.is_settled, outcome.rules, len(outcome.runs)) == (True, (), 2)
    assert told == [f"run {number}: {sys.executable}" for number in (1, 2)]
    assert len(list((here / "kept").rglob("*.json"))) == 1


async def test_an_id_of_each_run_is_tamed_and_proved_in_a_run_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sends(number: int) -> list[dict[str, Any]]:
        return [document("Hi", metadata={"run": f"run-{number}f3a9c"})]

    outcome, told = await calibrated(sends, monkeypatch)
    assert outcome.is_settled
    assert [rule.hides for rule in outcome.rules] == [("which id $.metadata.run is",)]
    assert len(outcome.runs) == 3
    assert told[2].startswith("run 3 under the rules found so far: ")
    assert outcome.proof is not None
    assert outcome.proof.holds


async def test_what_was_asked_is_never_tamed(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = await calibrated(lambda number: [document(f"Hi {number}")], monkeypatch)
    assert (outcome.is_settled, outcome.rules) == (False, ())
    assert outcome.calibration.untamed


async def test_a_request_that_only_a_later_run_makes_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sends(number: int) -> list[dict[str, Any]]:
        more = [document("more", stream=True, tools=[{"n": number}])] if number > 1 else []
        return [document("Hi"), *more]

    outcome, _ = await calibrated(sends, monkeypatch, most_runs=2)
    assert not outcome.is_settled
    assert len(outcome.only_later) == 1


async def test_a_cmd_that_sends_nothing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = await calibrated(lambda number: [], monkeypatch)
    assert outcome.problem
    assert outcome.status == 3


async def test_a_cmd_that_fails_is_a_problem_with_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    STATUS[:] = [7]
    outcome, _ = await calibrated(lambda number: [document("Hi")], monkeypatch)
    assert (outcome.status, len(outcome.runs)) == (7, 1)
    assert outcome.problem


async def test_a_program_that_is_not_there_starts_nothing(here: Path) -> None:
    with pytest.raises(ConfigError, match="no such program"):
        await calibrate_command(replace(plan(), command=["no-such-agent"]), print)
