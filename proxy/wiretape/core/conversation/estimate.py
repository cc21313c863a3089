"""Tokens of an exchange whose provider tells none: an estimate from the text of both sides.

A token is taken for every four characters, which is what OpenAI says of English text
(https://platform.openai.com/tokenizer). Images, sound and files are not counted.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from wiretape.core.cost.usage import Usage, json_values, reported
from wiretape.core.model import Request, Response, WebSocket, models_in_path
from wiretape.core.text import exact_json

from .answers import known_turns
from .turns import Turn, first, request_turns

CHARACTERS: Final = 4
"""Of a token."""

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


def usage_of(request: Request, response: Response) -> Usage | None:
    """The tokens of an exchange, as its provider tells them or else estimated; None where nothing
    was billed: another method than POST, an error, no model.
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
    return estimated(body, list(json_values(response, every=True)))


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
