"""`wiretape drift` and `migrate`: wrong use is said before anything is sent.

tests/drift/test_measure runs both against providers.
"""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.stored import document, put

from wiretape.cli.main import main
from wiretape.drift import measure


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    put(tmp_path / "recordings", document("Hi"))

    def fail(*arguments: object) -> None:
        raise AssertionError("nothing was to be sent")

    monkeypatch.setattr(measure, "measure", fail)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="wiretape")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["drift", "--rate", "fast"], "expected requests a second, or 30/min or 100/h"),
        (["drift", "--rate", "0"], "expected requests a second"),
        (["drift", "--budget", "much"], "or a number of requests"),
        (["drift", "--report", "a.pdf"], "expected a name that ends in .json, .xml, .md"),
        (["drift", "--report", "no/a.json"], "its folder is not there; nothing was sent"),
        (["drift", "--sample", "0"], "--sample"),
        (["drift", "--concurrency", "65"], "--concurrency"),
        (["migrate"], "name a model with --to, or a base URL with --to-url"),
        (["migrate", "--to-url", "localhost:8000"], "--to-url"),
        (["migrate", "--to", "m", "--into", "../up"], "--into: "),
        (["drift", "ffffff"], "ffffff"),
        (["drift", "--only", "/v1/nothing"], "no recording that is chosen"),
    ],
)
def test_wrong_use_sends_nothing(arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert reason in done.stderr.replace("\n", " ").replace("  ", " ")
