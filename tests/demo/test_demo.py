"""`wiretape demo` works for somebody who has nothing: no key, no network, no recordings."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.commands import command
from tests.support.limits import PATIENCE

KEY = "tgp_v1_" + "R" * 43


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(clean_env: Mapping[str, str], folder: Path) -> str:
    """What a terminal shows of a demo, at once, while a key is in the environment."""
    return subprocess.run(
        command("demo", "--fast"),
        env={**clean_env, "TOGETHER_API_KEY": KEY},
        cwd=folder,
        timeout=PATIENCE,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout


def test_the_demo_replays_records_and_replays_again(shown: str, folder: Path) -> None:
    assert "The name of the US capital is Washington" in shown
    assert "It wrote recordings/api.together.xyz/v1-chat-completions/" in shown
    assert '"wiretape": 1' in shown
    assert "bytes the client got are equal" in shown
    assert "recorded  together  POST /v1/chat/completions" in shown
    assert list(folder.iterdir()) == [], "nothing is left behind"


def test_an_answer_that_comes_at_once_stands_whole_beside_what_wiretape_says(shown: str) -> None:
    lines = shown.partition("3. Replay it")[2].splitlines()
    ends = [line for line in lines[1:] if not line.startswith("wiretape")]
    assert [line[:10] for line in ends[:2]] == ["replayed  ", "You said: "]
    assert ends[1].endswith("and always says the same.")


def test_the_demo_shows_no_key_and_uses_none(shown: str) -> None:
    assert "tgp_v1_" not in shown
