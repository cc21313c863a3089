"""An answer as aiohttp is given it: its headers, and a body in chunks that is made once."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from multidict import CIMultiDict

from wiretape.core.model import Headers, Response
from wiretape.core.wire.http1 import CONNECTION_HEADERS, in_chunks, joined, replayed

_MOST_CACHED: Final = 256
_MOST_CACHED_BYTES: Final = 1 << 20


class ChunkedBodies:
    """The bodies of recordings' answers in chunks; the latest few small ones are cached."""

    def __init__(self) -> None:
        self._cached: dict[str, tuple[Response, bytes]] = {}

    def of(self, name: str, response: Response) -> Iterable[bytes]:
        """The chunked body of a recording's answer, in pieces; a small one in a tuple of one."""
        cached = self._cached.get(name)
        if cached is None or cached[0] is not response:
            if sum(len(chunk.data) for chunk in response.chunks) > _MOST_CACHED_BYTES:
                return joined(in_chunks(response))
            cached = self._cached[name] = (response, b"".join(in_chunks(response)))
            if len(self._cached) > _MOST_CACHED:
                del self._cached[next(iter(self._cached))]
        return (cached[1],)


@lru_cache(maxsize=1024)
def replayed_headers(headers: Headers, name: str) -> CIMultiDict[str]:
    """A recorded answer's headers as they are sent."""
    return CIMultiDict(replayed(headers, name))


def connection_headers(headers: Headers) -> CIMultiDict[str]:
    """Headers in aiohttp's form, without those that belong to a connection."""
    result = CIMultiDict((n, value) for n, value in headers if n.lower() not in CONNECTION_HEADERS)
    result["Server"] = "wiretape"
    return result
