"""Work says how far it has come, and pays nothing where nobody looks on."""

import io
from pathlib import Path

import pytest
from tests.support.stored import document, put

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library, LocalState
from wiretape.progress import Advance, read_through, shown_by, steps, track


class Display:
    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def begin(self, what: str, total: int) -> Advance:
        self.events.append((what, total))
        return lambda number: self.events.append(("done", number))

    def end(self, advance: Advance) -> None:
        self.events.append(("end", 0))


def test_each_item_is_told_once_it_is_done() -> None:
    display = Display()
    with shown_by(display):
        assert list(track("ab", "spelling")) == ["a", "b"]
    assert display.events == [("spelling", 2), ("done", 1), ("done", 1), ("end", 0)]


def test_work_that_fails_ends_too() -> None:
    display = Display()
    with shown_by(display), pytest.raises(ValueError, match="no"), steps("failing", 1):
        raise ValueError("no")
    assert display.events[-1] == ("end", 0)


def test_nothing_is_shown_otherwise() -> None:
    display = Display()
    with shown_by(display), shown_by(None):
        assert list(track("ab", "spelling")) == ["a", "b"]
    file = io.BytesIO(b"abc")
    with read_through(file, "reading") as shown:
        assert shown is file
    assert display.events == []


def test_an_index_that_is_built_shows_how_far_it_is(tmp_path: Path) -> None:
    display = Display()
    for number in range(3):
        put(tmp_path / "r", document(f"prompt {number}"))
    with shown_by(display):
        library = Library(tmp_path / "r", Matcher(built_in()), state=LocalState(tmp_path))
        library.load()
    assert len(library) == 3
    assert ("indexing", 3) in display.events
    assert display.events.count(("done", 1)) == 3


def test_a_file_tells_how_far_it_was_read_and_each_byte_once() -> None:
    display = Display()
    data = bytes(range(256)) * 100
    with shown_by(display), read_through(io.BytesIO(data), "reading") as shown:
        assert shown.read(2) == data[:2]
        shown.seek(0)
        assert shown.read() == data
    assert display.events[0] == ("reading", len(data))
    assert sum(number for what, number in display.events if what == "done") == len(data)
