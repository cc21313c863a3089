"""Which files and folders a scan looks at, and when it looks again."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from wiretape.core.errors import FormatError
from wiretape.library.index import Index
from wiretape.library.index_tables import FileRows
from wiretape.library.scan_folder import Sweep, has_at_least, is_linked


@pytest.mark.parametrize(("minimum", "expected"), [(0, True), (2, True), (3, False)])
def test_whether_a_folder_has_so_many_recordings(
    tmp_path: Path, minimum: int, expected: bool
) -> None:
    for name in ("a.json", "h/b.json", ".hidden/c.json", "d.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert has_at_least(tmp_path, minimum) is expected


def test_a_link_on_the_way_counts(tmp_path: Path) -> None:
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    paths = ("", "real", "real/a", "link", "link/a")
    assert [is_linked(tmp_path, path) for path in paths] == [False, False, False, True, True]


class Scanned:
    """A folder that is scanned, and the names of files that were examined and are at fault."""

    def __init__(self, folder: Path, *, is_session: bool = False) -> None:
        self.faults: list[str] = []
        self.index = Index()
        self.sweep = Sweep(folder, self._examine, self._fault, is_session=is_session)

    def _examine(self, _: object, /, read: object = None) -> NoReturn:
        raise FormatError("not a recording")

    def _fault(self, file: FileRows) -> None:
        self.faults.append(file.name)

    def scan(self) -> bool:
        return self.sweep.scan(self.index, full=True)


@pytest.mark.parametrize(
    ("is_session", "names"),
    [
        (False, ["h.example/e/b.json", "top.json"]),
        (True, ["h.example/e/b.json", "s/c.json", "top.json"]),
    ],
)
def test_only_hosts_folders_count_outside_a_session(
    tmp_path: Path, is_session: bool, names: list[str]
) -> None:
    for name in ("top.json", "h.example/e/b.json", "s/c.json", ".x.json", "n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "l.example").symlink_to("h.example")
    scanned = Scanned(tmp_path, is_session=is_session)
    assert scanned.scan()
    assert sorted(scanned.faults) == names
    assert scanned.sweep.links == ["l.example"]
    scanned.index.close()


def test_a_file_that_is_gone_and_one_that_has_changed_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    scanned = Scanned(tmp_path)
    assert scanned.scan()
    os.utime(path, ns=(1, 1))
    scanned.scan()
    assert not scanned.scan()
    path.write_text('{"a": 1}')
    assert scanned.scan()
    path.unlink()
    assert scanned.scan()
    assert not scanned.scan()
    scanned.index.close()
