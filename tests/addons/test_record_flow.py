"""The hooks of a recorded flow: what is recorded of it, and what is reported where it is not.

tests/addons/patches/test_transport.py and tests/end_to_end drive them with real connections.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.test import tflow, tutils
from tests.support.hooks import ended
from tests.support.parts import parts_in

from wiretape.run.compose import Parts
from wiretape.run.proxies import hooks_of
from wiretape.sessions.sessions import HEADER
from wiretape_mitm.hooks import Hooks
from wiretape_mitm.record_flow import RecordFlow

BODY = b'{"model": "m", "messages": []}'
ANSWER = b'{"choices": []}'


class Run:
    """A run that records into a folder; flows are led through its hooks by hand."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder = folder
        self.parts: Parts = parts_in(folder, "record", **more)
        self.hooks: Hooks = hooks_of(self.parts)
        assert self.hooks._record_flow is not None
        self.record_flow: RecordFlow = self.hooks._record_flow

    async def asked(self, host: str = "api.openai.com", **headers: str) -> http.HTTPFlow:
        request = tutils.treq(
            method=b"POST",
            scheme=b"https",
            host=host,
            port=443,
            authority=b"",
            path=b"/v1/chat/completions",
            content=BODY,
            headers=http.Headers(((b"content-type", b"application/json"),)),
        )
        flow = tflow.tflow(req=request)
        for name, value in headers.items():
            flow.request.headers[name.replace("_", "-")] = value
        await ended(self.record_flow.request(flow))
        return flow

    def answered(self, flow: http.HTTPFlow, *pieces: bytes) -> None:
        flow.response = http.Response.make(200, b"", {"content-type": "application/json"})
        self.record_flow.responseheaders(flow)
        tee = flow.response.stream
        assert callable(tee)
        for piece in (*pieces, b""):
            assert tee(piece) == piece

    async def outcomes(self) -> list[str]:
        await self.parts.finish()
        return [row.outcome for row in self.parts.report.rows]

    def recordings(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (self.folder / "r").rglob("*.json")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    return Run(tmp_path)


async def test_what_a_provider_answers_is_recorded_as_it_came(run: Run) -> None:
    flow = await run.asked()
    assert run.record_flow.under_way == 1
    run.answered(flow, ANSWER[:5], ANSWER[5:])
    run.record_flow.response(flow)
    assert run.record_flow.under_way == 0
    assert await run.outcomes() == ["recorded"]
    (stored,) = run.recordings()
    assert stored["request"]["body"] == json.loads(BODY)
    assert stored["response"]["body"]["__data__"] == json.loads(ANSWER)


async def test_a_host_that_is_not_a_providers_is_not_recorded(run: Run) -> None:
    flow = await run.asked(host="other.example")
    assert (run.record_flow.under_way, flow.response) == (0, None)
    assert await run.outcomes() == []


async def test_a_session_is_the_one_that_is_named_and_an_invalid_one_is_refused(run: Run) -> None:
    flow = await run.asked(**{HEADER: "one"})
    run.answered(flow, ANSWER)
    run.record_flow.response(flow)
    refused = await run.asked(**{HEADER: "../up"})
    assert refused.response is not None
    assert refused.response.status_code == 403
    assert await run.outcomes() == ["recorded"]
    assert len(list((run.folder / "r" / "one").rglob("*.json"))) == 1


def broken(flow: http.HTTPFlow, message: str, *, client_has_left: bool = False) -> http.HTTPFlow:
    flow.error = flows.Error(message)
    if client_has_left:
        flow.client_conn.timestamp_end = 1.0
        flow.client_conn.state = type(flow.client_conn.state).CLOSED
    return flow


async def test_an_answer_that_breaks_off_is_a_cut(run: Run) -> None:
    flow = await run.asked()
    run.answered(flow, ANSWER[:5])
    run.record_flow.error(broken(flow, "peer closed connection"))
    run.record_flow.response(flow)  # mitmproxy may call both
    assert await run.outcomes() == ["recorded"]
    assert run.recordings()[0]["response"]["end"] == "cut"


async def test_a_client_that_leaves_before_an_answer_leaves_nothing_to_record(run: Run) -> None:
    flow = await run.asked()
    run.record_flow.error(broken(flow, "client disconnected", client_has_left=True))
    assert await run.outcomes() == ["passed"]
    (row,) = run.parts.report.rows
    assert row.note == "the client left before an answer came"
    assert run.recordings() == []


async def test_a_provider_that_is_not_reached_is_reported_and_not_recorded(run: Run) -> None:
    flow = await run.asked()
    run.record_flow.error(broken(flow, "Name or service not known"))
    assert "failed" in await run.outcomes()
    assert run.recordings() == []


async def test_what_is_under_way_when_the_proxy_stops_is_kept_as_a_cut(run: Run) -> None:
    answered, unanswered = await run.asked(), await run.asked()
    run.answered(answered, ANSWER[:5])
    assert run.record_flow.under_way == 2
    run.record_flow.abandon()
    assert run.record_flow.under_way == 0
    await run.record_flow.idle()
    assert await run.outcomes() == ["recorded"]
    assert run.recordings()[0]["response"]["end"] == "cut"
    assert unanswered.response is None


async def test_a_request_goes_where_its_host_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    run = Run(tmp_path, routes={"api.openai.com": "http://127.0.0.1:8000/v2"})
    flow = await run.asked()
    assert flow.request.url == "http://127.0.0.1:8000/v2/v1/chat/completions"
    run.answered(flow, ANSWER)
    run.record_flow.response(flow)
    await run.outcomes()
    (stored,) = run.recordings()
    assert stored["request"]["url"] == "https://api.openai.com/v1/chat/completions"
