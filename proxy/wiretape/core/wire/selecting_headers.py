"""Request headers that decide the answer: which part, in which form, on which condition.

Two requests that differ only in their Range are two requests. Each of these headers counts if a
request has it, unless its value is the default ("Accept: */*"); whatever else an answer's Vary
names counts for that answer (RFC 9110, section 12.5.5). Lists compare as lists, however written.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .header_names import HeaderNames

SELECTING: Final = frozenset(
    (
        "accept-language",  # 12.5.4
        "api-version",
        "azureml-model-deployment",  # which deployment of an endpoint answers
        "content-range",  # 14.4
        "extra-parameters",  # Azure AI: what becomes of parameters that a model does not know
        "helicone-target-url",  # where a gateway leads
        "if-match",  # 13.1
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "nvcf-input-asset-references",  # NVIDIA: what was uploaded before
        "last-event-id",  # WHATWG HTML, 9.2: where a stream goes on
        "prefer",  # RFC 7240
        "range",  # 14.2
        "soapaction",
        "upload-complete",  # resumable uploads: the IETF's draft, and tus
        "upload-concat",
        "upload-defer-length",
        "upload-incomplete",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "x-amz-target",  # the operation itself, in AWS's JSON protocols
        "x-amzn-bedrock-*",
        "x-amzn-sagemaker-inference-component",
        "x-amzn-sagemaker-target-*",  # which model of an endpoint answers
        "x-api-version",
        "x-fal-target-url",
        "x-goog-fieldmask",
        "x-goog-upload-*",
        "x-http-method-override",
        "x-model",
        "x-portkey-config",
        "x-portkey-custom-host",
        "x-portkey-provider",
        "x-upload-content-*",
        "x-ms-range",  # Azure's
    )
)
"""The headers that count if a request has them; `*` stands for any ending. Accept counts too, but
not in a key: see `accepts`.
"""

_SELECTING: Final = HeaderNames(SELECTING)

NEVER: Final = frozenset(
    (
        "accept-charset",
        "accept-encoding",  # a body is compared and stored decoded
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
"""What Vary often names but says who asked, not what for."""

type Header = str | list[str]
"""A header in a document: its value, or a list if it came several times."""


def selects(name: str) -> bool:
    """Whether a header, named in lower case, decides the answer if a request has it."""
    return name in _SELECTING


def by_header(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each header, by its name in lower case."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return values


def vary(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The request headers that an answer's Vary names, in lower case and sorted, without those that
    never count.

    >>> vary([("vary", "Origin, X-Mode")])
    ('x-mode',)
    """
    named = (item for name, value in headers if name.lower() == "vary" for item in members(value))
    lower = dict.fromkeys(name.lower() for name in named)
    return tuple(sorted(name for name in lower if name not in NEVER))


def document_vary(response: Mapping[str, Any]) -> tuple[str, ...]:
    """What `vary` gives for a document's `response` part.

    >>> document_vary({"headers": {"vary": ["Origin", "X-Mode"]}})
    ('x-mode',)
    """
    value = response.get("headers", {}).get("vary", [])
    return vary(("vary", line) for line in (value if isinstance(value, list) else [value]))


def normal(name: str, value: Header, *, asks_for_stream: bool = False) -> str:
    """A header's value in normal form; "" if it means the same as no header.

    `asks_for_stream` is whether the body asks for an event stream.

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
    """A header's list in normal form: sorted if its order has no meaning.

    >>> normal_list("anthropic-beta", ["b", "a"])
    'a,b'
    >>> normal_list("x-steps", "b,  a")
    'b,a'
    """
    text = ", ".join(value) if isinstance(value, list) else value
    return _NORMAL.get(name, ",".join)(members(text))


def members(value: str) -> list[str]:
    """The members of a list (RFC 9110, section 5.6.1), trimmed.

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
    """The members of a list, each with its weight (12.4.2), without those of weight 0."""
    weighted = []
    for item in members(text):
        value, *parameters = (part.strip() for part in item.lower().split(";"))
        weight = 1.0
        media = [value]
        for parameter in parameters:
            name, _, number = parameter.partition("=")
            if name.strip() != "q":
                media.append(parameter.replace(" ", ""))
                continue
            try:
                weight = float(number)
            except ValueError:
                weight = 1.0
        if weight > 0:
            weighted.append((weight, ";".join(media)))
    return weighted


def _accept(text: str, asks_for_stream: bool) -> str:
    """The media types of the highest weight; "" if these allow JSON, which is what providers answer
    with by default.
    """
    weighted = _weighted(text)
    best = {media for weight, media in weighted if weight == max(weighted)[0]}
    plain = {media.partition(";")[0] for media in best}
    if not best or plain & {"*/*", "application/*", "application/json"}:
        return ""
    if any(media.endswith("+json") for media in plain):
        return ""
    if asks_for_stream and "text/event-stream" in plain:
        return ""
    return ",".join(sorted(best))


def _language(text: str) -> str:
    weighted = sorted(_weighted(text), key=lambda pair: (-pair[0], pair[1]))
    return ",".join(language for _, language in weighted) if weighted[:1] != [(1.0, "*")] else ""


def accepts(accept: str, media: str) -> bool:
    """Whether an Accept allows an answer of a media type (RFC 9110, section 12.5.1).

    >>> accepts("text/*;q=0.5, application/json", "text/event-stream")
    True
    >>> accepts("application/json", "text/html; charset=utf-8")
    False
    """
    kind = media.partition(";")[0].strip().lower()
    ranges = {item.partition(";")[0] for _, item in _weighted(accept)}
    return not ranges or bool(ranges & {"*/*", kind, f"{kind.partition('/')[0]}/*"})


def asks_for_stream(body: Any) -> bool:
    """Whether a JSON body asks for a stream."""
    return isinstance(body, dict) and body.get("stream") is True


# ------------------------------------------------------------------ recordings without headers

_PARTIAL: Final = frozenset((206, 416))
_CONDITIONAL: Final = frozenset((304, 412))
_CONDITIONS: Final = frozenset(
    ("if-match", "if-modified-since", "if-none-match", "if-unmodified-since")
)


def tells_of_condition(status: int) -> bool:
    """Whether an answer's status shows that its request had a selecting header."""
    return status in _PARTIAL or status in _CONDITIONAL


def may_answer(status: int, selecting: Iterable[str]) -> bool:
    """Whether an answer of this status may belong to a request with the headers `selecting`.

    For recordings that do not hold these headers, only the status tells: a 206 belongs to a request
    with a range, a 304 to one with a condition.
    """
    names = frozenset(selecting)
    if status in _PARTIAL:
        return bool(names & {"range", "x-ms-range"})
    if status in _CONDITIONAL:
        return bool(names & _CONDITIONS)
    return True
