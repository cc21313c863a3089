"""The together package, as its README shows it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from together import AsyncTogether, Together

from .say import Call

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"


def whole() -> Iterator[Any]:
    answer = Together().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "together.whole"}]
    )
    yield answer.model_dump(mode="json")


def streamed() -> Iterator[Any]:
    stream = Together().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "together.streamed"}], stream=True
    )
    for chunk in stream:
        yield chunk.model_dump(mode="json")


async def async_whole() -> AsyncIterator[Any]:
    async with AsyncTogether() as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "together.async_whole"}]
        )
        yield answer.model_dump(mode="json")


async def async_streamed() -> AsyncIterator[Any]:
    async with AsyncTogether() as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "together.async_streamed"}],
            stream=True,
        )
        async for chunk in stream:
            yield chunk.model_dump(mode="json")


CALLS: dict[str, Call] = {
    "together.whole": whole,
    "together.streamed": streamed,
    "together.async_whole": async_whole,
    "together.async_streamed": async_streamed,
}
