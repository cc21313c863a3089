"""What tells one wiretape from another: any of its files that is changed, added or taken away."""

import os
import shutil
from pathlib import Path

import pytest

from wiretape import program_files
from wiretape.library import index_cache


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of three files, with what does not count beside them."""
    package = tmp_path / "program"
    (package / "core" / "__pycache__").mkdir(parents=True)
    for name in ("a.py", "core/b.yaml", "core/c.json", "core/__pycache__/d.py", "core/e.txt"):
        (package / name).write_text(name)
    (package / "core" / "up").symlink_to(package)
    monkeypatch.setattr(program_files, "_PACKAGE", str(package))
    return package


def test_it_has_the_files_that_are_read_in_order(package: Path) -> None:
    names = [os.path.relpath(file.path, package) for file in program_files.program_files()]
    assert names == ["a.py", os.path.join("core", "b.yaml"), os.path.join("core", "c.json")]


def test_wiretape_has_its_own_modules_and_data() -> None:
    names = {file.name for file in program_files.program_files()}
    assert {"program_files.py", "redactor.py", "common.yaml", "shipped.json"} <= names


def test_every_change_of_a_file_is_another_program(package: Path, tmp_path: Path) -> None:
    def states() -> tuple[str, str]:
        return index_cache.fingerprint(tmp_path / "index"), index_cache.shared_fingerprint()

    seen = [states()]
    assert states() == seen[0]
    changed = package / "core" / "b.yaml"
    info = changed.stat()
    changed.write_text("changed!!!!")  # as long as it was
    os.utime(changed, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    assert changed.stat().st_size == info.st_size
    seen.append(states())
    changed.write_text("longer than it was")
    os.utime(changed, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    seen.append(states())
    (package / "new.py").touch()
    seen.append(states())
    (package / "new.py").unlink()
    (package / "a.py").unlink()
    seen.append(states())
    for kind in zip(*seen, strict=True):
        assert len(set(kind)) == len(seen)


def test_without_its_files_there_is_no_fingerprint(package: Path, tmp_path: Path) -> None:
    shutil.rmtree(package)
    assert index_cache.fingerprint(tmp_path / "index") == ""
