"""Heads put right, bodies read in bounds, and what of mitmproxy's insides all this stands on."""

import asyncio
import inspect

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection
from mitmproxy.proxy import events, mode_servers, server
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers.http import _http1, _http2, _http_h2

from wiretape_mitm.patches import transport
from wiretape_mitm.patches.http1 import BadHead, Chunked, cleaned, status_of


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.0 404\r\n", 404),
        (b"HTTP/1.1 529 Site is overloaded\n", 529),
        (b"HTTP/1.1 103 \r\nA: b", 103),
    ],
)
def test_a_status_is_read(head: bytes, status: int) -> None:
    assert status_of(head) == status


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 +20 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/11 200 OK\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n",
    ],
)
def test_what_is_no_status_line_is_told(head: bytes) -> None:
    with pytest.raises(BadHead, match="it begins with no status line"):
        status_of(head)


def test_the_message_of_a_bad_head_quotes_nothing() -> None:
    with pytest.raises(BadHead) as caught:
        status_of(b"sk-secret" * 60_000)
    assert "sk-secret" not in str(caught.value)


START = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("lines", "becomes"),
    [
        (b"A: 1\r\n folded\r\n", b"A: 1 folded\r\n"),
        (b"A: 1 \r\n\t folded\r\n  twice\r\nB: 2\r\n", b"A: 1 folded twice\r\nB: 2\r\n"),
        (b"A: 1\rEvil: 2\r\n", b"A: 1 Evil: 2\r\n"),
        (b"A: 1\0\r\n", b"A: 1 \r\n"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Transfer-Encoding: chunked\r\ncontent-length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
        (b"Content-Length: 5\r\nA: 1\r\ncontent-length:5\r\n", b"Content-Length: 5\r\nA: 1\r\n"),
    ],
)
def test_a_head_is_put_right(lines: bytes, becomes: bytes) -> None:
    assert cleaned(START + lines + b"\r\n") == START + becomes + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        START + b"\r\n",
        START + b"A: 1\r\nx-odd:  two  \r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: 1\n\n",
        START + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        START + b"A: caf\xc3\xa9\t1\r\n\r\n",
    ],
)
def test_a_head_that_is_right_stays_as_it_is(head: bytes) -> None:
    assert cleaned(head) is head


def test_a_head_has_no_more_than_its_lines() -> None:
    with pytest.raises(BadHead, match="more than 256 lines"):
        cleaned(START + b"A: b\r\n" * 260 + b"\r\n")


def read(*pieces: bytes) -> tuple[bytes, Chunked, bool]:
    """The body of chunks, the reader, and whether it came to its end."""
    reader, buffer, body = Chunked(), ReceiveBuffer(), b""
    for piece in pieces:
        buffer += piece
        while (event := reader(buffer)) is not None:
            if isinstance(event, h11.EndOfMessage):
                return body, reader, True
            body += event.data
    return body, reader, False


WIRE = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-A: 1\r\nx-b: two\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, len(WIRE)])
def test_chunks_are_read_however_they_are_cut(size: int) -> None:
    body, reader, done = read(*(WIRE[at : at + size] for at in range(0, len(WIRE), size)))
    assert (body, done) == (b"abcde", True)
    assert reader.trailers == [(b"X-A", b"1"), (b"x-b", b"two")]


def test_an_end_without_trailers_has_none() -> None:
    body, reader, done = read(b"0\r\n\r\n")
    assert (body, reader.trailers, done) == (b"", [], True)


@pytest.mark.parametrize("endless", [b"1;" + b"x" * 70_000, b"0\r\n" + b"A: b\r\n" * 12_000])
def test_a_line_without_an_end_is_a_fault(endless: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError, match="larger than 64 KiB"):
        read(endless)


def test_a_large_chunk_is_no_line() -> None:
    data = b"x" * 1_000_000
    assert read(b"f4240\r\n" + data)[0] == data


# What the three modules change or lean on: a new mitmproxy that moves it fails here first.


def test_mitmproxy_looks_for_our_classes_where_they_are_put() -> None:
    source = inspect.getsource(mode_servers.ServerInstance.handle_stream)
    assert "ProxyConnectionHandler(" in source
    source = inspect.getsource(http_layers.HttpLayer)
    for name in ("Http1Server(", "Http1Client(", "Http2Server(", "HttpStream("):
        assert name in source
    source = inspect.getsource(_http1)
    assert source.count("self.body_reader = make_body_reader(") == 2


def test_mitmproxy_reads_a_connection_with_read_alone() -> None:
    source = inspect.getsource(server.ConnectionHandler.handle_connection)
    assert source.count("reader.") == 1
    assert "await reader.read(65535)" in source


def test_asyncio_keeps_what_came_before_a_break_in_a_buffer() -> None:
    reader = asyncio.StreamReader(loop=asyncio.new_event_loop())
    reader.feed_data(b"abc")
    assert vars(reader)["_buffer"] == bytearray(b"abc")
    reader._loop.close()  # type: ignore[attr-defined]  # the one made above


def test_mitmproxy_s_states_have_the_names_we_override() -> None:
    for owner, names in (
        (http_layers.HttpStream, ("handle_protocol_error", "handle_connect_regular")),
        (http_layers.HttpStream, ("handle_connect_upstream", "start_request_stream")),
        (http_layers.HttpStream, ("state_consume_request_body", "make_server_connection")),
        (_http1.Http1Connection, ("read_body", "done", "mark_done")),
        (_http1.Http1Client, ("send", "read_headers")),
        (_http1.Http1Server, ("send", "read_headers")),
        (_http2.Http2Server, ("_handle_event", "is_open_for_us")),
        (server.ConnectionHandler, ("drain_writers", "close_connection", "handle_connection")),
    ):
        assert all(callable(getattr(owner, name)) for name in names)


def test_mitmproxy_gives_a_client_five_connections_to_a_place_and_we_many() -> None:
    source = inspect.getsource(server.ConnectionHandler.__init__)
    assert "self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(5))" in source


def test_mitmproxy_keeps_what_an_http_2_client_has_not_taken_in_stream_buffers() -> None:
    config = _http2.Http2Server.h2_conf
    kept = _http_h2.BufferedH2Connection(config)
    kept.stream_buffers[1].append(_http_h2.SendH2Data(b"abc", end_stream=False))
    assert [len(each.data) for each in kept.stream_buffers[1]] == [3]


def test_connections_can_be_kept_weakly() -> None:
    conn = connection.Server(address=("h", 1))
    transport.broken[conn] = "reset"
    assert transport.broken.get(conn) == "reset"
    assert events.ConnectionClosed(conn).connection is conn
