"""Recordings as llama-stack's own recorder (now OGX's) writes them, so that it replays them.

It keeps SDK calls: a file a call, named by a digest of the keyword arguments, of which the wire
shows the body alone. A recording is written under the digest of each call that may have sent it,
by the rules of llama-stack 0.7.3 and of OGX 1.5 (`testing/api_recorder.py`), which mostly agree.
`core/recording/llamastack.py` is the way back and has the format's peculiarities.
"""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from wiretape.core.model import Exchange, Request, Response, WebSocket
from wiretape.core.recording.document import Document, answer_type
from wiretape.core.recording.llamastack import ADDED_BY_SDKS, DATABRICKS, DATABRICKS_HOST
from wiretape.core.redaction.placeholder import may_be_in
from wiretape.core.wire import sse

from .foreign import NotCarriedOver
from .writers import LeaveOut, Stored

_ENDPOINTS: Final = {
    **{f"/{end}": f"/v1/{end}" for end in ("chat/completions", "completions", "models")},
    **{f"/{end}": f"/v1/{end}" for end in ("embeddings", "responses")},
    **{f"/api/{end}": f"/api/{end}" for end in ("chat", "generate", "tags", "ps")},
    "/api/embed": "/api/embeddings",
}
"""What the recorder calls the endpoint of a path that ends so; longer ends come first."""
_GETS: Final = ("/v1/models", "/api/tags", "/api/ps")
_BELOW_SDKS: Final = ("/v1/messages", "/interactions", "/rerank")
"""Paths whose requests are recorded as they are posted, by URL and payload."""

_NAMED: Final = frozenset(
    re.findall(
        r"\w+",
        "best_of dimensions echo encoding_format frequency_penalty function_call functions input"
        " logit_bias logprobs max_completion_tokens max_tokens messages model n parallel_tool_calls"
        " presence_penalty prompt prompt_cache_key reasoning_effort response_format"
        " safety_identifier seed service_tier stop stream stream_options suffix temperature"
        " tool_choice tools top_logprobs top_p user",
    )
)
"""The arguments that llama-stack gives by name; others that it was asked for are in extra_body."""

_TYPES: Final = {
    "/models": "openai.types.model.Model",
    "/responses": "openai.types.responses.response.Response",
    "/api/tags": "ollama._types.ListResponse",
    "/api/ps": "ollama._types.ProcessResponse",
}
_ERRORS: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


@dataclass(frozen=True, slots=True)
class CallFile:
    """A file; `is_sure` unless its call is only one of those that are possible."""

    name: str
    text: str = field(repr=False)
    is_sure: bool = True


def to_llama_stack(
    recordings: Iterable[Stored], leave_out: LeaveOut, test_id: str | None = None
) -> Iterator[tuple[str, str, str]]:
    """Files: their names, the recording of each, and its text; a later one may replace an earlier.

    `test_id` is the pytest node id under which llama-stack asks.
    """
    written: dict[str, tuple[str, int, bool]] = {}
    for stored in recordings:
        try:
            files = list(files_of(stored.exchange, test_id))
        except NotCarriedOver as error:
            leave_out(stored.name, str(error))
            continue
        for file in files:
            name, text, is_sure = written.get(file.name, ("", 0, False))
            if text == hash(file.text) or (name and not file.is_sure):
                continue
            if is_sure:
                leave_out(stored.name, f"llama-stack keeps one answer to a call: that of {name}")
                break
            written[file.name] = (stored.name, hash(file.text), file.is_sure)
            yield file.name, stored.name, file.text


def files_of(exchange: Exchange, test_id: str | None = None) -> Iterator[CallFile]:
    """A recording's files, one for each digest that a call which sent it may have.

    NotCarriedOver says why llama-stack's recorder could not replay the exchange.
    """
    request, response = exchange.request, exchange.response
    if isinstance(response, WebSocket):
        raise NotCarriedOver("llama-stack has no form for WebSockets")
    if exchange.paths:
        raise NotCarriedOver("folders in it have stand-ins, which llama-stack does not know")
    if may_be_in(request.url) or may_be_in(request.body.decode("latin-1")):
        raise NotCarriedOver("a value of its request is redacted, which its file's name depends on")
    sent = _parsed(request.body or b"{}", "its request")
    if not isinstance(sent, dict):
        raise NotCarriedOver("its request is not a JSON object")
    if request.method == "POST" and any(path in request.path for path in _BELOW_SDKS):
        yield from _posted(request, sent, response, test_id)
        return
    end = next((end for end in _ENDPOINTS if request.path.endswith(end)), None)
    method = "GET" if end is not None and _ENDPOINTS[end] in _GETS else "POST"
    if end is None or request.method != method or request.path.endswith("/api/embeddings"):
        raise NotCarriedOver(f"llama-stack records no {request.method} of such a path")
    url, endpoint = _recorders_url(request, end), _ENDPOINTS[end]
    for arguments in _calls(request.path, sent):
        answer = _answer(response, request.path, arguments)
        call = {"method": "POST", "url": url, "headers": {}, "body": arguments}
        call |= {"endpoint": endpoint, "model": arguments.get("model", "")}
        for digest in sorted(set(_digests(url, arguments, test_id))):
            name = _name(digest, endpoint, answer)
            text = _text(call, _with_normal_ids(answer, digest), test_id)
            yield CallFile(name, text, is_sure=arguments is sent)


def _parsed(data: bytes | str, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotCarriedOver(f"{what} is not JSON") from None


# ------------------------------------------------------------------ the call


def _recorders_url(request: Request, end: str) -> str:
    """The SDK's base URL with the recorder's endpoint: ".../v1/v1/chat/completions"."""
    base = f"{request.scheme}://{request.authority}{request.path.removesuffix(end)}"
    if request.host.endswith("cloud.databricks.com") or base.startswith(DATABRICKS_HOST):
        base = DATABRICKS + request.path.removesuffix(end)
    return base + _ENDPOINTS[end]


def _calls(path: str, sent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The keyword arguments for which an SDK may have sent a body: those it adds itself may have
    been given or not.
    """
    added, optional = next(
        (row for end, row in ADDED_BY_SDKS.items() if path.endswith(end)), ({}, "")
    )
    extra = (
        {} if path.endswith("/responses") else {k: v for k, v in sent.items() if k not in _NAMED}
    )
    spellings = [sent]
    if extra and not path.startswith("/api/"):
        named = {key: value for key, value in sent.items() if key in _NAMED}
        spellings.append({**named, "extra_body": extra})
    for spelling in spellings:
        yield spelling
        given = {key for key, value in added.items() if spelling.get(key, ...) == value}
        for dropped in (given & {optional}, given):
            if dropped:
                yield {key: value for key, value in spelling.items() if key not in dropped}


_DECIMALS: Final = re.compile(r"(-?\d+\.\d{4,})")
_UUID: Final = "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"
_FILE_SEARCH: Final = (
    (r"score:\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", "score: __NORMALIZED__"),
    (r",?\s*attributes:\s*\{[^}]*\}", ""),
    (rf"document_id:\s*{_UUID}", "document_id: __NORMALIZED__"),
    (rf"<\|{_UUID}\|>", "<|__NORMALIZED__|>"),
)


def _normal(value: Any, *, ogx: bool, is_root: bool = True) -> Any:
    """What is hashed of a value; an item of a list counts as a root."""
    if isinstance(value, dict):
        normal = {key: _normal(item, ogx=ogx, is_root=False) for key, item in value.items()}
        for name in ("extra_body", "extra_query") if is_root else ():
            if isinstance(normal.get(name), dict):
                normal[name].pop("project_id", None)
        return normal
    if isinstance(value, list):
        return [_normal(item, ogx=ogx) for item in value]
    if isinstance(value, float):
        return round(value, 5)
    if not isinstance(value, str):
        return value
    for pattern, replacement in _FILE_SEARCH if ogx else ():
        value = re.sub(pattern, replacement, value)
    return _DECIMALS.sub(lambda match: f"{float(match[0]):.5f}", value)


def _digests(url: str, arguments: dict[str, Any], test_id: str | None) -> Iterator[str]:
    """The digests of a call in llama-stack and in OGX."""
    parts = urlsplit(url)
    for ogx in (False, True):
        body = _normal(arguments, ogx=ogx)
        if "bedrock" in parts.netloc:
            body.pop("stream_options", None)
        hashed = {"method": "POST", "endpoint": parts.path, "body": body, "test_id": test_id}
        if ogx:
            is_local = parts.hostname in ("0.0.0.0", "127.0.0.1", "localhost")
            if parts.path.endswith("/models") and not (is_local and parts.path != "/v1/models"):
                hashed["test_id"] = None
        elif parts.path in ("/api/tags", "/v1/models", "/v1/openai/v1/models"):
            del hashed["test_id"]
        yield _digest(hashed)


def _digest(hashed: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()


def _name(digest: str, endpoint: str, answer: Document) -> str:
    """A file's name; that of a list of models tells other lists of the same call from it."""
    if answer.get("is_exception") or endpoint not in ("/v1/models", "/api/tags"):
        return f"{digest}.json"
    models = answer["body"]["__data__"]["models"] if endpoint == "/api/tags" else answer["body"]
    data = [model.get("__data__", model) for model in models]
    ids = {str(item.get("model") if endpoint == "/api/tags" else item.get("id")) for item in data}
    return f"models-{digest}-{hashlib.sha256('|'.join(sorted(ids)).encode()).hexdigest()[:8]}.json"


def _text(call: Document, answer: Document, test_id: str | None) -> str:
    whole = {"test_id": test_id, "request": call, "response": answer}
    return json.dumps({**whole, "id_normalization_mapping": {}}, indent=2) + "\n"


# ------------------------------------------------------------------ the answer


def _answer(response: Response, path: str, arguments: dict[str, Any]) -> Document:
    """What the recorder keeps of an answer: an SDK's objects, or its exception."""
    is_ollama = path.endswith(("/api/chat", "/api/generate", "/api/tags", "/api/ps", "/api/embed"))
    if response.end == "client-closed":
        raise NotCarriedOver("its client left before the answer's end")
    if response.status >= 300:
        return _exception(**_status_error(response, is_ollama=is_ollama))
    if bool(arguments.get("stream")) != response.streaming:
        raise NotCarriedOver("its answer is streamed though it asks for none, or the reverse")
    if response.streaming:
        return _stream(response, path, is_ollama=is_ollama)
    if response.end != "complete":
        return _exception(
            category="unknown", type="APIConnectionError", message="Connection error."
        )
    value = _parsed(response.body, "its answer")
    if not isinstance(value, dict):
        raise NotCarriedOver("its answer is not a JSON object")
    if path.endswith("/models"):
        if not isinstance(value.get("data"), list):
            raise NotCarriedOver("its answer is not a list of models as OpenAI's is")
        return {"body": [_typed(item, path) for item in value["data"]], "is_streaming": False}
    if path.endswith("/embeddings") and "encoding_format" not in arguments:
        value = _with_floats(value)
    return {"body": _typed(value, path), "is_streaming": False}


def _typed(value: Any, path: str, *, streaming: bool = False) -> Document:
    if not isinstance(value, dict):
        raise NotCarriedOver("an object of its answer is not a JSON object")
    known = answer_type(path, streaming=streaming)
    known = known or next(name for end, name in _TYPES.items() if path.endswith(end))
    if streaming and path.endswith("/responses"):
        known = _event_type(str(value.get("type")))
    return {"__type__": known, "__data__": value}


def _event_type(kind: str) -> str:
    """The class of an event of the Responses API.

    >>> _event_type("response.output_text.delta")
    'openai.types.responses.response_text_delta_event.ResponseTextDeltaEvent'
    """
    name = "response_error" if kind == "error" else kind.replace(".", "_")
    name = re.sub("^response_output_text_(delta|done)$", r"response_text_\1", name)
    name = name.replace("image_generation_call", "image_gen_call") + "_event"
    return f"openai.types.responses.{name}.{''.join(map(str.capitalize, name.split('_')))}"


def _with_floats(value: dict[str, Any]) -> dict[str, Any]:
    """Embeddings as openai's SDK gives them where it asked for base64 by itself."""

    def decoded(item: Any) -> Any:
        if not isinstance(item, dict) or not isinstance(item.get("embedding"), str):
            return item
        try:
            data = base64.b64decode(item["embedding"], validate=True)
            return {**item, "embedding": list(struct.unpack(f"<{len(data) // 4}f", data))}
        except (ValueError, struct.error):
            raise NotCarriedOver("an embedding of its answer is not base64 of numbers") from None

    items = value.get("data")
    return {**value, "data": list(map(decoded, items))} if isinstance(items, list) else value


def _stream(response: Response, path: str, *, is_ollama: bool) -> Document:
    chunks: list[Document] = []
    for value in _lines(response) if is_ollama else _events(response):
        error = value.get("error") if isinstance(value, dict) and not is_ollama else None
        if error:  # openai's SDK raises it
            default = "An error occurred during streaming"
            text = error.get("message") if isinstance(error, dict) else None
            broken = _exception(category="unknown", type="APIError", message=str(text or default))
            return {**broken, "body": chunks, "is_streaming": True}
        chunks.append(_typed(value, path, streaming=True))
    if response.end == "complete":
        return {"body": chunks, "is_streaming": True}
    message = "peer closed connection without sending complete message body"
    cut = _exception(category="unknown", type="RemoteProtocolError", message=message)
    return {**cut, "body": chunks, "is_streaming": True}


def _lines(response: Response) -> Iterator[Any]:
    for line in filter(None, map(bytes.strip, response.body.split(b"\n"))):
        yield _parsed(line, "a line of its answer")


def _events(response: Response) -> Iterator[Any]:
    splitter = sse.EventSplitter()
    for block in (*splitter.feed(response.body), *splitter.close()):
        event = sse.parse(block)
        if event is None or not event.data:
            continue
        if event.data.startswith("[DONE]"):
            return
        # What a cut left of an event is no event (WHATWG HTML, section 9.2.6).
        if response.end == "complete" or block.endswith((b"\n\n", b"\r\r", b"\n\r\n")):
            yield _parsed(event.data, "an event of its answer")


def _exception(**data: Any) -> Document:
    text = data.pop("text", data["message"])
    failed = {"body": None, "is_streaming": False, "is_exception": True}
    return {**failed, "exception_data": data, "exception_message": text}


def _status_error(response: Response, *, is_ollama: bool) -> dict[str, Any]:
    """The exception of an SDK for an answer with the status of an error."""
    status, text = response.status, response.body.decode("utf-8", "replace").strip()
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    error = whole.get("error", whole) if isinstance(whole, dict) else text
    data = {"category": "provider_sdk", "status_code": status}
    if is_ollama:
        message = str(error)
        about = {"provider": "ollama", "type": "ResponseError", "body": None}
        return {**data, **about, "message": message, "text": f"{message} (status code: {status})"}
    default = "InternalServerError" if status >= 500 else "APIStatusError"
    message = text or f"Error code: {status}"
    if whole is not None:
        message = f"Error code: {status} - {whole}"
    about = {"provider": "openai", "type": _ERRORS.get(status, default), "body": error}
    return {**data, **about, "message": message}


def _with_normal_ids(answer: Document, digest: str) -> Document:
    """An answer with the ids and times that the recorder gives its objects, so that they do not
    change in git.
    """
    body = answer["body"]
    items = body if isinstance(body, list) else [body] if body else []
    normal = [{**item, "__data__": _normal_ids(item["__data__"], digest)} for item in items]
    return {**answer, "body": normal if isinstance(body, list) else normal[0] if normal else None}


def _normal_ids(data: dict[str, Any], digest: str) -> dict[str, Any]:
    normal = dict(data)
    if data.get("object") != "model":
        normal |= {
            key: value
            for key, value in {"id": f"rec-{digest[:12]}", "created": 0}.items()
            if key in data
        }
    if "created_at" in data:
        normal["created_at"] = "1970-01-01T00:00:00.000000Z"
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        if data.get(name) is not None:
            normal[name] = 0
    return normal


# ------------------------------------------------------------------ below the SDKs


def _posted(
    request: Request, payload: dict[str, Any], response: Response, test_id: str | None
) -> Iterator[CallFile]:
    """The files of a request that is recorded by its URL and its payload."""
    if response.end != "complete":
        raise NotCarriedOver("its answer was cut off, and llama-stack would not say so")
    if response.streaming and response.status != 200:
        raise NotCarriedOver("llama-stack keeps no status of a stream")
    answer: Document = {"status": response.status}
    if response.streaming:
        text = response.body.decode("utf-8", "replace")
        answer = {"body": re.split(r"\r\n|\n|\r", text.removesuffix("\n")), "is_streaming": True}
    elif payload.get("stream"):
        raise NotCarriedOver("its answer is no stream, and llama-stack would replay it as one")
    else:
        answer |= {"body": _parsed(response.body, "its answer"), "is_streaming": False}
    call = {"test_id": test_id, "url": request.url, "method": "POST"}
    text = _text({**call, "payload": payload}, answer, test_id)
    names = {_digest({**call, "payload": _normal(payload, ogx=ogx)}) for ogx in (False, True)}
    for digest in sorted(names):
        yield CallFile(f"{digest}.json", text)
