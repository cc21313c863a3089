"""Files below paths, and how one is replaced whole."""

import os
import stat
from pathlib import Path

import pytest

from wiretape import files
from wiretape.core.errors import ConfigError


def below(*paths: Path) -> list[Path]:
    return list(files.files(paths, files.Unreadable(), str))


def test_files_come_in_order_and_each_once(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", ".git/x", "b/node_modules/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    a, b = tmp_path / "a", tmp_path / "b"
    assert below(b, tmp_path, a) == [b / "1", b / "2", a]
    # A folder that is skipped is searched where it is named.
    assert below(tmp_path / ".git") == [tmp_path / ".git" / "x"]


def test_pipes_and_linked_folders_are_passed_over_and_linked_files_are_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert below(tmp_path) == [tmp_path / "file", tmp_path / "link"]


def test_every_path_that_is_not_there_is_told_before_a_file_is_given(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    given = files.files(
        [tmp_path, tmp_path / "no", tmp_path / "pipe"], files.Unreadable(), lambda path: path.name
    )
    with pytest.raises(ConfigError) as caught:
        next(given)
    assert str(caught.value).splitlines() == [
        "no: No such file or directory; name a file or a folder that is there",
        "pipe: neither a file nor a folder",
    ]


def test_a_folder_that_cannot_be_listed_is_kept_with_the_reason() -> None:
    unreadable = files.Unreadable()
    unreadable(PermissionError(13, "Permission denied", "/x"))
    assert unreadable.reasons == [(Path("/x"), "Permission denied")]


def test_a_name_is_below_the_working_directory_if_the_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert files.name_of(Path("r/../x.json")) == "x.json"
    assert files.name_of(tmp_path / "x.json") == (tmp_path / "x.json").as_posix()


def test_a_replaced_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    files.replace(link, b"new")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(tmp_path / "x", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"old")]
