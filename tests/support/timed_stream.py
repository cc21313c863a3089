"""A recorded stream of five events, one every tenth of a second, whole half a second after its
request.
"""

from typing import Final

from wiretape.core.model import Chunk, Response

EVENTS: Final = [b'data: {"n":%d}\n\n' % n for n in range(4)] + [b"data: [DONE]\n\n"]
STREAM: Final = Response(
    200,
    (("content-type", "text/event-stream"),),
    tuple(Chunk(event, n / 10) for n, event in enumerate(EVENTS)),
    streaming=True,
    headers_at=0.0,
    end_at=0.5,
)
