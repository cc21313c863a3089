"""Tokens of an exchange whose provider tells none: an estimate from the text of both sides.

A token is taken for every four characters, which is what OpenAI says of English text
(https://platform.openai.com/tokenizer). Images, sound and files are not counted.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from wiretape.core.cost.budget import Expected
from wiretape.core.cost.usage import Usage, json_values, reported
from wiretape.core.model import Request, Response, WebSocket, models_in_path
from wiretape.core.text import exact_json
from wiretape.core.wire.jsonrpc import is_mcp
from wiretape.core.wire.websocket import is_opening

from .answers import known_turns
from .turns import Turn, first, request_turns

CHARACTERS: Final = 4
"""Characters in a token, about."""

_UNBILLED: Final = ("/count_tokens", ":countTokens", "/tokenize", "/cancel")
"""The ends of paths whose answers cost nothing, though they may tell a number of tokens."""


def is_unbilled_path(path: str) -> bool:
    """Whether what is there costs nothing, as counting tokens does."""
    return path.endswith(_UNBILLED)


def request_tokens(body: exact_json.Json) -> int:
    """An estimate of a request's tokens: its turns and the tools that it defines.

    >>> request_tokens({"messages": [{"role": "user", "content": "Say hello twice."}]})
    4
    """
    tools = first(body, "tools")
    schema = 0 if tools is None else len(json.dumps(tools, default=str))
    return _tokens(request_turns(body), schema)


def estimated(body: exact_json.Json, answer: Sequence[exact_json.Json]) -> Usage:
    """An estimate from a request's body and the JSON values of its answer."""
    return Usage(request_tokens(body), _tokens(known_turns(answer)), estimated=True)


def usage_of(
    request: Request, response: Response, values: Sequence[exact_json.Json] | None = None
) -> Usage | None:
    """The tokens of an exchange, as its provider tells them or else estimated; None where nothing
    was billed: another method than POST, an error, no model. `values` are those of the answer's
    JSON, where it has been read.
    """
    billed = request.method == "POST" and not is_unbilled_path(request.path)
    if not (billed or isinstance(response, WebSocket)) or not _is_success(response):
        return None
    usage = reported(response)
    if usage.is_known:
        return usage
    body = _body(request)
    if not models_in_path(request.path) and not isinstance(first(body, "model"), str):
        return None
    if values is not None:
        return estimated(body, values)
    return estimate_of(request, response)


def estimate_of(request: Request, response: Response) -> Usage:
    """An estimate of an exchange's tokens, as far as its answer has come."""
    return estimated(_body(request), list(json_values(response, every=True)))


def expected(request: Request, provider: str) -> Expected | None:
    """What a request may use of a budget; None for one that costs nothing.

    >>> body = b'{"model": "m", "max_tokens": 99, "messages": [{"content": "Hello!"}]}'
    >>> expected(Request("POST", "https", "h", 443, "/v1/messages", body=body), "anthropic")
    Expected(provider='anthropic', model='m', tokens_in=2, most_out=99)
    """
    opens = is_opening(request)
    if not opens and (request.method != "POST" or is_unbilled_path(request.path)):
        return None
    if is_mcp(request.headers):
        return None
    # Imported late: the libraries of the codings are not needed for a recording, which is decoded.
    from wiretape.core.wire.content_coding import plain_request

    request = plain_request(request)
    body = _body(request)
    named = first(body, "model", "modelId")
    model = named if isinstance(named, str) else next(iter(models_in_path(request.path)), None)
    # What a WebSocket will ask nobody knows when it is opened.
    model = None if opens else model
    most_out = 0 if _EMBEDS.search(request.path) else _most_out(body)
    return Expected(provider, model, request_tokens(body), most_out)


_EMBEDS: Final = re.compile(r"embed", re.IGNORECASE)
_LIMITS: Final = (
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens"),
    *("max_tokens_to_sample", "num_predict", "max_new_tokens", "max_gen_len"),
)
_WITHIN: Final = ("generationConfig", "inferenceConfig", "options", "parameters")


def _most_out(body: exact_json.Json) -> int | None:
    """The most tokens that the answer may have, as the request says."""
    holders = (body, *(first(body, name) for name in _WITHIN))
    limits = [limit for holder in holders if type(limit := first(holder, *_LIMITS)) is int]
    choices = first(body, "n")
    times = choices if type(choices) is int and choices > 1 else 1
    return max(limits) * times if limits and max(limits) >= 0 else None


def _is_success(response: Response) -> bool:
    return 200 <= response.status < 300 or isinstance(response, WebSocket)


def _body(request: Request) -> exact_json.Json:
    try:
        return exact_json.parse(request.body)
    except ValueError:
        return None


def _tokens(turns: Iterable[Turn], more: int = 0) -> int:
    parts = (part for turn in turns if turn.role != "error" for part in turn.parts)
    length = sum(len(part.text) for part in parts if part.kind != "media")
    return -(-(length + more) // CHARACTERS)
