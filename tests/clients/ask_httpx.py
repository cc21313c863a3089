"""httpx: sync, async, and preferring HTTP/2."""

from collections.abc import AsyncIterator, Callable, Iterator

import httpx

from .place import body, headers, url
from .say import Call, async_events, events


def whole(call: str, *, http2: bool = False) -> Callable[[], Iterator[str]]:
    def ask() -> Iterator[str]:
        with httpx.Client(http2=http2, timeout=600) as client:
            answer = client.post(url(call), headers=headers(), json=body(call, stream=False))
            yield answer.raise_for_status().content.decode()

    return ask


def streamed(call: str, *, http2: bool = False) -> Callable[[], Iterator[str]]:
    def ask() -> Iterator[str]:
        asked = body(call, stream=True)
        with (
            httpx.Client(http2=http2, timeout=600) as client,
            client.stream("POST", url(call), headers=headers(), json=asked) as answer,
        ):
            yield from events(answer.raise_for_status().iter_bytes())

    return ask


async def async_whole() -> AsyncIterator[str]:
    async with httpx.AsyncClient(timeout=600) as client:
        call = "httpx.async_whole"
        asked = body(call, stream=False)
        answer = await client.post(url(call), headers=headers(), json=asked)
        yield answer.raise_for_status().content.decode()


async def async_streamed() -> AsyncIterator[str]:
    call = "httpx.async_streamed"
    asked = body(call, stream=True)
    async with (
        httpx.AsyncClient(timeout=600) as client,
        client.stream("POST", url(call), headers=headers(), json=asked) as answer,
    ):
        async for event in async_events(answer.raise_for_status().aiter_bytes()):
            yield event


CALLS: dict[str, Call] = {
    "httpx.whole": whole("httpx.whole"),
    "httpx.streamed": streamed("httpx.streamed"),
    "httpx.gzip_whole": whole("httpx.gzip_whole"),
    "httpx.gzip_streamed": streamed("httpx.gzip_streamed"),
    "httpx.odd_streamed": streamed("httpx.odd_streamed"),
    "httpx.http2_whole": whole("httpx.http2_whole", http2=True),
    "httpx.http2_streamed": streamed("httpx.http2_streamed", http2=True),
    "httpx.async_whole": async_whole,
    "httpx.async_streamed": async_streamed,
}
