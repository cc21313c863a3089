"""A labelled corpus for redaction, built from rules: exchanges that hold a secret, none of it real.

Each `Positive` is an exchange with one secret in one form at one place; streams are in
`corpus_streams.py` and texts that only look like secrets in `corpus_negatives.py`. Keys are random,
with a fixed seed, and their beginnings stand here in pieces, so that no file of ours holds a text
that is shaped as a key.
"""

import base64
import gzip
import json
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import quote

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response

HOST: Final = "api.together.xyz"
CHAT: Final = "/v1/chat/completions"
JSON: Final[Headers] = (("content-type", "application/json"),)
SSE: Final[Headers] = (("content-type", "text/event-stream"),)
BINARY: Final[Headers] = (("content-type", "application/octet-stream"),)

_LETTERS: Final = string.ascii_letters + string.digits
_URLSAFE: Final = _LETTERS + "-_"
_HEX: Final = "0123456789abcdef"
_UPPER: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Source:
    """A secret and how it becomes known: by what the request carries, by the environment, or not at
    all, so that only its shape tells.
    """

    name: str
    secret: str
    headers: Headers = ()
    query: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def is_known(self) -> bool:
        return bool(self.headers or self.query or self.environment)


@dataclass(frozen=True)
class Positive:
    """An exchange that holds a secret.

    Where it is streamed in fragments, `read` joins the text that they were cut from, and
    `is_fragment` tells their chunks from the others.
    """

    name: str
    exchange: Exchange
    source: Source
    read: Callable[[Exchange], str] | None = None
    is_fragment: Callable[[bytes], bool] | None = None
    may_refuse: bool = False
    """Whether it is as well to write nothing: a body that would have to be compressed again, a
    shape (not a known value) in an encoding.
    """


# ------------------------------------------------------------------ secrets


def _random(random: Random, length: int, alphabet: str = _LETTERS) -> str:
    """Random characters, of which one in the first twenty is a digit and the last is none of -_."""
    text = [random.choice(alphabet) for _ in range(length)]
    text[random.randrange(1, min(20, length - 1))] = random.choice("23456789")
    text[0], text[-1] = (random.choice(alphabet[:16]) for _ in range(2))
    return "".join(text)


def _jwt(random: Random) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": _random(random, 12), "iat": 1763660000}]
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join((*texts, _random(random, 43, _URLSAFE)))


def _private_key(random: Random) -> str:
    lines = [_random(random, 64, _LETTERS + "+/") for _ in range(4)]
    name = "PRIVATE " + "KEY-----"
    return "\n".join(("-----BEGIN " + name, *lines, "-----END " + name))


# name, beginning, how much follows, of which characters
_SHAPES: Final = (
    ("together", ("tgp", "_v1_"), 43, _URLSAFE),
    ("openai", ("sk", "-"), 48, _LETTERS),
    ("openai-project", ("sk", "-proj-"), 124, _URLSAFE),
    ("openai-service", ("sk", "-svcacct-"), 124, _URLSAFE),
    ("openai-session", ("se", "ss-"), 40, _LETTERS),
    ("openai-org", ("or", "g-"), 24, _LETTERS),
    ("anthropic", ("sk", "-ant-api03-"), 95, _URLSAFE),
    ("anthropic-admin", ("sk", "-ant-admin01-"), 95, _URLSAFE),
    ("openrouter", ("sk", "-or-v1-"), 64, _HEX),
    ("google", ("AI", "za"), 35, _URLSAFE),
    ("groq", ("gs", "k_"), 52, _LETTERS),
    ("huggingface", ("h", "f_"), 34, _LETTERS),
    ("xai", ("xa", "i-"), 80, _LETTERS),
    ("perplexity", ("pp", "lx-"), 48, _LETTERS),
    ("replicate", ("r", "8_"), 37, _LETTERS),
    ("cerebras", ("cs", "k-"), 48, string.ascii_lowercase + string.digits),
    ("nvidia", ("nv", "api-"), 64, _URLSAFE),
    ("aws-id", ("AK", "IA"), 16, _UPPER),
    ("github", ("gh", "p_"), 36, _LETTERS),
    ("github-server", ("gh", "s_"), 36, _LETTERS),
    ("deepseek", ("sk", "-"), 32, _HEX),
)


def shaped(random: Random) -> list[Source]:
    """Secrets that no request carries and no variable holds: their shape alone gives them away."""
    sources = [
        Source(f"shape {name}", "".join(start) + _random(random, length, alphabet))
        for name, start, length, alphabet in _SHAPES
    ]
    slack = "-".join(("xo" + "xb", *("".join(random.choices("123456789", k=12)) for _ in "ab")))
    sources.append(Source("shape slack", f"{slack}-{_random(random, 24)}"))
    pat = "github" + "_pat_" + _random(random, 22) + "_" + _random(random, 59)
    sources.append(Source("shape github-fine", pat))
    sources.append(Source("shape azure", _random(random, 52) + "JQQJ" + "99" + _random(random, 26)))
    sources.append(Source("shape jwt", _jwt(random)))
    sources.append(Source("shape private key", _private_key(random)))
    return sources


def known(random: Random) -> list[Source]:
    """Secrets that a request carries, in each of the ways there are, or that a variable holds.

    None of them has a shape that would tell.
    """

    def key(length: int = 40, alphabet: str = _LETTERS) -> str:
        return _random(random, length, alphabet)

    sources = []
    for name, header, value in (
        ("bearer", "Authorization", "Bearer {}"),
        ("token", "Authorization", "Token {}"),
        ("bare", "Authorization", "{}"),
        ("x-api-key", "x-api-key", "{}"),
        ("api-key", "api-key", "{}"),
        ("x-goog-api-key", "x-goog-api-key", "{}"),
        ("proxy", "Proxy-Authorization", "Bearer {}"),
        ("security token", "X-Amz-Security-Token", "{}"),
        ("cookie", "Cookie", "theme=dark; session={}; lang=en"),
    ):
        secret = key(random.choice((32, 40, 43, 64)), random.choice((_LETTERS, _URLSAFE)))
        sources.append(Source(name, secret, ((header, value.format(secret)),)))
    secret = key(32, _HEX)
    sources.append(Source("hex key", secret, (("Authorization", f"Bearer {secret}"),)))
    secret = key(44, _LETTERS + "+/")
    sources.append(Source("base64 key", secret, (("x-api-key", secret),)))
    password = key(24, _URLSAFE)
    for name in ("Authorization", "Proxy-Authorization"):
        pair = base64.b64encode(f"someone@example.com:{password}".encode()).decode()
        sources.append(Source(f"basic {name}", password, ((name, f"Basic {pair}"),)))
    scope = "{}/20251120/us-east-1/bedrock/aws4_request, "
    signed = f"AWS4-HMAC-SHA256 Credential={scope}"
    rest = "SignedHeaders=host;x-amz-date, Signature=" + key(64, _HEX)
    secret = key(20, _UPPER)
    sources.append(Source("sigv4", secret, (("Authorization", signed.format(secret) + rest),)))
    for name in ("key", "api_key", "access_token", "X-Amz-Security-Token"):
        secret = key()
        sources.append(Source(f"query {name}", secret, query=f"{name}={secret}"))
    secret = "hu7" + key(10)
    sources.append(Source("short", secret, (("Authorization", f"Bearer {secret}"),)))
    for name in ("MY_GATEWAY_API_KEY", "DATABASE_PASSWORD"):
        secret = key(28, _LETTERS + "-_.")
        sources.append(Source(f"variable {name}", secret, environment=((name, secret),)))
    return sources


# ------------------------------------------------------------------ forms


def _base64(before: str, *, url: bool = False) -> Callable[[str], str]:
    def encode(secret: str) -> str:
        data = f"{before}{secret}, and more".encode()
        if url:
            return base64.urlsafe_b64encode(data).decode().rstrip("=")
        return base64.b64encode(data).decode()

    return encode


def _lines(text: str) -> str:
    # MIME's width: RFC 2045, section 6.8.
    return "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "percent": lambda s: "".join(f"%{o:02X}" for o in s.encode()),
    "percent lower": lambda s: "".join(f"%{o:02x}" for o in s.encode()),
    "percent in part": lambda s: f"%{ord(s[0]):02X}{s[1:9]}%{ord(s[9]):02x}{s[10:]}",
    "percent twice": lambda s: "".join(f"%25{o:02X}" for o in s.encode()),
    "json": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "json in part": lambda s: f"{s[:3]}\\u{ord(s[3]):04X}{s[4:]}",
    "base64 0": _base64("ab="),
    "base64 1": _base64("abc="),
    "base64 2": _base64("abcd="),
    "base64 alone": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url 0": _base64("ab=", url=True),
    "base64url 1": _base64("abc=", url=True),
    "base64url 2": _base64("abcd=", url=True),
    "base64 twice": lambda s: _base64("ab=")(_base64("x: ")(s)),
    "base64 in lines": lambda s: _lines(_base64("From somebody, to somebody else, in lines: ")(s)),
    "base64 percent": lambda s: quote(_base64("ab>")(s), safe=""),
    "hex": lambda s: s.encode().hex(),
    "hex upper": lambda s: s.encode().hex().upper(),
    "data url": lambda s: f"data:text/plain;base64,{_base64('key=')(s)}",
    "data url percent": lambda s: f"data:text/plain,key%3D{quote(s)}%0A",
}
"""How a text spells a secret; the encodings hold it in the middle of something."""

COMPRESSED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
}

# ------------------------------------------------------------------ places


def request(
    source: Source,
    body: bytes = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}',
    headers: Headers = JSON,
    path: str = CHAT,
    query: str = "",
) -> Request:
    """A request that carries what its source says."""
    both = "&".join(part for part in (query, source.query) if part)
    target = f"{path}?{both}" if both else path
    return Request(
        "POST", "https", HOST, 443, target, headers=(*source.headers, *headers), body=body
    )


def answer(
    *chunks: bytes, headers: Headers = JSON, status: int = 200, streaming: bool = False
) -> Response:
    timed = tuple(Chunk(data, at / 100) for at, data in enumerate(chunks))
    return Response(status, headers, timed, streaming)


OK: Final = answer(b'{"id":"1","created":1763660000}')


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _said(text: str) -> bytes:
    messages = [{"role": "user", "content": "Hi"}, {"role": "user", "content": text}]
    return _dumps({"model": "m", "messages": messages, "max_tokens": 4096})


def _chat(content: object) -> bytes:
    message = {"role": "assistant", "content": content}
    return _dumps({"id": "1", "choices": [{"index": 0, "message": message}], "created": 1763660000})


def _raw_json(text: str) -> bytes:
    """An answer that has `text` between quotes as it is, its escapes being JSON's own."""
    return b'{"id":"1","choices":[{"text":"It is ' + text.encode() + b' indeed"}]}'


def _multipart(text: str) -> bytes:
    lines = ("--xyz", 'Content-Disposition: form-data; name="purpose"', "", "batch", "--xyz")
    file = ('Content-Disposition: form-data; name="file"; filename="a.jsonl"', "", f"line {text}")
    return "\r\n".join((*lines, *file, "--xyz--", "")).encode()


def _arguments(text: str) -> bytes:
    call = {"name": "fetch", "arguments": json.dumps({"n": 1, "token": text})}
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": call}]}
    return _dumps({"id": "1", "choices": [{"index": 0, "message": message}]})


def _events(text: str) -> tuple[bytes, ...]:
    deltas = ({"content": "It is "}, {"content": text}, {"content": " indeed"})
    chunks = [{"id": "1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return (*(b"data: " + _dumps(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n")


_LINES: Final[Headers] = (("content-type", "application/x-ndjson"),)
_TEXT: Final[Headers] = (("content-type", "text/plain"),)
_MULTIPART: Final[Headers] = (("content-type", "multipart/form-data; boundary=xyz"),)
_FORM: Final[Headers] = (("content-type", "application/x-www-form-urlencoded"),)
_NOISE: Final = b"\xff\xfe\x00\x01\x80"

type Place = Callable[[Source, str], Exchange]

PLACES: Final[dict[str, Place]] = {
    "request body": lambda s, t: Exchange(request(s, _said(f"Use {t} now")), OK),
    "request text": lambda s, t: Exchange(request(s, f"Use {t} now".encode(), _TEXT), OK),
    "request name": lambda s, t: Exchange(request(s, _dumps({"model": "m", t: 1})), OK),
    "request form": lambda s, t: Exchange(request(s, f"a=1&note={quote(t)}".encode(), _FORM), OK),
    "request multipart": lambda s, t: Exchange(request(s, _multipart(t), _MULTIPART), OK),
    "request binary": lambda s, t: Exchange(request(s, _NOISE + t.encode() + _NOISE, BINARY), OK),
    "request side file": lambda s, t: Exchange(
        request(s, _NOISE * 4000 + t.encode() + _NOISE, BINARY), OK
    ),
    "request header": lambda s, t: Exchange(
        request(s, headers=(*JSON, ("anthropic-beta", f"a,{t},b"))), OK
    ),
    "query": lambda s, t: Exchange(request(s, query=f"after={quote(t, safe='%')}"), OK),
    "path": lambda s, t: Exchange(request(s, path=f"/v1/files/{quote(t, safe='%')}/content"), OK),
    "answer": lambda s, t: Exchange(request(s), answer(_chat(f"It is {t} indeed"))),
    "answer name": lambda s, t: Exchange(request(s), answer(_chat({t: "x"}))),
    "answer, raw JSON": lambda s, t: Exchange(request(s), answer(_raw_json(t))),
    "answer, odd JSON": lambda s, t: Exchange(
        request(s), answer(b'{"id" :1.0, "a":[ ],' + _chat(f"It is {t} indeed")[1:])
    ),
    "request, odd JSON": lambda s, t: Exchange(request(s, b'{"n" :1.0,' + _said(t)[1:]), OK),
    "answer text": lambda s, t: Exchange(request(s), answer(f"a {t} b".encode(), headers=_TEXT)),
    "answer broken JSON": lambda s, t: Exchange(request(s), answer(_chat(t)[:-1])),
    "answer arguments": lambda s, t: Exchange(request(s), answer(_arguments(t))),
    "answer, credential": lambda s, t: Exchange(
        request(s), answer(_dumps({"session": {"api_key": t, "access_token": t, "password": t}}))
    ),
    "answer header": lambda s, t: Exchange(
        request(s), answer(b"", headers=(("location", f"https://{HOST}/{quote(t, safe='%')}"),))
    ),
    "answer binary": lambda s, t: Exchange(
        request(s), answer(_NOISE + t.encode() + _NOISE, headers=BINARY)
    ),
    "answer side file": lambda s, t: Exchange(
        request(s), answer(_NOISE * 4000 + t.encode() + _NOISE, headers=BINARY)
    ),
    "error": lambda s, t: Exchange(
        request(s),
        answer(_dumps({"error": {"message": f"Incorrect API key provided: {t}."}}), status=400),
    ),
    "chunk": lambda s, t: Exchange(request(s), answer(*_events(t), headers=SSE, streaming=True)),
    "comment chunk": lambda s, t: Exchange(
        request(s), answer(f": {t}\n\n".encode(), *_events(""), headers=SSE, streaming=True)
    ),
    "text chunk": lambda s, t: Exchange(
        request(s), answer(f"data: a {t}\n\n".encode(), headers=SSE, streaming=True)
    ),
    "event id": lambda s, t: Exchange(
        request(s), answer(f"id: {t}\ndata: x\n\n".encode(), headers=SSE, streaming=True)
    ),
    "line": lambda s, t: Exchange(
        request(s),
        answer(_dumps({"response": t}) + b"\n", b'{"done":true}\n', headers=_LINES, streaming=True),
    ),
    "read": lambda s, t: Exchange(
        request(s), answer(b"a", _NOISE + t.encode(), _NOISE, headers=BINARY, streaming=True)
    ),
}
"""Where a text can stand; what JSON, a form or a URL need is done to it."""

# Where no line end can be, nor what only a whole text can hold.
_ONE_LINE: Final = frozenset(("comment chunk", "text chunk", "event id", "request header"))


def _compressed(source: Source) -> Iterator[tuple[str, Exchange]]:
    plain = _said(f"Use {source.secret} now")
    for name, compress in COMPRESSED.items():
        data = compress(plain)
        head = (("content-encoding", name),)
        yield f"{name} answer", Exchange(request(source), answer(data, headers=JSON + head))
        yield f"{name} request", Exchange(request(source, data, (*JSON, *head)), OK)
        odd = (("content-encoding", "x-odd"),)
        yield f"{name} called odd", Exchange(request(source), answer(data, headers=JSON + odd))
        padding = compress(plain + Random(1).randbytes(20_000))
        side = answer(padding, headers=BINARY + head)
        yield f"{name} side file", Exchange(request(source), side)
        if name in ("gzip", "zstd"):  # the others do not say what they are
            yield f"{name} file", Exchange(request(source), answer(data, headers=BINARY))
            text = base64.b64encode(data).decode()
            yield f"{name} in base64", Exchange(request(source), answer(_chat(text)))


def _entangled(
    random: Random, plain: list[Source], shapes: list[Source], put: Place, place: str
) -> Iterator[Positive]:
    """Secrets that touch or contain one another, or that JSON and URLs have marks of their own
    for.
    """
    first, other = plain[0], shapes[0]
    for name, text in (
        ("after another", first.secret + other.secret),
        ("before another", f"{other.secret}.{first.secret}"),
        ("twice", f"{other.secret},{other.secret}"),
        ("in brackets", f"[{other.secret}](https://{other.secret}@x/{other.secret})"),
    ):
        source = Source(name, other.secret, first.headers)
        yield Positive(f"{name}, {place}", put(source, f"{text} and so"), source)
    longer = f"{first.secret}-{_random(random, 20)}"
    source = Source("longer", longer, (*first.headers, ("x-api-key", longer)))
    yield Positive(f"contains another, {place}", put(source, longer), source)
    odd = 'pä"' + _random(random, 12) + "/\\ %+" + _random(random, 12)
    source = Source("odd", odd, environment=(("ODD_SECRET", odd),))
    yield Positive(f"odd characters, {place}", put(source, odd), source)
    long = _random(random, 3000)
    source = Source("long", long, (("authorization", f"Bearer {long}"),))
    yield Positive(f"long, {place}", put(source, long), source)


def positives(seed: int = 3) -> Iterator[Positive]:
    """All but the streams: forms by places, in turn for each way to know a secret."""
    random = Random(seed)
    plain, shapes = known(random), shaped(random)
    turn = 0
    for place, put in PLACES.items():
        for form, spell in FORMS.items():
            if form == "base64 in lines" and place in (*_ONE_LINE, "path", "query"):
                continue
            source = plain[turn % len(plain)]
            turn += 1
            # Base64 that says a placeholder still looks as if it could not be guessed.
            may_refuse = place == "answer, credential" and form != "plain"
            yield Positive(
                f"{form}, {place}, {source.name}",
                put(source, spell(source.secret)),
                source,
                may_refuse=may_refuse,
            )
    for source in plain:
        for place in ("answer", "chunk", "error"):
            yield Positive(
                f"plain, {place}, {source.name}", PLACES[place](source, source.secret), source
            )
    for number, source in enumerate(shapes):
        for place, put in PLACES.items():
            if "\n" in source.secret and (place in _ONE_LINE or "JSON" in place):
                continue
            turn += 1
            if turn % 3 == 0 or place in ("request body", "chunk"):
                yield Positive(f"plain, {place}, {source.name}", put(source, source.secret), source)
        for at, form in enumerate(("percent", "base64 1", "hex", "json")):
            place = ("answer", "request body", "chunk")[(number + at) % 3]
            text = FORMS[form](source.secret)
            yield Positive(
                f"{form}, {place}, {source.name}",
                PLACES[place](source, text),
                source,
                may_refuse=True,
            )
    for place in ("answer", "request body", "chunk"):
        yield from _entangled(random, plain, shapes, PLACES[place], place)
    for source in (plain[0], plain[-1], shapes[0]):
        for name, exchange in _compressed(source):
            yield Positive(f"{name}, {source.name}", exchange, source, may_refuse=True)
