"""Read from an answer how many tokens its provider counted.

Each provider has names of its own for the counts, and says in its own way whether cached tokens are
among those of the request (OpenAI, Gemini) or come on top (Anthropic, Bedrock):

* https://platform.openai.com/docs/api-reference/chat/object
* https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
* https://ai.google.dev/api/generate-content#UsageMetadata
* https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
* https://docs.cohere.com/reference/chat, https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, astuple, dataclass
from typing import Any, Final

from wiretape.core.model import Response, WebSocket, header
from wiretape.core.text import exact_json
from wiretape.core.wire import sse
from wiretape.core.wire.framing import declared_framing


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of an exchange; None where they are not known.

    `tokens_in` are all of the request. Of them `cached` were read from the provider's cache and
    `cache_write` written to it, `cache_write_1h` of those for an hour. `tokens_out` are all of the
    answer, with what it thought. `estimated` says that wiretape counted, not the provider.
    """

    tokens_in: int | None = None
    tokens_out: int | None = None
    _: KW_ONLY
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    estimated: bool = False

    def __hash__(self) -> int:
        # Each exchange of a replay is counted by its usage.
        return hash((self.tokens_in, self.tokens_out))

    @property
    def tokens(self) -> int:
        """The tokens of both sides."""
        return (self.tokens_in or 0) + (self.tokens_out or 0)

    @property
    def is_known(self) -> bool:
        """Whether there is any count."""
        return self.tokens_in is not None or self.tokens_out is not None

    def as_json(self) -> dict[str, Any]:
        """The counts for JSON, without those that are 0 or not known."""
        members = {name: getattr(self, name) for name in self.__slots__ if name != "_"}
        return {
            name: value
            for name, value in members.items()
            if value or (name.startswith("tokens") and value is not None)
        }


_COUNTS: Final = {
    # without the cached tokens
    "input_tokens": "apart",
    "inputTokens": "apart",
    "inputTokenCount": "apart",
    # with them, if there are any
    "prompt_tokens": "in",
    "promptTokenCount": "in",
    "prompt_eval_count": "in",
    "total_input_tokens": "in",
    "toolUsePromptTokenCount": "tools in",
    "completion_tokens": "out",
    "output_tokens": "out",
    "candidatesTokenCount": "out",
    "outputTokens": "out",
    "eval_count": "out",
    "total_output_tokens": "out",
    "outputTokenCount": "out",
    # on top of those of the answer; the second where the total says so
    "thoughtsTokenCount": "thoughts",
    "reasoning_tokens": "perhaps thoughts",
    "total_thought_tokens": "perhaps thoughts",
    "total_tokens": "total",
    # parts of the request
    "cached_tokens": "cached",
    "cachedContentTokenCount": "cached",
    "prompt_cache_hit_tokens": "cached",
    "total_cached_tokens": "cached",
    "cache_write_tokens": "written",
    # besides it
    "cache_read_input_tokens": "cached apart",
    "cacheReadInputTokens": "cached apart",
    "cacheReadInputTokenCount": "cached apart",
    "cache_creation_input_tokens": "written apart",
    "cacheWriteInputTokens": "written apart",
    "cacheWriteInputTokenCount": "written apart",
    "ephemeral_1h_input_tokens": "written for an hour",
}
"""What a member counts."""


def members_of(*counts: str) -> frozenset[str]:
    """The names of the members that hold a count: "in", "apart" (of the request), "out".

    >>> "completion_tokens" in members_of("out")
    True
    """
    return frozenset(name for name, count in _COUNTS.items() if count in counts)


_AROUND: Final = frozenset(
    (
        *("usage", "usageMetadata", "response", "message", "delta", "interaction", "metadata"),
        *("meta", "tokens", "billed_units", "x_groq", "amazon-bedrock-invocationMetrics"),
        *("cache_creation", "prompt_tokens_details", "input_tokens_details"),
        *("completion_tokens_details", "output_tokens_details", "chunk"),
    )
)
"""The members that counts, or what holds them, lie in."""

_DEPTH: Final = 5
_LAST_EVENTS: Final = frozenset(
    f"response.{name}" for name in ("done", "completed", "incomplete", "failed")
)
"""The events that end a response; a WebSocket has many responses."""


def usage_of(values: Sequence[exact_json.Json]) -> Usage:
    """Read the usage in an answer's JSON values: its events, its lines, or its whole body.

    Of a stream's counts the largest are taken: they grow, and Anthropic sends the request's at the
    start and the answer's at the end.

    >>> usage_of([{"usage": {"input_tokens": 5, "cache_read_input_tokens": 90}}]).as_json()
    {'tokens_in': 95, 'cached': 90}
    """
    ends = [v for v in values if isinstance(v, dict) and str(v.get("type")) in _LAST_EVENTS]
    if len(ends) > 1:
        return total(_usage([value]) for value in ends)
    return _usage(values)


def total(usages: Iterable[Usage]) -> Usage:
    """The sum of several usages."""
    sums: list[Any] = [None, None, 0, 0, 0, False]
    for usage in usages:
        for index, value in enumerate(astuple(usage)):
            if value is not None:
                sums[index] = (sums[index] or 0) + value
    return Usage(
        *sums[:2],
        cached=sums[2],
        cache_write=sums[3],
        cache_write_1h=sums[4],
        estimated=bool(sums[5]),
    )


def _usage(values: Iterable[exact_json.Json]) -> Usage:
    counts: dict[str, int] = {}
    for value in values:
        _count(value, counts, _DEPTH)
    cached, written = counts.get("cached", 0), counts.get("written", 0)
    tokens_in = counts.get("in")
    if tokens_in is None and "apart" in counts:
        # These may come on top; LiteLLM sends them beside a count that has them.
        apart = counts.get("cached apart", 0), counts.get("written apart", 0)
        tokens_in = counts["apart"] + sum(apart)
        cached, written = max(cached, apart[0]), max(written, apart[1])
    if tokens_in is not None:
        tokens_in += counts.get("tools in", 0)
        cached = min(cached, tokens_in)
    tokens_out = counts.get("out")
    if "thoughts" in counts:
        tokens_out = (tokens_out or 0) + counts["thoughts"]
    more = counts.get("perhaps thoughts", 0)
    if counts.get("total") == (tokens_in or 0) + (tokens_out or 0) + more:
        tokens_out = (tokens_out or 0) + more if more else tokens_out
    return Usage(
        tokens_in,
        tokens_out,
        cached=cached,
        cache_write=min(written, (tokens_in or 0) - cached),
        cache_write_1h=min(counts.get("written for an hour", 0), written),
    )


def _count(holder: exact_json.Json, counts: dict[str, int], depth: int) -> None:
    if not isinstance(holder, dict):
        return
    # Of several counts of one kind the largest is taken, whatever their order.
    for name, value in holder.items():
        which = _COUNTS.get(name)
        if which is not None:
            if type(value) is int and value >= 0:
                counts[which] = max(counts.get(which, 0), value)
        # Cohere counts more tokens than it bills.
        elif depth and name in _AROUND and not (name == "tokens" and "billed_units" in holder):
            _count(value, counts, depth - 1)
    if not depth:
        return
    inner = holder.get("bytes")
    if isinstance(inner, str) and len(inner) <= _MOST_BYTES:
        _count(_base64_json(inner), counts, depth - 1)


# ------------------------------------------------------------------ from the wire

_MOST_BYTES: Final = 8 << 20
"""A larger body is not read for its usage."""


def reported(response: Response) -> Usage:
    """Read the usage of an answer on the wire; much quicker than reading all of it."""
    in_headers = [header(response.headers, name) for name in _BEDROCK_HEADERS]
    if all(count is not None and count.isdecimal() for count in in_headers):
        return Usage(*(int(count or 0) for count in in_headers))
    return usage_of(list(json_values(response)))


_BEDROCK_HEADERS: Final = (
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
)
"""Of InvokeModel's answers, whose bodies are the models' own."""


def json_values(response: Response, *, every: bool = False) -> Iterator[exact_json.Json]:
    """The JSON values of an answer in which counts may be, or every one."""
    if isinstance(response, WebSocket):
        for message in response.messages:
            if message.sender == "server" and (every or _has_counts(message.data)):
                yield _json(message.data)
        return
    framing = response.framing or declared_framing(response.headers)
    if not response.streaming or framing in ("whole", "reads"):
        if sum(len(chunk.data) for chunk in response.chunks) <= _MOST_BYTES:
            body = _json(response.body)
            yield from body if isinstance(body, list) else [body]
    elif framing == "frames":
        from wiretape.core.wire import aws_eventstream

        # The first and the last events have counts, and a frame takes long to read.
        few = (*response.chunks[:1], *response.chunks[1:][-2:])
        for chunk in response.chunks if every else few:
            frame = aws_eventstream.decode(chunk.data)
            if frame is not None:
                yield _json(frame.payload)
    elif every or _has_counts(response.body):
        for chunk in response.chunks:
            if every or _has_counts(chunk.data):
                event = sse.parse(chunk.data) if framing == "sse" else None
                yield _json(chunk.data if event is None else event.data or "")


def _has_counts(data: bytes) -> bool:
    return b"oken" in data or b"eval_count" in data


def _json(data: bytes | str) -> exact_json.Json:
    with suppress(ValueError):
        return exact_json.parse(data)
    try:
        return json.loads(data)  # what is not quite JSON may hold counts, too
    except (ValueError, RecursionError):
        return None


def _base64_json(text: str) -> exact_json.Json:
    from wiretape.core.wire import aws_eventstream

    try:
        return _json(aws_eventstream.base64_bytes(text))
    except ValueError:
        return None
