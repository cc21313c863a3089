"""Keys of journals: kept where files are memory and nobody else looks, or not at all."""

import os
import stat
from pathlib import Path

import pytest

from wiretape.intake import journal_key as module
from wiretape.intake.journal_key import RunKey, _is_in_memory, find, make, remove_orphans


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place that is chosen for keys."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("WIRETAPE_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system whose places are ours: `run` and `shm`, each in memory as `mounts` says."""
    for name in ("run", "shm"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv("WIRETAPE_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(module, "_SHARED_MEMORY", tmp_path / "shm")
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "mounts")
    mounted(tmp_path, "tmpfs")
    return tmp_path


def mounted(folder: Path, kind: str) -> None:
    """Have the system say what kind of file system a folder is on."""
    device = folder.stat().st_dev
    (folder / "mounts").write_text(
        "21 1 999:9 / /elsewhere rw - tmpfs tmpfs rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / /a rw,noatime shared:2 - {kind} x rw\n"
    )


def made(folder: Path) -> RunKey:
    key = make(folder / "journal" / "a.1.b")
    assert key is not None
    return key


def test_what_a_key_sealed_the_same_key_opens(runtime: Path, tmp_path: Path) -> None:
    key = made(tmp_path)
    again = find(key.path)
    assert again is not None
    sealed = key.encrypt(1, 2, b"text")
    assert again.decrypt(1, 2, sealed) == b"text"
    assert len(sealed) == 4 + 16
    assert again.digest_of("v\udcff") == key.digest_of("v\udcff") != key.digest_of("w")


def test_nothing_else_is_opened(runtime: Path, tmp_path: Path) -> None:
    key = made(tmp_path)
    other = make(tmp_path / "journal" / "a.1.c")
    assert other is not None
    sealed = key.encrypt(1, 2, b"text")
    assert key.decrypt(2, 2, sealed) is None
    assert key.decrypt(1, 3, sealed) is None
    assert key.decrypt(1, 2, sealed[:-1]) is None
    assert key.decrypt(1, 2, b"") is None
    assert other.decrypt(1, 2, sealed) is None


def test_a_key_and_its_folder_are_the_users_alone(runtime: Path, tmp_path: Path) -> None:
    key = made(tmp_path)
    assert key.path == runtime / "wiretape" / "a.1.b"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (key.path.parent, key.path)]
    assert modes == [0o700, 0o600]


def test_a_key_that_is_removed_is_not_found(runtime: Path, tmp_path: Path) -> None:
    key = made(tmp_path)
    key.remove()
    key.remove()
    assert find(key.path) is None


def test_a_name_is_given_once(runtime: Path, tmp_path: Path) -> None:
    made(tmp_path)
    assert make(tmp_path / "journal" / "a.1.b") is None


def test_a_place_that_is_not_there_is_none(runtime: Path, tmp_path: Path) -> None:
    runtime.rmdir()
    assert make(tmp_path / "journal" / "a.1.b") is None


def test_no_key_is_put_where_others_may_look(runtime: Path, tmp_path: Path) -> None:
    (runtime / "wiretape").mkdir()
    (runtime / "wiretape").chmod(0o750)
    assert make(tmp_path / "journal" / "a.1.b") is None


def test_nor_behind_a_link(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    (runtime / "wiretape").symlink_to(tmp_path / "other")
    assert make(tmp_path / "journal" / "a.1.b") is None
    assert list((tmp_path / "other").iterdir()) == []


def test_nor_in_what_is_anothers(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made(tmp_path)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert make(tmp_path / "journal" / "a.1.c") is None
    assert find(key.path) is None


@pytest.mark.parametrize("mode", [0o640, 0o602])
def test_a_key_that_others_can_read_or_write_is_none(
    runtime: Path, tmp_path: Path, mode: int
) -> None:
    key = made(tmp_path)
    key.path.chmod(mode)
    assert find(key.path) is None


def test_what_is_no_key_is_not_read_as_one(runtime: Path, tmp_path: Path) -> None:
    key = made(tmp_path)
    data = key.path.read_bytes()
    for other in (b"", data[:40], b"x" * 80):
        key.path.write_bytes(other)
        assert find(key.path) is None
    key.path.rename(key.path.with_name("other"))
    key.path.symlink_to("other")
    assert find(key.path) is None
    key.path.unlink()
    os.mkfifo(key.path, 0o600)
    assert find(key.path) is None


def test_the_users_own_runtime_folder_comes_first(system: Path) -> None:
    assert made(system).path == system / "run" / "wiretape" / "a.1.b"


def test_shared_memory_comes_next(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = system / "shm" / f"wiretape-{os.getuid()}" / "a.1.b"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(system / "missing"))
    assert made(system).path == shared
    shared.unlink()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert made(system).path == shared


def test_a_runtime_folder_that_cannot_be_used_is_passed_over(system: Path) -> None:
    (system / "run" / "wiretape").write_text("in the way")
    assert made(system).path == system / "shm" / f"wiretape-{os.getuid()}" / "a.1.b"


@pytest.mark.parametrize("kind", ["ext4", "overlay", "fuse.tmpfs"])
def test_a_disk_is_no_place_for_a_key(system: Path, kind: str) -> None:
    mounted(system, kind)
    assert make(system / "journal" / "a.1.b") is None
    assert list((system / "shm").iterdir()) == []


def test_nor_is_a_place_of_which_the_system_does_not_tell(system: Path) -> None:
    (system / "mounts").unlink()
    assert make(system / "journal" / "a.1.b") is None
    (system / "mounts").write_text("22 1 999:9 / /a rw - tmpfs x rw\n\n")
    assert make(system / "journal" / "a.1.b") is None


@pytest.mark.skipif(not _is_in_memory(Path("/dev/shm")), reason="this machine has no /dev/shm")
def test_a_machine_with_shared_memory_has_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIRETAPE_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    journal = tmp_path / "journal" / f"{tmp_path.name}.{os.getpid()}.0"
    key = make(journal)
    assert key is not None
    key.remove()
    assert key.path == Path(f"/dev/shm/wiretape-{os.getuid()}") / journal.name


def test_keys_of_journals_that_are_gone_are_removed_when_they_are_old(
    runtime: Path, tmp_path: Path
) -> None:
    there, gone, young = (tmp_path / "journal" / name for name in ("a.1.a", "a.1.b", "a.1.c"))
    there.mkdir(parents=True)
    paths = [key.path for journal in (there, gone, young) if (key := make(journal)) is not None]
    other = runtime / "wiretape" / "other"
    other.write_text("not a key")
    other.chmod(0o600)
    for path in (*paths[:2], other):
        os.utime(path, (0, 0))
    remove_orphans(3600)
    assert sorted(path.name for path in other.parent.iterdir()) == ["a.1.a", "a.1.c", "other"]
