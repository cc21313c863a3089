"""`wiretape doctor`, as it is called; what it looks at is for tests/doctor."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wiretape.cli.main import main
from wiretape.doctor import checks, doctor
from wiretape.doctor.finding import CheckResult

OK = CheckResult("clock", "ok", "2026-11-30")
FAULT = CheckResult("port 8080", "fault", "taken by \x1b[31m", "choose another")
SKIPPED = CheckResult("java", "skipped", "not installed")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def clients(environ: object, tell: Callable[[CheckResult], None]) -> None:
        tell(SKIPPED)

    def command(words: tuple[str, ...], options: list[str], environ: object, tell: object) -> None:
        commands.append([*options, *words])

    monkeypatch.setattr(checks, "checks", lambda *arguments: [OK])
    monkeypatch.setattr(doctor, "clients", clients)
    monkeypatch.setattr(doctor, "command", command)
    return commands


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *args], prog_name="wiretape")


@pytest.mark.usefixtures("seen")
def test_a_machine_in_order_is_a_0() -> None:
    done = run()
    assert (done.exit_code, done.stdout) == (0, "ok    clock: 2026-11-30\n")


@pytest.mark.usefixtures("seen")
def test_a_fault_is_a_1_with_what_to_do_and_nothing_that_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "checks", lambda *arguments: [OK, FAULT])
    done = run()
    assert done.exit_code == 1
    assert "fault port 8080: taken by " in done.stdout
    assert done.stdout.endswith("\n      choose another\n")
    assert "\x1b" not in done.stdout


@pytest.mark.usefixtures("seen")
def test_json_has_what_was_skipped_too() -> None:
    findings = json.loads(run("--json").stdout)["findings"]
    assert findings == [OK.as_json(), SKIPPED.as_json()]


def test_a_command_is_tried_with_the_options_of_this_one(
    seen: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text("")
    run("-c", str(tmp_path / "c.yaml"), "-r", "some", "--", "pytest", "-x")
    assert seen == [["-c", str(tmp_path / "c.yaml"), "-r", "some", "pytest", "-x"]]
