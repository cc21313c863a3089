"""What a request needs is fetched first, and asked for again then."""

from functools import partial

import pytest

from wiretape.core.errors import FormatError, StoreError
from wiretape.engine.fetched import when_here
from wiretape.library.on_demand import NotHere, may_defer


class Shelf:
    """Recordings that are here after they were fetched, and how often each was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.here: set[str] = set()
        self.calls = 0
        self._error = error

    def ask(self) -> str:
        self.calls += 1
        assert may_defer()
        for name in ("a", "b"):
            if name not in self.here:
                raise NotHere(partial(self.fetch, name))
        return "ab"

    def fetch(self, name: str) -> None:
        assert not may_defer()
        self.here.add(name)
        if self._error is not None:
            raise self._error


async def test_it_is_asked_again_after_each_that_was_fetched() -> None:
    shelf = Shelf()
    assert await when_here(shelf.ask) == "ab"
    assert shelf.calls == 3


async def test_one_that_is_here_and_broken_is_for_the_next_to_report() -> None:
    assert await when_here(Shelf(FormatError("a.json: not JSON")).ask) == "ab"


async def test_one_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(StoreError, match="is gone"):
        await when_here(Shelf(StoreError("a.json is gone")).ask)
