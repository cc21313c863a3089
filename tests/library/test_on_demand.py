"""Inside `deferring()` what has to be fetched is said to be elsewhere, and only there."""

import asyncio

import pytest

from wiretape.library.on_demand import NotHere, deferring, may_defer


async def test_a_thread_that_is_begun_after_the_block_fetches() -> None:
    def read() -> str:
        if may_defer():
            raise NotHere(read)
        return "fetched"

    assert await asyncio.to_thread(read) == "fetched"
    with pytest.raises(NotHere) as absent, deferring():
        read()
    assert await asyncio.to_thread(absent.value.fetch) == "fetched"


def test_an_inner_block_may_wait() -> None:
    with deferring():
        with deferring(active=False):
            assert not may_defer()
        assert may_defer()
    assert not may_defer()


async def test_other_requests_are_not_concerned() -> None:
    async def elsewhere() -> bool:
        await asyncio.sleep(0)
        return may_defer()

    other = asyncio.create_task(elsewhere())
    with deferring():
        assert not await other
