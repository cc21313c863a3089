"""The folders of CMD: its home and its working directory, by all their names."""

from pathlib import Path

import pytest

from wiretape.core.redaction.run_paths import RunPaths
from wiretape.run.folders import folders_of


def recorded(paths: RunPaths, text: str) -> str:
    """A text of a request as it is recorded."""
    return str(paths.request({"url": "https://h/", "body": {"text": text}})["body"]["text"])


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """A folder, and a link to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    return tmp_path / "real", tmp_path / "link"


def test_a_folder_counts_by_each_of_its_names(linked: tuple[Path, Path]) -> None:
    real, link = linked
    paths = folders_of({"PWD": str(link), "HOME": "/home/alice"}, real)
    text = f"{real}/a {link}/b /home/alice/c"
    assert recorded(paths, text) == "{cwd}/a {cwd}/b {home}/c"


def test_the_pwd_of_another_process_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "other").mkdir()
    paths = folders_of({"PWD": str(tmp_path / "other")}, tmp_path / "mine")
    assert str(tmp_path / "other") in recorded(paths, f"{tmp_path}/other/a")
    assert str(tmp_path / "mine") not in recorded(paths, f"{tmp_path}/mine/a")


@pytest.mark.parametrize("home", ["", "alice"])
def test_a_home_that_is_not_absolute_does_not_count(home: str, tmp_path: Path) -> None:
    """It would be a folder of wiretape's own working directory."""
    paths = folders_of({"HOME": home} if home else {}, tmp_path)
    text = f"{Path.cwd() / home}/a"
    assert recorded(paths, text) == text
