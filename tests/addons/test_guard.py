"""A hook that fails sends nothing out, and the run fails."""

import asyncio
import inspect
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow

from wiretape.report.report import Report
from wiretape_mitm.guard import Guarded

REQUESTS = ("http_connect", "requestheaders", "request")
ANSWERS = ("responseheaders", "response", "error", "websocket_end")


class Failing:
    def http_connect(self, flow: http.HTTPFlow) -> None:
        raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")

    requestheaders = responseheaders = response = error = websocket_end = http_connect

    async def request(self, flow: http.HTTPFlow) -> None:
        await asyncio.sleep(0)
        raise KeyError("sk-secret")

    def server_connect(self, data: ServerConnectionHookData) -> None:
        raise OSError


def call(addon: object, hook: str, data: Any) -> None:
    async def run() -> None:
        result = getattr(addon, hook)(data)
        if inspect.isawaitable(result):
            await result

    asyncio.run(run())


@pytest.mark.parametrize("hook", REQUESTS)
def test_a_request_whose_hook_failed_is_answered(hook: str) -> None:
    report, flow = Report("record"), tflow.tflow()
    flow.request.stream = True
    call(Guarded(Failing(), report), hook, flow)
    assert flow.response is not None
    assert (flow.response.status_code, flow.request.stream) == (500, False)
    assert b"wiretape failed inside, so nothing was sent" in (flow.response.content or b"")
    assert report.exit_status == 4
    assert "sk-secret" not in str(report.notices)


@pytest.mark.parametrize("hook", ANSWERS)
def test_an_answer_whose_hook_failed_stays_and_the_run_fails(hook: str) -> None:
    report, flow = Report("record"), tflow.tflow(resp=True)
    before = flow.response
    call(Guarded(Failing(), report), hook, flow)
    assert flow.response is before
    assert report.exit_status == 4


def test_no_connection_is_made_whose_hook_failed() -> None:
    data = ServerConnectionHookData(tflow.tserver_conn(), tflow.tclient_conn())
    call(Guarded(Failing(), Report("replay")), "server_connect", data)
    assert data.server.error == "wiretape failed inside, so nothing was sent"


def test_a_guarded_addon_has_its_hooks_and_no_others() -> None:
    guarded = Guarded(Failing(), Report("record"))
    assert callable(guarded.request)  # type: ignore[attr-defined]  # set by name
    assert not hasattr(guarded, "websocket_message")
    with taddons.context() as context:
        manager: AddonManager = context.master.addons
        manager.add(guarded)
        assert manager.get("failing") is guarded
