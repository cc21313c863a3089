"""A client program that tells how exchanges end for it: `python -m ends CALLS`.

CALLS is a file: a JSON list of `Call`s. They are made at once, and a JSON line tells of each what
it got and what was raised. Where a provider is asked directly, ENDS_URL says where it is.
"""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, TypedDict

import anthropic
import httpx
import openai
from tests.support.limits import PATIENCE

OPENAI = os.environ.get("ENDS_URL", "https://api.openai.com")
ANTHROPIC = os.environ.get("ENDS_URL", "https://api.anthropic.com")
# Each client would make its own, and read all roots for it.
TRUST = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


class Call(TypedDict):
    """`client` makes the call, `name` tells it from all others; it leaves after `leave` pieces."""

    client: str
    name: str
    leave: int | None
    timeout: float | None
    retries: int
    headers: dict[str, str]


type Made = Callable[[Call], Iterator[Any] | AsyncIterator[Any]]


def _options(call: Call, url: str) -> dict[str, Any]:
    return {
        "api_key": "sk-none-0000000000000000",
        "base_url": url,
        "max_retries": call["retries"],
        "timeout": call["timeout"] or PATIENCE,
        "default_query": {"call": call["name"]},
        "default_headers": call["headers"],
    }


def _chat(call: Call, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": call["name"]}]
    return {"model": "m", "messages": messages, "stream": stream}


def _openai(call: Call) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(verify=TRUST)
    return openai.OpenAI(**_options(call, OPENAI + "/v1"), http_client=http)


def _async_openai(call: Call) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=TRUST)
    return openai.AsyncOpenAI(**_options(call, OPENAI + "/v1"), http_client=http)


def _anthropic(call: Call) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(verify=TRUST)
    return anthropic.Anthropic(**_options(call, ANTHROPIC), http_client=http)


def _async_anthropic(call: Call) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(verify=TRUST)
    return anthropic.AsyncAnthropic(**_options(call, ANTHROPIC), http_client=http)


def _shown(answer: Any) -> Any:
    return answer.model_dump(mode="json", warnings=False)


def openai_whole(call: Call) -> Iterator[Any]:
    with _openai(call) as client:
        yield _shown(client.chat.completions.create(**_chat(call, stream=False)))


def openai_stream(call: Call) -> Iterator[Any]:
    client = _openai(call)
    with client, client.chat.completions.create(**_chat(call, stream=True)) as stream:
        for chunk in stream:
            yield _shown(chunk)


def openai_responses(call: Call) -> Iterator[Any]:
    client = _openai(call)
    with client, client.responses.create(model="m", input=call["name"], stream=True) as stream:
        for event in stream:
            yield _shown(event)


async def openai_async_whole(call: Call) -> AsyncIterator[Any]:
    async with _async_openai(call) as client:
        yield _shown(await client.chat.completions.create(**_chat(call, stream=False)))


async def openai_async_stream(call: Call) -> AsyncIterator[Any]:
    client = _async_openai(call)
    async with client, await client.chat.completions.create(**_chat(call, stream=True)) as stream:
        async for chunk in stream:
            yield _shown(chunk)


def anthropic_whole(call: Call) -> Iterator[Any]:
    with _anthropic(call) as client:
        yield _shown(client.messages.create(**_chat(call, stream=False), max_tokens=9))


def anthropic_stream(call: Call) -> Iterator[Any]:
    client = _anthropic(call)
    with client, client.messages.create(**_chat(call, stream=True), max_tokens=9) as stream:
        for event in stream:
            yield _shown(event)


async def anthropic_async_stream(call: Call) -> AsyncIterator[Any]:
    client = _async_anthropic(call)
    async with (
        client,
        await client.messages.create(**_chat(call, stream=True), max_tokens=9) as stream,
    ):
        async for event in stream:
            yield _shown(event)


def _request(call: Call) -> dict[str, Any]:
    return {
        "url": OPENAI + "/v1/chat/completions",
        "params": {"call": call["name"]},
        "json": _chat(call, stream=True),
        "headers": call["headers"],
    }


def httpx_stream(call: Call) -> Iterator[Any]:
    client = httpx.Client(verify=TRUST, timeout=call["timeout"] or PATIENCE)
    with client, client.stream("POST", **_request(call)) as answer:
        yield answer.status_code
        for data in answer.iter_bytes():
            yield data.decode("latin-1")


async def httpx_async_stream(call: Call) -> AsyncIterator[Any]:
    client = httpx.AsyncClient(verify=TRUST, timeout=call["timeout"] or PATIENCE)
    async with client, client.stream("POST", **_request(call)) as answer:
        yield answer.status_code
        async for data in answer.aiter_bytes():
            yield data.decode("latin-1")


def curl(call: Call) -> Iterator[Any]:
    headers = ["content-type: application/json"]
    headers += [f"{name}: {value}" for name, value in call["headers"].items()]
    command = ["curl", "-sN", f"{OPENAI}/v1/chat/completions?call={call['name']}"]
    command += [part for value in headers for part in ("-H", value)]
    command += ["-w", "\n%{http_code}", "--data-raw", json.dumps(_chat(call, stream=True))]
    command += ["-m", str(call["timeout"] or PATIENCE)]
    done = subprocess.run(command, capture_output=True, check=False)
    yield done.stdout.decode("latin-1")
    yield f"curl ends with {done.returncode}"


CLIENTS: dict[str, Made] = {
    "openai.whole": openai_whole,
    "openai.stream": openai_stream,
    "openai.responses": openai_responses,
    "openai.async_whole": openai_async_whole,
    "openai.async_stream": openai_async_stream,
    "anthropic.whole": anthropic_whole,
    "anthropic.stream": anthropic_stream,
    "anthropic.async_stream": anthropic_async_stream,
    "httpx.stream": httpx_stream,
    "httpx.async_stream": httpx_async_stream,
    "curl": curl,
}
READS = ("httpx.stream", "httpx.async_stream")
"""Clients that show reads: which of them hold what is nobody's promise, so they are told joined."""


def made(call: Call) -> dict[str, Any]:
    """Make a call; tells its pieces, when they came, and what was raised."""
    began = monotonic()
    got: list[Any] = []
    times: list[float] = []
    raised: list[str] = []

    def came(piece: Any) -> bool:
        got.append(piece)
        times.append(round(monotonic() - began, 3))
        return call["leave"] is not None and len(got) >= call["leave"]

    try:
        answer = CLIENTS[call["client"]](call)
        if isinstance(answer, Iterator):
            for piece in answer:
                if came(piece):
                    break
            answer.close()  # type: ignore[attr-defined]  # a generator
        else:
            asyncio.run(_read(answer, came))
    except Exception as error:  # whatever a client raises is what is to be told
        raised = list(_chain(error))
    if call["client"] in READS:
        got = [*got[:1], "".join(got[1:])]
    took = round(monotonic() - began, 3)
    return {"name": call["name"], "got": got, "times": times, "raised": raised, "took": took}


async def _read(answer: AsyncIterator[Any], came: Callable[[Any], bool]) -> None:
    async for piece in answer:
        if came(piece):
            break
    await answer.aclose()  # type: ignore[attr-defined]  # a generator


def _chain(error: BaseException | None) -> Iterator[str]:
    """The classes of an exception and its causes; what an SDK's own says is told too."""
    while error is not None:
        kind = type(error)
        shown = f"{kind.__module__}.{kind.__qualname__}"
        if kind.__module__ in ("openai", "anthropic"):
            shown += re.sub(r"https://[^/]+/", "https://HOST/", f": {error}")
        yield shown
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    with ThreadPoolExecutor(16) as pool:
        for line in pool.map(made, json.loads(Path(sys.argv[1]).read_bytes())):
            print(json.dumps(line), flush=True)
