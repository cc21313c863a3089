"""mitmproxy's messages as wiretape's, byte for byte, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tflow, tutils

from wiretape.sessions.own_port import Refusal
from wiretape_mitm.messages import (
    answer_of,
    fields_of,
    is_near,
    refused_tunnel,
    rejoined,
    request_of,
)


@given(st.lists(st.binary(min_size=1, max_size=9)), st.data())
def test_chunks_are_joined_however_they_were_split(
    chunks: list[bytes], data: st.DataObject
) -> None:
    body = b"".join(chunks)
    join = rejoined([len(chunk) for chunk in chunks])
    joined: list[bytes] = []
    at = 0
    while at < len(body):
        length = data.draw(st.integers(1, len(body) - at))
        joined += join(body[at : at + length])
        at += length
    assert joined == chunks


def test_what_is_left_over_is_passed_on_at_once() -> None:
    join = rejoined([2])
    assert join(b"abc") == [b"ab", b"c"]
    assert join(b"d") == [b"d"]


def test_a_request_keeps_bytes_that_are_not_text() -> None:
    fields = http.Headers([(b"X-A", b"\xff"), (b"x-a", b"2")])
    flow = tflow.tflow(req=tutils.treq(host="H.example", path=b"/\xff", headers=fields))
    request = request_of(flow)
    assert (request.host, request.target) == ("h.example", "/\udcff")
    assert request.headers == (("X-A", "\udcff"), ("x-a", "2"))
    assert fields_of(None) == ()


@pytest.mark.parametrize(
    ("peer", "expected"),
    [(("127.0.0.1", 1), True), (("::1", 1, 0, 0), True), (("192.0.2.1", 1), False), (None, False)],
)
def test_which_clients_are_on_this_machine(peer: tuple[str, int] | None, expected: bool) -> None:
    flow = tflow.tflow()
    flow.client_conn.peername = peer  # type: ignore[assignment]  # a client that is gone
    assert is_near(flow) is expected


def test_refusals_say_why() -> None:
    tunnel, answer = refused_tunnel("no"), answer_of(Refusal("no", 404))
    assert (tunnel.status_code, tunnel.text) == (403, "wiretape: no\n")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert "wiretape: no" in (answer.text or "")
