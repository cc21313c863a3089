"""Turn exchanges into JSON documents and back, without losing a byte of a body.

`docs/recording-format.md` describes the document. `chunks.py` writes an answer's chunks into it.
Redaction and matching work on documents; `text.py` writes them to files.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from wiretape.core.model import (
    ENDS,
    FRAMINGS,
    SWITCHING,
    Chunk,
    End,
    Exchange,
    Framing,
    Headers,
    Request,
    Response,
    WebSocket,
    split_url,
)
from wiretape.core.text import exact_json
from wiretape.core.wire.framing import FORM, charset, declared_framing, is_json, media_type
from wiretape.core.wire.header_names import TOKEN

from .chunks import (
    BodyFormat,
    Item,
    from_events,
    from_frames,
    from_lines,
    from_whole,
    spelling_of,
    to_bytes,
)
from .fields import Members, SideFile
from .websocket import from_websocket, to_websocket

type Document = dict[str, Any]

VERSION: Final = 1

GUESSABLE: Final = "guessable"
"""The member of a `request` part with values that redaction replaced without a digest."""

_OPENAI: Final = "openai.types."
# The classes of these endpoints' answers, by which llama-stack's tools find their objects: whole,
# and a chunk of a stream.
_TYPES: Final[dict[str, tuple[str, str]]] = {
    "/chat/completions": (
        _OPENAI + "chat.chat_completion.ChatCompletion",
        _OPENAI + "chat.chat_completion_chunk.ChatCompletionChunk",
    ),
    "/completions": (_OPENAI + "completion.Completion", _OPENAI + "completion.Completion"),
    "/embeddings": (_OPENAI + "create_embedding_response.CreateEmbeddingResponse", ""),
    "/api/chat": ("ollama._types.ChatResponse", "ollama._types.ChatResponse"),
    "/api/generate": ("ollama._types.GenerateResponse", "ollama._types.GenerateResponse"),
    "/api/embed": ("ollama._types.EmbedResponse", ""),
}


def answer_type(path: str, *, streaming: bool) -> str | None:
    """The `__type__` of an answer's objects, by the endpoint's path; None for other endpoints.

    >>> answer_type("/v1/embeddings", streaming=False)
    'openai.types.create_embedding_response.CreateEmbeddingResponse'
    """
    whole, chunk = next((names for end, names in _TYPES.items() if path.endswith(end)), ("", ""))
    return (chunk if streaming else whole) or None


def seconds(value: float | None) -> float | None:
    """Round a time to the millisecond, as it is stored."""
    return None if value is None else round(float(value), 3)


# ------------------------------------------------------------------ to documents


def from_exchange(exchange: Exchange) -> Document:
    """The document of an exchange, complete: redaction comes after.

    >>> from wiretape.core.model import Chunk, Request
    >>> request = Request("GET", "https", "api.openai.com", 443, "/v1/models")
    >>> response = Response(200, (), (Chunk(b'{"data": []}', 0.1),))
    >>> document = from_exchange(Exchange(request, response))
    >>> document["request"]["url"], document["response"]["body"]
    ('https://api.openai.com/v1/models', {'__data__': {'data': []}, 'at': 0.1})
    """
    return {
        "wiretape": VERSION,
        "recorded_at": exchange.recorded_at,
        "request": from_request(exchange.request),
        "response": from_response(exchange.response, exchange.request.path),
    }


def from_request(request: Request) -> Document:
    """The `request` part of a document."""
    document: Document = {
        "method": request.method,
        "url": request.url,
        "headers": _from_headers(request.headers),
    }
    if request.body:
        _put_body(document, request.body, media_type(request.headers))
    document["endpoint"] = request.path
    body = document.get("body")
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        document["model"] = body["model"]
    return document


def _put_body(document: Document, body: bytes, media: str) -> None:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        document["body_base64"] = base64.b64encode(body).decode()
        return
    # `curl -d '{…}'` labels JSON as a form.
    json = is_json(media) or not media or (media == FORM and text[:1] in ("{", "["))
    value_and_style = exact_json.read(text) if json else None
    if value_and_style is None:
        document["body_text"] = text
        return
    document["body"], style = value_and_style
    if style != "compact":
        document["body_json"] = style


def from_response(response: Response, path: str) -> Document:
    """The `response` part of a document; `path` is the endpoint's."""
    document: Document = {
        "status": response.status,
        "headers": _from_headers(response.headers),
        "is_streaming": response.streaming,
    }
    if response.coding is not None:
        document["coding"] = response.coding
    if response.streaming and response.framing is not None:
        document["framing"] = response.framing
    if response.end != "complete":
        document["end"] = response.end
    if response.headers_at is not None:
        document["headers_at"] = seconds(response.headers_at)
    if response.end_at is not None:
        document["end_at"] = seconds(response.end_at)
    if isinstance(response, WebSocket):
        more, items = from_websocket(response)
        document |= more
        body_format = BodyFormat("whole")
    else:
        body_format, items = _from_body(response, path)
    if body_format.style != "compact":
        document["json"] = body_format.style
    if body_format.spelling.line_end != "\n":
        document["line_end"] = body_format.spelling.line_end
    if not body_format.spelling.space:
        document["colon_space"] = False
    timed = response.chunks if response.streaming else response.chunks[-1:]
    for chunk, item in zip(timed, items, strict=True):
        if (at := chunk.at) is not None:
            item["at"] = round(at, 3) if type(at) is float else seconds(at)
    document["body"] = items if response.streaming else (items[0] if items else None)
    if response.until_close:
        document["until_close"] = True
    if response.trailers:
        document["trailers"] = _from_headers(response.trailers)
    return document


def framing_of(response: Response, path: str) -> Framing:
    """The framing of a streamed answer: its own, or the one its headers declare."""
    return _declared(response.headers, path, response.framing)


def _declared(headers: Headers, path: str, framing: Framing | None) -> Framing:
    framing = framing or declared_framing(headers, path)
    return "reads" if framing == "whole" else framing


def _from_body(response: Response, path: str) -> tuple[BodyFormat, list[Item]]:
    named = response.status < 400
    type_name = answer_type(path, streaming=response.streaming) if named else None
    if response.streaming:
        kind = framing_of(response, path)
        if kind in _FROM:
            return _FROM[kind](response.chunks, type_name)
        return BodyFormat("reads"), [
            from_whole(c.data, None, json=False)[1] for c in response.chunks
        ]
    if not response.chunks:
        return BodyFormat("whole"), []
    json = is_json(media_type(response.headers) or "application/json")
    body = response.body
    body_format, item = from_whole(
        body, type_name, json=json, charset=charset(response.headers, body)
    )
    return body_format, [item]


_FROM: Final[
    dict[Framing, Callable[[Sequence[Chunk], str | None], tuple[BodyFormat, list[Item]]]]
] = {
    "sse": from_events,
    "ndjson": from_lines,
    "frames": from_frames,
}


def _from_headers(headers: Headers) -> Document:
    document: Document = {}
    for name, value in headers:
        name = name.lower()
        if name not in document:
            document[name] = value
        elif isinstance(document[name], list):
            document[name].append(value)
        else:
            document[name] = [document[name], value]
    return document


# ------------------------------------------------------------------ from documents


def to_exchange(
    document: Mapping[str, Any], side_file: SideFile | None = None, *, parsed: bool = False
) -> Exchange:
    """The exchange of a document; `side_file` reads side files. `parsed` promises that the document
    is as `text.loads` gave it, and saves time.

    Raises FormatError, which names the wrong key.
    """
    top = Members(document)
    request = to_request(top.object("request").values, side_file, parsed=parsed)
    return Exchange(request, *_to_answer(top, request.path, side_file, parsed=parsed))


class RecordedAnswer(NamedTuple):
    """An exchange without its request."""

    response: Response
    recorded_at: str | None
    paths: tuple[str, ...]


def to_answer(
    document: Mapping[str, Any], side_file: SideFile | None = None, *, parsed: bool = False
) -> RecordedAnswer:
    """The answer of a document; as `to_exchange`, but most of the request is not checked."""
    top = Members(document)
    path = _target(top.object("request"))[3].partition("?")[0]
    return _to_answer(top, path, side_file, parsed=parsed)


def _to_answer(
    top: Members, path: str, side_file: SideFile | None, *, parsed: bool
) -> RecordedAnswer:
    response = to_response(top.object("response").values, path, side_file, parsed=parsed)
    recorded_at = top.text("recorded_at") if top.values.get("recorded_at") is not None else None
    return RecordedAnswer(response, recorded_at, _to_paths(top))


def _to_paths(top: Members) -> tuple[str, ...]:
    paths = top.values.get("paths", [])
    if not isinstance(paths, list) or not all(isinstance(name, str) for name in paths):
        raise top.wrong("paths", 'a list of names, such as ["cwd"]')
    return tuple(paths)


def to_request(
    document: Mapping[str, Any], side_file: SideFile | None = None, *, parsed: bool = False
) -> Request:
    """The request of a document's `request` part, as `to_exchange`."""
    members = Members(document, "request")
    scheme, host, port, target = _target(members)
    method = members.text("method", "an HTTP method")
    if not TOKEN.fullmatch(method):
        raise members.wrong("method", "an HTTP method")
    headers = _to_headers(members)
    return Request(
        *(method, scheme, host, port, target),
        headers=headers,
        body=_to_body(members, side_file, parsed=parsed),
    )


def _target(members: Members) -> tuple[str, str, int, str]:
    try:
        return split_url(members.text("url", "a URL"))
    except ValueError:
        raise members.wrong("url", "an http or https URL with a host") from None


def to_request_headers(document: Mapping[str, Any]) -> Headers:
    """The headers of a document's `request` part; FormatError names the wrong key."""
    return _to_headers(Members(document, "request"))


def _to_body(members: Members, side_file: SideFile | None, *, parsed: bool) -> bytes:
    # Checked where another goes before it, too: redaction and matching look into each.
    data = members.base64("body_base64") if "body_base64" in members else b""
    if "body" in members:
        style = members.style("body_json")
        return exact_json.dumps(members.values["body"], style, parsed=parsed).encode()
    if "body_text" in members:
        return members.encoded("body_text")
    if "body_file" in members and "body_base64" not in members:
        return members.file("body_file", side_file)
    return data


def to_response(
    document: Mapping[str, Any],
    path: str,
    side_file: SideFile | None = None,
    *,
    parsed: bool = False,
) -> Response:
    """The answer of a document's `response` part, as `to_exchange`; `path` is the endpoint's."""
    members = Members(document, "response")
    streaming: bool = members.get("is_streaming", bool, "true or false")
    status = _to_status(members, streaming=streaming)
    headers = _to_headers(members)
    end = _to_end(members)
    if status == SWITCHING and streaming:
        messages, close = to_websocket(members, side_file)
        return WebSocket(
            status,
            headers,
            messages,
            streaming,
            end=end,
            headers_at=members.seconds("headers_at"),
            end_at=members.seconds("end_at"),
            close=close,
        )
    framing = _to_framing(members) if streaming else None
    body_format = BodyFormat(
        _declared(headers, path, framing) if streaming else "whole",
        members.style("json"),
        spelling_of(members),
        parsed,
    )
    chunks = tuple(
        Chunk(to_bytes(item, body_format, side_file), item.seconds("at"))
        for item in _items(members, streaming)
    )
    return Response(
        status,
        headers,
        chunks,
        streaming,
        end,
        headers_at=members.seconds("headers_at"),
        end_at=members.seconds("end_at"),
        coding=_coding(members),
        framing=framing,
        trailers=_to_headers(members, "trailers") if document.get("trailers") is not None else (),
        until_close=document.get("until_close") is True,
    )


def _to_end(members: Members) -> End:
    end = members.values.get("end", "complete")
    if end not in ENDS:
        raise members.wrong("end", f"one of {', '.join(ENDS)}", show=True)
    return cast(End, end)


def _to_framing(members: Members) -> Framing | None:
    framing = members.values.get("framing")
    if framing is not None and framing not in FRAMINGS:
        raise members.wrong("framing", f"one of {', '.join(FRAMINGS)}", show=True)
    return cast(Framing | None, framing)


def _to_status(members: Members, *, streaming: bool) -> int:
    status: int = members.get("status", int, "an HTTP status")
    if not 100 <= status <= 599:
        raise members.wrong("status", "an HTTP status")
    if status < 200 and not (status == SWITCHING and streaming):
        # A 1xx is followed by the answer itself (RFC 9110, section 15.2).
        raise members.wrong("status", "the status of a final answer (200 to 599)")
    return status


def _coding(members: Members) -> str | None:
    if members.values.get("coding") is None:
        return None
    coding = members.text("coding", "the name of a content coding")
    names = [name.strip() for name in coding.split(",")]
    if len(coding) > _LONGEST_CODING or not all(map(TOKEN.fullmatch, names)):
        raise members.wrong("coding", 'names of content codings such as "gzip"', show=True)
    return coding


def _items(members: Members, streaming: bool) -> list[Members]:
    if streaming:
        return members.objects("body", "a list of chunks")
    return [] if members.values.get("body") is None else [members.object("body")]


_LONGEST_CODING: Final = 100
# A line end in a value would let a recording inject headers. U+DC80 to U+DCFF stand for bytes that
# are not UTF-8; other lone surrogates are invalid.
_NOT_IN_A_VALUE: Final = re.compile("[\r\n\0\ud800-\udc7f\udd00-\udfff]")


def _to_headers(members: Members, key: str = "headers") -> Headers:
    lines = members.object(key)
    with suppress(TypeError):  # a list of values
        # Most recordings have the same few headers.
        if (known := _checked_headers(tuple(lines.values.items()))) is not None:
            return known
    headers: list[tuple[str, str]] = []
    for name, value in lines.values.items():
        if not TOKEN.fullmatch(name):
            raise members.wrong(key, f"names of headers, not {name[:40]!r}")
        for line in value if isinstance(value, list) else [value]:
            if not isinstance(line, str) or _NOT_IN_A_VALUE.search(line):
                raise lines.wrong(name, "text without line ends, or a list of such")
            headers.append((name, line))
    return tuple(headers)


@lru_cache(maxsize=1024)
def _checked_headers(items: tuple[tuple[str, Any], ...]) -> Headers | None:
    """Headers of one value each, if all are valid."""
    are_valid = all(
        TOKEN.fullmatch(name) and isinstance(value, str) and not _NOT_IN_A_VALUE.search(value)
        for name, value in items
    )
    return items if are_valid else None
