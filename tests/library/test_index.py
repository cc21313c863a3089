"""The index: which files answer a key, in which order, and since when."""

import sqlite3
from pathlib import Path

import pytest
from tests.support.index_facts import KEY, OTHER, facts

from wiretape.library.index import Index
from wiretape.library.recording_file import Facts, Same


def names(index: Index, key: str = KEY) -> list[str]:
    return [row.name for row in index.takes(key)]


def test_a_file_with_another_content_is_another_row_of_the_same_name(index: Index) -> None:
    index.put([facts("h/a.json"), facts("h/b.json")])
    (first,) = (row for row in index.takes(KEY) if row.name == "h/a.json")
    index.put([facts("h/a.json", content="new", key=OTHER)])
    (now,) = index.takes(OTHER)
    assert now.id > first.id
    assert now.since == first.since == first.id
    assert index.last() == now.id
    assert names(index) == ["h/b.json"]


def test_a_file_with_the_same_content_is_the_same_row(index: Index) -> None:
    index.put([facts("h/a.json")])
    (first,) = index.takes(KEY)
    index.put([facts("h/a.json")])
    index.touch([("h/a.json", Same((7, 8, 9), settled=False))])
    (now,) = index.takes(KEY)
    assert (now.id, now.stat, now.settled) == (first.id, (7, 8, 9), False)


def test_a_file_that_comes_twice_leaves_the_others_of_its_batch_known(index: Index) -> None:
    index.put([facts("h/a.json"), facts("h/b.json")])
    changed = [facts(f"h/{name}.json", content="new", key=OTHER) for name in "aab"]
    index.put(changed)
    assert sorted(names(index, OTHER)) == ["h/a.json", "h/b.json"]
    assert index.count() == 2


def test_what_this_run_wrote_was_not_there_before(index: Index) -> None:
    index.put([facts("h/a.json")])
    (first,) = index.takes(KEY)
    index.put([facts("h/a.json")], anew=True)
    (now,) = index.takes(KEY)
    assert now.since == now.id > first.id


def test_a_fault_is_told_once_and_answers_nothing(index: Index) -> None:
    bad = Facts(name="h/a.json", stat=(1, 2, 3), settled=True, content=b"x", fault="not JSON")
    assert [fault.name for fault in index.put([facts("h/a.json"), bad])] == ["h/a.json"]
    assert index.put([bad]) == []
    assert index.faults() == [("h/a.json", "not JSON")]
    assert (index.count(), index.names(), names(index)) == (0, [], [])


def test_a_folder_that_goes_takes_its_files_along(index: Index) -> None:
    index.put([facts("h/a.json"), facts("h/x/b.json"), facts("top.json")])
    index.forget_folder("h")
    assert index.names() == ["h/x/b.json", "top.json"]
    assert sorted(index.folders()) == ["", "h/x"]
    assert names(index) == ["h/x/b.json", "top.json"]


def test_what_is_written_together_is_written_or_not(index: Index) -> None:
    with pytest.raises(ValueError, match="non-hexadecimal"):
        index.put([facts("h/a.json"), facts("h/b.json", key="no key")])
    assert index.names() == []


def test_a_file_keeps_what_was_put(tmp_path: Path) -> None:
    one = Index(tmp_path / "a.sqlite")
    one.put([facts("h/a.json")])
    two = Index(tmp_path / "a.sqlite")
    assert names(two) == ["h/a.json"]
    two.put([facts("h/b.json")])
    assert names(one) == ["h/a.json", "h/b.json"]
    one.close()
    two.close()


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    Index(tmp_path / "a.sqlite").close()
    other = sqlite3.connect(tmp_path / "a.sqlite")
    other.execute("PRAGMA user_version = 999")
    other.close()
    with pytest.raises(sqlite3.DatabaseError, match="an index of version 999"):
        Index(tmp_path / "a.sqlite")
