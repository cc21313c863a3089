"""Which recordings make a sequence, in what order, and what is missing in it."""

from dataclasses import dataclass, field

import pytest

from wiretape.core.recording.file_names import take_of
from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.sequence import (
    Linked,
    Root,
    Roots,
    in_recorded_order,
    missing_before,
    sequence,
)

A, B = "a" * 12, "b" * 12


@dataclass(frozen=True)
class Made:
    """A recording as the index knows it."""

    name: str
    recorded: int = 0
    links: dict[str, str] = field(default_factory=dict)
    hops: int = 0

    @property
    def take(self) -> int:
        return take_of(self.name)


def names(made: list[Made]) -> list[str]:
    return [one.name for one in made]


def test_the_order_is_that_of_recording_and_within_a_name_that_of_takes() -> None:
    made = [
        Made(f"h/{B}.2.json", 40),
        Made(f"h/{A}.10.json", 10),
        Made(f"h/{A}.2.json", 30),
        Made(f"h/{B}.json", 20),
        Made(f"h/{A}.json", 10),
    ]
    expected = [f"{A}", f"{B}", f"{A}.2", f"{A}.10", f"{B}.2"]
    assert names(in_recorded_order(made)) == [f"h/{stem}.json" for stem in expected]


def test_of_one_second_the_number_of_answers_on_the_way_tells_the_order() -> None:
    made = [
        Made(f"h/{stem * 12}.json", 7, hops=hops) for stem, hops in (("c", 1), ("a", 3), ("b", 2))
    ]
    assert [one.hops for one in in_recorded_order(made)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("there", "at", "missing"),
    [
        ([A, f"{A}.2"], 1, []),
        ([A, f"{A}.4"], 1, [f"{A}.2", f"{A}.3"]),
        ([f"{A}.3"], 0, [A, f"{A}.2"]),
        ([A, B, f"{A}.3"], 2, [f"{A}.2"]),
        ([A, f"{A}.2"], 0, []),
        (["weather.7"], 0, []),
        (["3f2a.7"], 0, []),
    ],
)
def test_what_is_missing_in_the_middle(there: list[str], at: int, missing: list[str]) -> None:
    found = missing_before([f"h/e/{stem}.json" for stem in there], at)
    assert list(found) == [f"h/e/{stem}.json" for stem in missing]


CREATED = {"id": [(10, "one"), (30, "two")]}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"id": "one"}, ["linked one", "later one"]),
        ({"id": "two"}, ["linked two", "later two"]),
        ({}, ["before"]),
        ({"id": "another"}, []),
    ],
)
def test_what_an_id_says_holds_from_its_creation_to_the_next(
    wanted: dict[str, str], expected: list[str]
) -> None:
    made = [
        Made("later two", 50),
        Made("linked two", 40, {"id": "two#0"}),
        Made("before", 5),
        Made("linked one", 20, {"id": "one#0"}),
        Made("later one", 25, {"id": "elsewhere#0"}),
    ]
    assert names(sequence([], made, wanted, CREATED)) == expected


def test_what_cannot_be_told_answers_where_nothing_else_does() -> None:
    """Earlier versions told times to the second: a poll of the creation's second may be either."""
    unsure, later = Made("unsure", 10), Made("later", 20)
    assert names(sequence([], [unsure], {"id": "one"}, CREATED)) == ["unsure"]
    assert names(sequence([], [unsure, later], {"id": "one"}, CREATED)) == ["later"]
    assert names(sequence([Made("exact", 11)], [unsure], {"id": "one"}, CREATED)) == ["exact"]


def test_a_recording_that_is_found_twice_is_there_once() -> None:
    made = [Made("x", 20), Made("y", 25)]
    assert names(sequence(made[:1], made, {"id": "one"}, CREATED)) == ["x", "y"]


def roots(recordings: dict[str, Linked]) -> Roots:
    return Roots(lambda token: [recordings[token]] if token in recordings else [])


def test_a_chain_of_polls_leads_to_what_created_the_id() -> None:
    """In linear time, whichever poll is asked first."""
    asked = []
    polled = (AnswerId("x"), AnswerId("id", "repeated"))
    chain = {
        "made": Linked({}, (AnswerId("id", "created"),)),
        "0": Linked({"id": "made#0"}, polled),
    }
    chain |= {f"{n}": Linked({"id": f"{n - 1}#1"}, polled) for n in range(1, 1500)}

    def givers(token: str) -> list[Linked]:
        asked.append(token)
        return [chain[token]]

    found = Roots(givers)
    assert found.of("id", "1499#1") == Root("made#0", 1501)
    assert [found.of("id", f"{n}#1").hops for n in range(3)] == [2, 3, 4]
    assert len(asked) == 1501


def test_an_id_that_the_first_poll_sent_came_from_no_answer() -> None:
    polled = (AnswerId("id", "repeated"),)
    found = roots({"first": Linked({}, polled), "second": Linked({"id": "first#0"}, polled)})
    assert found.of("id", "second#0") == Root(None, 2)


def test_a_recording_missing_on_the_way_leaves_it_unsure() -> None:
    found = roots({"b": Linked({"id": "a#0"}, (AnswerId("id", "repeated"),))})
    assert found.of("id", "b#0") == Root("a#0", 2, is_sure=False)
    for token in ("none", "b#1", "b#x", "b#" + "9" * 30, "b#-1"):
        assert not found.of("id", token).is_sure


def test_recordings_that_name_one_another_end() -> None:
    polled = (AnswerId("id", "repeated"),)
    found = roots({"a": Linked({"id": "b#0"}, polled), "b": Linked({"id": "a#0"}, polled)})
    assert found.of("id", "a#0").token in ("a#0", "b#0")
