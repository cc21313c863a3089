"""The openai package, as its README shows it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from openai import AsyncOpenAI, OpenAI

from .say import Call

MODEL = "gpt-4o-mini"


def models() -> Iterator[Any]:
    for model in OpenAI().models.list():
        yield model.model_dump(mode="json")


def whole() -> Iterator[Any]:
    answer = OpenAI().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "openai.whole"}]
    )
    yield answer.model_dump(mode="json")


def streamed() -> Iterator[Any]:
    stream = OpenAI().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "openai.streamed"}], stream=True
    )
    for chunk in stream:
        yield chunk.model_dump(mode="json")


def responses_streamed() -> Iterator[Any]:
    for event in OpenAI().responses.create(
        model=MODEL, input="openai.responses_streamed", stream=True
    ):
        yield event.model_dump(mode="json", warnings=False)


async def async_whole() -> AsyncIterator[Any]:
    async with AsyncOpenAI() as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "openai.async_whole"}]
        )
        yield answer.model_dump(mode="json")


async def async_streamed() -> AsyncIterator[Any]:
    async with AsyncOpenAI() as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "openai.async_streamed"}],
            stream=True,
        )
        async for chunk in stream:
            yield chunk.model_dump(mode="json")


CALLS: dict[str, Call] = {
    "openai.models": models,
    "openai.whole": whole,
    "openai.streamed": streamed,
    "openai.responses_streamed": responses_streamed,
    "openai.async_whole": async_whole,
    "openai.async_streamed": async_streamed,
}
