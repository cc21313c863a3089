"""Ids that an answer gave out and a later request sends back, told by where they came from.

A provider makes up `resp_…`, `file-…`, `vs_…` anew at every run. Where a request sends one back its
spelling says nothing: what counts is which recording gave it, and which of that one's ids it is.
That is its token, "3f2a00112233.2#0": the recording's KEY12[.TAKE] and the number of the id. Ids
of tool calls need none: the request that sends one back holds the call as well.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from wiretape.core.model import split_url

from .document import Document

MAX_IDS: Final = 500
"""The most ids of one answer that are told apart."""

_MAX_LENGTH: Final = 300
_MAX_GIVEN: Final = 100_000
_NAME: Final = re.compile(r"(?:^|_)ids?$|[a-z](?:Id|ID)s?$|(?:^|_)(?:file|Uri|uri)$|[a-z]Uri$")
_NAMES: Final = frozenset(("cachedContent", "cached_content", "container", "conversation", "name"))
# The call and its result stand in one request and are compared by their order in it.
_OF_TOOL_CALLS: Final = frozenset(("call_id", "tool_call_id", "tool_use_id", "toolUseId"))
_CALLS: Final = frozenset(("function_call", "tool_call", "tool_use"))
# Gemini's names of files and cached contents are the paths they are to be found at.
_RESOURCE: Final = re.compile(r"(?:batches|cachedContents|files|operations)/([^/]+)")


def is_id_place(name: str) -> bool:
    """Whether a member of this name may hold an id (or, where it is a list, some)."""
    return name in _NAMES or _NAME.search(name) is not None


def answer_ids(document: Document) -> tuple[str, ...]:
    """The ids that a recording's answer gives out, in the order they come, each once."""
    response = document.get("response")
    if not isinstance(response, dict):
        return ()
    # The ids of models are names that everybody knows.
    if str(document["request"].get("endpoint", "")).endswith("/models"):
        return ()
    body = response.get("body")
    found: dict[str, None] = {}
    for item in body if isinstance(body, list) else [body]:
        # A WebSocket's client tells ids as well; what it made up nobody gave it.
        if isinstance(item, dict) and "__data__" in item and item.get("from") != "client":
            found |= dict.fromkeys(_given(item["__data__"]))
            if len(found) > MAX_IDS:
                break
    return tuple(found)[:MAX_IDS]


def _given(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack += reversed([item for item in here if isinstance(item, (dict, list))])
        elif isinstance(here, dict):
            kind = here.get("type")
            call = isinstance(kind, str) and kind in _CALLS
            for name, item in here.items():
                if isinstance(item, str):
                    if name == "name":
                        resource = _RESOURCE.fullmatch(item)
                        yield from (item, resource[1]) if resource else ()
                    elif _gives_id(name, item) and not (call and name == "id"):
                        yield item
            stack += reversed(
                [
                    item
                    for name, item in here.items()
                    if isinstance(item, (dict, list)) and name not in ("tool_calls", "toolCalls")
                ]
            )


def _gives_id(name: str, text: str) -> bool:
    return name not in _OF_TOOL_CALLS and _NAME.search(name) is not None and _fits(text)


def _fits(text: str) -> bool:
    return 0 < len(text) <= _MAX_LENGTH


def sent_ids(request: Document) -> tuple[str, ...]:
    """What a `request` part holds where ids stand: in its path, its query and its body."""
    try:
        target = split_url(request["url"])[3]
    except ValueError:
        return ()
    path, _, query = target.partition("?")
    found = dict.fromkeys(segment for segment in path.split("/")[2:] if segment)
    found |= dict.fromkeys(part.partition("=")[2] for part in query.split("&") if "=" in part)
    found |= dict.fromkeys(_sent(request.get("body")))
    return tuple(text for text in found if _fits(text))


def _sent(value: Any) -> Iterator[str]:
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        name, here = stack.pop()
        if isinstance(here, dict):
            items: Iterable[tuple[str, Any]] = here.items()
            # A whole item of a history is compared as the history is; a reference stands alone.
            if "type" in here and here["type"] != "item_reference" and "id" in here:
                items = [(key, item) for key, item in items if key != "id"]
            stack += reversed([(key, item) for key, item in items if key != "tool_calls"])
        elif isinstance(here, list):
            stack += [(name, item) for item in reversed(here)]
        elif isinstance(here, str) and name not in _OF_TOOL_CALLS and is_id_place(name):
            yield here


class Given:
    """The ids a session has been given: what is sent back is told by the latest that gave it."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, spelled: str) -> bool:
        return spelled in self._tokens

    def learn(self, ids: Sequence[str], recording: str) -> None:
        """An answer was given: `recording` is its KEY12[.TAKE]."""
        for number, spelled in enumerate(ids):
            self._tokens.pop(spelled, None)
            self._tokens[spelled] = f"{recording}#{number}"
        while len(self._tokens) > _MAX_GIVEN:
            del self._tokens[next(iter(self._tokens))]

    def clear(self) -> None:
        """The session starts over."""
        self._tokens.clear()

    def tokens(self, sent: Iterable[str]) -> dict[str, str]:
        """The tokens of those ids that are known, by their spelling."""
        return {spelled: self._tokens[spelled] for spelled in sent if spelled in self._tokens}


def stamp(request: Document, given: Given) -> Document:
    """The `request` part with its `ids`: the tokens of the ids that it sends back; the part itself
    where there are none.
    """
    if not len(given):
        return request
    tokens = given.tokens(sent_ids(request))
    return {**request, "ids": tokens} if tokens else request
