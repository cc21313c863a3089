"""Who is let in, and where connections may lead."""

from typing import Any

import pytest
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow, tutils

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions
from wiretape_mitm.connections import BASE_URL_HOST, MOST_HEADERS, Connections, Exits
from wiretape_mitm.flow_sessions import FlowSessions

PROVIDER = ("api.openai.com", 443)
OTHER = ("example.com", 443)


@pytest.fixture
def report() -> Report:
    return Report("record")


def connections(tmp_path: Any, report: Report, *, record: bool, tunnels: bool) -> Connections:
    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name))
    exits = Exits(built_in(), record, tunnels, engine=4242)
    return Connections(exits, FlowSessions(sessions), report)


@pytest.mark.parametrize(
    ("record", "tunnels", "address", "is_open"),
    [
        (True, True, PROVIDER, True),
        (True, False, OTHER, True),
        (False, True, PROVIDER, False),
        (False, True, OTHER, True),
        (False, False, OTHER, False),
        (False, False, ("127.0.0.1", 4242), True),
        (False, True, None, False),
        (True, True, (BASE_URL_HOST, 80), False),
        (False, True, (BASE_URL_HOST, 80), False),
    ],
)
def test_the_last_gate(
    tmp_path: Any,
    report: Report,
    record: bool,
    tunnels: bool,
    address: tuple[str, int] | None,
    is_open: bool,
) -> None:
    server = tflow.tserver_conn()
    server.address = address
    data = ServerConnectionHookData(server, tflow.tclient_conn())
    connections(tmp_path, report, record=record, tunnels=tunnels).server_connect(data)
    assert (data.server.error is None) is is_open


@pytest.mark.parametrize(
    ("number", "host", "status"),
    [
        (MOST_HEADERS, "api.openai.com", None),
        (MOST_HEADERS + 1, "api.openai.com", 400),
        (10_000, "api.openai.com", 400),
        (10_000, "example.com", None),
    ],
)
def test_a_request_of_too_many_headers_is_refused_before_any_is_looked_at(
    tmp_path: Any, report: Report, number: int, host: str, status: int | None
) -> None:
    fields = tuple((b"x-%d" % at, b"v") for at in range(number))
    flow = tflow.tflow(req=tutils.treq(host=host, port=443))
    flow.request.headers.fields = fields
    connections(tmp_path, report, record=True, tunnels=True).requestheaders(flow)
    assert (flow.response.status_code if flow.response else None) == status
