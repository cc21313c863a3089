"""`--map HOST=URL`: where requests go instead."""

import pytest
from mitmproxy.test import tflow, tutils

from wiretape_mitm.messages import request_of
from wiretape_mitm.routes import Routes

ROUTES = Routes(
    {
        "api.openai.com": "http://127.0.0.1:8000/v2/",
        "api.openai.com:8443": "https://other.example",
    }
)


@pytest.mark.parametrize(
    ("host", "port", "sent_to"),
    [
        ("API.openai.com", 443, "http://127.0.0.1:8000/v2/v1/x?a=1"),
        ("api.openai.com", 8443, "https://other.example/v1/x?a=1"),
        ("example.com", 443, "https://example.com/v1/x?a=1"),
    ],
)
def test_a_mapped_host_is_replaced_with_its_prefix(host: str, port: int, sent_to: str) -> None:
    request = tutils.treq(host=host, port=port, scheme=b"https", path=b"/v1/x?a=1", authority=b"")
    flow = tflow.tflow(req=request)
    ROUTES.apply(flow, request_of(flow))
    assert flow.request.url == sent_to
