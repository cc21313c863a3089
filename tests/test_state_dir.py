"""State lives where the user says, where the platform has it, or in a private temporary folder."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from wiretape.core.errors import WiretapeError
from wiretape.state_dir import state_dir


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_lives_where_wiretape_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "a" / "b"))
    assert state_dir() == tmp_path / "a" / "b"
    assert mode(tmp_path / "a" / "b") == 0o700


def test_relative_wiretape_home_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", "here")
    assert state_dir() == tmp_path / "here"


def test_wiretape_home_that_is_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "file"))
    with pytest.raises(WiretapeError) as caught:
        state_dir()
    assert str(caught.value) == (
        f"WIRETAPE_HOME={tmp_path}/file: File exists; set it to a directory you can write to"
    )


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable names a home; gives the directory that state falls back to."""
    for name in ("WIRETAPE_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp" / f"wiretape-{os.getuid()}"


def test_state_lives_in_the_users_data_directory(
    homeless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = state_dir()
    assert found.name == "wiretape"
    assert found.is_relative_to(tmp_path)
    assert mode(found) == 0o700
    assert not homeless.exists()


def test_state_without_a_home_is_private_and_temporary(homeless: Path) -> None:
    assert state_dir() == homeless
    assert mode(homeless) == 0o700
    assert state_dir() == homeless  # and is found again


def test_state_of_an_unusable_home_is_temporary(
    homeless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert state_dir() == homeless


@pytest.mark.parametrize("planted", ["open to others", "link", "file"])
def test_temporary_state_that_is_not_ours_alone_is_refused(
    homeless: Path, tmp_path: Path, planted: str
) -> None:
    if planted == "open to others":
        homeless.mkdir()
        homeless.chmod(0o770)
    elif planted == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        homeless.symlink_to(tmp_path / "elsewhere")
    else:
        homeless.touch(mode=0o600)
    with pytest.raises(WiretapeError) as caught:
        state_dir()
    assert str(caught.value) == (
        f"{homeless}: expected a directory that belongs to this user alone (mode 0700); remove it, "
        "or set WIRETAPE_HOME to a directory you can write to"
    )
