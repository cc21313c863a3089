"""How rows come into the tables of an index."""

from dataclasses import replace

from tests.support.index_facts import KEY, OTHER, facts

from wiretape.core.playback.known_request import KnownRequest
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.direct_answer import DirectAnswer
from wiretape.library.index import Index
from wiretape.library.index_tables import _INSERTED


def test_numbers_are_never_used_again(index: Index) -> None:
    index.put([facts("h/a.json")])
    last = index.last()
    index.forget("h", ["a.json"])
    index.put([facts("h/a.json")])
    assert index.takes(KEY)[0].id > last


def test_the_last_of_two_of_one_name_stays(index: Index) -> None:
    index.put([facts("h/a.json", content="old"), facts("h/b.json"), facts("h/a.json", key=OTHER)])
    assert [row.name for row in index.takes(KEY)] == ["h/b.json"]
    (row,) = index.takes(OTHER)
    assert (row.name, row.since) == ("h/a.json", 1)


def test_what_two_say_of_one_thing_is_kept_once(index: Index) -> None:
    index.put([replace(facts("h/a.json"), sides=("x.bin", "x.bin"), traces=frozenset("t"))])
    assert index.sides_of("h/a.json") == {"x.bin"}
    assert index.traces(0) == {"t"}


def test_nothing_is_left_of_a_file_that_is_gone(index: Index) -> None:
    made = facts("h/a.json")
    known = KnownRequest(KEY, ("a",), "m", ())
    full = replace(
        made,
        ids=(AnswerId("id-1", "created"),),
        sides=("x.bin",),
        traces=frozenset("t"),
        digest=b"d" * 16,
        known=known,
        answer=DirectAnswer(b"head", b"body", 200),
    )
    index.put([full])
    tables = [*_INSERTED]
    counts = {table: index._db.execute(f"SELECT COUNT(*) FROM {table}") for table in tables}
    assert {table: rows.fetchone()[0] for table, rows in counts.items()} == dict.fromkeys(tables, 1)
    index.forget("h", ["a.json"])
    counts = {table: index._db.execute(f"SELECT COUNT(*) FROM {table}") for table in tables}
    assert {table: rows.fetchone()[0] for table, rows in counts.items()} == dict.fromkeys(tables, 0)
