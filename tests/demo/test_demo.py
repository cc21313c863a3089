"""`wiretape demo` works for somebody who has nothing: no key, no network, no recordings."""

import subprocess
from pathlib import Path

from tests.support.commands import Wiretape, command
from tests.support.limits import PATIENCE


def test_the_demo_replays_records_and_replays_again(wiretape: Wiretape, tmp_path: Path) -> None:
    done = wiretape("demo", "--fast")
    assert done.returncode == 0, done.stderr
    assert "The name of the US capital is Washington" in done.stdout
    assert "It wrote recordings/api.together.xyz/v1-chat-completions/" in done.stdout
    assert '"wiretape": 1' in done.stdout
    assert "bytes the client got are equal" in done.stdout
    assert "recorded  together  POST /v1/chat/completions" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_an_answer_that_comes_at_once_stands_whole_beside_what_wiretape_says(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    shown = subprocess.run(
        command("demo", "--fast"),
        env=clean_env,
        cwd=tmp_path,
        timeout=PATIENCE,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout
    lines = shown.partition("3. Replay it")[2].splitlines()
    assert [line[:10] for line in lines[1:4]] == ["replayed  ", "wiretape r", "You said: "]
    assert lines[3].endswith("and always says the same.")


def test_the_demo_shows_no_key_and_uses_none(wiretape: Wiretape) -> None:
    done = wiretape("demo", "--fast", env={"TOGETHER_API_KEY": "tgp_v1_" + "R" * 43})
    assert "tgp_v1_" not in done.stdout + done.stderr
