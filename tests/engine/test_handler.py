"""One handler for every way in: base URLs, plain proxy requests, control, and what it refuses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.support.parts import parts_in
from tests.support.stored import document, exchange, put

from wiretape.core.playback.pace import Pace
from wiretape.engine.handler import Handler
from wiretape.run.compose import Parts

RECORDED = exchange("Hi")

# aiohttp 3.12, which is enough for wiretape, has no RequestKey.
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")


class Door:
    """A server in this process that answers by the handler."""

    def __init__(self, parts: Parts, url: str, client: aiohttp.ClientSession) -> None:
        self.parts, self.url, self.client = parts, url, client

    async def ask(
        self,
        path: str = "/api.together.xyz/v1/chat/completions",
        body: bytes = RECORDED.request.body,
        method: str = "POST",
        **headers: str,
    ) -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"content-type": "application/json", **named}
        url = self.url + path
        async with self.client.request(method, url, data=body, headers=named) as answer:
            return answer.status, await answer.read()

    @property
    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.parts.report.rows]


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    put(tmp_path / "r", document("Hi"))
    parts = parts_in(tmp_path, "replay")
    assert parts.replayer is not None
    handler = Handler(parts.replayer, Pace(), control=parts.control, max_body=1000)
    runner = web.ServerRunner(handler.server())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as client:
        yield Door(parts, f"http://127.0.0.1:{port}", client)
    await handler.idle()
    assert handler.under_way == 0
    await runner.cleanup()


def message(answer: bytes) -> str:
    text: str = json.loads(answer)["error"]["message"]
    return text


async def test_a_base_url_s_request_is_answered_from_its_recording(door: Door) -> None:
    for _ in range(2):
        assert await door.ask() == (200, RECORDED.response.body)
    assert door.outcomes == ["replayed", "replayed"]


async def test_a_request_that_nothing_answers_is_a_miss(door: Door) -> None:
    status, answer = await door.ask(body=b'{"model": "other"}')
    assert status == 400
    assert message(answer).startswith("wiretape: no recording answers POST")
    assert door.outcomes == ["missed"]


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/other.example/v1/models", {}, "other.example is not a configured provider host"),
        ("/api.together.xyz/v1", {"sec_fetch_site": "cross-site"}, "a page of another site"),
        ("/api.together.xyz/v1", {"host": "evil.example"}, "names another machine"),
    ],
)
async def test_what_is_for_nobody_or_from_elsewhere_is_refused(
    door: Door, path: str, headers: dict[str, Any], reason: str
) -> None:
    status, answer = await door.ask(path, **headers)
    assert status == 403
    assert reason in message(answer)


async def test_an_invalid_session_is_refused_and_a_valid_one_has_its_own_takes(door: Door) -> None:
    status, _ = await door.ask(x_wiretape_session="../up")
    assert status == 403
    status, _ = await door.ask(x_wiretape_session="one")
    assert status == 400, "it has no recordings"
    assert door.parts.report.rows[-1].session == "one"


async def test_control_is_answered_with_its_token(door: Door) -> None:
    assert (await door.ask("/healthz", method="GET"))[0] == 200
    assert (await door.ask("/wiretape", method="GET"))[0] == 401
    token = door.parts.control.token
    status, answer = await door.ask("/wiretape", method="GET", authorization=f"Bearer {token}")
    assert status == 200
    assert json.loads(answer)["mode"] == "replay"


async def test_a_body_that_no_recording_can_have_is_a_miss(door: Door) -> None:
    status, answer = await door.ask(body=b"x" * 1001)
    assert status == 400
    assert "no recording has a request of more than" in message(answer)


async def test_a_fault_is_made_on_demand(door: Door) -> None:
    status, _ = await door.ask(x_wiretape_fault="status=503")
    assert status == 503
    status, answer = await door.ask(x_wiretape_fault="nonsense")
    assert status in (400, 403)
    assert "x-wiretape-fault" in message(answer).lower()


async def test_a_fault_inside_is_a_500_without_its_text(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("sk-secret")

    assert door.parts.replayer is not None
    monkeypatch.setattr(door.parts.replayer, "prepare", fail)
    status, answer = await door.ask()
    assert status == 500
    assert "wiretape failed inside (KeyError)" in message(answer)
    assert b"sk-secret" not in answer
    assert door.outcomes == ["failed"]
    assert door.parts.report.exit_status != 0
