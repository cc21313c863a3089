"""A provider on this machine: OpenAI's HTTP API as Together speaks it, with no model behind it.

`wiretape demo` records a real client against it, stops it and replays. The answer is made from the
request alone: it quotes what the user said and names the model, or calls the tool the user named.
Equal requests get equal bytes, so a second recording is the first one. Shapes, order of members and
extras (`seed` above 2^63, `token_id`, `text` beside `delta`) are those of Together's own answers.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256
from threading import Thread
from typing import Final, Self
from zlib import crc32

from aiohttp import web

from wiretape.core.text.exact_json import Json, dumps, parse

TOKEN_DELAY: Final = 0.02
"""Seconds between two tokens of a streamed answer, where nothing else is said."""

MODELS: Final = (
    "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo",
)
"""What `GET /v1/models` lists; any other model answers as well."""

CREATED: Final = 1758039042
"""Unix time every answer claims to be from: a clock would make each recording another one."""

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024

_QUOTED: Final = 200  # characters of what the user said
_TOKEN: Final = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")
_VOCABULARY: Final = 128_000  # Llama 3's, without its special tokens
_END_OF_TURN: Final = 128_009
_END_OF_CALL: Final = 128_008
_DELAY: Final = web.AppKey("token_delay", float)

type _Object = dict[str, Json]
type Version = Callable[[_Object], _Object] | None
"""Another version of the provider: what it makes of an answer in one piece, and of each chunk."""

_VERSION: Final = web.AppKey[Version]("version")
type _Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalProvider:
    """The provider on a port of 127.0.0.1 that the system chose, while the context is open.

    async with LocalProvider() as provider:
        print(provider.url)  # http://127.0.0.1:40123
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        token_delay: float = TOKEN_DELAY,
        version: "Version" = None,
    ) -> None:
        """Speak HTTPS where there is a context, else HTTP; `token_delay` is in seconds."""
        self._ssl_context = ssl_context
        application = app(token_delay, version)
        application.middlewares.insert(0, self._counted)
        # A short wait for answers under way: to aiohttp 0 means for ever.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        self.port = 0
        """The port it listens on, once it does."""
        self.requests = 0
        """How many requests came, refused ones included."""

    @property
    def url(self) -> str:
        """Scheme, host and port; a client's base URL is this and "/v1"."""
        return f"http{'s' if self._ssl_context else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl_context)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        server = self._runner.server
        transports = [each.transport for each in server.connections] if server else []
        await self._runner.cleanup()
        for transport in transports:
            # A client that keeps its connection would not answer TLS's goodbye.
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # the loop closes aborted connections in its next round

    @classmethod
    @contextmanager
    def in_thread(
        cls,
        ssl_context: ssl.SSLContext | None = None,
        *,
        token_delay: float = TOKEN_DELAY,
        version: "Version" = None,
    ) -> Iterator[Self]:
        """The provider on a thread of its own, for callers that have no event loop."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            provider = cls(ssl_context, token_delay=token_delay, version=version)
            runner.run(provider.__aenter__())
            thread = Thread(target=loop.run_forever, name="wiretape local provider")
            thread.start()
            try:
                yield provider
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                runner.run(provider.__aexit__())

    @web.middleware
    async def _counted(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self.requests += 1
        return await handler(request)


def app(token_delay: float = TOKEN_DELAY, version: "Version" = None) -> web.Application:
    """Make the provider's aiohttp application; `token_delay` is in seconds."""
    application = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_guard])
    application[_DELAY] = token_delay
    application[_VERSION] = version
    application.add_routes(
        [
            web.get("/v1/models", _models),
            web.post("/v1/chat/completions", _chat),
            web.post("/v1/completions", _completion),
        ]
    )
    return application


class _Refusal(Exception):
    """A request that gets an error for an answer."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Let in who has a key; say every error in OpenAI's shape."""
    try:
        # A path that is not there is not there for anybody.
        if request.match_info.http_exception is None:
            _authorize(request.headers.get("Authorization", ""))
        return await handler(request)
    except _Refusal as refusal:
        return _error(refusal)
    except web.HTTPException as error:
        code = "unknown_url" if error.status == 404 else None
        detail = f"{request.method} {request.path}: {error.reason}"
        response = _error(_Refusal(error.status, detail, code=code))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response


def _authorize(credentials: str) -> None:
    scheme, _, key = credentials.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _Refusal(
            401,
            "You didn't provide an API key: send `Authorization: Bearer KEY`; any KEY will do.",
            code="invalid_api_key",
        )


async def _models(_: web.Request) -> web.StreamResponse:
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "wiretape"}
        for name in MODELS
    ]
    return _json({"object": "list", "data": data})


async def _chat(request: web.Request) -> web.StreamResponse:
    body, digest = await _body(request)
    model = _field(body, "model", str)
    messages = _field(body, "messages", list)
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise _wrong("messages", "an array of one or more messages")
    prompt = _last_prompt(messages)
    tool = _tool_named(body, messages[-1], prompt)
    if tool is None:
        answer = _Answer("chat.completion", model, prompt, _words(model, prompt), digest)
    else:
        arguments = _arguments(tool, prompt)
        answer = _Answer("chat.completion", model, prompt, arguments, digest, tool=tool["name"])
    return await _send(request, body, answer)


async def _completion(request: web.Request) -> web.StreamResponse:
    body, digest = await _body(request)
    model = _field(body, "model", str)
    prompt = _field(body, "prompt", str)
    answer = _Answer("completion", model, prompt, " " + _words(model, prompt), digest)
    return await _send(request, body, answer)


async def _body(request: web.Request) -> tuple[_Object, str]:
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _Refusal(413, f"The body is longer than {MAX_REQUEST_BYTES} bytes.") from None
    try:
        body = parse(data)
    except ValueError as error:
        raise _Refusal(400, f"The body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise _Refusal(400, "The body is not a JSON object.", code="invalid_json")
    return body, sha256(data).hexdigest()


_KINDS: Final = {bool: "a boolean", dict: "an object", list: "an array", str: "a string"}


def _field[T](body: _Object, name: str, kind: type[T], default: T | None = None) -> T:
    value = body.get(name, default)
    if value is None and default is not None:
        return default
    if value is None:
        message = f"Missing required parameter: '{name}'."
        raise _Refusal(400, message, param=name, code="missing_required_parameter")
    if not isinstance(value, kind):
        raise _wrong(name, _KINDS[kind])
    return value


def _wrong(name: str, expected: str) -> _Refusal:
    message = f"Invalid value for '{name}': expected {expected}."
    return _Refusal(400, message, param=name, code="invalid_value")


def _last_prompt(messages: list[_Object]) -> str:
    """The text of the user's last message; "" without one."""
    contents = [message.get("content") for message in messages if message.get("role") == "user"]
    content = contents[-1] if contents else ""
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _tool_named(body: _Object, last: _Object, prompt: str) -> _Object | None:
    """The function the user names; None once its result is there, so that agents come to an end."""
    if last.get("role") != "user" or body.get("tool_choice") == "none":
        return None
    for tool in _field(body, "tools", list, []):
        function = _object(_object(tool).get("function"))
        name = function.get("name")
        if isinstance(name, str) and name and name in prompt:
            return function
    return None


def _arguments(function: _Object, prompt: str) -> str:
    """Arguments of the kinds the function's JSON Schema asks for, as JSON text."""
    examples = {"integer": 1, "number": 0.5, "boolean": True, "array": [], "object": {}}
    properties = _object(_object(function.get("parameters")).get("properties"))
    return dumps(
        {
            name: examples.get(str(_object(schema).get("type")), prompt[:_QUOTED])
            for name, schema in properties.items()
        }
    )


def _object(value: Json) -> _Object:
    return value if isinstance(value, dict) else {}


def _words(model: str, prompt: str) -> str:
    quoted = prompt if len(prompt) <= _QUOTED else prompt[:_QUOTED] + "…"
    return (
        f'You said: "{quoted}" No model has read it: this is the answer of a provider on your own'
        f" machine, which stands in for {model} and always says the same."
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be said, before it is known whether in one piece or in chunks.

    `text` is the words, or the JSON arguments for the function named by `tool`.
    """

    kind: str
    model: str
    prompt: str
    text: str
    digest: str
    _: KW_ONLY
    tool: str | None = None

    def whole(self) -> _Object:
        """The answer in one piece."""
        choice: _Object
        if self.kind == "completion":
            choice = {"text": self.text}
        elif self.tool is None:
            choice = {"message": {"role": "assistant", "content": self.text, "tool_calls": []}}
        else:
            call = self._call(self.text)
            choice = {"message": {"role": "assistant", "content": None, "tool_calls": [call]}}
        return {
            "id": self._id,
            "object": "text.completion" if self.kind == "completion" else self.kind,
            "created": CREATED,
            "model": self.model,
            "prompt": [],
            "choices": [{**self._finish, "logprobs": None, "index": 0, **choice}],
            "usage": self._usage,
        }

    def chunks(self, *, usage_apart: bool) -> Iterator[_Object]:
        """The answer token by token; its usage in a chunk of its own, as OpenAI does when asked, or
        on the last one, as Together does anyway.
        """
        for choice in self._call_choices() if self.tool else self._word_choices():
            yield self._chunk([choice])
        last = _choice("", _END_OF_CALL if self.tool else _END_OF_TURN, **self._finish)
        yield self._chunk([last], None if usage_apart else self._usage)
        if usage_apart:
            yield self._chunk([], self._usage)

    def _word_choices(self) -> Iterator[_Object]:
        for token in _TOKEN.findall(self.text):
            yield _choice(token, crc32(token.encode(errors="surrogatepass")) % _VOCABULARY)

    def _call_choices(self) -> Iterator[_Object]:
        deltas: list[_Object] = [{"role": "assistant", "content": None}]
        deltas.append({"tool_calls": [{"index": 0, **self._call("")}]})
        for token in _TOKEN.findall(self.text):
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": token}}]})
        for delta in deltas:
            yield {"index": 0, "logprobs": None, "finish_reason": None, "delta": delta}

    def _chunk(self, choices: list[_Object], usage: _Object | None = None) -> _Object:
        return {
            "id": self._id,
            "object": f"{self.kind}.chunk",
            "created": CREATED,
            "choices": choices,
            "model": self.model,
            "usage": usage,
        }

    @property
    def _id(self) -> str:
        return f"local-{self.digest[:16]}"

    def _call(self, arguments: str) -> _Object:
        function = {"name": self.tool, "arguments": arguments}
        return {"id": f"call_{self.digest[:24]}", "type": "function", "function": function}

    @property
    def _finish(self) -> _Object:
        # Together's seeds go beyond 2^63, where careless readers lose digits.
        seed = 2**63 + int(self.digest[:15], 16)
        return {"finish_reason": "tool_calls" if self.tool else "stop", "seed": seed}

    @property
    def _usage(self) -> _Object:
        tokens_in, tokens_out = len(_TOKEN.findall(self.prompt)), len(_TOKEN.findall(self.text)) + 1
        return {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "cached_tokens": 0,
        }


def _choice(
    text: str, token_id: int, *, finish_reason: str | None = None, seed: int | None = None
) -> _Object:
    return {
        "index": 0,
        "text": text,
        "logprobs": None,
        "finish_reason": finish_reason,
        "seed": seed,
        "delta": {"token_id": token_id, "role": "assistant", "content": text},
    }


async def _send(request: web.Request, body: _Object, answer: _Answer) -> web.StreamResponse:
    version = request.app[_VERSION] or (lambda answer: answer)
    if not _field(body, "stream", bool, False):
        return _json(version(answer.whole()))
    options = _field(body, "stream_options", dict, {})
    chunks = answer.chunks(usage_apart=options.get("include_usage") is True)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    delay = request.app[_DELAY]
    try:
        await response.prepare(request)
        for chunk in chunks:
            await response.write(f"data: {dumps(version(chunk))}\n\n".encode())
            await asyncio.sleep(delay)
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
    except ConnectionError:
        pass  # the client left: SDKs do so at [DONE]
    return response


def _error(refusal: _Refusal) -> web.Response:
    error = {
        "message": str(refusal),
        "type": "invalid_request_error",
        "param": refusal.param,
        "code": refusal.code,
    }
    return _json({"error": error}, refusal.status)


def _json(value: Json, status: int = 200) -> web.Response:
    return web.Response(body=dumps(value).encode(), status=status, content_type="application/json")
