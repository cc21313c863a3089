"""mitmproxy's messages as ours, and ours as mitmproxy's."""

from collections.abc import Callable
from ipaddress import ip_address

from mitmproxy import http

from wiretape.core.model import Headers, Request
from wiretape.sessions.own_port import JSON, Refusal


def rejoined(sizes: list[int]) -> Callable[[bytes], list[bytes]]:
    """Join the engine's chunks again, which mitmproxy splits at reads of 64 KiB."""
    remaining_sizes, buffer = iter(sizes), bytearray()
    size = next(remaining_sizes, None)

    def join(data: bytes) -> list[bytes]:
        nonlocal size
        buffer.extend(data)
        chunks = []
        while size is not None and len(buffer) >= size:
            chunks.append(bytes(buffer[:size]))
            del buffer[:size]
            size = next(remaining_sizes, None)
        if size is None and buffer:
            chunks.append(bytes(buffer))
            buffer.clear()
        return chunks

    return join


def is_near(flow: http.HTTPFlow) -> bool:
    """Whether a client is on this machine."""
    peer = flow.client_conn.peername
    return bool(peer) and ip_address(peer[0]).is_loopback


def request_of(flow: http.HTTPFlow) -> Request:
    """A flow's request, with the host and the port its client meant."""
    data = flow.request.data
    return Request(
        method=flow.request.method,
        scheme=flow.request.scheme,
        host=data.host.lower(),
        port=data.port,
        target=data.path.decode("utf-8", "surrogateescape"),
        headers=headers_of(flow.request),
        body=data.content or b"",
    )


def headers_of(message: http.Message) -> Headers:
    """The headers of a message, in their order."""
    return fields_of(message.headers)


def fields_of(headers: http.Headers | None) -> Headers:
    """Headers or trailers, () for None."""
    return tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in (headers.fields if headers is not None else ())
    )


def refused_tunnel(reason: str) -> http.Response:
    """A refusal of a tunnel, as text."""
    return http.Response.make(403, f"wiretape: {reason}\n", {"content-type": "text/plain"})


def answer_of(refusal: Refusal) -> http.Response:
    """A refusal of a request, as an SDK reads it."""
    return response_of(refusal.status, JSON, refusal.body())


def response_of(status: int, headers: Headers, body: bytes) -> http.Response:
    """An answer of our own."""
    return http.Response.make(status, body, dict(headers))
