"""The engine behind mitmproxy: a ticket is answered, what has none is a miss, and it ends."""

from pathlib import Path

import aiohttp
import pytest
from tests.support.parts import parts_in
from tests.support.stored import document, exchange, put

from wiretape.core.playback.pace import Pace
from wiretape.engine.engine import Engine
from wiretape.engine.tickets import Tickets

RECORDED = exchange("Hi")

# aiohttp 3.12, which is enough for wiretape, has no RequestKey.
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")


async def test_a_ticket_is_answered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    put(tmp_path / "r", document("Hi"))
    parts = parts_in(tmp_path, "replay")
    replayer, tickets = parts.replayer, Tickets()
    assert replayer is not None
    engine = Engine(replayer, Pace(), tickets)
    url = f"http://127.0.0.1:{await engine.start()}/nobody.example/v1"
    request = replayer.with_current_ids(replayer.prepare(RECORDED.request))
    answer = replayer.answer(request)
    assert answer is not None
    ticket = {"x-wiretape-ticket": tickets.issue(answer, request)}
    async with aiohttp.ClientSession(headers=ticket) as client:
        async with client.get(url) as first:
            assert (first.status, await first.read()) == (200, RECORDED.response.body)
        async with client.get(url) as second:
            assert second.status == 403
        assert engine.under_way == 0
        await engine.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(url)
