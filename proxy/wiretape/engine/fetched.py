"""Ask for what a request needs where recordings are fetched when they are first used."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from wiretape.core.errors import FormatError
from wiretape.library.on_demand import NotHere, deferring

from .request import ReplayRequest


async def when_here[T](ask: Callable[[], T]) -> T:
    """What `ask` gives once the recordings that it needs are here; it is called again after each
    that had to be fetched. StoreError for one that cannot be had.
    """
    while True:
        try:
            with deferring():
                return ask()
        except NotHere as absent:
            await fetch(absent)


async def fetch(absent: NotHere) -> None:
    """Fetch a recording without keeping others waiting; StoreError if it cannot be had."""
    with suppress(FormatError):  # it is here, and who looks it up again reports it
        await asyncio.to_thread(absent.fetch)


async def is_under_other_key(request: ReplayRequest) -> bool:
    """Whether recordings of a request that would miss are under another key in a shared index; they
    answer it from now on.
    """
    library = request.session.library
    if library.own_prepare is None or request.canonical.never_recorded:
        return False
    return any([await asyncio.to_thread(library.seek, form) for form in request.canonicals])
