"""An answer that was recorded incomplete ends as it did: by a close, a reset, or silence."""

import asyncio
from typing import cast

import pytest
from tests.support.limits import PATIENCE
from tests.support.loops import BOTH_LOOPS
from tests.support.loops import event_loop_policy as event_loop_policy

from wiretape.core.model import End
from wiretape.engine.abrupt_end import end

pytestmark = BOTH_LOOPS
HALF = b"half of an answer" * 10_000


async def ended(ending: End, silent: float = 0.0) -> tuple[bytes, type[Exception] | None]:
    """What a client gets of an answer that ends like this, and the error it ends with."""
    tasks: list[asyncio.Task[None]] = []

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport = cast(asyncio.Transport, transport)  # uvloop has one of its own
            transport.write(HALF)
            tasks.append(asyncio.ensure_future(end(transport, ending, silent)))

    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    got, error = b"", None
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            while data := await reader.read(65536):
                got += data
        except OSError as caught:
            error = type(caught)
        writer.close()
    server.close()
    await asyncio.gather(*tasks)
    return got, error


async def test_a_cut_gives_all_that_was_written_and_then_a_clean_close() -> None:
    assert await ended("cut") == (HALF, None)


async def test_a_reset_gives_all_that_was_written_and_then_the_reset() -> None:
    assert await ended("reset") == (HALF, ConnectionResetError)


async def test_a_client_that_left_is_given_time_to_leave_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await ended("client-closed", silent=2.0) == (HALF, None)
    assert slept == [5.0], "twice the silence, and a second"


async def test_silence_lasts_until_the_client_gives_up() -> None:
    class Silent(asyncio.Transport):
        def close(self) -> None:
            raise AssertionError("it was not to end")

    task = asyncio.ensure_future(end(Silent(), "timeout"))
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
