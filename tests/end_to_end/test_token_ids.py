"""Ollama's context through the real proxy: what was redacted is not in it, and it still matches."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.commands import Wiretape
from tests.support.stream_call import HOST, documents, options
from tests.support.upstream import Answer, Upstream

SHAPED = "tgp" + "_v1_" + "k3Vt9QbLx7RmZp2WcYd5HsNf8JgTa4Ue6KiOq1BrXwM"
CLIENT = f"""
import json, sys, urllib.request
def ask(**body):
    media = {{"content-type": "application/json"}}
    data = json.dumps(body).encode()
    request = urllib.request.Request("https://{HOST}/api/generate", data, media)
    answer = urllib.request.urlopen(request, timeout=30).read()
    parts = [json.loads(line) for line in answer.splitlines()]
    print("".join(part["response"] for part in parts), flush=True)
    return parts[-1]["context"]
sent = json.loads(sys.argv[1]) if len(sys.argv) > 1 else ask(model="m", prompt="my key is {SHAPED}")
sent = ask(model="m", prompt="and now?", context=sent)
ask(model="m", prompt="and then?", context=sent + [7, 8])
"""


def ids(text: str) -> list[int]:
    """A vocabulary of one token a character."""
    return [1000 + ord(letter) for letter in text]


def generated(text: str, context: list[int]) -> Answer:
    lines = [
        {"response": text, "done": False},
        {"response": "", "done": True, "context": context, "eval_count": 2},
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    # A long list reaches the client in several reads.
    chunks = [data[:90], data[90:400], data[400:]]
    return Answer(headers=[("Content-Type", "application/x-ndjson")], chunks=chunks)


def spelled(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        numbers = [item for item in items if type(item) is int and 1000 <= item < 1200]
        yield "".join(chr(number - 1000) for number in numbers)
        for item in items:
            yield from spelled(item)


def stands(folder: Path) -> bool:
    texts = [json.dumps(document) for document in documents(folder)]
    lists = [text for document in documents(folder) for text in spelled(document)]
    return any(SHAPED in text for text in (*texts, *lists))


def test_the_context_of_a_conversation_is_neutral_and_replays(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    first = ids(f"[user]my key is {SHAPED}[model]yes")
    second = first + ids("[user]and now?[model]well")
    upstream.script(
        "/api/generate",
        generated("yes", first),
        generated("well", second),
        generated("so", [*second, 7, 8]),
    )
    folder, client = tmp_path / "r", [sys.executable, "-c", CLIENT]
    done = wiretape("record", *options(upstream, folder), "--", *client)
    assert (done.returncode, done.stdout.split()) == (0, ["yes", "well", "so"]), done.stderr
    # The client and the provider had the lists themselves.
    assert [json.loads(request.body).get("context") for request in upstream.requests] == [
        None,
        first,
        [*second, 7, 8],
    ]
    assert len(documents(folder)) == 3
    assert not stands(folder)
    again = wiretape("replay", "-r", folder, "--", *client)
    assert (again.returncode, again.stdout.split()) == (0, ["yes", "well", "so"]), again.stderr
    # A client that has the context from a file of its own.
    kept = wiretape("replay", "-r", folder, "--", *client, json.dumps(first))
    assert (kept.returncode, kept.stdout.split()) == (0, ["well", "so"]), kept.stderr
    other = wiretape("replay", "-r", folder, "--", *client, json.dumps([*first[:-1], 9]))
    assert "1 missed" in other.stderr
    # A run that comes later records what goes on from there.
    upstream.script("/api/generate", generated("more", second))
    added = wiretape("record", *options(upstream, folder), "--", *client, json.dumps(first))
    assert added.returncode == 0, added.stderr
    assert not stands(folder)
    assert wiretape("verify", "-r", folder).returncode == 0
    assert wiretape("scan", folder).returncode == 0


def test_a_secret_that_becomes_known_later_goes_from_the_context_of_every_recording(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    """Its recordings were written with the lists as they came."""
    value = "q7HsT2mXv9" + "LbWc4RzKp8NdFg"
    first = ids(f"[user]my key is {value}[model]yes")
    upstream.script("/api/generate", generated("yes", first), generated("well", first + ids("a")))
    upstream.script("/v1/end", Answer.json({"tok": value}))
    (tmp_path / "config.yaml").write_text('redact: {json: ["$.tok"]}\n')
    client = CLIENT.replace(SHAPED, value).replace(
        'ask(model="m", prompt="and then?", context=sent + [7, 8])',
        f'urllib.request.urlopen("https://{HOST}/v1/end", timeout=30).read()',
    )
    folder = tmp_path / "r"
    asking = ("--", sys.executable, "-c", client)
    done = wiretape("record", *options(upstream, folder), *asking, cwd=tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, ["yes", "well"]), done.stderr
    assert len(documents(folder)) == 3
    lists = [text for document in documents(folder) for text in spelled(document)]
    assert not any(value in text for text in lists)
    again = wiretape("replay", "-r", folder, *asking, cwd=tmp_path)
    assert (again.returncode, again.stdout.split()) == (0, ["yes", "well"]), again.stderr
