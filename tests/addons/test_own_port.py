"""A request to wiretape's own port is for control, for a provider, or refused."""

import asyncio
import json
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils
from tests.support.hooks import ended

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.sessions.sessions import Sessions
from wiretape_mitm.connections import BASE_URL_HOST
from wiretape_mitm.own_port import OwnPort

REPORT = Report("record")


@pytest.fixture
def own_port(tmp_path: Path) -> OwnPort:
    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name))
    return OwnPort(Control(sessions, REPORT, token="t"), built_in(), REPORT)


def asked(own_port: OwnPort, path: str, host: str = BASE_URL_HOST, **headers: str) -> http.HTTPFlow:
    request = tutils.treq(host=host, port=80, scheme=b"http", path=path.encode(), authority=b"")
    flow = tflow.tflow(req=request)
    flow.client_conn.sockname = ("127.0.0.1", 4000)
    flow.request.headers["host"] = "127.0.0.1:4000"
    for name, value in headers.items():
        flow.request.headers[name.replace("_", "-")] = value
    asyncio.run(ended(own_port.requestheaders(flow)))
    return flow


def test_a_path_that_names_a_provider_leads_there(own_port: OwnPort) -> None:
    flow = asked(own_port, "/api.openai.com/v1/models?limit=1")
    assert flow.response is None
    assert flow.request.url == "https://api.openai.com/v1/models?limit=1"
    assert flow.request.headers["host"] == "api.openai.com"


def test_control_is_answered(own_port: OwnPort) -> None:
    flow = asked(own_port, "/healthz")
    assert flow.response is not None
    assert flow.response.status_code == 200
    flow = asked(own_port, "/wiretape")
    assert flow.response is not None
    assert flow.response.status_code == 401, "without the token"


def test_a_host_that_is_not_a_providers_is_refused_and_reported(own_port: OwnPort) -> None:
    flow = asked(own_port, "/other.example/v1/models")
    assert flow.response is not None
    assert flow.response.status_code == 403
    assert "other.example" in json.loads(flow.response.content or b"")["error"]["message"]


def test_a_page_of_another_site_is_refused(own_port: OwnPort) -> None:
    flow = asked(own_port, "/api.openai.com/v1/models", sec_fetch_site="cross-site")
    assert flow.response is not None
    assert flow.response.status_code == 403


def test_a_request_through_the_proxy_is_left_alone(own_port: OwnPort) -> None:
    flow = asked(own_port, "/v1/models", host="api.openai.com")
    assert (flow.response, flow.request.path) == (None, "/v1/models")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://api.openai.com/v1/next", "http://127.0.0.1:4000/api.openai.com/v1/next"),
        ("https://other.example/x", "https://other.example/x"),
    ],
)
def test_links_of_an_answer_lead_back_to_the_port(
    own_port: OwnPort, location: str, expected: str
) -> None:
    flow = asked(own_port, "/api.openai.com/v1/models")
    flow.response = http.Response.make(307, b"", {"location": location})
    own_port.links.responseheaders(flow)
    assert flow.response.headers["location"] == expected


def test_links_of_other_answers_stay(own_port: OwnPort) -> None:
    flow = asked(own_port, "/v1/models", host="api.openai.com")
    flow.response = http.Response.make(307, b"", {"location": "https://api.openai.com/v1/next"})
    own_port.links.responseheaders(flow)
    assert flow.response.headers["location"] == "https://api.openai.com/v1/next"
