"""aiohttp's server as wiretape needs it, for what `protocol.py` does not answer itself."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import ERROR as NOT_A_REQUEST
from multidict import CIMultiDict

from .http_request import MOST_FIELD
from .under_way import UNTYPED


def aiohttp_server(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    is_unreadable: Callable[[], None],
    max_body: int,
) -> web.Server:
    """A server whose requests `handle` answers; call it for one protocol a connection.

    `is_unreadable` is called where aiohttp answers 400 by itself.
    """
    loop = asyncio.get_running_loop()

    def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]  # aiohttp's private signature
        if message is NOT_A_REQUEST:
            is_unreadable()
        raw = RawHeaderWriter(protocol, loop)
        return ReceivedRequest(
            message, payload, protocol, raw, task, loop, client_max_size=max_body
        )

    return web.Server(
        handle,
        request_factory=make_request,
        # An answer that waits for a chunk's time is cancelled when the client leaves.
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        max_line_size=MOST_FIELD,
        max_field_size=MOST_FIELD,
    )


async def close(server: web.Server) -> None:
    """End a server's connections."""
    server.pre_shutdown()
    # aiohttp takes a timeout of 0 for no timeout.
    await server.shutdown(timeout=0.1)


class ReceivedRequest(web.BaseRequest):
    """A request whose answer has no content type if its recording has none."""

    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        # aiohttp gives every body without a type application/octet-stream.
        if self.get(UNTYPED):
            resp.headers.pop("content-type", None)


class RawHeaderWriter(StreamWriter):
    """Writes header values that are not UTF-8 (RFC 9110, section 5.5) as their original bytes.

    They are lone surrogates in the text, which aiohttp's own writer leaves out.
    """

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        await super().write_headers(status_line, headers)
        if any(_ESCAPED.search(value) for value in headers.values()):
            lines = (status_line, *(f"{name}: {value}" for name, value in headers.items()), "", "")
            self._headers_buf = "\r\n".join(lines).encode("utf-8", "surrogateescape")


_ESCAPED: Final = re.compile("[\udc80-\udcff]")
