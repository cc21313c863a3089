"""The anthropic package, as its README shows it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from .say import Call

MODEL = "claude-sonnet-5"


def whole() -> Iterator[Any]:
    message = Anthropic().messages.create(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "anthropic.whole"}]
    )
    yield message.model_dump(mode="json")


def streamed() -> Iterator[Any]:
    stream = Anthropic().messages.create(
        model=MODEL,
        max_tokens=100,
        messages=[{"role": "user", "content": "anthropic.streamed"}],
        stream=True,
    )
    for event in stream:
        yield event.model_dump(mode="json")


async def async_whole() -> AsyncIterator[Any]:
    async with AsyncAnthropic() as client:
        message = await client.messages.create(
            model=MODEL,
            max_tokens=100,
            messages=[{"role": "user", "content": "anthropic.async_whole"}],
        )
        yield message.model_dump(mode="json")


async def async_streamed() -> AsyncIterator[Any]:
    async with AsyncAnthropic() as client:
        stream = await client.messages.create(
            model=MODEL,
            max_tokens=100,
            messages=[{"role": "user", "content": "anthropic.async_streamed"}],
            stream=True,
        )
        async for event in stream:
            yield event.model_dump(mode="json")


CALLS: dict[str, Call] = {
    "anthropic.whole": whole,
    "anthropic.streamed": streamed,
    "anthropic.async_whole": async_whole,
    "anthropic.async_streamed": async_streamed,
}
