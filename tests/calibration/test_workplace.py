"""Each run of CMD has a home and a folder in which nothing is left of the run before."""

import os
from pathlib import Path

import pytest

from wiretape.calibration import workplace
from wiretape.calibration.workplace import WorkplaceMaker
from wiretape.core.errors import StoreError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text("print()")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "recordings").mkdir()
    (folder / "node_modules" / "x").mkdir(parents=True)
    (tmp_path / "outside").write_text("out")
    (folder / "inner").symlink_to("src/main.py")
    (folder / "outer").symlink_to("../outside")
    os.mkfifo(folder / "pipe")
    return folder


def maker(source: Path, environ: dict[str, str] | None = None, **options: object) -> WorkplaceMaker:
    return WorkplaceMaker(
        source=source,
        environ=environ or {"HOME": "/home/ann", "OPENAI_API_KEY": "k", "OLDPWD": "/x"},
        left_out=(source / "recordings",),
        **options,  # type: ignore[arg-type]  # a test's own
    )


def test_a_copy_has_the_folders_name_and_its_files_and_is_gone_afterwards(source: Path) -> None:
    with maker(source).new() as first, maker(source).new() as second:
        assert first.folder != second.folder
        assert first.folder.name == "shop"
        names = {path.name for path in first.folder.iterdir()}
        assert names == {"src", "run.sh", "node_modules", "inner", "outer"}
        assert os.access(first.folder / "run.sh", os.X_OK)
        assert (first.folder / "node_modules").readlink() == source / "node_modules"
        assert (first.folder / "inner").resolve() == first.folder / "src" / "main.py"
        assert (first.folder / "outer").read_text() == "out"
        (first.folder / "src" / "main.py").write_text("changed")
        assert (second.folder / "src" / "main.py").read_text() == "print()"
        (first.folder / "locked").mkdir()
        (first.folder / "locked" / "file").touch()
        (first.folder / "locked").chmod(0)
    assert not first.folder.parent.exists()
    assert (source / "src" / "main.py").read_text() == "print()"


def test_the_home_is_new_and_keys_are_as_they_were(source: Path) -> None:
    environ = {"HOME": "/home/ann", "XDG_CONFIG_HOME": "/home/ann/.c", "OPENAI_API_KEY": "k"}
    with maker(source, environ).new() as place:
        home = Path(place.environ["HOME"])
        assert home.is_dir()
        assert list(home.iterdir()) == [home / ".config"]
        assert place.environ["XDG_CONFIG_HOME"] == str(home / ".config")
        assert "XDG_CACHE_HOME" not in place.environ
        assert place.environ["OPENAI_API_KEY"] == "k"
        assert place.environ["PWD"] == str(place.folder)
        assert place.environ["PYTHONUSERBASE"] == "/home/ann/.local"
    assert environ["HOME"] == "/home/ann"


def test_home_and_folder_can_be_kept_or_empty(source: Path) -> None:
    with maker(source, choice="keep", keep_home=True).new() as place:
        assert place.folder == source
        assert place.environ["HOME"] == "/home/ann"
        assert "OLDPWD" not in place.environ
    assert source.is_dir()
    with maker(source, choice="empty").new() as place:
        assert (place.folder.name, list(place.folder.iterdir())) == ("shop", [])


def test_what_is_too_large_is_not_copied(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "MOST_FILES", 3)
    with pytest.raises(StoreError, match="--folder keep"), maker(source).new():
        pass
