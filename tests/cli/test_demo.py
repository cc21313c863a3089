"""`wiretape demo` ends with the status of the demo; tests/demo runs it whole."""

import pytest
from click.testing import CliRunner

from wiretape.cli.main import main
from wiretape.demo import demo


@pytest.mark.parametrize(("arguments", "fast"), [([], False), (["--fast"], True)])
def test_the_demo_waits_between_the_words_or_not(
    arguments: list[str], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def run_demo(*, fast: bool) -> int:
        asked.append(fast)
        return 7

    monkeypatch.setattr(demo, "run_demo", run_demo)
    done = CliRunner().invoke(main, ["demo", *arguments], prog_name="wiretape")
    assert (done.exit_code, asked) == (7, [fast])
