"""What is asked and what is answered, the same for everybody who is measured."""

import json
from collections.abc import Iterable
from typing import Final

HOST: Final = "api.together.xyz"
PATH: Final = "/v1/chat/completions"
MODEL: Final = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
KEY: Final = "bench-" + "0123456789abcdef" * 3
"""What stands for a credential: as long as one, and shaped as none."""

CHUNKS: Final = 200
QUESTIONS: Final = 3000
"""How many different ones the replayers know: more than any cache of wiretape's holds."""

STAMP: Final = b'"sent_ns":'
"""Before the time (`time.monotonic_ns`) at which the origin wrote a chunk."""

_CREATED: Final = 1758039042
_HEAD: Final = (
    "POST {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n"
    "Accept-Encoding: identity\r\nContent-Type: application/json\r\nUser-Agent: benchmark\r\n"
    "Authorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n"
)


def question(number: int, *, stream: bool) -> bytes:
    """The body of request `number`; all have one length."""
    body = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a terse assistant."},
            {"role": "user", "content": f"What is the square of {number:09}?"},
        ],
        "temperature": 0,
        "seed": 42,
        "stream": stream,
    }
    return json.dumps(body, separators=(",", ":")).encode()


LARGE: Final = -1
"""The number of the question with the large answer."""


def request(number: int, *, stream: bool, authority: str = HOST, path: str = PATH) -> bytes:
    """The bytes of request `number` as a client sends them, inside its TLS if it has one."""
    body = question(number, stream=stream)
    head = _HEAD.format(path=path, authority=authority, key=KEY, length=len(body))
    return head.encode() + body


def is_large(body: bytes) -> bool:
    """Whether a request's body asks for the large answer."""
    return b"square of -00000001?" in body


def large_answer() -> bytes:
    """A JSON answer of some 100 kB."""
    return answer(1).replace(b"It is", b"The quick brown fox jumps. " * 3_700 + b"It is")


def is_stream(body: bytes) -> bool:
    """Whether a request's body asks for a streamed answer."""
    return b'"stream":true' in body


def answer(number: int) -> bytes:
    """A small JSON answer (some 340 bytes)."""
    body = {
        "id": f"chatcmpl-{number:09}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"It is {number * number:018}."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43},
    }
    return json.dumps(body, separators=(",", ":")).encode()


LOADS: Final = (
    "small JSON, asked again",
    "small JSON, never the same twice",
    f"stream of {CHUNKS} chunks",
    "100 kB JSON",
)
"""What a replay at a base URL is asked."""


def framed(chunks: Iterable[bytes]) -> bytes:
    """A body as HTTP frames it that sends each chunk by itself."""
    return b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks) + b"0\r\n\r\n"


def paced_chunk(number: int, count: int) -> bytes:
    """Event `number` of a stream of `count`; the last one says [DONE]."""
    return chunk(CHUNKS - 1) if number == count - 1 else chunk(number % (CHUNKS - 1))


def chunk(number: int, sent_ns: int = 0) -> bytes:
    """Event `number` of a streamed answer (some 190 bytes); the last one says [DONE].

    With `sent_ns` it carries the time.
    """
    if number == CHUNKS - 1:
        return b"data: [DONE]\n\n"
    body = {
        "id": "chatcmpl-000000001",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "choices": [{"index": 0, "delta": {"content": f" w{number:03}"}, "finish_reason": None}],
        **({"sent_ns": sent_ns} if sent_ns else {}),
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
