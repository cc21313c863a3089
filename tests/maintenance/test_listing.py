"""Recordings at a glance."""

import copy
import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.conversations import ODD, places
from tests.support.limits import examples
from tests.support.listed_folder import listed_folder

from wiretape.config.packs import built_in
from wiretape.maintenance.known_rows import KnownRows
from wiretape.maintenance.listed_recording import ListedRecording
from wiretape.maintenance.listing import Filter, Listing, ordered, read
from wiretape.maintenance.read_row import RowReader

SEEDS = sorted(paths.RECORDINGS.glob("*.json"))


def reader() -> RowReader:
    return RowReader(built_in())


def listed(folder: Path, **filters: Any) -> list[ListedRecording]:
    return read(folder, Filter(**filters), reader).rows


def test_the_seeds_are_listed_with_their_tokens() -> None:
    rows = listed(SEEDS[0].parent)
    assert [(row.name, row.provider, row.tokens_in) for row in rows] == [
        ("33b71fb85bfb.json", "together", 42),
        ("511eb1b92e34.json", "together", 25),
        ("6730dcde0b73.json", "together", 39),
        ("f0bbea34c5cc.json", "together", 45),
    ]


def test_of_unknown_age_is_the_oldest() -> None:
    rows = listed(SEEDS[0].parent)
    assert ordered(rows, "age", reverse=True)[0].recorded_at is None
    assert listed(SEEDS[0].parent, since=datetime(2000, 1, 1, tzinfo=UTC)) == []


def test_equal_rows_are_in_the_order_of_their_names() -> None:
    rows = listed(SEEDS[0].parent)
    assert [row.name for row in ordered(reversed(rows), "provider")] == [row.name for row in rows]


def test_takes_are_listed_by_their_numbers(tmp_path: Path) -> None:
    takes = ["3f2a00112233", *(f"3f2a00112233.{take}" for take in (2, 9, 10, 11, 100))]
    for name in [*reversed(takes), "3f2a00112234"]:
        shutil.copy(SEEDS[0], tmp_path / f"{name}.json")
    expected = [f"{name}.json" for name in [*takes, "3f2a00112234"]]
    assert [row.name for row in listed(tmp_path)] == expected
    for column in ("name", "provider"):
        assert [row.name for row in ordered(listed(tmp_path), column)] == expected


def test_cells_have_no_line_ends(tmp_path: Path) -> None:
    document = json.loads(SEEDS[0].read_bytes())
    document["request"]["body"]["messages"][0]["content"] = "one\n\ttwo\x1b[2J" + " word" * 100
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    cells = listed(tmp_path)[0].cells(datetime.now(UTC))
    assert cells[2].startswith("one two\N{REPLACEMENT CHARACTER}[2J word")
    assert len(cells[2]) == 80
    assert cells[-1] == "a.json"


@given(st.data())
@settings(max_examples=examples(100), deadline=None)
def test_a_file_is_a_row_or_a_fault_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    document = json.loads(SEEDS[0].read_bytes())
    document["response"]["body"] = document["response"]["body"][:2]
    if data.draw(st.booleans()):
        document["wiretape"] = 1
        document["request"]["url"] = "https://api.together.xyz/v1/chat/completions"
        document["recorded_at"] = "2026-01-01T00:00:00Z"
    changed: Any = copy.deepcopy(document)
    path = data.draw(st.sampled_from(places(document)))
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = data.draw(ODD)
    (folder / "a.json").write_text(json.dumps(changed), encoding="utf-8")
    found = read(folder, Filter(grep=""), reader)
    assert len(found.rows) + len(found.faults) == 1
    for row in found.rows:
        assert all(isinstance(cell, str) for cell in row.cells(datetime.now(UTC)))
        json.dumps(row.as_json(), allow_nan=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def read_known(folder: Path, chosen: Filter, reader: Callable[[], RowReader] = reader) -> Listing:
    return read(folder, chosen, reader, KnownRows(folder, "key"))


def nobody_reads() -> RowReader:
    raise AssertionError("a recording is read")


CHANGES: list[Callable[[Path], object]] = [
    lambda folder: None,
    lambda folder: shutil.copy(SEEDS[1], folder / "new.json"),
    lambda folder: (folder / "new.json").write_bytes(SEEDS[2].read_bytes()),
    lambda folder: (folder / "new.json").write_text("{"),
    lambda folder: shutil.copy(SEEDS[3], folder / "new.json"),
    lambda folder: (folder / "new.json").rename(folder / "newer.json"),
    lambda folder: shutil.copytree(folder / "demo", folder / "demo2"),
    lambda folder: shutil.rmtree(folder / "demo"),
    lambda folder: (folder / "newer.json").unlink(),
    lambda folder: (folder / "linked.json").symlink_to("nowhere.json"),
]


def test_known_rows_are_those_that_are_read_whatever_changes(tmp_path: Path, home: Path) -> None:
    folder = listed_folder(tmp_path / "recordings")
    shutil.copy(SEEDS[0], folder)
    filters = (
        Filter(),
        Filter(session="demo2"),
        Filter(all_sessions=True),
        Filter(all_sessions=True, model="gpt", streamed=True),
        Filter(all_sessions=True, since=datetime(2026, 1, 1, tzinfo=UTC), grep="hello"),
    )
    for change in CHANGES:
        change(folder)
        time.sleep(0.03)  # until a change shows in a file's times
        for chosen in filters:
            if chosen.session is not None and not (folder / chosen.session).exists():
                continue
            for _ in range(2):
                expected, listing = read(folder, chosen, reader), read_known(folder, chosen)
                assert listing == expected
        rows = read_known(folder, Filter(all_sessions=True)).rows
        if not (folder / "linked.json").is_symlink():  # which is looked at each time
            again = read_known(folder, Filter(all_sessions=True), nobody_reads)
            assert again.rows == rows
            now = datetime.now(UTC)
            for row, known in zip(rows, again.rows, strict=True):
                assert (known.as_json(), known.cells(now)) == (row.as_json(), row.cells(now))
