"""The replay engine: a request in, a recorded answer or a miss out. The doors are `server.py` and
`mitm.py`.
"""

from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final

from .content import decoded
from .document import Document, from_request
from .errors import FormatError, StoreError
from .library import Entry, Library
from .match import Canonical
from .miss import Miss, explain
from .model import Request, Response, split_url
from .player import Player
from .providers import Provider, Providers, error_body
from .redact import Redactor
from .report import Report, Row

MISS_STATUS: Final = 404
"""No SDK retries a 404: they retry 408, 409, 429 and 5xx."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A live request, its canonical form, and what may be told of it: no secret stands in that."""

    request: Request
    canonical: Canonical
    url: str
    path: str
    model: str | None
    provider: str


@dataclass(frozen=True, slots=True)
class Played:
    """A recording's answer to a request."""

    entry: Entry
    response: Response


class Replayer:
    """Answers requests from a library; tells the report what it did."""

    def __init__(
        self,
        library: Library,
        player: Player,
        redactor: Redactor,
        providers: Providers,
        report: Report,
    ) -> None:
        self.library: Final = library
        self.report: Final = report
        self.providers: Final = providers
        self._player = player
        self._redactor = redactor

    def ask(self, request: Request) -> Asked:
        """What a live request says, redacted as its recording was."""
        document = self._redactor.request(
            from_request(plain_request(request)), self._redactor.secrets(request)
        )
        provider = self.providers.find(request.host, request.port)
        return Asked(
            request,
            self.library.matched(document),
            document["url"],
            document["endpoint"],
            document.get("model"),
            provider.name if provider else request.host,
        )

    def told(self, text: str) -> str:
        """A text fit to be shown."""
        return self._redactor.text(text)

    def play(self, asked: Asked) -> Played | None:
        """The next take of the recording that answers, or None."""
        canonical = asked.canonical
        takes = self.library.takes(canonical.key)
        turn = self._player.next(canonical.key, takes)
        if turn is None:
            return None
        entry = takes[turn.take]
        try:
            exchange = self.library.read(entry.name)
        except (FormatError, StoreError) as error:
            self.report.notice(f"{entry.name}: {error}")
            return None
        self.report.beyond += turn.beyond
        return Played(entry, exchange.response)

    def known(self, asked: Asked) -> bool:
        """Whether the library held the request's key when the run began."""
        key = asked.canonical.key
        return not self.library.written(key) and bool(self.library.takes(key))

    def explain(self, asked: Asked) -> Miss:
        """Why `play` gave nothing."""
        canonical, url = asked.canonical, asked.url
        takes = self.library.takes(canonical.key)
        if takes:
            return Miss(asked.request.method, url, "takes-used", takes[-1].name)
        return explain(
            canonical, url, self.library.neighbours(canonical.endpoint), len(self.library)
        )


def plain_request(request: Request) -> Request:
    """The request with the content coding of its body undone, where that can be done."""
    try:
        body = decoded(request.headers, request.body)
    except ValueError:
        return request
    return request if body is request.body else replace(request, body=body)


def miss_body(miss: Miss, provider: Provider | None) -> bytes:
    """The body of a miss in the provider's own error shape."""
    shape = provider.errors if provider else "openai"
    return error_body(shape, MISS_STATUS, f"wiretape: {miss.message}", "wiretape_miss")


MISS_HEADERS: Final = (
    ("content-type", "application/json"),
    ("x-should-retry", "false"),
    ("x-wiretape", "miss"),
)


class Tickets:
    """Hands a played answer from mitmproxy to the engine; a ticket is good once."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[Played, Asked]] = {}

    def issue(self, played: Played, asked: Asked) -> str:
        """A ticket that no other user of this machine can guess."""
        ticket = token_hex(16)
        self._issued[ticket] = (played, asked)
        return ticket

    def take(self, ticket: str) -> tuple[Played, Asked] | None:
        """What a ticket was issued for."""
        return self._issued.pop(ticket, None)


def base_url_place(raw: str) -> tuple[str, str, int, str]:
    """Split a base-URL request target: "/api.together.xyz/v1/models" is https at that host.

    A port makes it plain http on this machine, https elsewhere. ValueError where no host is named.
    """
    authority, _, rest = raw[1:].partition("/")
    if not authority or "?" in authority:
        raise ValueError("expected /HOST/PATH, such as /api.together.xyz/v1/chat/completions")
    local = authority.partition(":")[0] in ("localhost", "127.0.0.1", "0.0.0.0")
    scheme = "http" if local and ":" in authority else "https"
    return split_url(f"{scheme}://{authority}/{rest}")


def played_row(
    asked: Asked,
    played: Played,
    first_chunk: float | None = None,
    duration: float | None = None,
    note: str | None = None,
) -> Row:
    """The row of an answer that is played; it has times when it has been."""
    response = played.response
    return Row(
        "replayed",
        asked.provider,
        asked.request.method,
        asked.path,
        asked.model,
        status=response.status,
        chunks=len(response.chunks) if response.streaming else None,
        first_chunk=first_chunk,
        duration=duration,
        recording=played.entry.name,
        note=note,
    )


def missed_row(asked: Asked, miss: Miss) -> Row:
    """The row of a request that no recording answers."""
    return Row(
        "missed",
        asked.provider,
        asked.request.method,
        asked.path,
        asked.model,
        status=MISS_STATUS,
        miss=miss,
    )


def row_of(
    request: Request,
    providers: Providers,
    document: Document,
    **facts: object,
) -> Row:
    """The report's row for a request, given its redacted document and what became of it."""
    provider = providers.find(request.host, request.port)
    return Row(
        provider=provider.name if provider else request.host,
        method=request.method,
        path=document["endpoint"],
        model=document.get("model"),
        **facts,  # type: ignore[arg-type]  # Row's own fields, by name
    )
