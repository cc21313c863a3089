"""Read llama-stack's own recordings (now OGX) as what was on the wire.

Its recorder runs inside the process: it keeps the keyword arguments of an SDK call and the objects
the SDK built from the answer, never the HTTP exchange. `convert` puts the exchange together again:

* The path is what the SDK posts to, which the file misreports: ".../v1/v1/chat/completions" was
  ".../v1/chat/completions", "/api/embeddings" was "/api/embed", a list of models was a GET.
* The body is the keyword arguments, with `extra_body` merged in and what the SDK adds itself.
* Chunks are sent one event (ollama: one line) each, as they are stored, nulls included. `[DONE]`,
  which the file never holds, is added. There are no times, and no headers but the content type.
* An exception becomes the error answer that caused it. A stream that broke becomes the chunks it
  gave, cut.

`id_normalization_mapping` is ignored: it tells llama-stack which of a file's ids to rename for its
own tests, by replacing text in the whole file; the wire had the ids of the file.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from wiretape.core.errors import FormatError
from wiretape.core.model import Chunk, Response, split_url
from wiretape.core.text import exact_json
from wiretape.core.wire import sse

from .document import VERSION, Document, from_response


@dataclass(frozen=True, slots=True)
class Converted:
    """A recording as `document.py` knows it, and `also`: other `request` parts that a stock client
    may send for the same call.
    """

    document: Document
    also: tuple[Document, ...] = ()


def is_llamastack(document: Mapping[str, Any]) -> bool:
    """Whether `convert` has to read a document: ours always have `wiretape`, theirs never."""
    return "wiretape" not in document


def convert(document: Mapping[str, Any]) -> Converted:
    """Turn a llama-stack recording into a document of the exchange on the wire.

    Raises FormatError, which names the wrong key or says why there is no HTTP exchange (a tool
    call, a failed connection) and what to do.
    """
    call = _member(document, "", "request", dict, "an object")
    response = _member(document, "", "response", dict, "an object")
    if "payload" in call:
        requests, ollama = [_posted(call)], False
    else:
        requests = _called(call)
        ollama = _is_ollama(call["endpoint"])
    path: str = requests[0]["endpoint"]
    if _member(response, "response", "is_exception", bool, "true or false", False):
        answer = _failure(response, ollama=ollama)
    elif "payload" in call:
        answer = _received(response, path)
    else:
        answer = _returned(response, path, ollama=ollama)
    return Converted(
        {"wiretape": VERSION, "request": requests[0], "response": answer}, tuple(requests[1:])
    )


# ------------------------------------------------------------------ what may be wrong


_KINDS: Final[dict[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    type(None): "nothing",
}
_AGAIN: Final = "llama-stack kept no HTTP exchange of it; record it anew with `wiretape record`"


def _fail(where: str, expected: str, got: object) -> FormatError:
    # The value may be a prompt or hold a key, so a message does not show it.
    kind = _KINDS.get(type(got), "a number")
    return FormatError(f"{where}: expected {expected}, got {kind} (llama-stack's format)")


def _member(
    holder: Mapping[str, Any], where: str, key: str, kind: type, expected: str, default: Any = None
) -> Any:
    value = holder.get(key)
    if value is None:
        value = default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _fail(f"{where}.{key}" if where else key, expected, value)
    return value


def _has_no_form(what: str) -> FormatError:
    return FormatError(f"has no HTTP form: {what}; {_AGAIN}")


# ------------------------------------------------------------------ the request


DATABRICKS: Final = "__databricks__"
# RFC 2606 reserves .invalid: the recorder removed the workspace's host, so it is unknown.
DATABRICKS_HOST: Final = "https://databricks.invalid"

_SDK_ARGUMENTS: Final = frozenset(("extra_headers", "extra_query", "extra_body", "timeout"))
_GETS: Final = ("/models", "/api/tags", "/api/ps")

# What the SDKs (openai, ollama) send for arguments that were not given, and which of these other
# clients of the endpoints leave out.
ADDED_BY_SDKS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "/embeddings": ({"encoding_format": "base64"}, "encoding_format"),
    "/api/chat": ({"tools": [], "stream": False}, "tools"),
    "/api/generate": ({"stream": False}, ""),
    "/api/pull": ({"insecure": False, "stream": False}, "insecure"),
}


def _is_ollama(endpoint: str) -> bool:
    return endpoint.startswith("/api/")


def _posted(call: Mapping[str, Any]) -> Document:
    """The request of a recording made below the SDKs: URL and payload are the wire's."""
    url = _member(call, "request", "url", str, "a URL")
    return _request("POST", url, call["payload"])


def _called(call: Mapping[str, Any]) -> list[Document]:
    """The requests an SDK call may have sent: llama-stack's own client's first."""
    if "url" not in call and "provider" in call:
        what = call.get("tool_name") or call.get("api") or "a call"
        raise _has_no_form(f"{call['provider']!r:.40} {what!r:.40} is a Python call")
    arguments: dict[str, Any] = _member(call, "request", "body", dict, "an object")
    url = _wire_url(call, arguments)
    path = url.partition("?")[0]
    sent = {key: value for key, value in arguments.items() if key not in _SDK_ARGUMENTS}
    extra = _member(arguments, "request.body", "extra_body", dict, "an object", {})
    if path.endswith(_GETS):
        if sent or extra:
            name, value = next(iter({**sent, **extra}.items()))
            raise _fail(f"request.body.{name}", "no arguments for a GET", value)
        return [_request("GET", url)]
    if path.endswith("/api/pull") and "model" not in sent:
        raise _has_no_form("the name of the pulled model is not in the file")
    added, optional = next(
        (row for end, row in ADDED_BY_SDKS.items() if path.endswith(end)), ({}, "")
    )
    bodies = [
        {**sent, **{k: v for k, v in missing.items() if k not in sent}, **extra}
        for missing in (added, {k: v for k, v in added.items() if k != optional})
    ]
    requests = [_request("POST", url, body) for body in bodies]
    return requests if bodies[0] != bodies[1] else requests[:1]


def _wire_url(call: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """The URL of an SDK's call: its base URL, the endpoint's real path, the caller's query."""
    url: str = _member(call, "request", "url", str, "a URL")
    endpoint: str = _member(call, "request", "endpoint", str, "the endpoint's path")
    if url.startswith("vertexai:"):
        raise _has_no_form("'vertexai:' names a method of Google's SDK")
    if url.startswith(DATABRICKS):
        url = DATABRICKS_HOST + url.removeprefix(DATABRICKS)
    if not endpoint.startswith("/") or not url.endswith(endpoint):
        raise FormatError(
            "request.url: expected a URL that ends in request.endpoint (llama-stack's format);"
            ' a recording in wiretape\'s own format starts with "wiretape": 1'
        )
    query = _query(_member(arguments, "request.body", "extra_query", dict, "an object", {}))
    base = url.removesuffix(endpoint)
    return base + _wire_path(endpoint, arguments) + ("?" + query if query else "")


def _wire_path(endpoint: str, arguments: Mapping[str, Any]) -> str:
    """The path that the SDK appends to its base URL, which already ends in `endpoint`'s "/v1"."""
    if _is_ollama(endpoint):
        return "/api/embed" if endpoint == "/api/embeddings" else endpoint
    path = endpoint.removeprefix("/v1")
    # Early recorders confused the two; only chats have messages.
    return "/chat/completions" if path == "/completions" and "messages" in arguments else path


def _query(parameters: Mapping[str, Any]) -> str:
    """Query parameters as the openai SDK writes them: lists as "key[]", true as "true", no null."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        where = f"request.body.extra_query.{name}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (dict, list)):
                raise _fail(where, "text, a number, true or false", item)
            if item is not None:
                text = exact_json.dumps(item) if isinstance(item, bool) else str(item)
                pairs.append((name + "[]" if isinstance(value, list) else name, text))
    return urlencode(pairs, errors="surrogatepass")


def _request(method: str, url: str, *body: exact_json.Json) -> Document:
    """A document's `request` part; `body` is optional and may be null."""
    try:
        path = split_url(url)[3].partition("?")[0]
    except ValueError:
        raise _fail("request.url", "an http or https URL with a host", url) from None
    document: Document = {
        "method": method,
        "url": url,
        "headers": {"content-type": "application/json"} if body else {},
    }
    if body:
        document["body"] = body[0]
    document["endpoint"] = path
    if body and isinstance(body[0], dict) and isinstance(body[0].get("model"), str):
        document["model"] = body[0]["model"]
    return document


# ------------------------------------------------------------------ the answer


_JSON: Final = "application/json"
# Ollama's handlers (gin) name the charset of an answer that is not streamed.
_OLLAMA_JSON: Final = "application/json; charset=utf-8"
_SSE: Final = "text/event-stream"
_NDJSON: Final = "application/x-ndjson"
_TEXT: Final = "text/plain; charset=utf-8"


def _answer(status: int, media: str, body: Document | list[Document] | None) -> Document:
    return {
        "status": status,
        "headers": {"content-type": media},
        "is_streaming": isinstance(body, list),
        "body": body,
    }


def _typed(item: Any, where: str) -> Document:
    """An object of an SDK, {"__type__": its class, "__data__": its members}."""
    if not isinstance(item, dict):
        raise _fail(where, "an object with __type__ and __data__", item)
    return {
        "__type__": _member(item, where, "__type__", str, "the name of a class"),
        "__data__": _member(item, where, "__data__", dict, "an object"),
    }


def _returned(response: Mapping[str, Any], path: str, *, ollama: bool) -> Document:
    """The answer from which an SDK built the stored objects."""
    # The recorder stores the caller's `stream` argument here, which may be null.
    streaming = _member(response, "response", "is_streaming", bool, "true or false", False)
    body = response.get("body")
    if streaming:
        chunks = _chunks(response)
        if ollama:
            return _answer(200, _NDJSON, chunks)
        return _answer(200, _SSE, [*chunks, {"data": "[DONE]"}])
    if isinstance(body, list) and path.endswith("/models"):
        models = [_typed(item, f"response.body[{n}]")["__data__"] for n, item in enumerate(body)]
        return _answer(200, _JSON, {"__data__": {"object": "list", "data": models}})
    item = _typed(body, "response.body")
    if path.endswith("/embeddings") and item["__data__"].get("usage", ...) is None:
        # No provider sends null here: Together's answer has no usage.
        item["__data__"] = {k: v for k, v in item["__data__"].items() if k != "usage"}
    return _answer(200, _OLLAMA_JSON if ollama else _JSON, item)


def _chunks(response: Mapping[str, Any]) -> list[Document]:
    body = _member(response, "response", "body", list, "a list of chunks")
    return [_typed(item, f"response.body[{n}]") for n, item in enumerate(body)]


def _received(response: Mapping[str, Any], path: str) -> Document:
    """The answer of a recording made below the SDKs: JSON, or the lines of an event stream."""
    status: int = _member(response, "response", "status", int, "an HTTP status", 200)
    if not _member(response, "response", "is_streaming", bool, "true or false", False):
        return _answer(status, _JSON, {"__data__": response.get("body")})
    lines: list[str] = _member(response, "response", "body", list, "a list of lines")
    for number, line in enumerate(lines):
        if not isinstance(line, str) or "\n" in line or "\r" in line:
            raise _fail(f"response.body[{number}]", "text of one line", line)
    splitter = sse.EventSplitter()
    stream = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    blocks = splitter.feed(stream) + splitter.close()
    wire = Response(status, (("content-type", _SSE),), tuple(map(Chunk, blocks)), streaming=True)
    return from_response(wire, path)


# ------------------------------------------------------------------ exceptions


_STATUS_ERROR: Final = re.compile(r"Error code: ([0-9]{3})(?: - (.*))?", re.DOTALL)


def _failure(response: Mapping[str, Any], *, ollama: bool) -> Document:
    """The error answer for which an SDK raised the stored exception."""
    where = "response.exception_data"
    details = _member(response, "response", "exception_data", dict, "an object", {})
    if isinstance(response.get("body"), list) and response["body"]:
        # The stream broke after these. The file does not say how, so it counts as cut.
        answer = _answer(200, _NDJSON if ollama else _SSE, _chunks(response))
        return {**answer, "end": "cut"}
    message: str = _member(
        response, "response", "exception_message", str, "text", details.get("message")
    )
    match = _STATUS_ERROR.fullmatch(message)
    if details.get("status_code") is None and match is None:
        kind = details.get("type") or "an exception"
        raise FormatError(f"has no HTTP answer: the call ended in {kind!r:.40}; {_AGAIN}")
    # The default is not used for a message without a status.
    status: int = _member(
        details, where, "status_code", int, "an HTTP status", int(match[1]) if match else 0
    )
    if not 300 <= status <= 599:
        raise _fail(f"{where}.status_code", "an HTTP status of an error, 300 to 599", status)
    body = details.get("body")
    if ollama:
        # ollama's exception says "MESSAGE (status code: 404)" and has the answer's "error" in it.
        error = message.removesuffix(f" (status code: {status})")
        return _answer(status, _OLLAMA_JSON, {"__data__": {"error": error}})
    if match is None and not isinstance(body, dict):
        # openai's has the text of an answer that was not JSON, and only the status of an empty one.
        return _answer(status, _TEXT, {"text": message})
    if match is not None and match[2] is None:
        return _answer(status, _TEXT, None)
    try:
        whole = _python_literal(match[2] if match else "")
    except ValueError:
        whole = None
    # The exception's body is only the answer's "error" member, if it had one.
    if not isinstance(whole, dict) or (body is not None and whole.get("error", whole) != body):
        whole = {"error": {"message": message} if body is None else body}
    return _answer(status, _JSON, {"__data__": whole})


_LITERAL_CHARACTERS: Final = 256 * 1024
_ESCAPE: Final = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
_TEXT_OR_NAME: Final = re.compile(
    rf"(?P<text>'(?:[^'\\\n]|{_ESCAPE})*'|\"(?:[^\"\\\n]|{_ESCAPE})*\")"
    r"|(?<![\w.])(?P<name>[A-Za-z_]\w*)"
)
_NAMES: Final = {"None": "null", "True": "true", "False": "false"}


def _python_literal(text: str) -> exact_json.Json:
    """Read JSON that Python's repr() wrote, as openai's exceptions quote an answer.

    Raises ValueError for anything else.
    """

    def as_json(token: re.Match[str]) -> str:
        try:
            if token["name"]:
                return _NAMES[token["name"]]
            # Only strings are evaluated: parse() limits nesting, which a hostile file could overdo.
            return exact_json.dumps(ast.literal_eval(token["text"]))
        except (KeyError, SyntaxError):
            raise ValueError("not a Python literal") from None

    if len(text) > _LITERAL_CHARACTERS:
        raise ValueError("too long to be read")
    return exact_json.parse(_TEXT_OR_NAME.sub(as_json, text))
