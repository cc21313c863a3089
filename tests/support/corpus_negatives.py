"""The innocent half of the corpus: texts that only look like secrets, and where they stand.

Random ones have a fixed seed. What is shaped as a key up to its last few characters is put together
from pieces, so that no detector takes this file for a leak.
"""

import base64
import gzip
import json
import string
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import md5, sha1, sha256, sha512
from random import Random
from typing import Any, Final
from urllib.parse import quote

from tests.support.corpus import BINARY, CHAT, HOST, JSON, SSE, answer, known
from tests.support.corpus_streams import SHAPES, cut, streamed

from wiretape.core.model import Exchange, Headers, Request

_LETTERS: Final = string.ascii_letters + string.digits
_HEX: Final = "0123456789abcdef"


@dataclass(frozen=True)
class Negative:
    """An exchange of which nothing may change: its headers are of the kept ones."""

    name: str
    exchange: Exchange
    carried: Headers = ()
    """Credentials that the request carries besides, and that stand nowhere else."""


def _some(random: Random, length: int, alphabet: str = _LETTERS) -> str:
    return "".join(random.choices(alphabet, k=length))


_WORD_TEXT: Final = (
    "risk assessment task sklearn desk model token tokens secret keys project access client basic"
    " author session cookie value simple river mountain answer question stream signature bearer"
    " private public hash version train planet window number letter garden"
)
_WORDS: Final = tuple(_WORD_TEXT.split())

# A kind of text and how to make one.
_MADE: Final[dict[str, Callable[[Random], str]]] = {
    "chatcmpl": lambda r: "chatcmpl-" + _some(r, 29),
    "chatcmpl uuid": lambda r: f"chatcmpl-{_uuid(r)}",
    "cmpl": lambda r: "cmpl-" + _some(r, 29),
    "msg": lambda r: "msg_01" + _some(r, 22),
    "msg hex": lambda r: "msg_" + _some(r, 50, _HEX),
    "resp": lambda r: "resp_" + _some(r, 50, _HEX),
    "rs": lambda r: "rs_" + _some(r, 50, _HEX),
    "fc": lambda r: "fc_" + _some(r, 50, _HEX),
    "call": lambda r: "call_" + _some(r, 24),
    "toolu": lambda r: "toolu_01" + _some(r, 22),
    "srvtoolu": lambda r: "srvtoolu_01" + _some(r, 22),
    "req": lambda r: "req_" + _some(r, 24),
    "run": lambda r: "run_" + _some(r, 24),
    "thread": lambda r: "thread_" + _some(r, 24),
    "asst": lambda r: "asst_" + _some(r, 24),
    "file": lambda r: "file-" + _some(r, 24),
    "batch": lambda r: "batch_" + _some(r, 32, _HEX),
    "ft": lambda r: f"ft:gpt-4o-mini-2024-07-18:acme::{_some(r, 8)}",
    "fp": lambda r: "fp_" + _some(r, 10, _HEX),
    "vs": lambda r: "vs_" + _some(r, 32, _HEX),
    "gen": lambda r: f"gen-{r.randrange(1700000000, 1800000000)}-{_some(r, 20)}",
    "together id": lambda r: f"{_some(r, 7)}-{_some(r, 6)}-{_some(r, 16, _HEX)}",
    "cf-ray": lambda r: f"{_some(r, 16, _HEX)}-{r.choice(('FRA', 'AMS', 'SJC', 'IAD'))}",
    "uuid": lambda r: str(_uuid(r)),
    "uuid braces": lambda r: "{" + str(_uuid(r)).upper() + "}",
    "uuid hex": lambda r: _uuid(r).hex,
    "ulid": lambda r: "01" + _some(r, 24, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
    "md5": lambda r: md5(r.randbytes(8)).hexdigest(),
    "sha1": lambda r: sha1(r.randbytes(8)).hexdigest(),
    "sha256": lambda r: sha256(r.randbytes(8)).hexdigest(),
    "sha512": lambda r: sha512(r.randbytes(8)).hexdigest(),
    "image digest": lambda r: f"sha256:{sha256(r.randbytes(8)).hexdigest()}",
    "sri": lambda r: "sha384-" + base64.b64encode(r.randbytes(48)).decode(),
    "git diff": lambda r: f"index {_some(r, 7, _HEX)}..{_some(r, 7, _HEX)} 100644",
    "etag": lambda r: f'W/"{_some(r, 32, _HEX)}"',
    "created": lambda r: str(r.randrange(1700000000, 1800000000)),
    "millis": lambda r: str(r.randrange(1700000000000, 1800000000000)),
    "nanos": lambda r: str(r.randrange(10**17, 10**18)),
    "rfc3339": lambda r: f"2025-11-{r.randrange(10, 30)}T01:13:37.{r.randrange(10**5, 10**6)}Z",
    "float": lambda r: repr(r.uniform(-1, 1)),
    "phone": lambda r: f"+1 (555) 010-{r.randrange(1000, 9999)}",
    "phone plain": lambda r: f"+4930{r.randrange(10**7, 10**8)}",
    "card": lambda r: f"4{_some(r, 3, '0123456789')} {r.randrange(1000, 9999)} 1111 1117",
    "iban": lambda r: "DE" + _some(r, 20, "0123456789"),
    "ip": lambda r: f"192.0.2.{r.randrange(256)}:{r.randrange(1024, 65536)}",
    "ipv6": lambda r: "2001:db8:" + ":".join(_some(r, 4, _HEX) for _ in range(6)),
    "mac": lambda r: ":".join(_some(r, 2, _HEX) for _ in range(6)),
    "colour": lambda r: f"color: #{_some(r, 6, _HEX)};",
    "css": lambda r: f".css-{_some(r, 6, _HEX)}{{margin:0 auto;padding:{r.randrange(9)}px}}",
    "png": lambda r: "data:image/png;base64," + base64.b64encode(_png(r)).decode(),
    "png alone": lambda r: base64.b64encode(_png(r)).decode(),
    "embedding": lambda r: _embedding(r, 48),
    "gzip": lambda r: base64.b64encode(gzip.compress(_prose(r).encode(), mtime=0)).decode(),
    "base64 prose": lambda r: base64.b64encode(_prose(r).encode()).decode(),
    "base64url prose": lambda r: base64.urlsafe_b64encode(_prose(r).encode()).decode(),
    "base64 json": lambda r: base64.b64encode(json.dumps({"n": _prose(r)}).encode()).decode(),
    "signature": lambda r: base64.b64encode(r.randbytes(180)).decode(),
    "hex prose": lambda r: _prose(r).encode().hex(),
    "percent prose": lambda r: quote(_prose(r), safe=""),
    "dna": lambda r: _some(r, 90, "ACGT"),
    "protein": lambda r: _some(r, 80, "ACDEFGHIKLMNPQRSTVWY"),
    "mouse": lambda r: "M" + _some(r, 45, string.ascii_uppercase),
    "prose": lambda r: _prose(r),
    "dashed words": lambda r: "-".join(r.choices(_WORDS, k=6)) + f"-v{r.randrange(9)}",
    "snake words": lambda r: "_".join(r.choices(_WORDS, k=7)),
    "camel words": lambda r: "".join(word.title() for word in r.choices(_WORDS, k=6)),
    "path": lambda r: f"/srv/{'/'.join(r.choices(_WORDS, k=5))}/{_some(r, 8, _HEX)}.py",
    "url": lambda r: f"https://example.com/{'/'.join(r.choices(_WORDS, k=4))}?p=2&id={_uuid(r)}",
    "arxiv": lambda r: f"https://arxiv.org/abs/2510.{r.randrange(10000, 20000)}v2",
    "video": lambda r: f"https://www.youtube.com/watch?v={_some(r, 11)}&t=42s",
    "package": lambda r: f"numpy-2.{r.randrange(9)}.1-cp313-cp313-manylinux_2_17_x86_64.whl",
    "minified": lambda r: _minified(r),
    "code": lambda r: f'key_{r.randrange(9)} = os.environ["TOGETHER_API_KEY"]  # never print it',
    "lock": lambda r: f"--hash=sha256:{sha256(r.randbytes(8)).hexdigest()}",
    "uuid in sk words": lambda r: f"task-{_uuid(r)} risk-{_uuid(r)} desk-{_uuid(r)}",
    "ask": lambda r: "ta" + "sk-" + _some(r, 48),
    "disk": lambda r: "di" + "sk-proj-" + "-".join(r.choices(_WORDS, k=9)),
    "short sk": lambda r: "s" + "k-" + _some(r, 12),
    "short tgp": lambda r: "tgp" + "_v1_" + _some(r, 8),
    "masked": lambda r: "s" + f"k-proj-{'*' * 40}{_some(r, 4)}",
    "masked dots": lambda r: "s" + f"k-{_some(r, 3)}...{_some(r, 4)}",
    "jwt head": lambda r: "ey" + "J" + _some(r, 30) + " is how a token begins",
    "x": lambda r: "x" * r.randrange(20, 80),
    "moves": lambda r: " ".join(f"{n}. e4 e5" for n in range(1, r.randrange(5, 20))),
    "latex": lambda r: rf"\frac{{\partial f_{{{r.randrange(9)}}}}}{{x}} \u2202 \url{{a%20b}}",
    "emoji": lambda r: "👩‍🔬 " + _prose(r) + " 你好, Grüße, мир",
    "placeholder": lambda r: f"REDACTED-together-key-{_some(r, 8, _HEX)}",
}


_SAID: Final = (
    'Set it with `export OPENAI_API_KEY="sk-..."` and try again.',
    "Your key looks like sk-proj-your-key-goes-here; keep it secret.",
    "sk-proj-your-very-own-secret-api-key-goes-right-here-please-do-not-share",
    "An API key starts with sk- (OpenAI), sk-ant- (Anthropic), tgp_v1_ (Together) or AIza.",
    "Authorization: Bearer <token>",
    "Authorization: Bearer YOUR_API_KEY",
    "curl -H 'x-api-key: $ANTHROPIC_API_KEY' https://api.anthropic.com/v1/messages",
    'client = OpenAI(api_key="your-api-key-here")',
    "api_key=os.getenv('GROQ_API_KEY')",
    "password = getpass.getpass('Password: ')",
    "const token = process.env.GITHUB_TOKEN ?? '';",
    "The secret of a good risk-assessment-v2 is sk-learn, or rather scikit-learn.",
    "from sklearn.model_selection import train_test_split",
    "pip install sk-video sk-dsp-comm sk-image-processing-toolkit-for-everybody",
    "ghp_ stands for GitHub personal access token, xoxb- for a Slack bot.",
    "-----BEGIN CERTIFICATE----- is followed by base64, and so is -----BEGIN PRIVATE KEY-----.",
    "A JWT has three parts: header.payload.signature, each base64url; the first begins with eyJ.",
    "The prefix hf_ is Hugging Face's, gsk_ is Groq's, xai- is xAI's and pplx- Perplexity's.",
    "AKIAIOSFODNN7" + "EXAMPLE is the access key id in all of AWS's documentation.",
    "Beware: never commit .env files; rotate keys every 90 days; use a vault.",
    "The quick brown fox jumps over the lazy dog 1234567890 times.",
    "org-mode and proj_name are no ids; neither is sess-ion nor gh-pages.",
    "OPENAI_API_KEY=\nANTHROPIC_API_KEY=changeme\n",
    "{{api_key}} ${API_KEY} %API_KEY% <API_KEY> $OPENAI_API_KEY",
    "Invalid API key provided. You can find your API key in your dashboard.",
    'SELECT token_id, "key" FROM tokens WHERE secret IS NULL;',
    "max_tokens: 4096, token_id: 5018, top_k: 40, prompt_tokens: 12",
    "Base64 of a word: c2VjcmV0; of another: cGFzc3dvcmQ=; hex: 736563726574",
    "%20%2D%2d%252D and \\u002d and \\\\u002D are all escapes.",
    "0x7fff5fbff8c0 0xdeadbeefcafebabe 0b101010 1e-9",
    "3.141592653589793238462643383279502884197169399375105820974944592307816406286",
    "ssh-ed25519 and ssh-rsa are kinds of keys; SHA256: is how a print of one begins.",
    "The cookie crumbles; the session ends; the token is spent; the bearer is tired.",
    "A password should have 12 characters, such as correct-horse-battery-staple.",
)

_MODEL_TEXT: Final = (
    "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo"
    " Qwen/Qwen2.5-72B-Instruct-Turbo deepseek-ai/DeepSeek-R1-Distill-Llama-70B"
    " moonshotai/Kimi-K2-Instruct-0905 togethercomputer/m2-bert-80M-32k-retrieval"
    " black-forest-labs/FLUX.1-schnell-Free openai/gpt-oss-120b gpt-4o-mini-2024-07-18"
    " gpt-4o-realtime-preview-2024-12-17 o3-deep-research-2025-06-26 text-embedding-3-large"
    " claude-3-5-sonnet-20241022 claude-haiku-4-5-20251001 claude-opus-4-1-20250805"
    " us.anthropic.claude-sonnet-4-20250514-v1:0 gemini-2.5-flash-lite-preview-09-2025"
    " models/gemini-2.5-pro mistral-small-latest codestral-2508 command-a-03-2025 grok-4-1-fast"
    " accounts/fireworks/models/llama-v3p1-8b-instruct sonar-deep-research"
    " nvidia/llama-3.1-nemotron-ultra-253b-v1 @cf/meta/llama-3.1-8b-instruct jina-embeddings-v3"
    " arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0 qwen3:30b-a3b-q4_K_M"
    " hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M whisper-large-v3-turbo"
)
_MODELS: Final = tuple(_MODEL_TEXT.split())

_SCHEMA: Final = {
    "type": "function",
    "function": {
        "name": "get_secret_token_for_api_key",
        "description": "Look up a key by its token. Never pass a password.",
        "parameters": {
            "type": "object",
            "properties": {
                "api_key": {"type": "string", "pattern": "^sk-[A-Za-z0-9]{48}$"},
                "token": {"type": "string", "description": "such as tgp_v1_…", "default": ""},
                "password": {"type": "string", "minLength": 12, "format": "password"},
                "authorization": {"enum": ["none", "basic", "bearer"]},
            },
            "required": ["api_key", "token"],
        },
    },
}


def _uuid(random: Random) -> uuid.UUID:
    return uuid.UUID(bytes=random.randbytes(16), version=4)


def _png(random: Random) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + random.randbytes(200)


def _embedding(random: Random, size: int) -> str:
    numbers = [random.gauss(0, 0.04) for _ in range(size)]
    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()


def _prose(random: Random) -> str:
    return " ".join(random.choices(_WORDS, k=12)).capitalize() + "."


def _minified(random: Random) -> str:
    names = random.choices(string.ascii_lowercase, k=6)
    calls = "".join(f"var {n}={n}||function(t,e){{return t[{n!r}]&&e-7}};" for n in names)
    return f"!function(e,t){{'use strict';{calls}}}(window,document);//# sourceMappingURL=a.map"


# ------------------------------------------------------------------ places


def _ask(carried: Headers, body: object = None, query: str = "", more: Headers = ()) -> Request:
    data = json.dumps(body or {"model": "m", "messages": []}, separators=(",", ":")).encode()
    target = f"{CHAT}?{query}" if query else CHAT
    return Request("POST", "https", HOST, 443, target, headers=(*carried, *JSON, *more), body=data)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_OK: Final = answer(_json({"id": "1"}))


def _usual(text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    message = {"role": "assistant", "content": text, "tool_calls": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {"id": text, "object": "chat.completion", "choices": [choice], "usage": usage}


type Put = Callable[[Headers, str], Exchange]

_PLACES: Final[tuple[tuple[str, Put], ...]] = (
    (
        "request body",
        lambda h, t: Exchange(_ask(h, {"model": "m", "messages": [{"content": t}]}), _OK),
    ),
    ("answer", lambda h, t: Exchange(_ask(h), answer(_json(_usual(t))))),
    ("name", lambda h, t: Exchange(_ask(h), answer(_json({"logit_bias": {t: 1}})))),
    ("query", lambda h, t: Exchange(_ask(h, query=f"after={quote(t, safe='')}"), _OK)),
    (
        "text",
        lambda h, t: Exchange(
            _ask(h), answer(t.encode(), headers=(("content-type", "text/plain"),))
        ),
    ),
    (
        "arguments",
        lambda h, t: Exchange(
            _ask(h), answer(_json({"arguments": json.dumps({"location": t, "unit": "c"})}))
        ),
    ),
    (
        "binary",
        lambda h, t: Exchange(_ask(h), answer(b"\xff\x00" + t.encode(), headers=BINARY)),
    ),
    (
        "error",
        lambda h, t: Exchange(_ask(h), answer(_json({"error": {"message": t}}), status=400)),
    ),
)


def negatives(seed: int = 5) -> Iterator[Negative]:
    """Texts by places, then streams, then whole bodies; every third request carries a credential
    that stands nowhere else.
    """
    random = Random(seed)
    carried = [source.headers for source in known(random)]
    texts = [
        *((name, make(random)) for name, make in _MADE.items() for _ in range(11)),
        *(("said", text) for text in _SAID),
        *(("model", model) for model in _MODELS),
    ]
    for at, (name, text) in enumerate(texts):
        headers = carried[at % len(carried)] if at % 3 == 0 else ()
        place, put = _PLACES[at % len(_PLACES)]
        yield Negative(f"{name}, {place}: {text[:40]}", put(headers, text), headers)
    for at, shape in enumerate(SHAPES):
        for number in range(8):
            name, text = random.choice(texts)
            whole = (
                json.dumps({"city": text}) if shape.arguments else f"{text} and {_prose(random)}"
            )
            chunks = streamed(shape, cut(random, whole, random.choice((2, 6, 20))))
            headers = carried[(at + number) % len(carried)]
            exchange = Exchange(_ask(headers), answer(*chunks, headers=SSE, streaming=True))
            yield Negative(f"stream {shape.name}, {name}: {text[:40]}", exchange, headers)
    yield from _bodies(random)
    yield from _weak(random)


def _weak(random: Random) -> Iterator[Negative]:
    """Credentials that stand for none, or are public, and their words in what is said."""
    model = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    for value in (
        *("EMPTY", "none", "ollama", "test", "x", "0000000000000000", "sk-no-key-required"),
        *("your-api-key-here", "not-needed", "dummy", "fake-key", "messages", "content", "Bearer"),
        *("response_format", "application/json", "temperature", "REDACTED-authorization", model),
        *("REDACTED-together-key-0b366478", "12345678", "123456789012", "password", "changeme"),
    ):
        for name, pattern in (
            ("Authorization", "Bearer {}"),
            ("x-api-key", "{}"),
            ("Cookie", "a={}; b=dark; c=1"),
        ):
            headers = ((name, pattern.format(value)),)
            body = {"model": model, "messages": [{"content": f"Say {value}."}], value: value}
            said = answer(_json(_usual(f"You said {value}, and {model} answers.")))
            yield Negative(f"weak {name}: {value}", Exchange(_ask(headers, body), said), headers)
    for user, password in (("admin", "admin"), ("user", "password"), ("user", "")):
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = (("Authorization", f"Basic {pair}"),)
        text = f"{user} and {password}: {_prose(random)}"
        yield Negative(f"weak basic: {user}", Exchange(_ask(headers), answer(_json(text))), headers)


def _bodies(random: Random) -> Iterator[Negative]:
    values: list[tuple[str, object]] = [
        ("tool schema", {"model": "m", "tools": [_SCHEMA] * 3, "max_tokens": 1024}),
        ("embeddings", {"data": [{"embedding": _embedding(random, 1536), "index": 0}]}),
        ("numbers", {"embedding": [random.gauss(0, 1) for _ in range(256)], "created": 1763660000}),
        ("tokens", {"tokens": [random.randrange(10**5) for _ in range(300)], "token_id": 5018}),
        (
            "credential names",
            {"api_key": "", "token": None, "password": "none", "secret": True},
        ),
        ("more names", {"api_key": "YOUR_API_KEY", "token": "<token>", "secret": "${SECRET}"}),
        (
            "token texts",
            {"token": " the", "logprob": -0.01, "bytes": [32, 116]},
        ),
        ("page tokens", {"next_page_token": "CAUQAA", "has_more": False, "key": "value"}),
        ("thinking", {"signature": base64.b64encode(random.randbytes(400)).decode()}),
        ("encrypted", {"encrypted_content": "gAAAAAB" + _some(random, 400, _LETTERS + "-_")}),
        ("thought", {"thoughtSignature": base64.b64encode(random.randbytes(300)).decode()}),
        ("models", {"data": [{"id": model, "object": "model"} for model in _MODELS]}),
        ("image", {"data": [{"b64_json": base64.b64encode(_png(random) * 50).decode()}]}),
        ("nested text", {"input": json.dumps({"a": json.dumps({"b": _prose(random)})})}),
    ]
    for name, value in values:
        yield Negative(f"{name}, answer", Exchange(_ask(()), answer(_json(value))))
        yield Negative(f"{name}, request", Exchange(_ask((), value), _OK))
    audio = Random(6).randbytes(40_000)
    yield Negative("audio", Exchange(_ask(()), answer(audio, headers=BINARY)))
