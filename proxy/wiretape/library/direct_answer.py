"""Keep an answer ready in the index, as it leaves: a request that is known by its bytes is answered
without its recording being read.

Only an answer for which nothing of a run counts is kept: it is the same for every client, at every
port, in every folder. A file that has changed since has another stat, and is read.
"""

from typing import Final, NamedTuple

from wiretape.core.cost.usage import Usage, reported
from wiretape.core.model import Response
from wiretape.core.providers.base_url import may_lead
from wiretape.core.recording.file_names import take_of
from wiretape.core.wire.http1 import in_chunks, is_ready, ready_head
from wiretape.core.wire.selecting_headers import tells_of_condition, vary

MOST_BYTES: Final = 16 * 1024
"""A larger answer is read from its recording, where that costs little beside sending it."""


class DirectAnswer(NamedTuple):
    """An answer in HTTP/1.1: its head up to the time in `Date` that ends it, and the body.

    `chunks` is the number of chunks of a stream, None for others; `usage` what its provider says
    that the exchange used, if it does.
    """

    head: bytes
    body: bytes
    status: int
    chunks: int | None = None
    usage: Usage | None = None


def direct_answer(name: str, response: Response, paths: tuple[str, ...]) -> DirectAnswer | None:
    """The answer of the recording `name` as it leaves; None where that depends on the run, the
    client, or what came before.

    >>> from wiretape.core.model import Chunk
    >>> direct_answer("h/e/a.json", Response(200, (), (Chunk(b"{}"),)), ()).body
    b'{}'
    """
    is_plain = is_ready(response) and response.end == "complete" and response.coding is None
    if not (is_plain and 200 <= response.status < 300) or tells_of_condition(response.status):
        return None
    if paths or vary(response.headers) or may_lead(response.headers):
        return None
    if take_of(name) != 1 or sum(len(chunk.data) for chunk in response.chunks) > MOST_BYTES:
        return None
    body = b"".join(in_chunks(response)) if response.streaming else response.body
    head = ready_head(response, response.headers, name, len(body))
    if len(head) + len(body) > MOST_BYTES:
        return None
    usage = reported(response)
    chunks = len(response.chunks) if response.streaming else None
    return DirectAnswer(head, body, response.status, chunks, usage if usage.is_known else None)
