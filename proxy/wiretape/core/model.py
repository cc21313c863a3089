"""The values that are recorded: an exchange is a request with its answer, as on the wire.

All values are frozen and comparable. Bodies are bytes, decoded from their transfer coding (RFC
9112, section 7) and content coding (RFC 9110, section 8.4); header names keep their case, order and
repeats.
"""

import re
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from typing import Final, Literal, cast
from urllib.parse import urlsplit

type Headers = tuple[tuple[str, str], ...]

type End = Literal["complete", "cut", "client-closed", "reset", "timeout", "failed"]
"""How an answer ended: whole; closed by the provider or the network before it was; left by the
client; by a TCP reset; because nothing came for too long; or `failed`: the provider was never
reached, and the answer is wiretape's own 502.
"""

ENDS: Final[tuple[End, ...]] = (
    "complete",
    "cut",
    "client-closed",
    "reset",
    "timeout",
    "failed",
)

type Framing = Literal["sse", "ndjson", "frames", "reads", "whole"]
"""How an answer's body is divided into chunks: into events, lines, frames of AWS's event streams,
the reads as they came, or not at all.
"""

FRAMINGS: Final[tuple[Framing, ...]] = ("sse", "ndjson", "frames", "reads")
"""The framings of streamed answers."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def header(headers: Headers, name: str) -> str | None:
    """The first value of a header, whatever the case of its name; None if it is absent."""
    name = name.lower()
    return next((value for key, value in headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the provider was meant to get it; `target` is path and query in origin form.

    Its `repr`, like those below, leaves out what may be secret: a traceback may show it.

    >>> Request("GET", "https", "api.openai.com", 443, "/v1/models?limit=1").url
    'https://api.openai.com/v1/models?limit=1'
    """

    method: str
    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    _: KW_ONLY
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def authority(self) -> str:
        """Host, with the port if it is not the scheme's default: "localhost:8080"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


# The target stays as it is: urlsplit() would drop a fragment, an empty query and tabs.
_URL: Final = re.compile(
    r"(https?)://([^/?#\\\x00-\x20\x7f]+)((?:[/?#].*)?)", re.IGNORECASE | re.DOTALL
)


_MODEL_IN_PATH: Final = re.compile(r"/(?:models?|deployments|engines)/([^/:?#]+)")


def models_in_path(path: str) -> list[str]:
    """The models that a path or URL names.

    >>> models_in_path("/v1beta/models/gemini-2.0-flash:generateContent")
    ['gemini-2.0-flash']
    """
    return _MODEL_IN_PATH.findall(path)


@lru_cache(maxsize=1024)
def split_url(url: str) -> tuple[str, str, int, str]:
    """Split an absolute http(s) URL into scheme, host, port and target.

    Raises ValueError for anything else.

    >>> split_url("https://api.together.xyz/v1/models?limit=1")
    ('https', 'api.together.xyz', 443, '/v1/models?limit=1')
    """
    match = _URL.fullmatch(url)
    authority = urlsplit("//" + match[2]) if match else None
    if match is None or authority is None or not authority.hostname:
        raise ValueError("expected an http or https URL with a host")
    scheme = match[1].lower()
    target = match[3] if match[3].startswith("/") else "/" + match[3]
    return scheme, authority.hostname, authority.port or DEFAULT_PORTS[scheme], target


type Outcome = Literal["ended", "cut", "client-closed", "reset", "timeout", "failed"]
"""What the connection did: the message ended as HTTP says; the provider's side closed it; the
client left; a TCP reset came; nothing came for too long; the provider was never reached, and the
answer is wiretape's own.
"""

MAX_BODY: Final = 64 * 1024 * 1024
"""The most bytes of a recorded body, both as it came and decoded."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A unit of an answer's body, and when its last byte came, in seconds after the request was
    sent.
    """

    data: bytes = field(repr=False)
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. A streamed one has a chunk for each event (or line, or read), others at most one.

    `headers_at` and `end_at` are seconds after the request was sent, None if not measured. `coding`
    names the content codings that were decoded, in the order they were applied ("gzip", "gzip,
    br"). `framing` is set if it is not what the headers say.
    """

    status: int
    headers: Headers = field(default=(), repr=False)
    chunks: tuple[Chunk, ...] = ()
    streaming: bool = False
    end: End = "complete"
    _: KW_ONLY
    headers_at: float | None = None
    end_at: float | None = None
    coding: str | None = None
    framing: Framing | None = None
    trailers: Headers = field(default=(), repr=False)
    until_close: bool = False
    """Whether the body of a cut answer had neither a length nor chunked coding, so that its client
    could not notice.
    """

    @property
    def body(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; `recorded_at` is UTC in RFC 3339 form, to the microsecond. `paths`
    names the stand-ins for folders that the recording holds (`redaction/run_paths.py`).
    """

    request: Request
    response: Response
    recorded_at: str | None = None
    paths: tuple[str, ...] = ()


# ------------------------------------------------------------------ WebSocket (RFC 6455)

type Sender = Literal["client", "server"]
SENDERS: Final[tuple[Sender, ...]] = ("client", "server")
SWITCHING: Final = 101
"""The status of an answer that a WebSocket follows."""
NO_STATUS: Final = 1005
NEVER_SENT: Final = (NO_STATUS, 1006, 1015)
"""Codes that stand for a missing closing frame or code (RFC 6455, section 7.4.1)."""


@dataclass(frozen=True, slots=True)
class Message(Chunk):
    """A message, its fragments joined; the data of a text is its UTF-8."""

    sender: Sender = "server"
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """A closing frame: who sent it first, and its code, if it had one."""

    sender: Sender
    code: int | None = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket(Response):
    """The answer to an opening request. `chunks` are messages; without a `close` the connection
    broke, and `end` says on whose side.
    """

    close: Close | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return cast(tuple[Message, ...], self.chunks)
