"""Secrets that a stream has cut in pieces: found in what a client puts together, in every shape."""

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support import corpus, corpus_streams, paths
from tests.support.limits import examples

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording.document import from_exchange, to_exchange
from wiretape.core.redaction import streams
from wiretape.core.redaction.key_patterns import Pattern
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.placeholder import placeholder
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import Finding, RedactionRules
from wiretape.core.redaction.value_search import Search
from wiretape.core.wire import sse

pytestmark = pytest.mark.usefixtures("looks_at_short_texts")
KNOWN = "vault-" + "7Qm2Zx9Lp4Rt6Yw8"
KEY = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"
STANDS = {
    KNOWN: placeholder("secret", KNOWN),
    KEY: placeholder("together-key", KEY),
}
SSE: Headers = (("content-type", "text/event-stream"),)
LINES: Headers = (("content-type", "application/x-ndjson"),)
BYTES: Headers = (("content-type", "application/octet-stream"),)

redactor = Redactor(RedactionRules())

type Json = Any
type Event = Callable[[str], Json]
type Read = Callable[[Json], str]


def request(path: str = "/v1/chat/completions") -> Request:
    headers = (("authorization", f"Bearer {KNOWN}"), ("content-type", "application/json"))
    return Request(
        "POST", "https", "api.example", 443, path, headers=headers, body=b'{"model":"m"}'
    )


def streamed(
    chunks: Sequence[bytes],
    headers: Headers = SSE,
    by: Redactor = redactor,
    path: str = "/v1/chat/completions",
) -> tuple[Exchange, Exchange, dict[str, Any], list[Finding]]:
    """A stream before and after, its redacted document and the findings in the answer; it has as
    many chunks as before, and redacting it again changes nothing.
    """
    response = Response(200, headers, tuple(map(Chunk, chunks)), streaming=True)
    before = Exchange(request(path), response)
    document = from_exchange(before)
    untouched = copy.deepcopy(document)
    secrets = by.secrets(before.request)
    redacted, findings = by.document(document, secrets)
    assert document == untouched
    assert by.document(redacted, secrets) == (redacted, ())
    assert len(redacted["response"]["body"]) == len(chunks)
    in_response = [item for item in findings if item.where.startswith("response")]
    return before, to_exchange(redacted), redacted, in_response


def unchanged(chunks: Sequence[bytes], headers: Headers = SSE, by: Redactor = redactor) -> bool:
    response = Response(200, headers, tuple(map(Chunk, chunks)), streaming=True)
    exchange = Exchange(request(), response)
    part = from_exchange(exchange)["response"]
    findings: list[Finding] = []
    search = by.search(by.secrets(exchange.request), findings)
    same = streams.redact(part, search, findings) is part
    assert same == (findings == [])
    return same


@contextmanager
def the_long_way() -> Iterator[None]:
    """Search each string and each joined text, whatever a look at them says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_may_be_divided", lambda *_, **__: True)
        patch.setattr(Search, "response_may_hold", lambda *_: True)
        patch.setattr(Search, "may_hold", lambda *_: True)
        yield


def event(value: Json) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def data(exchange: Exchange) -> list[Json]:
    """The JSON of an answer's events."""
    texts = [(sse.parse(c.data) or sse.Event()).data or "" for c in exchange.response.chunks]
    return [json.loads(text) for text in texts if text.startswith("{")]


# ---------------------------------------------------------------------- the providers' shapes


def _choice(delta: Json, **more: Json) -> Json:
    return {
        "id": "oCfxg3w-4Yz4kd-984c2d684c778f6d",
        "created": 1763660000,
        "choices": [{"index": 0, "delta": delta, "finish_reason": None} | more],
    }


def _call(text: str) -> Json:
    return _choice({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})


def _block(kind: str, member: str) -> Event:
    return lambda text: {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": kind, member: text},
    }


def _response(kind: str) -> Event:
    return lambda text: {
        "type": f"response.{kind}.delta",
        "item_id": "msg_67ccd2bf17f0",
        "output_index": 0,
        "delta": text,
    }


def _gemini(text: str) -> Json:
    parts = [{"text": text[:3]}, {"text": text[3:]}]
    return {"candidates": [{"content": {"parts": parts, "role": "model"}}]}


def _at(*way: str | int) -> Read:
    def read(value: Json) -> str:
        for step in way:
            value = value[step]
        return str(value)

    return read


_CALL = _at("choices", 0, "delta", "tool_calls", 0, "function", "arguments")

SHAPES: dict[str, tuple[Event, Read]] = {
    "content": (lambda t: _choice({"content": t}), _at("choices", 0, "delta", "content")),
    "content and text": (
        lambda t: _choice({"content": t}, text=t),
        lambda v: str(v["choices"][0]["text"]),
    ),
    "text and content": (
        lambda t: _choice({"content": t}, text=t),
        lambda v: str(v["choices"][0]["delta"]["content"]),
    ),
    "reasoning": (lambda t: _choice({"reasoning": t}), _at("choices", 0, "delta", "reasoning")),
    "reasoning_content": (
        lambda t: _choice({"reasoning_content": t}),
        _at("choices", 0, "delta", "reasoning_content"),
    ),
    "Mistral's list": (
        lambda t: _choice({"content": [{"type": "text", "text": t[:1]}, {"text": t[1:]}]}),
        lambda v: "".join(part["text"] for part in v["choices"][0]["delta"]["content"]),
    ),
    "completions": (
        lambda t: {"choices": [{"index": 0, "text": t, "logprobs": None}]},
        _at("choices", 0, "text"),
    ),
    "arguments": (_call, _CALL),
    "Anthropic's text": (_block("text_delta", "text"), _at("delta", "text")),
    "Anthropic's thinking": (_block("thinking_delta", "thinking"), _at("delta", "thinking")),
    "Anthropic's arguments": (
        _block("input_json_delta", "partial_json"),
        _at("delta", "partial_json"),
    ),
    "OpenAI's responses": (_response("output_text"), _at("delta")),
    "OpenAI's call": (_response("function_call_arguments"), _at("delta")),
    "Gemini": (
        _gemini,
        lambda v: "".join(part["text"] for part in v["candidates"][0]["content"]["parts"]),
    ),
    "Cohere": (
        lambda t: {
            "type": "content-delta",
            "index": 0,
            "delta": {"message": {"content": {"text": t}}},
        },
        _at("delta", "message", "content", "text"),
    ),
    "Ollama": (lambda t: {"message": {"content": t}, "done": False}, _at("message", "content")),
    "log probabilities": (
        lambda t: _choice({}, logprobs={"content": [{"token": t, "logprob": -0.5}]}),
        _at("choices", 0, "logprobs", "content", 0, "token"),
    ),
    "nobody's": (lambda t: {"step": [4, {"piece": t}]}, _at("step", 1, "piece")),
}
ARGUMENTS = ("arguments", "Anthropic's arguments", "OpenAI's call")


def cuts(text: str, at: Sequence[int]) -> list[str]:
    borders = [0, *sorted({item % (len(text) + 1) for item in at} - {0, len(text)}), len(text)]
    return [text[a:b] for a, b in pairwise(borders)]


PLACES = st.lists(st.integers(0, 10_000), min_size=0, max_size=30)
PROSE = st.text(st.sampled_from('abc é\n"\\{}[]:,.-_01😀'), max_size=40)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("secret", [KNOWN, KEY], ids=["known", "pattern"])
@settings(max_examples=examples(15), deadline=None)
@given(before=PROSE, after=PROSE, at=PLACES)
def test_a_secret_cut_anywhere_goes_and_nothing_else(
    shape: str, secret: str, before: str, after: str, at: list[int]
) -> None:
    make, read = SHAPES[shape]
    whole = f"{before} {secret} {after}"
    if shape in ARGUMENTS:
        whole = json.dumps({"a": before, "key": f"\n{secret}", "n": 1.50, "z": after})
    fragments = cuts(whole, at)
    assume(shape != "nobody's" or len(fragments) == 1 or len(set(map(len, fragments[:-1]))) > 1)
    chunks = [event(make(text)) for text in fragments]
    old, new, _, _ = streamed([*chunks, b": ping\n\n", b"data: [DONE]\n\n"])
    assert "".join(map(read, data(old))) == whole
    assert "".join(map(read, data(new))) == whole.replace(secret, STANDS[secret])
    assert secret not in "".join(map(read, data(new)))
    # Put back what was read, and the events are those there were.
    texts = [read(item) for item in data(new)]
    same = [
        {"same": _without(item, read, make, t)} for item, t in zip(data(new), texts, strict=True)
    ]
    assert same == [{"same": True}] * len(texts)
    if shape in ARGUMENTS:
        stands = STANDS[secret]
        expected = {"a": before, "key": f"\n{stands}", "n": 1.5, "z": after}
        assert json.loads("".join(texts)) == expected


def _without(value: Json, read: Read, make: Event, text: str) -> bool:
    """Whether an event is what its shape makes of its text, but for where it is split in parts."""
    if isinstance(value, dict) and json.dumps(value).count('"text":') == 2:
        return read(value) == text and json.dumps(value).count("parts") == json.dumps(
            make(text)
        ).count("parts")
    return bool(value == make(text))


def test_the_placeholder_stands_where_the_secret_began_and_the_pieces_stay() -> None:
    pieces = ["The key is " + KEY[:5], KEY[5:20], KEY[20:], "", " now"]
    make, read = SHAPES["content"]
    _, new, document, findings = streamed([event(make(text)) for text in pieces])
    stands = STANDS[KEY]
    assert list(map(read, data(new))) == ["The key is " + stands, "", "", "", " now"]
    assert findings == [
        Finding("together-key", "response.body[0].__data__.choices[0].delta.content")
    ]
    assert [c["__data__"]["created"] for c in document["response"]["body"]] == [1763660000] * 5


def test_several_secrets_in_one_text_go() -> None:
    pieces = [KEY[:9], KEY[9:] + " " + KNOWN[:4], KNOWN[4:] + " " + KEY[:30], KEY[30:], KEY]
    make, read = SHAPES["content"]
    _, new, _, _ = streamed([event(make(text)) for text in [*pieces[:4], " ", pieces[4]]])
    key, known = STANDS[KEY], STANDS[KNOWN]
    assert "".join(map(read, data(new))) == f"{key} {known} {key} {key}"


def test_texts_do_not_run_into_one_another() -> None:
    """Two choices, interleaved: each has half a key, and the other one's half is no part of it."""

    def choice(index: int, text: str) -> bytes:
        return event({"choices": [{"index": index, "delta": {"content": text}}]})

    halves = [choice(0, KEY[:20]), choice(1, KEY[20:])]
    assert unchanged(halves)
    both = [choice(0, KEY[:20]), choice(1, KNOWN[:9]), choice(0, KEY[20:]), choice(1, KNOWN[9:])]
    _, new, _, _ = streamed(both)
    texts = [item["choices"][0]["delta"]["content"] for item in data(new)]
    assert texts == [STANDS[KEY], STANDS[KNOWN], "", ""]


def test_texts_of_tool_calls_and_blocks_are_told_apart() -> None:
    def call(index: int, text: str) -> bytes:
        calls = [{"index": index, "function": {"arguments": text}}]
        return event({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})

    def block(index: int, text: str) -> bytes:
        delta = {"type": "text_delta", "text": text}
        return event({"type": "content_block_delta", "index": index, "delta": delta})

    assert unchanged([call(0, KEY[:20]), call(1, KEY[20:])])
    assert unchanged([block(0, KEY[:20]), block(1, KEY[20:])])
    assert not unchanged([call(1, KEY[:20]), call(0, "{}"), call(1, KEY[20:])])
    assert not unchanged([block(1, KEY[:20]), block(0, "a"), block(1, KEY[20:])])


def test_a_block_that_begins_with_text_is_one_text_with_its_deltas() -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"text": KEY[:9]}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"text": KEY[9:]}}
    _, new, _, _ = streamed([event(start), event(delta)])
    first, second = data(new)
    assert (first["content_block"]["text"], second["delta"]["text"]) == (STANDS[KEY], "")


def test_an_index_that_counts_events_makes_no_texts() -> None:
    chunks = [event({"index": n, "token": {"text": text}}) for n, text in enumerate(KEY)]
    _, new, _, _ = streamed(chunks)
    assert "".join(item["token"]["text"] for item in data(new)) == STANDS[KEY]


def test_chunks_without_the_number_that_the_others_count_with_keep_their_place() -> None:
    pieces = [KEY[at : at + 9] for at in range(0, len(KEY), 9)]
    numbers = [{} if n == 1 else {"index": n} for n in range(len(pieces))]
    pairs = zip(numbers, pieces, strict=True)
    _, new, _, _ = streamed([event({**number, "text": text}) for number, text in pairs])
    assert [item["text"] for item in data(new)] == [STANDS[KEY], *[""] * (len(pieces) - 1)]


def test_the_whole_text_at_the_end_has_the_same_placeholder() -> None:
    def say(kind: str, **more: Json) -> bytes:
        return event({"type": f"response.output_text.{kind}", "output_index": 0, **more})

    pieces = [say("delta", delta=f"It is {KEY[:9]}"), say("delta", delta=KEY[9:] + ".")]
    done = [say("done", text=f"It is {KEY}."), event({"response": {"output": [{"text": KEY}]}})]
    _, new, _, _ = streamed([*pieces, *done])
    events = data(new)
    assert [item["delta"] for item in events[:2]] == [f"It is {STANDS[KEY]}", "."]
    assert events[2]["text"] == f"It is {STANDS[KEY]}."
    assert events[3]["response"]["output"][0]["text"] == STANDS[KEY]


def test_the_bytes_of_a_token_follow_it() -> None:
    def token(text: str) -> Json:
        return {"token": text, "bytes": list(text.encode()), "top_logprobs": []}

    pieces = [KEY[at : at + 5] for at in range(0, len(KEY), 5)]
    choices = [{"index": 0, "logprobs": {"content": [token(text) for text in pieces]}}]
    _, new, _, _ = streamed([event({"choices": choices})])
    tokens = data(new)[0]["choices"][0]["logprobs"]["content"]
    assert tokens == [token(STANDS[KEY]), *[token("")] * (len(pieces) - 1)]


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (json.dumps({"key": f"a\n{KEY}"}), {"key": f"a\n{STANDS[KEY]}"}),
        (json.dumps({"key": KEY}).replace("-", "\\u002d"), {"key": STANDS[KEY]}),
        (json.dumps({"key": KNOWN}).replace("v", "\\u0076"), {"key": STANDS[KNOWN]}),
        (
            json.dumps({"body": json.dumps({"key": f"\t{KEY}"})}),
            {"body": json.dumps({"key": f"\t{STANDS[KEY]}"})},
        ),
        (json.dumps([{"k": [f"\\{KNOWN}\\"]}]), [{"k": [f"\\{STANDS[KNOWN]}\\"]}]),
    ],
)
def test_arguments_stay_json_whatever_their_escapes(whole: str, expected: Json) -> None:
    for size in (1, 2, 3, 5, 8, 13, 34):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        _, new, _, _ = streamed([event(_call(text)) for text in pieces])
        assert json.loads("".join(map(_CALL, data(new)))) == expected


def test_openais_library_puts_the_arguments_together() -> None:
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    def chunk(call: Json) -> Json:
        choice = {"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}}
        shape = {"id": "c", "object": "chat.completion.chunk", "created": 1763660000}
        return {**shape, "model": "m", "choices": [{**choice, "finish_reason": None}]}

    named = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    whole = json.dumps({"say": 'a "b"', "key": f"\n{KEY}", "keys": [KNOWN, 1]})
    pieces = [whole[at : at + 6] for at in range(0, len(whole), 6)]
    calls = [named, *({"function": {"arguments": text}} for text in pieces)]
    _, new, _, _ = streamed([event(chunk(call)) for call in calls])
    state = ChatCompletionStreamState()
    for item in data(new):
        state.handle_chunk(ChatCompletionChunk.model_validate(item))
    (call,) = state.current_completion_snapshot.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.id, call.function.name) == ("call_1", "f")
    expected = {"say": 'a "b"', "key": f"\n{STANDS[KEY]}", "keys": [STANDS[KNOWN], 1]}
    assert json.loads(call.function.arguments) == expected


PEM = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 8


def test_what_is_found_never_reaches_over_the_end_of_a_string() -> None:
    """A key without its last line ends where its string does."""
    whole = json.dumps({"pem": PEM, "next": ["b", 2, KEY]})
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    _, new, _, _ = streamed([event(_call(text)) for text in pieces])
    arguments = json.loads("".join(map(_CALL, data(new))))
    assert arguments == {"pem": placeholder("private-key", PEM), "next": ["b", 2, STANDS[KEY]]}


def test_arguments_that_end_early_are_taken_as_json() -> None:
    whole = json.dumps({"a": 1, "key": f"x\n{KEY}", "b": "c"})[:-6]
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    _, new, _, _ = streamed([event(_call(text)) for text in pieces])
    assert "".join(map(_CALL, data(new))) == whole.replace(KEY, STANDS[KEY])


def test_a_number_in_arguments_gets_a_placeholder_in_quotes() -> None:
    rules = RedactionRules(patterns=(Pattern("pin", re.compile(r"\b\d{12}\b")),))
    whole = '{"pin": 123456789012, "pins": ["210987654321"], "n": 12}'
    stands = placeholder("pin", "123456789012")
    for size in (7, 60):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        _, new, _, _ = streamed([event(_call(text)) for text in pieces], by=Redactor(rules))
        arguments = json.loads("".join(map(_CALL, data(new))))
        assert arguments == {"pin": stands, "pins": [stands], "n": 12}


# ---------------------------------------------------------------------- other framings


@settings(max_examples=examples(40), deadline=None)
@given(before=PROSE, after=PROSE, at=PLACES, secret=st.sampled_from([KNOWN, KEY]))
def test_a_secret_split_over_reads_goes(
    before: str, after: str, at: list[int], secret: str
) -> None:
    whole = f"{before} {secret} {after}".encode()
    borders = [0, *sorted({item % (len(whole) + 1) for item in at}), len(whole)]
    reads = [whole[a:b] for a, b in pairwise(borders)]
    old, new, _, _ = streamed(reads, BYTES)
    assert old.response.body == whole
    assert new.response.body == whole.replace(secret.encode(), STANDS[secret].encode())


def test_a_secret_in_reads_that_are_no_text_goes() -> None:
    reads = [b"\xff\x00" + KEY[:9].encode(), KEY[9:30].encode(), KEY[30:].encode() + b"\x80\xfe"]
    _, new, document, findings = streamed(reads, BYTES)
    stands = STANDS[KEY].encode()
    assert [c.data for c in new.response.chunks] == [b"\xff\x00" + stands, b"", b"\x80\xfe"]
    assert [list(item) for item in document["response"]["body"]] == [
        ["base64"],
        ["text"],
        ["base64"],
    ]
    assert findings == [Finding("together-key", "response.body[0].base64")]


def test_lines_of_json_are_joined_by_path() -> None:
    lines = [json.dumps({"message": {"content": text}}).encode() + b"\n" for text in KEY]
    _, new, _, _ = streamed([*lines, b'{"done":true}\n'], LINES, path="/api/chat")
    texts = [json.loads(c.data)["message"]["content"] for c in new.response.chunks[:-1]]
    assert texts == [STANDS[KEY], *[""] * (len(KEY) - 1)]


def test_geminis_list_is_joined_whatever_the_reads() -> None:
    pieces = ["The key is ", KEY[:9], KEY[9:30], KEY[30:], ". Keep it."]
    whole = json.dumps([_gemini(text) for text in pieces], indent=2).encode()
    path = "/v1beta/models/g:streamGenerateContent"
    headers = (("content-type", "application/json"),)
    for size in (17, 400, 100_000):
        reads = [whole[at : at + size] for at in range(0, len(whole), size)]
        _, new, _, findings = streamed(reads, headers, path=path)
        where = f"body[{whole.index(KEY[:3].encode()) // size}].text"
        json_path = f"response.{where}.candidates[0].content.parts[0].text"
        assert findings == [Finding("together-key", json_path)]
        parts = [
            part["text"]
            for item in json.loads(new.response.body)
            for part in item["candidates"][0]["content"]["parts"]
        ]
        assert "".join(parts) == f"The key is {STANDS[KEY]}. Keep it."
        assert len(parts) == 10


def test_geminis_list_that_ends_early_is_joined_as_far_as_it_goes() -> None:
    whole = json.dumps([_gemini(text) for text in (KEY[:9], KEY[9:], "x")], indent=2)[:-40]
    path = "/v1beta/models/g:streamGenerateContent"
    _, new, _, _ = streamed([whole.encode()], (("content-type", "application/json"),), path=path)
    assert STANDS[KEY][:3] in new.response.body.decode()
    assert KEY[12:] not in new.response.body.decode()


def test_events_that_are_kept_as_text_are_joined_with_the_others() -> None:
    """JSON that no style gives back, a field without its space, a comment beside the data."""
    odd = [
        event({"delta": {"text": KEY[:5]}}),
        b'data: {"delta" : {"text" : "%s" } , "t":"\\u0041"}\n\n' % KEY[5:12].encode(),
        b'data:{"delta":{"text":"%s"}}\n\n' % KEY[12:20].encode(),
        b': note\ndata: {"delta":{"text":"%s"}}\n\n' % KEY[20:].encode(),
    ]
    _, new, _, findings = streamed(odd)
    assert findings == [Finding("together-key", "response.body[0].__data__.delta.text")]
    assert [c.data for c in new.response.chunks] == [
        event({"delta": {"text": STANDS[KEY]}}),
        b'data: {"delta" : {"text" : "" } , "t":"\\u0041"}\n\n',
        b'data:{"delta":{"text":""}}\n\n',
        b': note\ndata: {"delta":{"text":""}}\n\n',
    ]


def test_escapes_in_what_is_kept_as_text_stay_as_they_are() -> None:
    odd = 'data: {"text" : "%s" }\n\n'
    at = KEY.index("d")
    texts = [r"\u0041\n" + KEY[:6], KEY[6:at] + r"\u0064", KEY[at + 1 :] + r"\/\t\""]
    _, new, _, _ = streamed([(odd % text).encode() for text in texts])
    expected = [odd % (r"\u0041\n" + STANDS[KEY]), odd % "", odd % r"\/\t\""]
    assert [c.data.decode() for c in new.response.chunks] == expected


@pytest.mark.parametrize("spelled", [str, json.dumps], ids=["text", "JSON strings"])
def test_events_whose_data_is_text_are_joined(spelled: Callable[[str], str]) -> None:
    pieces = ["It is", " " + KEY[:9], KEY[9:], " now."]
    chunks = [f"data: {spelled(text)}\n\n".encode() for text in pieces]
    chunks.insert(2, b": ping\n\n")
    _, new, _, _ = streamed(chunks)
    assert [c.data.decode() for c in new.response.chunks] == [
        f"data: {spelled('It is')}\n\n",
        f"data: {spelled(' ' + STANDS[KEY])}\n\n",
        ": ping\n\n",
        f"data: {spelled('')}\n\n",
        f"data: {spelled(' now.')}\n\n",
    ]


def test_an_encoded_key_that_is_cut_goes() -> None:
    make, read = SHAPES["content"]
    whole = base64.b64encode(f"the key is {KNOWN}, keep it".encode()).decode()
    pieces = [whole[at : at + 6] for at in range(0, len(whole), 6)]
    _, new, _, _ = streamed([event(make(text)) for text in pieces])
    text = "".join(map(read, data(new)))
    assert KNOWN.encode() not in base64.b64decode(text + "=" * (-len(text) % 4))


# ---------------------------------------------------------------------- precision


def test_ids_that_repeat_make_no_key() -> None:
    """The end of one and the start of the next read as a key."""
    odd = KEY[7:] + "-tgp_v1_"
    assert unchanged([event({"id": odd, "choices": []})] * 9)
    assert unchanged([event({"who": item, "n": 1}) for item in ("a", odd, odd, "b")])


def test_ids_of_one_length_make_no_key_but_hold_a_known_value() -> None:
    ids = [f"{n:03}" + KEY[10:] + "-tgp_v1_" for n in range(5)]
    assert unchanged([event({"trace": item}) for item in ids])
    halves = [f"{KNOWN[:11]}", f"{KNOWN[11:]}"]
    assert not unchanged([event({"trace": item}) for item in halves])


def test_the_users_patterns_are_searched_in_text_alone() -> None:
    rules = RedactionRules(patterns=(Pattern("pin", re.compile(r"\d{12}")),))
    by = Redactor(rules)
    assert unchanged([event({"stamp": f"{n:08}"}) for n in range(9)], by=by)
    assert not unchanged([event({"text": "My pin: 123456"}), event({"text": "789012"})], by=by)


def test_a_pattern_sees_what_stands_before_a_piece() -> None:
    rules = RedactionRules(patterns=(Pattern("pin", re.compile(r"(?<=pin: )\d{4}")),))
    by = Redactor(rules)
    pieces = [event({"text": "My pin: "}), event({"text": "1234"}), event({"text": " 5678"})]
    _, new, _, _ = streamed(pieces, by=by)
    texts = [item["text"] for item in data(new)]
    assert texts == ["My pin: ", placeholder("secret", "1234"), " 5678"]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=12),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["index", "text", "a", "type"]), inner)
            ),
            max_leaves=8,
        ),
        max_size=8,
    )
)
def test_a_stream_without_secrets_comes_back_itself(values: list[Json]) -> None:
    texts = [json.dumps(value) for value in values]
    assert unchanged([f"data: {text}\n\n".encode() for text in texts])
    assert unchanged([f"{text}\n".encode() for text in texts], LINES)
    assert unchanged([text.encode() for text in texts], BYTES)


@pytest.mark.skipif(not paths.DATA.exists(), reason="the recordings are not here")
@pytest.mark.parametrize("folder", ["seeds", "llama-stack"])
def test_real_streams_come_back_themselves(folder: str) -> None:
    count = 0
    for path in sorted((paths.DATA / folder).glob("*.json")):
        response = json.loads(path.read_text(encoding="utf-8"))["response"]
        findings: list[Finding] = []
        search = redactor.search(redactor.secrets(request()), findings)
        assert streams.redact(response, search, findings) is response
        count += isinstance(response["body"], list)
    assert count >= 2


def test_what_is_no_document_of_ours_comes_back_itself() -> None:
    search = redactor.search(redactor.secrets(request()))
    bodies: list[Json] = [None, [], ["data", 4, None], [{"text": 4}], [{"base64": "%"}]]
    for body in [*bodies, [{"data": {}}]]:
        part: dict[str, Json] = {"headers": {}, "body": body}
        assert streams.redact(part, search, []) is part


def test_a_body_that_is_whole_is_joined_where_a_client_joins_it() -> None:
    parts = [{"text": KEY[:9]}, {"text": KEY[9:]}]
    body = json.dumps({"candidates": [{"content": {"parts": parts}}]}).encode()
    response = Response(200, (("content-type", "application/json"),), (Chunk(body),))
    document, findings = redactor.document(from_exchange(Exchange(request(), response)))
    content = document["response"]["body"]["__data__"]["candidates"][0]["content"]
    assert content == {"parts": [{"text": STANDS[KEY]}, {"text": ""}]}
    path = "response.body.__data__.candidates[0].content.parts[0].text"
    assert Finding("together-key", path) in findings


# ---------------------------------------------------------------------- cut in the middle


def cut_bodies(tail: str) -> dict[str, list[dict[str, Any]]]:
    """The chunks of answers that end with `tail`, by the shape of the answer."""
    half = len(tail) // 2
    return {
        "chat": [
            {"__data__": {"choices": [{"index": 0, "delta": {"content": text}}]}}
            for text in ("It is ", tail[:half], tail[half:])
        ],
        "one piece": [{"__data__": {"choices": [{"index": 0, "delta": {"content": tail}}]}}],
        "arguments": [
            {"__data__": {"type": "response.function_call_arguments.delta", "delta": text}}
            for text in ('{"key": "', tail)
        ],
        "text": [{"text": "It is "}, {"text": tail}],
        "half an event": [{"text": 'data: {"choices":[{"delta":{"content":"' + tail}],
        "bytes": [{"base64": base64.b64encode(b"\xff\xfe" + tail.encode()).decode()}],
    }


def cut_off(name: str, tail: str, **more: Any) -> str:
    answer = {"status": 200, "headers": {}, "is_streaming": True, "end": "cut", **more}
    request_part = {"method": "POST", "url": "https://api.test/v1/x", "headers": {}}
    document = {"request": request_part, "response": {**answer, "body": cut_bodies(tail)[name]}}
    body = redactor.document(document, Secrets([("key", KNOWN)]))[0]["response"]["body"]
    texts = (
        base64.b64decode(item["base64"]).decode("latin-1")
        if "base64" in item
        else item.get("text") or "".join(strings_of(item))
        for item in body
    )
    return "".join(texts)


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings_of(item)


@pytest.mark.parametrize("name", cut_bodies("x"))
@pytest.mark.parametrize("length", [8, 9, len(KNOWN) - 3, len(KNOWN) - 1])
def test_the_start_of_a_known_value_goes_from_the_end_of_a_cut_answer(
    name: str, length: int
) -> None:
    text = cut_off(name, KNOWN[:length])
    assert KNOWN[:6] not in text
    assert text.endswith(STANDS[KNOWN])


@pytest.mark.parametrize("name", cut_bodies("x"))
def test_shorter_starts_and_other_ends_stay(name: str) -> None:
    for tail in (KNOWN[:7], KNOWN[:10] + "!", KNOWN[4:16]):
        assert tail in cut_off(name, tail)


def test_a_whole_answer_may_end_like_a_key() -> None:
    assert KNOWN[:10] in cut_off("one piece", KNOWN[:10], end="complete")


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_answer_that_reached_its_length_is_cut_too(reason: str) -> None:
    chunks = cut_bodies(KNOWN[:20])["chat"]
    last = {"__data__": {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}}
    request_part = {"method": "POST", "url": "https://api.test/v1/x", "headers": {}}
    answer = {"status": 200, "headers": {}, "is_streaming": True, "body": [*chunks, last]}
    document = redactor.document(
        {"request": request_part, "response": answer}, Secrets([("key", KNOWN)])
    )[0]
    assert KNOWN[:6] not in json.dumps(document)


# ---------------------------------------------------------------------- the short way


def check_short_way(exchange: Exchange, by: Redactor) -> None:
    document, secrets = from_exchange(exchange), by.secrets(exchange.request)
    short = by.document(document, secrets)
    with the_long_way():
        assert short == by.document(document, secrets)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=2, unique=True),
    st.lists(
        st.sampled_from([KEY, KNOWN, KNOWN[:12], "Hello ", "token", "\n", '"', "\\", "%41", "sk-"]),
        max_size=4,
    ),
    st.lists(st.integers(0, 200), max_size=6),
    st.sampled_from(["complete", "cut"]),
    st.booleans(),
)
def test_a_look_at_a_stream_changes_nothing(
    shapes: list[str], words: list[str], at: list[int], end: Any, comments: bool
) -> None:
    pieces = cuts("".join(words), at)
    chunks = [event(SHAPES[shape][0](piece)) for piece in pieces for shape in shapes]
    if comments:
        chunks = [part for chunk in chunks for part in (chunk, b": keep open\n\n")]
    chunks.append(b"data: [DONE]\n\n")
    response = Response(200, SSE, tuple(map(Chunk, chunks)), streaming=True, end=end)
    check_short_way(Exchange(request(), response), redactor)


def test_nor_does_it_in_the_corpus() -> None:
    for positive in [*list(corpus_streams.streams())[::7], *list(corpus.positives())[::13]]:
        check_short_way(
            positive.exchange, Redactor(RedactionRules(values=positive.source.environment))
        )


def test_a_stream_without_secrets_is_only_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(streams, "_Stream", unreachable)
    for name, (make, _) in SHAPES.items():
        if name == "log probabilities":
            continue  # a member with the name of a credential
        chunks = [*map(event, map(make, "Hello there")), b": a\n\n", b"data: [DONE]\n\n"]
        streamed(chunks)


@pytest.mark.parametrize("kind", [SSE, LINES, BYTES])
@pytest.mark.parametrize("secret", [KEY, KNOWN])
@pytest.mark.parametrize("size", [1, 9, 30])
def test_a_secret_divided_among_chunks_that_are_no_events_is_replaced(
    kind: Headers, secret: str, size: int
) -> None:
    """As no server sends it, but a hand may write it."""
    text = f"use {secret} now"
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    document = from_exchange(Exchange(request(), Response(200, kind, (), streaming=True)))
    document["response"]["body"] = [{"text": part} for part in [": a\n\n", *parts]]
    redacted, findings = redactor.document(document, redactor.secrets(request()))
    joined = "".join(part["text"] for part in redacted["response"]["body"])
    assert joined == f": a\n\nuse {STANDS[secret]} now"
    assert len([item for item in findings if item.where.startswith("response")]) == 1
    assert redactor.document(redacted, redactor.secrets(request())) == (redacted, ())
