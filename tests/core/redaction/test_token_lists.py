"""What a provider spells twice goes twice: tokens with their bytes, numbers and alternatives."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules

KEY = "Wm4tR8qLz2" + "VbN6xKc9PdYh3Js7"
SHAPED = "tgp" + "_v1_" + "k3Vt9QbLx7RmZp2WcYd5HsNf8JgTa4Ue6KiOq1BrXwM"
redactor = Redactor(RedactionRules())


def cut(text: str) -> list[str]:
    """A text as tokens of one to five characters."""
    tokens, size = [], 0
    while text:
        size = size % 5 + 1
        tokens.append(text[:size])
        text = text[size:]
    return tokens


def octets(text: str) -> list[int]:
    return list(text.encode())


def openai(tokens: list[str]) -> list[dict[str, Any]]:
    def token(text: str) -> dict[str, Any]:
        return {"token": text, "logprob": -0.1, "bytes": octets(text)}

    return [{**token(text), "top_logprobs": [token("no"), token(text)]} for text in tokens]


def by_id(tokens: list[str]) -> list[Any]:
    def token(text: str, rank: int) -> dict[str, Any]:
        return {"logprob": -0.1, "rank": rank, "decoded_token": text}

    return [None] + [
        {str(1000 + n): token(text, 1), "77": token("no", 2), "78": token(text[:1] + "!", 3)}
        for n, text in enumerate(tokens)
    ]


def gemini(tokens: list[str]) -> dict[str, Any]:
    def token(text: str, number: int) -> dict[str, Any]:
        return {"token": text, "tokenId": number, "logProbability": -0.1}

    return {
        "chosenCandidates": [token(text, 1000 + n) for n, text in enumerate(tokens)],
        "topCandidates": [
            {"candidates": [token("no", 7), token(text, 1000 + n)]} for n, text in enumerate(tokens)
        ],
    }


def legacy(tokens: list[str]) -> dict[str, Any]:
    return {
        "tokens": tokens,
        "token_logprobs": [-0.1] * len(tokens),
        "token_ids": [1000 + n for n, _ in enumerate(tokens)],
        "top_logprobs": [{"no": -2.0, text: -0.1} for text in tokens],
        "text_offset": list(range(len(tokens))),
    }


def tgi(tokens: list[str]) -> dict[str, Any]:
    chosen = [
        {"id": 1000 + n, "text": text, "logprob": -0.1, "special": False}
        for n, text in enumerate(tokens)
    ]
    return {
        "tokens": chosen,
        "top_tokens": [[token, {**token, "text": "no", "id": 7}] for token in chosen],
    }


def llama_cpp(tokens: list[str]) -> list[dict[str, Any]]:
    return [{**token, "id": 1000 + n} for n, token in enumerate(openai(tokens))]


def old_llama_cpp(tokens: list[str]) -> list[dict[str, Any]]:
    return [
        {"content": text, "probs": [{"tok_str": text, "prob": 0.9}, {"tok_str": "no", "prob": 0.1}]}
        for text in tokens
    ]


def responses(tokens: list[str]) -> dict[str, Any]:
    text = "".join(tokens)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": openai(tokens)}
    return {"output": [{"type": "message", "content": [part]}], "status": "completed"}


DIALECTS: dict[str, Callable[[list[str]], Any]] = {
    "chat content": lambda t: {"choices": [{"index": 0, "logprobs": {"content": openai(t)}}]},
    "chat refusal": lambda t: {"choices": [{"index": 0, "logprobs": {"refusal": openai(t)}}]},
    "deepseek": lambda t: {"choices": [{"logprobs": {"reasoning_content": openai(t)}}]},
    "responses": responses,
    "responses done": lambda t: {
        "type": "response.output_text.done",
        "text": "".join(t),
        "logprobs": openai(t),
    },
    "responses completed": lambda t: {"type": "response.completed", "response": responses(t)},
    "responses part": lambda t: {
        "type": "response.content_part.done",
        "part": responses(t)["output"][0]["content"][0],
    },
    "transcription": lambda t: {"text": "".join(t), "logprobs": openai(t)},
    "realtime transcription": lambda t: {
        "type": "conversation.item.input_audio_transcription.completed",
        "transcript": "".join(t),
        "logprobs": openai(t),
    },
    "completions": lambda t: {"choices": [{"text": "".join(t), "logprobs": legacy(t)}]},
    "together chat": lambda t: {"choices": [{"logprobs": legacy(t), "message": {"content": ""}}]},
    "gemini": lambda t: {"candidates": [{"avgLogprobs": -0.1, "logprobsResult": gemini(t)}]},
    "ollama": lambda t: {"message": {"content": "".join(t)}, "logprobs": openai(t)},
    "cohere": lambda t: {
        "logprobs": [{"text": x, "token_ids": [1000 + n]} for n, x in enumerate(t)]
    },
    "hugging face": lambda t: [{"generated_text": "".join(t), "details": tgi(t)}],
    "llama.cpp": lambda t: {"completion_probabilities": llama_cpp(t), "content": "".join(t)},
    "old llama.cpp": lambda t: {"completion_probabilities": old_llama_cpp(t)},
    "sglang": lambda t: {
        "meta_info": {"output_token_logprobs": [[-0.1, 1000 + n, x] for n, x in enumerate(t)]}
    },
    "vllm prompt": lambda t: {"prompt_logprobs": by_id(t)},
    "cohere tokenizer": lambda t: {
        "tokens": [1000 + n for n, _ in enumerate(t)],
        "token_strings": t,
    },
    "vllm tokenizer": lambda t: {
        "count": len(t),
        "tokens": [1000 + n for n, _ in enumerate(t)],
        "token_strs": t,
    },
    "hugging face tokenizer": lambda t: [
        {"id": 1000 + n, "text": x, "start": 3 * n, "stop": 3 * n + 3} for n, x in enumerate(t)
    ],
    "llama.cpp tokenizer": lambda t: {
        "tokens": [{"id": 1000 + n, "piece": x} for n, x in enumerate(t)]
    },
    "xai tokenizer": lambda t: {
        "token_ids": [
            {"token_id": 1000 + n, "string_token": x, "token_bytes": octets(x)}
            for n, x in enumerate(t)
        ]
    },
}


def chat_chunk(tokens: list[str]) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "".join(tokens)}}
    return {"choices": [{**choice, "logprobs": {"content": openai(tokens)}}]}


STREAMS: dict[str, Callable[[str], Any]] = {
    "chat": lambda t: chat_chunk([t]),
    "refusal": lambda t: {
        "choices": [{"index": 0, "delta": {"refusal": t}, "logprobs": {"refusal": openai([t])}}]
    },
    "responses": lambda t: {
        "type": "response.output_text.delta",
        "delta": t,
        "logprobs": openai([t]),
    },
    "together": lambda t: {"choices": [{"index": 0, "delta": {"token_id": 1000, "content": t}}]},
    "old together": lambda t: {"token": {"id": 1000, "text": t, "logprob": -0.1}, "choices": []},
    "completions": lambda t: {"choices": [{"index": 0, "text": t, "logprobs": legacy([t])}]},
    "hugging face": lambda t: {"index": 1, "token": {"id": 1000, "text": t, "logprob": -0.1}},
    "gemini": lambda t: {"candidates": [{"index": 0, "logprobsResult": gemini([t])}]},
    "ollama": lambda t: {"message": {"content": t}, "logprobs": openai([t])},
    "llama.cpp": lambda t: {"content": t, "completion_probabilities": llama_cpp([t])},
    "transcription": lambda t: {
        "type": "transcript.text.delta",
        "delta": t,
        "logprobs": openai([t]),
    },
}


def texts_of(value: Any) -> Iterator[str]:
    """What strings, names and lists of octets say, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from texts_of(item)
    elif isinstance(value, list):
        if value and all(isinstance(item, int) and item < 256 for item in value):
            yield bytes(value).decode()
        for item in value:
            yield from texts_of(item)


def numbers(value: Any) -> list[int]:
    """The numbers of tokens: 1000 and above."""
    if isinstance(value, dict):
        return [n for pair in value.items() for part in pair for n in numbers(part)]
    if isinstance(value, list):
        return [n for item in value for n in numbers(item)]
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return [value] if isinstance(value, int) and value >= 1000 else []


def redacted(body: Any, known: str = KEY) -> Any:
    answer = {"status": 200, "headers": {}, "is_streaming": isinstance(body, list), "body": body}
    request = {"method": "POST", "url": "https://api.test/v1/x", "headers": {}}
    document = {"request": request, "response": answer}
    redacted, changes = redactor.document(document, Secrets([("key", known)]))
    assert changes
    return redacted["response"]["body"]


def check(before: Any, after: Any, tokens: list[str], known: str) -> None:
    """Of the tokens inside the known value nothing is left, in no spelling, and no number."""
    inner = [token for token in tokens if len(token) > 3 and token in known]
    assert inner
    texts = list(texts_of(after))
    assert not [token for token in inner if any(token in text for text in texts)]
    if numbers(before):
        assert len(numbers(after)) < len(numbers(before)) / 2


@pytest.mark.parametrize("known", [KEY, SHAPED], ids=["known", "shaped"])
@pytest.mark.parametrize("name", DIALECTS)
def test_the_lists_of_every_dialect_follow_the_text(name: str, known: str) -> None:
    tokens = ["It ", "is ", *cut(known), ".", " So"]
    body = DIALECTS[name](tokens)
    after = redacted({"__data__": body}, known)["__data__"]
    check(body, after, tokens, known)
    assert any("REDACTED-" in text for text in texts_of(after))
    raw = redacted({"text": json.dumps(body, indent=1)}, known)
    check(body, json.loads(raw["text"]), tokens, known)


@pytest.mark.parametrize("known", [KEY, SHAPED], ids=["known", "shaped"])
@pytest.mark.parametrize("name", DIALECTS)
def test_a_token_that_is_the_whole_value_takes_its_bytes_along(name: str, known: str) -> None:
    body = DIALECTS[name](["It ", "is ", known, "."])
    after = redacted({"__data__": body}, known)["__data__"]
    assert not [text for text in texts_of(after) if known in text]


@pytest.mark.parametrize("known", [KEY, SHAPED], ids=["known", "shaped"])
@pytest.mark.parametrize("name", STREAMS)
def test_the_lists_of_a_stream_follow_its_text(name: str, known: str) -> None:
    tokens = ["It ", "is ", *cut(known), ".", " So"]
    chunks = [STREAMS[name](token) for token in tokens]
    after = redacted([{"__data__": chunk} for chunk in chunks], known)
    check(chunks, [item["__data__"] for item in after], tokens, known)
    raw = [{"data": json.dumps(chunk, indent=1)} for chunk in chunks]
    after = [json.loads(item["data"]) for item in redacted(raw, known)]
    check(chunks, after, tokens, known)


@pytest.mark.parametrize("name", DIALECTS)
def test_lists_without_a_secret_stay(name: str) -> None:
    body = {"__data__": DIALECTS[name](cut("Nothing to see here, only some ordinary words."))}
    document = {
        "request": {"method": "POST", "url": "https://api.test/v1/x", "headers": {}},
        "response": {"status": 200, "headers": {}, "is_streaming": False, "body": body},
    }
    assert redactor.document(document, Secrets([("key", KEY)])) == (document, ())


def test_only_tokens_that_changed_lose_what_stands_beside_them() -> None:
    tokens = ["It ", "is ", *cut(KEY), ".", " So"]
    after = redacted({"__data__": DIALECTS["chat content"](tokens)})["__data__"]
    content = after["choices"][0]["logprobs"]["content"]
    assert content[0] == openai(["It "])[0]
    assert content[-1] == openai([" So"])[0]
    assert "".join(item["token"] for item in content).startswith("It is REDACTED-")
    assert all(bytes(item["bytes"]).decode() == item["token"] for item in content)
