"""Recordings made by earlier wiretapes replay as they did: `tests/data/kept_COMMIT` holds some.

They are never made anew: who needs more of them adds a folder (`tests/support/kept.py`).
"""

import json
import shutil
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.commands import Wiretape
from tests.support.kept import kept, served

KEPT = sorted((paths.ROOT / "tests" / "data").glob("kept_*"))


@pytest.mark.parametrize("made", KEPT, ids=lambda made: made.name)
def test_recordings_of_an_earlier_version_replay_as_they_did(
    made: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(made / "recordings", tmp_path / "recordings")
    answers = json.loads((made / "answers.json").read_text(encoding="utf-8"))
    given = served("replay", tmp_path / "recordings", clean_env)
    assert [kept(reply) for reply in given] == answers


@pytest.mark.parametrize("made", KEPT, ids=lambda made: made.name)
def test_recordings_of_an_earlier_version_keep_their_keys(made: Path, wiretape: Wiretape) -> None:
    done = wiretape("verify", "-r", made / "recordings")
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_recordings_of_earlier_versions() -> None:
    assert [made.name for made in KEPT]
