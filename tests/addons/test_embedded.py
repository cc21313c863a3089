"""A hook that fails sends nothing out, and the run fails."""

from typing import Any

import pytest
from mitmproxy import http, options
from mitmproxy.proxy.layers.http._hooks import (
    HttpConnectHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHook,
)
from mitmproxy.proxy.server_hooks import ServerConnectHook, ServerConnectionHookData
from mitmproxy.test import tflow

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions
from wiretape_mitm.addon import BASE_URL_HOST, Addon
from wiretape_mitm.embedded import _Addons, _Master


class Failing:
    def http_connect(self, flow: http.HTTPFlow) -> None:
        raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")

    requestheaders = request = response = http_connect


@pytest.fixture
async def master() -> _Master:
    master = _Master(options.Options())
    master.report = Report("record")
    master.addons = _Addons(master)
    return master


@pytest.mark.parametrize("hook", [HttpConnectHook, HttpRequestHeadersHook, HttpRequestHook])
async def test_a_request_whose_hook_failed_is_answered(master: _Master, hook: Any) -> None:
    master.addons.add(Failing())
    flow = tflow.tflow()
    await master.addons.handle_lifecycle(hook(flow))
    assert flow.response is not None
    assert flow.response.status_code == 500
    assert b"wiretape failed inside, so nothing was sent" in (flow.response.content or b"")
    assert master.report is not None
    assert master.report.exit_status == 4


async def test_an_answer_whose_hook_failed_stays(master: _Master) -> None:
    master.addons.add(Failing())
    flow = tflow.tflow(resp=True)
    before = flow.response
    await master.addons.handle_lifecycle(HttpResponseHook(flow))
    assert flow.response is before


async def test_the_place_of_base_urls_is_never_connected_to(master: _Master, tmp_path: Any) -> None:
    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name))
    for tunnels in (True, False):
        addon = Addon(built_in(), Report("record"), sessions, tunnel_others=tunnels)
        flow = tflow.tserver_conn()
        flow.address = (BASE_URL_HOST, 80)
        data = ServerConnectionHookData(flow, tflow.tclient_conn())
        addon.server_connect(data)
        assert data.server.error == "wiretape failed inside, so nothing was sent"
    assert ServerConnectHook.name == "server_connect"
