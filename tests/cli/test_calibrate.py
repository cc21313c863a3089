"""`wiretape calibrate`: its options and exit statuses; tests/end_to_end/test_calibrate runs CMD."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from wiretape.calibration import rounds
from wiretape.calibration.rounds import CalibrationOutcome, CalibrationPlan, RunSummary
from wiretape.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[CalibrationPlan]:
    """The plans that were carried out: CMD replays at once."""
    asked: list[CalibrationPlan] = []

    async def calibrate(plan: CalibrationPlan, tell: Callable[[str], None], keep: Any) -> Any:
        asked.append(plan)
        return OUTCOMES[-1]

    monkeypatch.setattr(rounds, "calibrate_command", calibrate)
    OUTCOMES[:] = [outcome(proven=True)]
    return asked


OUTCOMES: list[CalibrationOutcome] = []


def outcome(**more: Any) -> CalibrationOutcome:
    first = RunSummary(number=1, status=0, recorded=2, replayed=0, varied=0)
    second = RunSummary(number=2, status=0, recorded=0, replayed=2, varied=0)
    return CalibrationOutcome(runs=[first, second], **more)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["calibrate", *args], prog_name="wiretape")


def test_the_options_are_a_plan(plans: list[CalibrationPlan], here: Path) -> None:
    done = run(
        "--runs", "3", "--folder", "empty", "--time-limit", "5", "--", "agent", "--runs", "9"
    )
    assert done.exit_code == 0, done.output
    (plan,) = plans
    assert (plan.command, plan.most_runs, plan.time_limit) == (("agent", "--runs", "9"), 3, 5.0)
    assert (plan.source, plan.workplaces.choice) == ("config.yaml", "empty")
    assert plan.workplaces.left_out == (here / "recordings",)


@pytest.mark.usefixtures("plans")
def test_a_cmd_that_replays_is_a_0() -> None:
    done = run("--", "agent")
    assert done.exit_code == 0
    assert "CMD replays: run 2 was answered from run 1 alone, and needs no rules" in done.stdout
    document = json.loads(run("--json", "--", "agent").stdout)
    assert (document["settled"], document["written"]) == (True, False)


@pytest.mark.usefixtures("plans")
def test_one_that_does_not_is_a_1() -> None:
    OUTCOMES[:] = [outcome(proven=False)]
    done = run("--", "agent")
    assert done.exit_code == 1
    assert "CMD does not replay yet; nothing is written" in done.stdout


@pytest.mark.usefixtures("plans")
@pytest.mark.parametrize(("status", "expected"), [(3, 3), (0, 1)])
def test_a_problem_is_said_and_has_its_status(status: int, expected: int) -> None:
    OUTCOMES[:] = [outcome(problem="CMD asked nothing", status=status)]
    done = run("--", "agent")
    assert done.exit_code == expected
    assert "CMD asked nothing" in done.stderr


def test_what_could_not_be_kept_is_refused_before_cmd_is_run(
    plans: list[CalibrationPlan], here: Path
) -> None:
    (here / "full").mkdir()
    (here / "full" / "file").write_text("")
    done = run("-r", "full", "--", "agent")
    assert done.exit_code == 2
    assert "-r full: expected a folder that is empty or not there" in done.stderr
    done = run("--write", "-c", "no/such/config.yaml", "--", "agent")
    assert done.exit_code == 2
    assert plans == []
