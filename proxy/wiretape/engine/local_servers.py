"""Pass requests for other servers of this machine on to them, unchanged.

A local provider, as localhost:8000, is reached through the proxy only if NO_PROXY does not name
its host; then all servers of that host are. Requests to the others are not replayed: without the
proxy the client would have reached them too, and they stay on this machine.
"""

import asyncio
from ipaddress import ip_address
from typing import Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    web,
)
from yarl import URL

_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection")
) | {"te", "trailer", "transfer-encoding", "upgrade"}


def addresses_of(host: str) -> tuple[str, ...]:
    """The loopback addresses of a host name or address; empty for other machines."""
    if host.lower() == "localhost":
        return "127.0.0.1", "::1"
    try:
        return (host,) if ip_address(host).is_loopback else ()
    except ValueError:
        return ()


def is_on_this_machine(transport: asyncio.BaseTransport | None) -> bool:
    """Whether a client is on this machine: others may not reach its local servers."""
    peer = transport.get_extra_info("peername") if transport is not None else None
    return peer is not None and ip_address(peer[0]).is_loopback


async def pass_on(http: web.BaseRequest, host: str, port: int, target: str) -> web.StreamResponse:
    """Send a request to a server of this machine, and its answer back; 502 if it is unreachable."""
    headers = [(name, value) for name, value in http.headers.items() if _is_end_to_end(name)]
    error: ClientError | None = None
    async with ClientSession(
        cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None), auto_decompress=False
    ) as session:
        for address in addresses_of(host):
            url_host = f"[{address}]" if ":" in address else address
            request = session.request(
                http.method,
                URL(f"http://{url_host}:{port}{target}", encoded=True),
                headers=headers,
                data=http.content if http.can_read_body else None,
                allow_redirects=False,
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            )
            try:
                async with request as answer:
                    return await _answer(http, answer)
            except ClientConnectorError as refused:
                error = refused
    text = f"wiretape: {host}:{port} could not be reached: {error}\n"
    return web.Response(status=502, text=text)


async def _answer(http: web.BaseRequest, answer: ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if _is_end_to_end(name):
            response.headers.add(name, value)
    await response.prepare(http)
    async for data in answer.content.iter_any():
        await response.write(data)
    await response.write_eof()
    return response


def _is_end_to_end(name: str) -> bool:
    return name.lower() not in _HOP_BY_HOP
