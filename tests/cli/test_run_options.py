"""The options of runs: what a value becomes, and what is said of a wrong one."""

import click
import pytest
from click.testing import CliRunner, Result

from wiretape.cli.options import Option, with_options
from wiretape.cli.run_options import BUDGET, EVERY_RUN, ONLY_REPLAYED, REPLAYED, RUN_OPTIONS


def run(options: tuple[Option, ...], *args: str) -> Result:
    @click.command()
    @with_options(*options)
    def command(**values: object) -> None:
        for name, value in values.items():
            click.echo(f"{name}={value}")

    return CliRunner().invoke(command, list(args))


@pytest.mark.parametrize(
    ("options", "arguments", "line"),
    [
        (RUN_OPTIONS, ["--pace", "2x"], "pace=2x"),
        (RUN_OPTIONS, ["--", "pytest", "-x"], "command=('pytest', '-x')"),
        (RUN_OPTIONS, [], "pace=None"),
        ((BUDGET,), ["--budget", "0.50eur"], "budget=0.50 EUR"),
        (REPLAYED, [], "workers=1"),
        (REPLAYED, ["--no-isolate"], "isolate=False"),
        (REPLAYED, [], "isolate=None"),
        (ONLY_REPLAYED, ["--set", "3f2a.text=No"], "edits=(PartEdit(name='3f2a', part='text'"),
        (ONLY_REPLAYED, ["--max-age", "90d"], "max_age=90d"),
        (EVERY_RUN, ["--html-report", "-"], "html_report=-"),
    ],
)
def test_a_value_is_what_a_run_takes(
    options: tuple[Option, ...], arguments: list[str], line: str
) -> None:
    done = run(options, *arguments)
    assert done.exit_code == 0, done.output
    assert any(text.startswith(line) for text in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize(
    ("options", "arguments", "reason"),
    [
        (RUN_OPTIONS, ["--pace", "fast"], "--pace"),
        (RUN_OPTIONS, ["--port", "70000"], "--port"),
        ((BUDGET,), ["--budget", "2"], "expected an amount above 0 with its currency"),
        (REPLAYED, ["--workers", "65"], "--workers"),
        (REPLAYED, ["--drain", "-1"], "--drain"),
        (ONLY_REPLAYED, ["--set", "text"], "expected KEY.PART=TEXT"),
        (ONLY_REPLAYED, ["--max-age", "old"], "--max-age"),
    ],
)
def test_a_wrong_value_is_wrong_use(
    options: tuple[Option, ...], arguments: list[str], reason: str
) -> None:
    done = run(options, *arguments)
    assert done.exit_code == 2
    assert reason in done.stderr


def test_a_run_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_RUN", "nightly")
    assert "run_name=nightly" in run(REPLAYED).stdout
