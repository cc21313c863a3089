import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.limits import PATIENCE
from tests.support.upstream import Answer, Upstream, split

GET = b"GET /x HTTP/1.1\r\nHost: api.together.xyz\r\n\r\n"


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream(tls=False) as upstream:
        yield upstream


def trust(upstream: Upstream) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=upstream.ca_file)


def connect(upstream: Upstream) -> socket.socket:
    return socket.create_connection(("127.0.0.1", upstream.port), timeout=PATIENCE)


def ask(upstream: Upstream, *pieces: bytes) -> bytes:
    """Send bytes on a connection of their own, say that they are all, read to the end."""
    with connect(upstream) as sock:
        for piece in pieces:
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data


def test_json_answer_comes_with_its_content_length(up: Upstream) -> None:
    up.script("/x", Answer.json({"a": 1}, status=429, headers=[("Retry-After", "2")]))
    assert ask(up, GET) == (
        b"HTTP/1.1 429 Too Many Requests\r\n"
        b"Content-Type: application/json\r\n"
        b"Retry-After: 2\r\n"
        b"Content-Length: 8\r\n"
        b"\r\n"
        b'{"a": 1}'
    )


def test_sse_answer_is_one_http_chunk_an_event() -> None:
    answer = Answer.sse([{"a": 1}, "[HALF]", b": ping\r\n\r\n"])
    assert answer.chunks == [
        b'data: {"a":1}\n\n',
        b"data: [HALF]\n\n",
        b": ping\r\n\r\n",
        b"data: [DONE]\n\n",
    ]
    with Upstream(tls=False) as up:
        up.script("/x", replace(answer, chunks=answer.chunks[2:]))
        assert ask(up, GET) == (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"\r\n"
            b"a\r\n: ping\r\n\r\n\r\n"
            b"e\r\ndata: [DONE]\n\n\r\n"
            b"0\r\n\r\n"
        )


def test_content_type_of_the_test_replaces_the_usual_one() -> None:
    answer = Answer.sse([], done=False, headers=[("content-type", "text/event-stream; charset=x")])
    assert answer.headers == [("content-type", "text/event-stream; charset=x")]


def test_body_that_ends_with_the_connection_has_no_length(up: Upstream) -> None:
    up.script("/x", Answer(chunks=[b"one", b"two"], framing="close"))
    with connect(up) as sock:
        sock.sendall(GET)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo"


def test_headers_keep_order_case_and_repetition(up: Upstream) -> None:
    headers = [("X-b", "1"), ("set-cookie", "a"), ("Set-Cookie", "b"), ("x-A", "é")]
    up.script("/x", Answer(headers=headers, framing="content-length"))
    assert ask(up, GET) == (
        b"HTTP/1.1 200 OK\r\nX-b: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nx-A: \xe9\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_head_and_204_have_no_body(up: Upstream) -> None:
    up.script("/x", Answer.json([1, 2]))
    up.script("/none", Answer(204))
    assert ask(up, GET.replace(b"GET", b"HEAD"), GET.replace(b"/x", b"/none")) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\n\r\n"
    )


def test_raw_answer_is_all_that_is_sent(up: Upstream) -> None:
    up.script("/x", Answer(raw=b"HTTP/1.1 200\nodd: yes\n\nbody", end="fin"))
    with connect(up) as sock:
        sock.sendall(GET)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received == b"HTTP/1.1 200\nodd: yes\n\nbody"


def test_answers_come_in_order_and_the_last_repeats(up: Upstream) -> None:
    up.script("/x", Answer(429), Answer(200))
    up.script("/x", Answer(500))
    statuses = [ask(up, GET).split()[1] for _ in range(4)]
    assert statuses == [b"429", b"200", b"500", b"500"]


def test_answer_scripted_after_the_last_was_given_comes_next(up: Upstream) -> None:
    up.script("/x", Answer(429))
    assert [ask(up, GET).split()[1] for _ in range(3)] == [b"429"] * 3
    up.script("/x", Answer(201), Answer(202))
    assert [ask(up, GET).split()[1] for _ in range(2)] == [b"201", b"202"]


def test_path_without_a_script_is_404_in_json(up: Upstream) -> None:
    head, _, body = ask(up, GET).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert json.loads(body) == {"error": {"message": "this path has no script"}}


def test_script_is_found_by_path_and_query_then_by_path(up: Upstream) -> None:
    up.script("/x", Answer(200))
    up.script("/x?a=1", Answer(201))
    targets = [b"/x?a=1", b"/x?a=2", b"http://api.together.xyz/x"]
    answers = [ask(up, GET.replace(b"/x", target)).split()[1] for target in targets]
    assert answers == [b"201", b"200", b"200"]


def test_request_is_captured_as_it_came(up: Upstream) -> None:
    sent = b"POST /x?k=%20 HTTP/1.1\r\nhOsT: a\r\nX-B:  1 \r\nx-b: 2\r\ncontent-Length: 3\r\n\r\n"
    ask(up, sent + b"\x00\xffz")
    (request,) = up.requests
    assert request.head == sent
    assert (request.method, request.target, request.path) == ("POST", "/x?k=%20", "/x")
    assert request.headers == [("hOsT", "a"), ("X-B", "1"), ("x-b", "2"), ("content-Length", "3")]
    assert request.header("x-B") == "1"
    assert request.header("x-c") is None
    assert request.body == b"\x00\xffz"


def test_chunked_request_body_is_put_together(up: Upstream) -> None:
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ask(up, head + b"3;e=1\r\nabc\r", b"\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" + GET)
    assert [request.body for request in up.requests] == [b"abc0123456789", b""]


def test_client_that_expects_100_gets_it_before_its_body_is_read(up: Upstream) -> None:
    up.script("/x", Answer.json(1))
    with connect(up) as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert read_exactly(sock, 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert read_exactly(sock, 15) == b"HTTP/1.1 200 OK"
    assert up.requests[0].body == b"ok"


def test_connection_is_kept_and_each_request_knows_its_own(up: Upstream) -> None:
    up.script("/x", Answer.sse(["a"]))
    ask(up, GET + GET)
    ask(up, GET)
    assert [request.connection for request in up.requests] == [1, 1, 2]
    assert up.connections == 2


@pytest.mark.parametrize(
    "request_head",
    [b"GET /x HTTP/1.1\r\nconnection: Close\r\n\r\n", b"GET /x HTTP/1.0\r\n\r\n"],
    ids=["close", "1.0"],
)
def test_connection_ends_where_the_client_says_so(up: Upstream, request_head: bytes) -> None:
    up.script("/x", Answer(framing="content-length"))
    with connect(up) as sock:
        sock.sendall(request_head)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_gate_holds_back_head_chunk_and_end(up: Upstream) -> None:
    gates = {number: threading.Event() for number in (-1, 1, 2)}
    up.script("/x", Answer(chunks=[b"a", b"b"], framing="close", gates=gates))
    parts = [
        (-1, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na"),
        (1, b"b"),
        (2, b""),
    ]
    with connect(up) as sock:
        sock.sendall(GET)
        up.wait_for_request()
        for number, expected in parts:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            sock.settimeout(PATIENCE)
            gates[number].set()
            assert read_exactly(sock, len(expected)) == expected
        assert sock.recv(1) == b""


def test_many_connections_wait_at_one_gate(up: Upstream) -> None:
    gate = threading.Event()
    up.script("/x", Answer(framing="content-length", gates={-1: gate}))
    socks = [connect(up) for _ in range(100)]
    for sock in socks:
        sock.sendall(GET)
    up.wait_for_request(100)
    gate.set()
    for sock in socks:
        with sock:
            assert read_exactly(sock, 15) == b"HTTP/1.1 200 OK"


def test_gate_nobody_opens_does_not_outlive_the_upstream() -> None:
    gate = threading.Event()
    with Upstream(tls=False) as up, connect(up) as sock:
        up.script("/x", Answer(gates={-1: gate}))
        sock.sendall(GET)
        up.wait_for_request()
    assert gate.is_set()


def test_delays_come_before_each_chunk_and_the_end(up: Upstream) -> None:
    up.script("/x", Answer(chunks=[b"a", b"b"], delays=[0.0, 0.05, 0.05]))
    ask(up, GET)
    ((first, second),) = up.sent
    assert 0.05 <= second - first < 5


def test_sent_times_stand_beside_their_request(up: Upstream) -> None:
    up.script("/x", Answer(chunks=[b"a", b"b"]))
    up.script("/y", Answer(chunks=[b"c"]))
    ask(up, GET + GET.replace(b"/x", b"/y"))
    assert [len(times) for times in up.sent] == [2, 1]
    assert up.sent[0][0] <= up.sent[0][1] <= up.sent[1][0]


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_fin_ends_a_stream_without_the_last_chunk(tls: bool) -> None:
    with Upstream(tls=tls) as up:
        up.script("/x", Answer(chunks=[b"abc"], end="fin"))
        with closing(client(up)) as connection:
            connection.request("GET", "/x")
            answer = connection.getresponse()
            with pytest.raises(http.client.IncompleteRead) as cut:
                answer.read()
    assert cut.value.partial == b"abc"


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_reset_ends_a_stream_in_an_error(tls: bool) -> None:
    gate = threading.Event()
    with Upstream(tls=tls) as up:
        up.script("/x", Answer(chunks=[b"abc"], end="reset", gates={1: gate}))
        with closing(client(up)) as connection:
            connection.request("GET", "/x")
            answer = connection.getresponse()
            assert answer.read(3) == b"abc"
            gate.set()
            # OpenSSL may tell a reset as the end of the stream, which is too early all the same.
            told = (
                (ConnectionResetError, http.client.IncompleteRead) if tls else ConnectionResetError
            )
            with pytest.raises(told):
                answer.read()


def client(upstream: Upstream) -> http.client.HTTPConnection:
    if not upstream.url.startswith("https"):
        return http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=PATIENCE)
    context = trust(upstream)
    return http.client.HTTPSConnection(
        "127.0.0.1", upstream.port, timeout=PATIENCE, context=context
    )


@pytest.mark.parametrize("host", ["api.together.xyz", "localhost", "127.0.0.1"])
def test_certificate_is_good_for_the_providers_and_this_machine(host: str) -> None:
    with (
        Upstream() as up,
        connect(up) as sock,
        trust(up).wrap_socket(sock, server_hostname=host) as tls,
    ):
        assert up.url == f"https://127.0.0.1:{up.port}"
        tls.sendall(GET)
        assert read_exactly(tls, 22) == b"HTTP/1.1 404 Not Found"


def test_hosts_of_the_test_replace_the_providers() -> None:
    with Upstream(hosts=["llm.example.com"]) as up:
        with connect(up) as sock:
            trust(up).wrap_socket(sock, server_hostname="llm.example.com").close()
        with connect(up) as sock, pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            trust(up).wrap_socket(sock, server_hostname="api.together.xyz")


def test_client_that_does_not_trust_it_is_no_fault() -> None:
    with Upstream() as other, Upstream() as up:
        with connect(up) as sock, pytest.raises(ssl.SSLCertVerificationError):
            trust(other).wrap_socket(sock, server_hostname="localhost")
        assert (up.connections, up.requests) == (1, [])


def test_large_bodies_pass_both_ways_over_tls() -> None:
    body = bytes(range(256)) * 40_000
    with Upstream() as up, closing(client(up)) as connection:
        up.script("/x", Answer(chunks=[body], framing="content-length"))
        connection.request("POST", "/x", body)
        assert connection.getresponse().read() == body
        assert up.requests[0].body == body


def test_waiting_for_a_request_that_does_not_come_says_how_many_did(up: Upstream) -> None:
    ask(up, GET)
    assert up.wait_for_request(1).target == "/x"
    with pytest.raises(TimeoutError, match=r"^1 of 2 requests came in 0\.01 s$"):
        up.wait_for_request(2, timeout=0.01)


async def test_coroutine_waits_for_a_request(up: Upstream) -> None:
    ask(up, GET)
    assert (await up.request_came()).target == "/x"


def test_request_that_is_no_http_fails_the_test() -> None:
    with pytest.raises(ExceptionGroup) as raised, Upstream(tls=False) as up:
        ask(up, b"nonsense\r\n\r\n")
    (fault,) = raised.value.exceptions
    assert isinstance(fault, ValueError)


def test_closed_upstream_refuses_and_leaves_no_file() -> None:
    with Upstream() as up, connect(up):
        pass
    assert not up.ca_file.exists()
    with pytest.raises(ConnectionRefusedError):
        connect(up)


def test_split_cuts_at_offsets() -> None:
    assert split(b"abcdef", 1, 3) == [b"a", b"bc", b"def"]
    assert split(b"abc") == [b"abc"]
