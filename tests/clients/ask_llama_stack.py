"""Makes SDK calls in an environment of llama-stack's, and prints what each gave.

    python ask_llama_stack.py PACKAGE FOLDER|URL < calls.json

PACKAGE is llama_stack or ogx. With a FOLDER its own recorder replays the calls from there, with the
URL of a proxy's base URLs they go to that.
"""

import asyncio
import importlib
import json
import sys
from contextlib import nullcontext
from typing import Any


async def outcome(package: str, call: dict[str, Any], base: str | None) -> Any:
    """What a call gave: objects, text, or an exception."""
    testing = importlib.import_module(f"{package}.core.testing_context")
    context = testing.set_test_context(call["test_id"])
    try:
        return await result(package, call, base)
    except Exception as error:
        given = {name: getattr(error, name, None) for name in ("status_code", "body")}
        return {"error": type(error).__name__, "text": str(error), **given}
    finally:
        testing.reset_test_context(context)


async def result(package: str, call: dict[str, Any], base: str | None) -> Any:
    scheme, host = call["host"].split("://")
    host = f"{base}/{host}" if base else f"{scheme}://{host}"
    kind, arguments = call["kind"], call["arguments"]
    if kind == "http":
        return await posted(package, host + call["path"], arguments)
    # What is patched is asked for when it is called: both are that environment's, not the tests'.
    method: Any
    if call["path"].startswith("/api"):
        method = importlib.import_module("ollama").AsyncClient(host)
    else:
        openai = importlib.import_module("openai")
        method = openai.AsyncOpenAI(base_url=host + call["path"], api_key="x", max_retries=0)
    for name in kind.split("."):
        method = getattr(method, name)
    answer = method(**arguments)
    if kind == "models.list":
        return [item.model_dump(mode="json") async for item in answer]
    answer = await answer
    if arguments.get("stream"):
        return [item.model_dump(mode="json") async for item in answer]
    return answer.model_dump(mode="json")


async def posted(package: str, url: str, payload: dict[str, Any]) -> Any:
    http = importlib.import_module("httpx2" if package == "ogx" else "httpx")
    async with http.AsyncClient(trust_env=False) as client:
        if not payload.get("stream"):
            return (await client.post(url, json=payload)).json()
        async with client.stream("POST", url, json=payload) as answer:
            return [line async for line in answer.aiter_lines()]


async def main(package: str, place: str) -> None:
    is_url = place.startswith("http://")
    recorder = importlib.import_module(f"{package}.testing.api_recorder")
    with nullcontext() if is_url else recorder.api_recording("replay", place):
        for call in json.load(sys.stdin):
            print(json.dumps(await outcome(package, call, place if is_url else None)))


asyncio.run(main(*sys.argv[1:]))
