"""What the scripted provider answers to the calls of the client programs."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support.upstream import Answer, split

# Where the clients go by themselves; each has a path of its own at the provider's.
HOSTS = {
    "openai": "api.openai.com",
    "together": "api-inference.together.ai",
    "anthropic": "api.anthropic.com",
    "npm": "api.openai.com",
}
OTHERS_HOST = "api.together.xyz"


@dataclass(frozen=True)
class Case:
    """One call, the provider's answer to it, and how much of it the client shows.

    `shown[k]` is the number of objects the client can have when it has got k chunks.
    """

    name: str
    target: str
    answer: Answer
    sent: Sequence[Any]
    """The objects sent: JSON for those who parse it, else the texts of the events."""
    shown: Sequence[int] = ()

    @property
    def place(self) -> str:
        client = self.name.partition(".")[0]
        return client if client in HOSTS else "others"

    @property
    def host(self) -> str:
        return HOSTS.get(self.place, OTHERS_HOST)

    @property
    def plain(self) -> bytes:
        """The body with its content coding undone."""
        body = b"".join(self.answer.chunks)
        return (
            gzip.decompress(body) if ("Content-Encoding", "gzip") in self.answer.headers else body
        )


CHAT = "/v1/chat/completions"
SSE = ("Content-Type", "text/event-stream; charset=utf-8")
JSON = ("Content-Type", "application/json")
GZIP = ("Content-Encoding", "gzip")
WORDS = ("Grüße", " aus", " 東京", ' "quoted"\n', " 🎉")


def chat_objects(name: str) -> list[Any]:
    """Chunks as Together's are, with a seed above 2^63 and members no SDK declares."""
    objects: list[Any] = [
        {
            "id": f"chat-{name}",
            "object": "chat.completion.chunk",
            "created": 1758039042,
            "choices": [
                {
                    "index": 0,
                    "text": word,
                    "logprobs": None,
                    "finish_reason": None,
                    "seed": None,
                    "delta": {"token_id": number, "role": "assistant", "content": word},
                }
            ],
            "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            "usage": None,
        }
        for number, word in enumerate(WORDS)
    ]
    objects[-1]["choices"][0] |= {"finish_reason": "stop", "seed": 16158686754257986000}
    objects[-1]["usage"] = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return objects


def chat_object(name: str) -> Any:
    return {
        "id": f"chat-{name}",
        "object": "chat.completion",
        "created": 1758039042,
        "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "prompt": [],
        "choices": [
            {
                "finish_reason": "stop",
                "seed": 12390303563326160000,
                "index": 0,
                "logprobs": None,
                "message": {"role": "assistant", "content": "".join(WORDS), "tool_calls": []},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
    }


def message_objects(name: str) -> list[Any]:
    """Anthropic's events; `ping` is one the SDK keeps to itself."""
    message = message_object(name) | {"content": [], "stop_reason": None}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        for word in WORDS
    ]
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]


def message_object(name: str) -> Any:
    return {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": "".join(WORDS)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }


def response_objects(name: str) -> list[Any]:
    """OpenAI's Responses API: named events and no "[DONE]"."""
    part = {"item_id": f"item-{name}", "output_index": 0, "content_index": 0}
    deltas = [
        {"type": "response.output_text.delta", **part, "delta": word, "sequence_number": number}
        for number, word in enumerate(WORDS)
    ]
    response = {"id": f"resp-{name}", "object": "response", "status": "completed", "output": []}
    last = {"type": "response.completed", "response": response, "sequence_number": len(WORDS)}
    return [*deltas, last]


def whole(name: str, value: Any, target: str = CHAT) -> Case:
    """A JSON answer, spelled with spaces and raw UTF-8."""
    data = json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode()
    answer = Answer(headers=[JSON], chunks=[data], framing="content-length")
    return Case(name, target, answer, [value])


def data_event(value: Any) -> bytes:
    return (
        b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )


def named_event(value: Any) -> bytes:
    return f"event: {value['type']}\n".encode() + data_event(value)


def streamed(
    name: str,
    values: Sequence[Any],
    target: str = CHAT,
    spell: Callable[[Any], bytes] = data_event,
    hidden: Sequence[Any] = (),
    *,
    done: bool = True,
) -> Case:
    """A stream for an SDK, a chunk an event; `hidden` ones and "[DONE]" it does not show."""
    chunks = [spell(value) for value in values] + [b"data: [DONE]\n\n"] * done
    sent = [value for value in values if value not in hidden]
    shown = [0]
    for value in values:
        shown.append(shown[-1] + (value not in hidden))
    return Case(
        name, target, Answer(headers=[SSE], chunks=chunks), sent, shown + [len(sent)] * done
    )


def texts(body: bytes) -> list[str]:
    """The events of a stream as text; joined, they are the stream."""
    return [event.decode() for event in re.findall(rb"(?s).*?(?:\r\n\r\n|\n\n)", body)]


def raw(name: str, chunks: Sequence[bytes] | None = None) -> Case:
    """The same for a client that shows the events' bytes; `chunks` may lie across events."""
    if chunks is None:
        chunks = [data_event(value) for value in chat_objects(name)] + [b"data: [DONE]\n\n"]
    shown = [len(texts(b"".join(chunks[:k]))) for k in range(len(chunks) + 1)]
    answer = Answer(headers=[SSE], chunks=chunks)
    return Case(name, raw_target(name), answer, texts(b"".join(chunks)), shown)


def raw_target(name: str) -> str:
    return f"{CHAT}?call={name}"


def raw_whole(name: str) -> Case:
    case = whole(name, chat_object(name), raw_target(name))
    return replace(case, sent=[case.plain.decode()])


def odd_chunks() -> list[bytes]:
    """Comments, CRLF, two lines of data, two events in one chunk, an event over four."""
    odd = (
        b": OPENROUTER PROCESSING\n\n",
        'data: {"id": "1",\ndata:  "said": "Grüße"}\n\n'.encode(),
        b"id: 7\r\nretry: 3000\r\nevent: delta\r\ndata:no space\r\n\r\n",
        b'data: {"a":1.0, "b":1e3,"c":"\\u00e9\\/", "seed":16158686754257986000}\n\n',
        b"data: [DONE]\n\n",
    )
    first, second, third, fourth, last = odd
    umlaut = second.index("ü".encode()) + 1
    return [first, *split(second + third, 3, umlaut, len(second) - 1), fourth + last]


def zipped(name: str) -> Case:
    """A stream in gzip, flushed at each event."""
    case = raw(name)
    coder = zlib.compressobj(wbits=31)
    chunks = [coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH) for data in case.answer.chunks]
    chunks[-1] += coder.flush()
    return replace(case, answer=Answer(headers=[SSE, GZIP], chunks=chunks))


def zipped_whole(name: str) -> Case:
    case = raw_whole(name)
    data = gzip.compress(case.plain, mtime=0)
    answer = Answer(headers=[JSON, GZIP], chunks=[data], framing="content-length")
    return replace(case, answer=answer)


def contains(got: Any, sent: Any) -> bool:
    """Whether every member of what was sent is in what a client made of it."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and all(contains(got.get(k), v) for k, v in sent.items())
    if isinstance(sent, list):
        return isinstance(got, list) and len(got) == len(sent) and all(map(contains, got, sent))
    return bool(got == sent)
