"""Lists of token ids do not spell what was redacted in the text."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction import gate
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import JsonRule, RedactionRules
from wiretape.core.redaction.token_ids import is_neutral
from wiretape.core.redaction.traces import KnownTraces, traces_in

KEY = "tgp" + "_v1_" + "k3Vt9QbLx7RmZp2WcYd5HsNf8JgTa4Ue6KiOq1BrXwM"
PROMPT = f"my key is {KEY}, keep it"


def ids(text: str) -> list[int]:
    """A vocabulary of one token a character."""
    return [1000 + ord(letter) for letter in text]


def texts_of(value: Any) -> Iterator[str]:
    """What the lists of ids in a JSON value, or in JSON in its strings, spell."""
    if isinstance(value, list):
        numbers = [
            int(item) for item in value if isinstance(item, int | str) and str(item).isdecimal()
        ]
        yield "".join(chr(number - 1000) for number in numbers if 1000 <= number < 2000)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_of(item)
    elif isinstance(value, str):
        for part in value.splitlines():
            try:
                yield from texts_of(json.loads(part.removeprefix("data:")))
            except ValueError:
                continue


def spells(document: Any) -> bool:
    said = json.dumps(document)
    return KEY in said or any(KEY in text for text in texts_of(document))


def exchange(sent: Any, *given: Any, path: str = "/v1/x", media: str = "application/json") -> Any:
    body = json.dumps(sent, separators=(",", ":")).encode()
    headers = (("content-type", media),)
    if media == "application/json":
        chunks = [json.dumps(given[0], separators=(",", ":")).encode()]
    elif media == "text/event-stream":
        chunks = [b"data: " + json.dumps(item).encode() + b"\n\n" for item in given]
    else:
        chunks = [json.dumps(item).encode() + b"\n" for item in given]
    return of_bytes(body, chunks, headers, path=path)


def of_bytes(
    body: bytes, chunks: list[bytes], headers: tuple[tuple[str, str], ...], path: str = "/v1/x"
) -> Any:
    request = Request(
        "POST", "http", "llm.example", 80, path, headers=(("content-type", "application/json"),),
        body=body,
    )  # fmt: skip
    streaming = headers[0][1] != "application/json"
    parts = tuple(Chunk(chunk, 0.1) for chunk in chunks)
    return from_exchange(Exchange(request, Response(200, headers, parts, streaming)))


ASKED = {"model": "m", "prompt": PROMPT}
USED = {"role": "assistant", "content": "yes"}
ALL = ids(f"[user]{PROMPT}[model]yes")
DIALECTS: dict[str, Any] = {
    "Ollama": exchange(ASKED, {"response": "yes", "done": True, "context": ALL}),
    "Ollama, streamed": exchange(
        ASKED,
        {"response": "yes", "done": False},
        {"response": "", "done": True, "context": ALL},
        media="application/x-ndjson",
    ),
    "Ollama, the answer repeats it": exchange(
        {"model": "m", "prompt": "which?", "context": ids(PROMPT)},
        {"response": KEY, "done": True, "context": ids(PROMPT + KEY)},
    ),
    "vLLM": exchange(
        ASKED,
        {
            "prompt_token_ids": ids(PROMPT),
            "choices": [{"index": 0, "message": USED, "token_ids": ids(KEY), "logprobs": None}],
        },
    ),
    "vLLM's completions": exchange(
        ASKED,
        {
            "choices": [
                {
                    "text": f"it is {KEY} and that is all that I have to say",
                    "logprobs": None,
                    "token_ids": ids(f"it is {KEY} and that is all that I have to say"),
                    "prompt_token_ids": ids(PROMPT),
                }
            ]
        },
    ),
    "vLLM, streamed": exchange(
        ASKED,
        {"prompt_token_ids": ids(PROMPT), "choices": [{"index": 0, "delta": {"content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": "ok"}, "token_ids": ids(KEY[:20])}]},
        {"choices": [{"index": 0, "delta": {"content": "ok"}, "token_ids": ids(KEY[20:])}]},
        media="text/event-stream",
    ),
    "SGLang": exchange(
        {"text": PROMPT},
        {"text": f"{KEY}!", "output_ids": ids(f"{KEY}!"), "meta_info": {"id": "x"}},
    ),
    "llama.cpp": exchange(ASKED, {"content": KEY, "tokens": ids(KEY), "stop": True, "prompt": "x"}),
    "a tokenizer": exchange({"content": PROMPT}, {"tokens": ids(PROMPT)}, path="/tokenize"),
    "a tokenizer's way back": exchange(
        {"tokens": ids(PROMPT)}, {"content": PROMPT}, path="/detokenize"
    ),
    "OpenAI's completions with ids": exchange(
        {"model": "m", "prompt": [ids(PROMPT), ids("other")], "echo": True},
        {"choices": [{"text": PROMPT, "index": 0}]},
    ),
    "Fireworks": exchange(
        ASKED,
        {
            "choices": [
                {
                    "raw_output": {
                        "prompt_fragments": ["x"],
                        "prompt_token_ids": ids(PROMPT),
                        "completion": KEY,
                        "completion_token_ids": ids(KEY),
                    }
                }
            ]
        },
    ),
    "Whisper": exchange(
        ASKED, {"text": KEY, "segments": [{"id": 0, "text": KEY, "tokens": ids(KEY), "seek": 0}]}
    ),
    "KoboldCpp": exchange(ASKED, {"value": len(PROMPT), "ids": ids(PROMPT)}),
    "Vertex AI": exchange(
        {"contents": [{"parts": [{"text": PROMPT}]}]},
        {
            "tokensInfo": [
                {
                    "role": "user",
                    "tokenIds": [str(number) for number in ids(PROMPT)],
                    "tokens": [base64.b64encode(letter.encode()).decode() for letter in PROMPT],
                }
            ]
        },
    ),
    "JSON that no style gives back": of_bytes(
        json.dumps(ASKED).encode(),
        [b'{"response" :"yes", "context":  ' + json.dumps(ALL).encode() + b" }"],
        (("content-type", "application/json"),),
    ),
    "strings in such JSON": of_bytes(
        json.dumps(ASKED).encode(),
        [b'{"tokenIds" : ' + json.dumps([str(number) for number in ALL]).encode() + b" }"],
        (("content-type", "application/json"),),
    ),
    "reads that divide it": of_bytes(
        json.dumps(ASKED).encode(),
        [
            (text := b'{"context" : ' + json.dumps(ALL).encode() + b" }")[:40],
            text[40:99],
            text[99:],
        ],
        (("content-type", "text/plain"),),
    ),
    "JSON in a string": exchange(
        ASKED, {"result": json.dumps({"response": "yes", "context": ALL})}
    ),
}
"""What has a secret as text, and beside it as ids."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ids_do_not_spell_what_was_redacted_in_the_text(dialect: str) -> None:
    document = DIALECTS[dialect]
    assert spells(document)
    redactor = Redactor(RedactionRules(), remember=True)
    redacted, findings = redactor.document(document)
    assert not spells(redacted)
    assert "token-ids" in {finding.rule for finding in findings}
    # It stays what it was: as many ids, and JSON.
    sizes = [
        [(type(value), len(str(value)) if isinstance(value, str) else 0) for value in walk(each)]
        for each in (document, redacted)
    ]
    assert len(sizes[0]) == len(sizes[1])
    assert to_exchange(redacted).response.status == 200
    # The gate has nothing to say, and a second time changes nothing.
    assert redactor.document(redacted)[0] == redacted
    assert Redactor(RedactionRules()).document(redacted)[0] == redacted
    assert not gate.inspect(recording_format.dumps(redacted), redactor)


def walk(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from walk(item)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gate_and_scan_see_a_list_that_spells_it(dialect: str) -> None:
    """A recording of an earlier version, which left the lists as they were."""
    redactor = Redactor(RedactionRules())
    document = DIALECTS[dialect]
    redacted, _ = redactor.document(document)
    old = json.loads(json.dumps(document).replace(KEY, "REDACTED-together-key-12345678"))
    assert json.dumps(old) != json.dumps(redacted)
    leaks = gate.inspect(json.dumps(old), redactor)
    assert "token-ids" in {leak.rule for leak in leaks}


PLAIN: dict[str, Any] = {
    "no secret": exchange({"prompt": "hello"}, {"response": "yes", "context": ids("hello yes")}),
    "a secret header's placeholder": exchange(
        {"prompt": "hello"}, {"response": "yes", "context": ids("hello yes")}, path=f"/v1?key={KEY}"
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_lists_of_other_exchanges_stay(name: str) -> None:
    redacted, _ = Redactor(RedactionRules(), remember=True).document(PLAIN[name])
    assert redacted["response"] == PLAIN[name]["response"]


def test_lists_of_other_things_stay() -> None:
    given = {
        "text": KEY,
        "embedding": [0.5, 1],
        "scores": [1, 2],
        "tokens": 7,
        "context": [0.25, 1],
    }
    redacted, _ = Redactor(RedactionRules()).document(exchange(ASKED, given))
    (told,) = [redacted["response"]["body"]["__data__"]]
    assert {**told, "text": KEY} == given


def test_a_request_keeps_the_ids_of_an_earlier_conversation() -> None:
    """Its context is what an earlier answer gave; nothing says that it spells the new prompt."""
    sent = {"prompt": PROMPT, "context": ids("hello there")}
    redacted, _ = Redactor(RedactionRules(), remember=True).document(
        exchange(sent, {"response": "yes", "context": ids("hello there" + PROMPT)})
    )
    assert redacted["request"]["body"]["context"] == sent["context"]
    assert not spells(redacted)


def conversation(redactor: Redactor) -> tuple[Any, Any]:
    """Two exchanges, of which the second has the secret only in its ids."""
    first, _ = redactor.document(DIALECTS["Ollama"])
    then = {"model": "m", "prompt": "and now?", "context": ALL}
    given = {"response": "well", "done": True, "context": ALL + ids("and now? well")}
    second, _ = redactor.document(exchange(then, given))
    return first, second


def test_a_context_that_a_later_request_sends_is_the_one_that_replay_gives() -> None:
    first, second = conversation(redactor := Redactor(RedactionRules(), remember=True))
    given = first["response"]["body"]["__data__"]["context"]
    assert second["request"]["body"]["context"] == given
    assert not spells(second)
    # A live request has the list itself while recording, and what was given in replay.
    for context in (ALL, given):
        sent = exchange({"model": "m", "prompt": "and now?", "context": context}, {})
        assert redactor.request(sent["request"])["body"] == second["request"]["body"]
    longer = exchange({"prompt": "", "context": [*ALL, 7, 8]}, {})["request"]
    assert redactor.request(longer)["body"]["context"] == [*given, 7, 8]


def test_conversations_keep_apart() -> None:
    redactor = Redactor(RedactionRules(), remember=True)
    lists = set()
    for word in ("yes", "not", "now"):
        text = f"[user]{PROMPT}[model]{word}"
        given = {"response": word, "context": ids(text)}
        redacted, _ = redactor.document(exchange(ASKED, given))
        lists.add(tuple(redacted["response"]["body"]["__data__"]["context"]))
    assert len(lists) == 3


def test_a_list_is_known_again_by_what_recordings_hold() -> None:
    """By a later run, and after a run was killed."""
    first, second = conversation(Redactor(RedactionRules(), remember=True))
    traces = [*traces_in(recording_format.dumps(first).encode())]
    assert len(traces) == 1
    redactor = Redactor(RedactionRules(), remember=True)
    live = exchange({"model": "m", "prompt": "and now?", "context": ALL}, {})["request"]
    assert redactor.request(live)["body"]["context"] == ALL
    assert redactor.recognise(live, KnownTraces.of(traces))
    assert redactor.request(live)["body"] == second["request"]["body"]
    other = exchange({"model": "m", "context": [*reversed(ALL)]}, {})["request"]
    assert not redactor.recognise(other, KnownTraces.of(traces))


def test_a_value_that_could_be_guessed_gives_no_digest_of_the_ids() -> None:
    rules = RedactionRules(
        json=(JsonRule("pin", lambda value: [("pin",)] if "pin" in value else []),)
    )
    for pin in ("1234", "9876"):
        redactor = Redactor(rules, remember=True)
        spelled = ids(f"the pin is {pin} as you say")
        redacted, _ = redactor.document(
            exchange({"pin": pin, "model": "m"}, {"response": "yes", "context": spelled})
        )
        context = redacted["response"]["body"]["__data__"]["context"]
        assert is_neutral(context)
        assert not traces_in(recording_format.dumps(redacted).encode())
        # The run itself knows it again, and a conversation that goes on has no digest either.
        later, _ = redactor.document(
            exchange({"context": spelled}, {"response": "ok", "context": spelled + ids("ok")})
        )
        assert later["request"]["body"]["context"] == context
        assert not traces_in(recording_format.dumps(later).encode())
        assert not any(pin in text for text in texts_of(later))
