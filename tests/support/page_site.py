"""The page with something on every view, served from a thread for a real browser."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.limits import PATIENCE
from tests.support.page_recordings import KEY, PNG, recording, write

from wiretape.config.load import load
from wiretape.core.matching.canonical import Difference
from wiretape.core.matching.miss import Miss
from wiretape.report.report import Report, Row
from wiretape.ui.server import Page, serving

FOLDER = "api.openai.com/v1-chat-completions"
STREAM, TAKE, PLAIN = (f"{FOLDER}/{name}.json" for name in ("aa00", "aa00.2", "bb00"))
QUESTION = "How does a tide pool change over one day? My key is " + KEY
ANSWER = (
    "At high water the pool is a part of the sea: cool, salty, full of air. As the tide goes out it"
    " is cut off, the sun warms it, and what lives there has to bear it until the sea comes back."
)
ATTACKS = (
    "<script>window.hit=1</script>",
    "\"'><img src=x onerror=window.hit=1>",
    "</script><script>window.hit=1</script><!--",
    "</title></textarea><svg/onload=window.hit=1>",
    "javascript:window.hit=1//${window.hit=1}{{window.hit=1}}",
    "<style>*{display:none}</style>\u2028<base href=//evil.example>",
)
"""Texts that would run, load or restyle something if they were taken for HTML or script."""


def example() -> dict[str, Any]:
    """A streamed answer with a tool, thoughts, an image and a redacted value, at an uneven pace."""
    words = [f"{word} " for word in ANSWER.split()]
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    document = recording(words, parts)
    call = {"id": "call_1", "function": {"name": "tides", "arguments": '{"place": "Brest"}'}}
    document["request"]["body"]["messages"][:0] = [
        {"role": "system", "content": "Answer in two sentences."},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "low at 10:40, high at 16:55"},
    ]
    document["request"]["body"]["tools"] = [{"function": {"name": "tides"}}]
    at = 0.18
    for number, item in enumerate(document["response"]["body"]):
        at += 0.34 if number == 17 else 0.015 + 0.03 * ((number * 7) % 5)
        item["at"] = round(at, 3)
    document["response"]["end_at"] = round(at, 3)
    return document


def attacked(attack: str) -> dict[str, Any]:
    """A recording that says an attack wherever there is room for a text."""
    call = {"id": attack, "function": {"name": attack, "arguments": json.dumps({attack: attack})}}
    message = {"role": attack, "name": attack, "content": attack, "tool_calls": [call]}
    image = {"type": "image_url", "image_url": {"url": f"data:image/svg+xml,{attack}"}}
    document = recording([attack], [{"type": "text", "text": attack}, image])
    document["request"]["url"] = f"https://api.openai.com/v1/chat/{attack}?q={attack}"
    document["request"]["headers"] |= {"x-attack": attack.replace("\u2028", "")}
    document["request"]["body"] |= {"model": attack, "tools": [{"function": {"name": attack}}]}
    document["request"]["body"]["messages"].append(message)
    choice = {"index": 0, "delta": message, "finish_reason": attack}
    document["response"]["headers"]["x-attack"] = attack.replace("\u2028", "")
    document["response"]["body"] += [
        {"__data__": {"choices": [choice]}, "at": 0.6},
        {"data": attack, "event": attack, "at": 0.7},
        {"__data__": {"error": {"message": attack}}, "at": 0.8},
    ]
    return document


def fill(folder: Path) -> None:
    """Write recordings of all sorts, and files that are none."""
    write(folder, STREAM, example())
    write(folder, TAKE, recording([f"{word} " for word in ANSWER.replace("cool", "cold").split()]))
    failed = recording([], "Say it")
    failed["response"] |= {
        "status": 429,
        "is_streaming": False,
        "headers": {"content-type": "application/json"},
        "body": {"__data__": {"error": {"message": "slow down"}}, "at": 0.1},
    }
    write(folder, PLAIN, failed)
    for number, attack in enumerate(ATTACKS):
        write(folder, f"{FOLDER}/{attack.replace('/', '_')}.json", attacked(attack))
        write(folder, f"attack-{number}/{FOLDER}/dd00.json", attacked(attack))
    (folder / "broken <img src=x onerror=window.hit=1>.json").write_text("{")


def report() -> Report:
    """A run with hits, misses of which one attacks, a loss and notices."""
    run = Report("replay")
    run.add(Row("replayed", "openai", "POST", "/v1/chat/completions", recording=STREAM, **_TIMES))
    differences: tuple[Difference, ...] = (
        Difference("body.temperature", 0.7, 0.2),
        Difference("body.messages[1].content", QUESTION.replace("one day", "a year"), QUESTION),
    )
    url = "https://api.openai.com/v1/chat/completions"
    miss = Miss("POST", url, "differs", nearest=STREAM, differences=differences)
    run.add(Row("missed", "openai", "POST", "/v1/chat/completions", miss=miss))
    for attack in ATTACKS:
        differences = (Difference(attack, attack, f"{attack} {attack}"),)
        miss = Miss("POST", attack, "differs", nearest=attack, differences=differences)
        run.add(Row("missed", attack, "POST", attack, attack, miss=miss, session=attack))
        run.add(Row("refused", attack, "POST", attack, note=attack))
        run.notice(attack)
    return run


_TIMES: dict[str, Any] = {"first_chunk": 0.2, "duration": 1.2, "status": 200, "chunks": 39}


@contextmanager
def served(page: Page) -> Iterator[str]:
    """Serve a page on a thread as long as the block lasts; gives the URL that opens it."""
    started: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def serve() -> None:
        over = asyncio.Event()
        async with serving(page) as url:
            started.append((url, asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE)
    url, loop, over = started[0]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def page_of(folder: Path) -> Page:
    """The page over a folder."""
    return Page(config=load(None, {}), folder=folder)
