"""The library's rows: read once, filtered and sorted by the database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.page_recordings import KEY, recording, write

from wiretape.config.packs import built_in
from wiretape.core.errors import ConfigError
from wiretape.ui.catalog import PAGE, SORTS, Catalog, Query

OPENAI = "api.openai.com/v1-chat-completions"


def failed(words: list[str]) -> dict[str, Any]:
    document = recording(words)
    document["response"]["status"] = 429
    return document


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    write(tmp_path, f"{OPENAI}/aa0000000000.json", recording(["Hello"], "Say hello"))
    write(tmp_path, f"{OPENAI}/aa0000000000.2.json", recording(["Bye", "!"], "Say bye"))
    write(tmp_path, f"{OPENAI}/bb0000000000.json", recording(["Hi"], f"100% of {KEY}"))
    write(tmp_path, f"demo/{OPENAI}/aa0000000000.json", failed(["No"]))
    (tmp_path / OPENAI / "cc0000000000.json").write_text("{")
    catalog = Catalog(tmp_path, built_in())
    catalog.refresh()
    return catalog


def names(catalog: Catalog, **query: Any) -> list[str]:
    return [row["name"].removesuffix(".json") for row in catalog.find(Query(**query)).rows]


def test_a_row_says_what_a_list_shows(catalog: Catalog) -> None:
    row = dict(catalog.find(Query(text="bye")).rows[0])
    del row["stat"], row["text"], row["size"]
    assert row == {
        "name": f"{OPENAI}/aa0000000000.2.json",
        "fault": None,
        "request": f"{OPENAI}/aa0000000000",
        "session": "",
        "provider": "openai",
        "model": "gpt-x",
        "endpoint": "/v1/chat/completions",
        "prompt": "Say bye",
        "gaps": "[1.0, 1.0]",
        "status": 200,
        "chunks": 3,
        "tokens_in": 7,
        "tokens_out": 2,
        "first": 0.2,
        "total": 0.4,
        "recorded": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp(),
        "end": "complete",
        "redacted": "",
        "usage": '{"tokens_in": 7, "tokens_out": 2}',
    }


def test_a_broken_file_is_a_row_that_says_what_is_wrong(catalog: Catalog) -> None:
    (row,) = catalog.find(Query(state="broken")).rows
    assert row["name"] == f"{OPENAI}/cc0000000000.json"
    assert "JSON" in row["fault"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"text": "HELLO"}, ["aa0000000000"]),
        ({"text": "100% of"}, ["bb0000000000"]),
        ({"text": "1%0"}, []),
        ({"text": "a_0"}, []),
        ({"text": "' OR 1=1 --"}, []),
        ({"facets": {"status": "429"}}, ["demo"]),
        ({"facets": {"provider": "openai", "session": "demo"}}, ["demo"]),
        ({"facets": {"model": "gpt-y"}}, []),
        ({"state": "redacted"}, ["bb0000000000"]),
        ({"since": datetime(2026, 1, 3, tzinfo=UTC)}, []),
    ],
)
def test_rows_are_filtered(catalog: Catalog, query: dict[str, Any], found: list[str]) -> None:
    rows = names(catalog, **query)
    assert len(rows) == len(found)
    assert all(part in row for part, row in zip(found, rows, strict=True))


def test_stale_and_unused_are_states(catalog: Catalog) -> None:
    assert names(catalog, state="stale") == []
    catalog.stale_before = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
    assert len(names(catalog, state="stale")) == 4
    catalog.unused = [f"{OPENAI}/bb0000000000.json"]
    assert names(catalog, state="unused") == [f"{OPENAI}/bb0000000000"]


def test_a_facet_counts_what_the_others_leave(catalog: Catalog) -> None:
    facets = catalog.find(Query(facets={"status": "429"})).facets
    assert facets["status"] == [("200", 3), ("429", 1)]
    assert facets["session"] == [("demo", 1)]


@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_and_what_has_no_value_comes_last(catalog: Catalog, sort: str) -> None:
    for reverse in (False, True):
        rows = names(catalog, sort=sort, reverse=reverse)
        assert len(rows) == 5
        if sort not in ("name", "size"):
            assert rows[-1] == f"{OPENAI}/cc0000000000" or sort == "tokens"


def test_takes_are_those_of_one_request_in_one_session(catalog: Catalog) -> None:
    first, second = f"{OPENAI}/aa0000000000.json", f"{OPENAI}/aa0000000000.2.json"
    assert catalog.takes(second) == [first, second]
    assert catalog.takes("no.json") == []


def test_files_that_change_come_and_go(catalog: Catalog) -> None:
    folder = catalog.folder / OPENAI
    (folder / "aa0000000000.json").unlink()
    write(folder, "cc0000000000.json", recording(["Now ", "whole"], "Mended"))
    write(folder, "dd0000000000.json", recording(["New"], "New"))
    catalog.refresh()
    assert names(catalog, state="broken") == []
    assert names(catalog, text="mended") == [f"{OPENAI}/cc0000000000"]
    assert len(names(catalog)) == 5


def test_what_has_not_changed_is_not_read_again(catalog: Catalog, tmp_path: Path) -> None:
    database = tmp_path / "rows.sqlite"
    Catalog(catalog.folder, built_in(), database).refresh()
    later = Catalog(catalog.folder, built_in(), database)
    assert len(names(later)) == 5
    assert database.stat().st_mode & 0o077 == 0


def test_pages_have_a_hundred_rows(tmp_path: Path) -> None:
    text = write(tmp_path, f"{OPENAI}/0.json", recording(["Hi"])).read_text()
    for number in range(1, PAGE + 5):
        (tmp_path / OPENAI / f"{number}.json").write_text(text)
    catalog = Catalog(tmp_path, built_in())
    catalog.refresh()
    pages = [names(catalog, page=page) for page in range(3)]
    assert [len(page) for page in pages] == [PAGE, 5, 0]
    assert catalog.find(Query(page=2)).total == PAGE + 5
    assert not set(pages[0]) & set(pages[1])


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        Catalog(tmp_path / "no", built_in()).refresh()
