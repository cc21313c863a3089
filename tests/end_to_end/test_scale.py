"""Thousands of recordings are found, and what happens to them on disk is noticed."""

import json
import os
from pathlib import Path

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, from_request
from wiretape.library import index_cache
from wiretape.library.library import Library, LocalState

COUNT = int(os.environ.get("WIRETAPE_SCALE", "6000"))
"""100,000 by hand: that takes a minute."""
JSON = (("content-type", "application/json"),)


def exchange(prompt: str, answer: str = "hello") -> Exchange:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = Request(
        "POST", "https", "api.together.xyz", 443, "/v1/chat/completions", headers=JSON, body=body
    )
    reply = json.dumps({"id": f"c-{prompt}", "choices": [{"message": {"content": answer}}]})
    return Exchange(request, Response(200, JSON, (Chunk(reply.encode(), 0.1),)), None)


def fill(folder: Path, count: int) -> None:
    """Recordings of so many prompts, a hundred endpoints' folders full."""
    text = recording_format.dumps(from_exchange(exchange("PROMPT")))
    for number in range(count):
        place = folder / "api.together.xyz" / f"v1-{number % 100}"
        if number < 100:
            place.mkdir(parents=True)
        name = os.path.join(place, f"{number:012x}.json")
        with open(name, "w", encoding="utf-8") as file:
            file.write(text.replace("PROMPT", prompt(number)))


def prompt(number: int) -> str:
    """A question that shares a word or two with others."""
    return f"prompt {number}: what of {number * 7} and {number * 13}, or {number * 17}"


def library(folder: Path, cache: Path) -> Library:
    opened = Library(
        folder,
        Matcher(built_in()),
        state=LocalState(cache.parent, index_cache.fingerprint(cache)),
    )
    opened.load()
    return opened


def answer(of: Library, prompt: str) -> list[str]:
    key = of.keys(from_request(exchange(prompt).request))[0].key
    bodies = [of.read(entry.name).response.body for entry in of.takes(key)]
    return [json.loads(body)["choices"][0]["message"]["content"] for body in bodies]


def test_as_many_recordings_are_found_and_changes_noticed(tmp_path: Path) -> None:
    folder, cache = tmp_path / "recordings", tmp_path / "index"
    fill(folder, COUNT)
    cold = library(folder, cache)
    assert (len(cold), cold.faults) == (COUNT, [])
    cold.close()

    warm = library(folder, cache)
    assert len(warm) == COUNT
    assert [answer(warm, prompt(n)) for n in range(0, COUNT, 997)] == [["hello"]] * len(
        range(0, COUNT, 997)
    )
    nearest = warm.nearest(warm.keys(from_request(exchange(prompt(4242) + " then?").request))[0], 3)
    assert nearest[0][0].endswith(f"{4242:012x}.json")

    place = folder / "api.together.xyz" / "v1-7"
    (place / "new.json").write_text(recording_format.dumps(from_exchange(exchange("new", "came"))))
    assert answer(warm, "new") == ["came"]
    edited = place / f"{107:012x}.json"
    edited.write_text(recording_format.dumps(from_exchange(exchange("edited", "in place"))))
    assert answer(warm, prompt(107)) == []
    assert answer(warm, "edited") == ["in place"]
    (place / f"{207:012x}.json").unlink()
    assert answer(warm, prompt(207)) == []
    assert len(warm) == COUNT
    warm.close()

    again = library(folder, cache)
    assert answer(again, "edited") == ["in place"]
    assert (len(again), again.faults) == (COUNT, [])
    again.close()
