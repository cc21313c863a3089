"""Request headers that decide the answer: which part, in which form, on which condition.

Two requests that say the same but for their Range are two requests. Each of these headers counts
where a request has it, unless it says nothing ("Accept: */*"); whatever else an answer's Vary names
counts for that answer (RFC 9110, section 12.5.5). Lists compare as lists, however they are spelled.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .header_names import HeaderNames

SELECTING: Final = frozenset(
    (
        "accept-language",  # 12.5.4
        "content-range",  # 14.4
        "if-match",  # 13.1
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-event-id",  # WHATWG HTML, 9.2: where a stream goes on
        "prefer",  # RFC 7240
        "range",  # 14.2
        "upload-complete",  # resumable uploads: the IETF's draft, and tus
        "upload-concat",
        "upload-defer-length",
        "upload-incomplete",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "x-amz-target",  # the operation itself, in AWS's JSON protocols
        "x-amzn-bedrock-*",
        "x-goog-fieldmask",
        "x-goog-upload-*",
        "x-http-method-override",
        "x-upload-content-*",
        "x-ms-range",  # Azure's
    )
)
"""The headers that count wherever a request has them; `*` is all that begin so. Accept counts too,
but not in a key: see `accepts`.
"""

_SELECTING: Final = HeaderNames(SELECTING)

NEVER: Final = frozenset(
    (
        "accept-charset",
        "accept-encoding",  # a body is compared and stored with its coding undone
        "authorization",
        "cookie",
        "host",
        "origin",
        "referer",
        "user-agent",
        "x-origin",
        "*",
    )
)
"""What Vary often names, and what says of whom, not what, was asked."""

type Header = str | list[str]
"""A header of a document: its value, or where it came several times all of them."""


def selects(name: str) -> bool:
    """Whether a header, in lower case, decides the answer wherever a request has it."""
    return name in _SELECTING


def by_header(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The lines of each header, by its name in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def vary(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The request headers that an answer says it depends on, in lower case and in order; without
    those that never count.

    >>> vary([("vary", "Origin, X-Mode")])
    ('x-mode',)
    """
    named = (item for name, value in headers if name.lower() == "vary" for item in members(value))
    lower = dict.fromkeys(name.lower() for name in named)
    return tuple(sorted(name for name in lower if name not in NEVER))


def document_vary(response: Mapping[str, Any]) -> tuple[str, ...]:
    """What `vary` gives, of a document's `response` part.

    >>> document_vary({"headers": {"vary": ["Origin", "X-Mode"]}})
    ('x-mode',)
    """
    value = response.get("headers", {}).get("vary", [])
    return vary(("vary", line) for line in (value if isinstance(value, list) else [value]))


def normal(name: str, value: Header, *, asks_for_stream: bool = False) -> str:
    """What a header says, spelled one way; "" where it says nothing that a request without it does
    not. `asks_for_stream` is whether the body asks for an event stream by itself.

    >>> normal("range", "bytes = 0-99") == normal("range", "bytes=0-99")
    True
    >>> normal("accept", "application/json, */*")
    ''
    """
    text = ", ".join(value) if isinstance(value, list) else value
    if name == "accept":
        return _accept(text, asks_for_stream)
    if name == "accept-language":
        return _language(text)
    return normal_list(name, text)


def normal_list(name: str, value: Header) -> str:
    """A header's value with its list spelled one way; of those whose order says nothing, sorted.

    >>> normal_list("anthropic-beta", ["b", "a"])
    'a,b'
    >>> normal_list("x-steps", "b,  a")
    'b,a'
    """
    text = ", ".join(value) if isinstance(value, list) else value
    return _NORMAL.get(name, ",".join)(members(text))


def members(value: str) -> list[str]:
    """The members of a list (RFC 9110, section 5.6.1), without the white space around them.

    >>> members(' a ,, "b, c";q=1')
    ['a', '"b, c";q=1']
    """
    return [item for part in _MEMBER.findall(value) if (item := part.strip(" \t"))]


_MEMBER: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^,"]|")+)')


def _as_set(items: list[str]) -> str:
    return ",".join(sorted(dict.fromkeys(items)))


def _without_space(items: list[str]) -> str:
    return re.sub(r"\s+", "", ",".join(items)).lower()


def _tags(items: list[str]) -> str:
    # A weak comparison (13.1.2) is the client's matter: W/"a" asks for what "a" asks for.
    return _as_set([item.removeprefix("W/") for item in items])


_NORMAL: Final[Mapping[str, Callable[[list[str]], str]]] = {
    "anthropic-beta": _as_set,
    "openai-beta": _as_set,
    "prefer": lambda items: _as_set([item.lower() for item in items]),
    "range": _without_space,
    "x-ms-range": _without_space,
    "content-range": lambda items: " ".join(",".join(items).lower().split()),
    "if-match": _as_set,
    "if-none-match": _tags,
}


def _weighted(text: str) -> list[tuple[float, str]]:
    """The members of a list, each with its weight (12.4.2); what is refused is left out."""
    found = []
    for item in members(text):
        value, *parameters = (part.strip() for part in item.lower().split(";"))
        weight = 1.0
        kept = [value]
        for parameter in parameters:
            name, _, number = parameter.partition("=")
            if name.strip() != "q":
                kept.append(parameter.replace(" ", ""))
                continue
            try:
                weight = float(number)
            except ValueError:
                weight = 1.0
        if weight > 0:
            found.append((weight, ";".join(kept)))
    return found


def _accept(text: str, asks_for_stream: bool) -> str:
    """The media types that are liked best; nothing where JSON or anything is among them, which is
    what a provider answers with by itself.
    """
    found = _weighted(text)
    best = {media for weight, media in found if weight == max(found)[0]}
    plain = {media.partition(";")[0] for media in best}
    if not best or plain & {"*/*", "application/*", "application/json"}:
        return ""
    if any(media.endswith("+json") for media in plain):
        return ""
    if asks_for_stream and "text/event-stream" in plain:
        return ""
    return ",".join(sorted(best))


def _language(text: str) -> str:
    found = sorted(_weighted(text), key=lambda pair: (-pair[0], pair[1]))
    return ",".join(language for _, language in found) if found[:1] != [(1.0, "*")] else ""


def accepts(accept: str, media: str) -> bool:
    """Whether an Accept takes an answer of a media type (RFC 9110, section 12.5.1).

    >>> accepts("text/*;q=0.5, application/json", "text/event-stream")
    True
    >>> accepts("application/json", "text/html; charset=utf-8")
    False
    """
    kind = media.partition(";")[0].strip().lower()
    ranges = {item.partition(";")[0] for _, item in _weighted(accept)}
    return not ranges or bool(ranges & {"*/*", kind, f"{kind.partition('/')[0]}/*"})


def asks_for_stream(body: Any) -> bool:
    """Whether a JSON body asks for a stream by itself."""
    return isinstance(body, dict) and body.get("stream") is True


# ------------------------------------------------------------------ recordings that do not tell

_PARTIAL: Final = frozenset((206, 416))
_CONDITIONAL: Final = frozenset((304, 412))
_CONDITIONS: Final = frozenset(
    ("if-match", "if-modified-since", "if-none-match", "if-unmodified-since")
)


def tells_of_condition(status: int) -> bool:
    """Whether an answer's status tells of a header that its request had."""
    return status in _PARTIAL or status in _CONDITIONAL


def may_answer(status: int, selecting: Iterable[str]) -> bool:
    """Whether a recording that does not hold these headers of its request may be of one that had
    `selecting`: nothing but the answer's status tells.

    A 206 is of a request with a range, a 304 of one with a condition.
    """
    names = frozenset(selecting)
    if status in _PARTIAL:
        return bool(names & {"range", "x-ms-range"})
    if status in _CONDITIONAL:
        return bool(names & _CONDITIONS)
    return True
