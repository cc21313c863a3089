"""A flow's session is the one that its header, its tunnel or its credentials name."""

from base64 import b64encode
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.playback.faults import HEADER as FAULT_HEADER
from wiretape.library.library import Library
from wiretape.sessions.sessions import HEADER, Sessions, UnknownSession
from wiretape_mitm.flow_sessions import FlowSessions


@pytest.fixture
def sessions(tmp_path: Path) -> FlowSessions:
    return FlowSessions(Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name)))


def flow_with(**headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    for name, value in headers.items():
        flow.request.headers[name.replace("_", "-")] = value
    return flow


def credentials(name: str) -> str:
    return "Basic " + b64encode(f"{name}:".encode()).decode()


def test_a_header_names_the_session_and_goes_no_further(sessions: FlowSessions) -> None:
    flow = flow_with(**{HEADER: "one", "proxy-authorization": credentials("two")})
    assert sessions.of(flow).name == "one"
    assert HEADER not in flow.request.headers
    assert "proxy-authorization" not in flow.request.headers
    assert sessions.of(flow).name == "one", "its headers are gone by now"


def test_a_tunnel_names_the_session_of_all_that_comes_through_it(sessions: FlowSessions) -> None:
    connect = flow_with(proxy_authorization=credentials("two"))
    sessions.open_tunnel(connect)
    inside = tflow.tflow(client_conn=connect.client_conn)
    assert sessions.of(inside).name == "two"
    sessions.forget(connect.client_conn)
    assert sessions.of(tflow.tflow(client_conn=connect.client_conn)).name is None


def test_credentials_name_it_without_a_tunnel(sessions: FlowSessions) -> None:
    assert sessions.of(flow_with(proxy_authorization=credentials("two"))).name == "two"


def test_an_invalid_name_is_refused(sessions: FlowSessions) -> None:
    with pytest.raises(UnknownSession):
        sessions.of(flow_with(**{HEADER: "../up"}))


@pytest.mark.parametrize(("address", "is_kept"), [("127.0.0.1", True), ("192.0.2.1", False)])
def test_only_this_machine_may_ask_for_a_fault(
    sessions: FlowSessions, address: str, is_kept: bool
) -> None:
    flow = flow_with(**{FAULT_HEADER: "status=500"})
    flow.client_conn.peername = (address, 1234)
    sessions.of(flow)
    assert (FAULT_HEADER in flow.request.headers) is is_kept
