"""Read a recording into the row by which it is listed.

Its chunks are not checked, which `verify` does.
"""

from dataclasses import dataclass
from typing import Final

from wiretape.core.conversation.conversation import Conversation, conversation, summary
from wiretape.core.cost.prices import PriceTable
from wiretape.core.model import Request
from wiretape.core.providers.registry import Providers
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_request, to_response
from wiretape.core.text.printable import printable

from .inventory import recorded_at
from .listed_recording import ListedRecording

_PROMPT: Final = 80


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A recording's document, and its request without the body; `foreign`: it is llama-stack's."""

    document: Document
    request: Request
    foreign: bool


def read_stored(data: bytes) -> StoredDocument:
    """Read a file's content; FormatError if it is not a recording."""
    document = recording_format.loads(data)
    foreign = llamastack.is_llamastack(document)
    if foreign:
        document = llamastack.convert(document).document
    request = to_request(_without_body(document["request"]))
    # The members but the chunks, which take longest to check.
    response = document["response"]
    to_response({**response, "body": [] if response.get("is_streaming") else None}, request.path)
    return StoredDocument(document, request, foreign)


@dataclass(frozen=True, slots=True)
class RowReader:
    """Makes rows of recordings, with what is known of providers and prices."""

    providers: Providers
    prices: PriceTable | None = None

    stored = staticmethod(read_stored)

    def words(self, stored: StoredDocument) -> str:
        """All words of a recording, for searching."""
        return conversation(stored.document).text

    def __call__(
        self,
        stored: StoredDocument,
        name: str,
        session: str | None,
        size: int,
        whole: Conversation | None = None,
    ) -> ListedRecording:
        """The row of a recording; `whole` is its conversation, if that was read already."""
        document, request = stored.document, stored.request
        provider, seen = _provider(request, self.providers), summary(document, whole)
        cost = self.prices.cost(provider, seen.model, seen.usage) if self.prices else None
        return ListedRecording(
            name=name,
            session=session,
            provider=provider,
            host=request.authority,
            method=request.method,
            path=request.path,
            model=seen.model,
            prompt=_prompt(seen.prompt),
            usage=seen.usage.as_json(),
            cost=None if cost is None else cost.as_json(),
            cost_text="-" if cost is None else str(cost),
            streamed=seen.streamed,
            chunks=seen.chunks,
            status=seen.status,
            end=seen.end,
            recorded_at=recorded_at(document),
            size=size,
            foreign=stored.foreign,
            edited="edited" in document,
        )


def _provider(request: Request, providers: Providers) -> str:
    provider = providers.find(request.host, request.port)
    return provider.name if provider else providers.host_key(request.host, request.port)


def _without_body(request: Document) -> Document:
    return {name: value for name, value in request.items() if not name.startswith("body")}


def _prompt(text: str) -> str:
    # Only the start of a prompt, which may be megabytes.
    start = " ".join(text[: 4 * _PROMPT].split())
    return printable(start if len(start) <= _PROMPT else start[: _PROMPT - 1] + "…", one_line=True)
