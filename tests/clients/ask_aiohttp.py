"""aiohttp, which takes proxy and trust from the environment where it is told to."""

from collections.abc import AsyncIterator

import aiohttp

from .place import body, headers, url
from .say import Call, async_events


async def whole() -> AsyncIterator[str]:
    call = "aiohttp.whole"
    asked = body(call, stream=False)
    async with (
        aiohttp.ClientSession(trust_env=True, raise_for_status=True) as session,
        session.post(url(call), headers=headers(), json=asked) as answer,
    ):
        yield (await answer.read()).decode()


async def streamed() -> AsyncIterator[str]:
    call = "aiohttp.streamed"
    asked = body(call, stream=True)
    async with (
        aiohttp.ClientSession(trust_env=True, raise_for_status=True) as session,
        session.post(url(call), headers=headers(), json=asked) as answer,
    ):
        async for event in async_events(answer.content.iter_any()):
            yield event


CALLS: dict[str, Call] = {"aiohttp.whole": whole, "aiohttp.streamed": streamed}
