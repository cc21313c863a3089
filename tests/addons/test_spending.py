"""Requests wait for others under way, and miss once the budget is spent."""

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from mitmproxy import http

from wiretape.config.packs import built_in
from wiretape.core.capture.recorder import Recorder
from wiretape.core.cost.budget import Budget
from wiretape.core.cost.prices import Money, Price, PriceTable
from wiretape.core.model import Outcome, Request
from wiretape_mitm.spending import SpendingGate

TABLE = PriceTable([Price(model="m", input=Decimal(0), output=Decimal(100_000))])
"""A token of an answer costs ten cents."""


@dataclass
class Flow:
    id: str
    response: http.Response | None = None


def ask(most: int = 10, **members: Any) -> Request:
    body = {"model": "m", "max_tokens": most, "messages": [{"role": "user", "content": "Hello!"}]}
    data = json.dumps({**body, **members}).encode()
    return Request("POST", "https", "api.openai.com", 443, "/v1/chat/completions", body=data)


class Gate:
    def __init__(self) -> None:
        self.budget = Budget(Money(Decimal(2), "USD"), TABLE)
        self.gate = SpendingGate(self.budget, built_in())

    async def admit(self, name: str, request: Request) -> tuple[Flow, str | None]:
        flow = Flow(name)
        return flow, await self.gate.admit(cast(http.HTTPFlow, flow), request)

    def settle(self, name: str, body: bytes, outcome: Outcome = "ended", status: int = 200) -> None:
        recorder = Recorder(ask())
        kind = "text/event-stream" if body.startswith(b"data:") else "application/json"
        recorder.start(status, (("content-type", kind),), 0.1)
        recorder.read(body, 0.2)
        self.gate.settle(name, recorder, outcome)


def used(tokens: int) -> bytes:
    return json.dumps({"usage": {"prompt_tokens": 1, "completion_tokens": tokens}}).encode()


async def test_a_request_waits_until_what_is_under_way_is_settled() -> None:
    gate = Gate()
    await gate.admit("a", ask(8))
    await gate.admit("b", ask(8))
    waiting = [asyncio.create_task(gate.admit(name, ask(8))) for name in ("c", "d")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    gate.settle("a", used(1))
    flow, reason = await waiting[0]
    assert (flow.response, reason) == (None, None)
    assert not waiting[1].done()
    gate.settle("b", used(10))
    gate.settle("c", used(9))
    flow, reason = await waiting[1]
    assert reason is not None
    assert reason.startswith("the budget of 2.00 USD is spent (2.00 USD)")
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.headers["x-wiretape"]) == (400, "budget")
    assert json.loads(flow.response.content or b"")["error"]["message"] == f"wiretape: {reason}"


@pytest.mark.parametrize(
    ("body", "outcome", "status", "spent"),
    [
        (used(3), "ended", 200, "0.3"),
        (b'{"error": {}}', "ended", 429, "0"),
        (b'data: {"choices": [{"delta": {"content": "%b"}}]}\n\n' % (b"x" * 16), "cut", 200, "0.4"),
        (
            b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "choices":'
            b' [{"delta": {"content": "%b"}}]}\n\n' % (b"x" * 16),
            "cut",
            200,
            "0.4",
        ),
    ],
)
async def test_an_exchange_costs_what_it_used(
    body: bytes, outcome: Outcome, status: int, spent: str
) -> None:
    gate = Gate()
    await gate.admit("a", ask())
    gate.settle("a", body, outcome, status)
    gate.settle("a", body, outcome, status)
    assert gate.budget.spent == Decimal(spent)


async def test_one_that_is_not_recorded_costs_what_was_expected() -> None:
    gate = Gate()
    await gate.admit("a", ask(7, n=2))
    gate.gate.settle("a")
    assert gate.budget.spent == Decimal("1.4")


@pytest.mark.parametrize(
    ("request_", "goes"),
    [
        (Request("GET", "https", "api.openai.com", 443, "/v1/models"), True),
        (Request("POST", "https", "api.anthropic.com", 443, "/v1/messages/count_tokens"), True),
        (Request("POST", "https", "api.openai.com", 443, "/v1/batches", body=b"{}"), False),
        (
            Request(
                "GET",
                "https",
                "api.openai.com",
                443,
                "/v1/realtime?model=m",
                headers=(("upgrade", "websocket"), ("connection", "upgrade")),
            ),
            False,
        ),
    ],
)
async def test_only_what_costs_nothing_or_can_be_known_goes_out(
    request_: Request, goes: bool
) -> None:
    _, reason = await Gate().admit("a", request_)
    assert (reason is None) == goes
