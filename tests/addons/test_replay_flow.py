"""A flow is answered by the replay engine, or missed, or goes on to be recorded."""

from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils
from tests.support.parts import parts_in
from tests.support.stored import document, exchange, put

from wiretape.run.compose import Parts
from wiretape.run.proxies import hooks_of
from wiretape.run.settings import Mode
from wiretape.sessions.sessions import HEADER
from wiretape_mitm.flow_sessions import FlowSessions
from wiretape_mitm.hooks import Hooks
from wiretape_mitm.replay_flow import ANSWERED, PASS, ReplayFlow


class Run:
    def __init__(self, folder: Path, mode: Mode, text: str = "") -> None:
        put(folder / "r", document("Hi"))
        self.parts: Parts = parts_in(folder, mode, text)
        self.hooks: Hooks = hooks_of(self.parts)
        self.hooks.exits.engine = 4242
        assert self.parts.replayer is not None
        self.replay_flow = ReplayFlow(
            self.parts.replayer,
            self.hooks.tickets,
            FlowSessions(self.parts.sessions),
            self.hooks.exits,
            self.parts.intake,
        )

    async def asked(self, prompt: str = "Hi", **headers: str) -> http.HTTPFlow:
        recorded = exchange(prompt).request
        request = tutils.treq(
            method=b"POST",
            scheme=b"https",
            host=recorded.host,
            port=443,
            authority=b"",
            path=recorded.target.encode(),
            content=recorded.body,
            headers=http.Headers(((b"content-type", b"application/json"),)),
        )
        flow = tflow.tflow(req=request)
        for name, value in headers.items():
            flow.request.headers[name] = value
        await self.replay_flow.request(flow)
        return flow


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


async def test_a_recorded_request_is_handed_to_the_engine_with_a_ticket(tmp_path: Path) -> None:
    run = Run(tmp_path, "replay")
    flow = await run.asked()
    assert flow.response is None
    assert flow.metadata[ANSWERED] is True
    assert flow.request.url == ("http://127.0.0.1:4242/api.together.xyz/v1/chat/completions")
    assert flow.server_conn.address == ("127.0.0.1", 4242)
    assert flow.request.content == b""
    assert "content-length" not in flow.request.headers
    answer = run.hooks.tickets.take(flow.request.headers["x-wiretape-ticket"])
    assert answer is not None


async def test_a_request_that_nothing_answers_is_a_miss(tmp_path: Path) -> None:
    run = Run(tmp_path, "replay")
    flow = await run.asked("Ho")
    assert flow.response is not None
    assert flow.response.status_code == 400
    assert b"no recording answers POST" in (flow.response.content or b"")
    assert run.parts.report.counts["missed"] == 1


async def test_where_a_run_records_a_miss_goes_on_to_the_provider(tmp_path: Path) -> None:
    run = Run(tmp_path, "auto")
    flow = await run.asked("Ho")
    assert (flow.response, flow.metadata.get(ANSWERED), flow.metadata.get(PASS)) == (
        *(None, None, None),
    )
    assert flow.request.host == "api.together.xyz"
    await run.parts.finish()


async def test_or_is_passed_on_unrecorded_where_that_is_wanted(tmp_path: Path) -> None:
    run = Run(tmp_path, "auto", "on_miss: {passthrough: [api.together.xyz]}\n")
    flow = await run.asked("Ho")
    assert flow.metadata[PASS] is True
    await run.parts.finish()


async def test_a_session_that_cannot_be_is_refused(tmp_path: Path) -> None:
    flow = await Run(tmp_path, "replay").asked(**{HEADER: "../up"})
    assert flow.response is not None
    assert flow.response.status_code == 403


async def test_another_host_is_none_of_its_business(tmp_path: Path) -> None:
    run = Run(tmp_path, "replay")
    flow = tflow.tflow(req=tutils.treq(host="other.example", port=443))
    await run.replay_flow.request(flow)
    assert (flow.response, flow.metadata) == (None, {})
