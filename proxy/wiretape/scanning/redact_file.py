"""Redact a recording that is there already, and prove that it still replays.

A recording of ours is written anew as `core/recording/text.py` writes it. One of llama-stack's
keeps its own members and layout: but for secret headers, nothing but strings changes in it. Where
nothing has to change, nothing does.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wiretape.core.errors import FormatError, WiretapeError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Response
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_exchange
from wiretape.core.recording.fields import SideFile
from wiretape.core.redaction import token_ids, token_lists
from wiretape.core.redaction.gate import Leak, inspect, inspect_bytes
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.placeholder import PLACEHOLDER
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import Finding, finding
from wiretape.core.text import exact_json
from wiretape.core.wire import sse

from .scan import credentials

_LLAMASTACKS_STYLE: Final = "indent2+ascii+newline"
_PARTS: Final = ("request", "response")


class Refused(WiretapeError):
    """A recording cannot be rewritten: it would not replay as before, or `leaks` are left in it."""

    def __init__(self, text: str, leaks: tuple[Leak, ...] = ()) -> None:
        super().__init__(text)
        self.leaks: Final = leaks


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A redacted recording: its file's text, its side files by name, the names of side files that
    it has no more, and what was found where. `document` has the side files in it.
    """

    text: str
    files: dict[str, bytes]
    void: frozenset[str]
    changes: tuple[Finding, ...]
    document: Document


def rewrite(
    data: bytes, redactor: Redactor, matcher: Matcher, side_file: SideFile
) -> Rewritten | None:
    """A recording file's bytes, redacted; None where they are so already.

    A redactor that remembers knows what it has found in other recordings, too. FormatError where it
    is not a recording of ours or llama-stack's, or its side file is missing. Refused where
    the rewritten recording had another key, other chunks or events, or where a secret is left in
    it.
    """
    document = recording_format.loads(data)
    source = data.decode("utf-8")
    foreign = llamastack.is_llamastack(document)
    void: set[str] = set()
    known = tuple(credentials(document, redactor.rules))
    redactor.remember(known)
    if foreign:
        before = document
        secrets = Secrets((*known, *redactor.rules.values))
        after, changes = _redact_llamastacks(before, redactor, secrets)
    else:
        before = with_side_files(document, side_file, void)
        # The headers that live requests have go first, so that both get the same placeholders.
        secrets = Secrets((*redactor.secrets(to_exchange(before).request).values, *known))
        after, changes = redactor.document(before, secrets)
    if after == before:
        _check_clean(source, redactor, secrets)
        return None
    files: dict[str, bytes] = {}
    if foreign:
        text = exact_json.dumps(after, exact_json.style_of(source) or _LLAMASTACKS_STYLE)
    else:
        smaller, files = recording_format.externalise(after)
        text = recording_format.dumps(smaller)
    _check_clean(text, redactor, secrets, files.values())
    written = with_side_files(recording_format.loads(text), files.__getitem__, set())
    _check_same(before, written, redactor, matcher, secrets)
    changes = (*changes, *_headers_left_out(before, after, changes))
    gone = frozenset(void - files.keys())
    return Rewritten(text, files, gone, _in_order(changes), written)


def _in_order(changes: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(sorted(set(changes), key=lambda change: (change.where, change.rule)))


def _headers_left_out(
    before: Document, after: Document, findings: tuple[Finding, ...]
) -> Iterator[Finding]:
    found_at = {change.where for change in findings}
    for part in _PARTS:
        headers = before[part].get("headers", {})
        for name in headers.keys() - after[part].get("headers", {}).keys():
            change = finding("header-not-kept", (part, "headers", name))
            if change.where not in found_at:
                yield change


def with_side_files(document: Document, read: SideFile, names: set[str]) -> Document:
    """A document with what its side files hold in it; their names are added to `names`."""

    def inside(item: Any, key: str, instead: str) -> Any:
        if not isinstance(item, dict) or not isinstance(name := item.get(key), str):
            return item
        names.add(name)
        encoded = base64.b64encode(read(name)).decode()
        return {instead if k == key else k: encoded if k == key else v for k, v in item.items()}

    if llamastack.is_llamastack(document):
        return document
    response = document["response"]
    body = response.get("body")
    if isinstance(body, list):
        body = [inside(item, "file", "base64") for item in body]
    else:
        body = inside(body, "file", "base64")
    if "body" in response:
        response = {**response, "body": body}
    request = inside(document["request"], "body_file", "body_base64")
    return {**document, "request": request, "response": response}


# ------------------------------------------------------------------ llama-stack's


def _redact_llamastacks(
    document: Document, redactor: Redactor, secrets: Secrets
) -> tuple[Document, tuple[Finding, ...]]:
    """A copy of a llama-stack recording with its secrets replaced, and what was found in it.

    The redactor knows documents of ours. What would be none of these goes through it in their
    shape, and takes its own again.
    """
    request, response = document["request"], document["response"]
    headers = {part: _headers(document[part].get("headers"), redactor) for part in _PARTS}
    body = response.get("body")
    ours = {
        **{key: value for key, value in document.items() if key not in _PARTS},
        **{f"{part}_headers": headers[part] for part in _PARTS},
        "request": {
            # A call of a tool has neither.
            **{key: value for key, value in request.items() if key not in ("headers", "endpoint")},
            "url": str(request.get("url") or ""),
            "endpoint": str(request.get("endpoint") or ""),
        },
        "response": {
            **{key: value for key, value in response.items() if key != "headers"},
            "body": [_chunk(item) for item in body] if isinstance(body, list) else _chunk(body),
        },
    }
    redacted, findings = redactor.document(ours, secrets)
    body_now = redacted["response"]["body"]
    if isinstance(body, list):
        body = [_unwrapped(*pair) for pair in zip(body, body_now, strict=True)]
    else:
        body = _unwrapped(body, body_now)
    parts = {
        "request": {**redacted["request"], "headers": redacted["request_headers"]},
        "response": {**redacted["response"], "headers": redacted["response_headers"], "body": body},
    }
    dropped = [
        finding(name, (part, "headers", name))
        for part in _PARTS
        for name in document[part].get("headers") or ()
        if name not in headers[part]
    ]
    result = {
        key: {name: parts[key][name] if item is not None else None for name, item in value.items()}
        if key in _PARTS
        else redacted[key]
        for key, value in document.items()
    }
    return result, (*dropped, *findings)


def _headers(headers: Any, redactor: Redactor) -> Any:
    """Headers without the secret ones; llama-stack's files rarely have any."""
    if not isinstance(headers, dict):
        return headers
    secret = redactor.rules.secret_headers
    return {name: value for name, value in headers.items() if name.lower() not in secret}


def _chunk(item: Any) -> Any:
    """An item of a body as one of ours: a line of a raw stream is text, any other value JSON."""
    if item is None or (isinstance(item, dict) and "__data__" in item):
        return item
    return {"text": item} if isinstance(item, str) else {"__data__": item}


def _unwrapped(before: Any, after: Any) -> Any:
    if _chunk(before) is before:
        return after
    return after["text" if isinstance(before, str) else "__data__"]


# ------------------------------------------------------------------ proof


def _check_clean(
    text: str, redactor: Redactor, secrets: Secrets, files: Iterable[bytes] = ()
) -> None:
    leaks = inspect(text, redactor, secrets)
    for data in files:
        leaks += inspect_bytes(data, redactor, secrets)
    if leaks:
        raise Refused("a secret would be left in it, so it was not rewritten", leaks)


def _check_same(
    before: Document, after: Document, redactor: Redactor, matcher: Matcher, secrets: Secrets
) -> None:
    if not _alike(_without_headers(before), _without_headers(after)):
        raise _differs("more than strings")
    try:
        old = as_sent(before)
    except FormatError:
        return  # it never replayed: llama-stack's recording of a tool's call, say
    try:
        new = as_sent(after)
    except FormatError as error:
        raise _differs(f"whether it can be replayed ({error})") from None
    keys = (  # a live request is redacted with its own credentials known
        [matcher.canonical(redactor.request(request, secrets)).key for request in old[0]],
        [matcher.canonical(redactor.request(request)).key for request in new[0]],
    )
    if keys[0] != keys[1]:
        raise _differs("the requests it answers")
    if _frame(old[1]) != _frame(new[1]):
        raise _differs("the status, chunks or times of its answer")
    for old_chunk, new_chunk in zip(old[1].chunks, new[1].chunks, strict=True):
        if _event(old_chunk) != _event(new_chunk):
            raise _differs("the events of its answer")


def _differs(what: str) -> Refused:
    return Refused(f"redaction would change {what}, so it was not rewritten")


def as_sent(document: Document) -> tuple[list[Document], Response]:
    """The requests that a recording answers, and its answer."""
    requests = [document["request"]]
    if llamastack.is_llamastack(document):
        converted = llamastack.convert(document)
        document = converted.document
        requests = [document["request"], *converted.also]
    return requests, to_exchange(document).response


def _frame(response: Response) -> tuple[Any, ...]:
    times = [chunk.at for chunk in response.chunks]
    return response.status, response.streaming, response.end, response.headers_at, times


def _event(chunk: Chunk) -> tuple[Any, ...]:
    """What redaction leaves as it is in a chunk's event (WHATWG HTML, section 9.2)."""
    event = sse.parse(chunk.data)
    if event is None:
        return (None, _is_json(chunk.data.decode("utf-8", "replace")))
    return event.event, event.retry, event.id is None, event.data is None, _is_json(event.data)


def _is_json(text: str | None) -> bool:
    try:
        exact_json.parse(text or "")
    except ValueError:
        return False
    return True


def _without_headers(document: Document) -> Document:
    parts = {
        part: {k: item for k, item in document[part].items() if k not in ("headers", "carried")}
        for part in _PARTS
    }
    return {**document, **parts}


def _alike(before: Any, after: Any) -> bool:
    """Whether two JSON values differ in strings only, in members' names that were secret, and in
    numbers that spell a text once more (`token_lists.py`, `token_ids.py`).
    """
    stack = [(before, after)]
    while stack:
        old, new = stack.pop()
        if type(old) is not type(new):
            return False
        if isinstance(old, dict):
            if len(old) != len(new) or any(
                key != name and not _is_renamed(key, name, old)
                for key, name in zip(old, new, strict=True)
            ):
                return False
            stack += zip(old.values(), new.values(), strict=True)
        elif isinstance(old, list):
            if token_ids.are_ids(new) and token_ids.is_neutral(new):
                continue
            if len(old) == len(new):
                stack += zip(old, new, strict=True)
            elif not token_lists.are_octets(old) or not token_lists.are_octets(new):
                return False
        elif not isinstance(old, str) and old != new and not (type(new) is int and new == 0):
            return False
    return True


def _is_renamed(old: str, new: str, value: dict[str, Any]) -> bool:
    return (
        PLACEHOLDER.search(new) is not None
        or token_lists.is_by_id(value)
        or all(isinstance(item, float) for item in value.values())
    )
