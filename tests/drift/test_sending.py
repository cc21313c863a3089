"""Requests go out no faster than allowed, and wait as long as they are told to."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from tests.support.faithful_provider import FaithfulProvider
from tests.support.stored import exchange
from tests.support.upstream import Upstream

from wiretape.core.errors import WiretapeError
from wiretape.core.model import header
from wiretape.drift.sending import (
    LiveSender,
    NotMeasured,
    SendOptions,
    environment_proxy,
    retry_after,
)

NOW = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("Sun, 29 Nov 2026 20:00:30 GMT", 30.0),
        ("Sun, 29 Nov 2026 19:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def sent(provider: FaithfulProvider, number: int, **options: Any) -> list[str]:
    """What became of so many requests at once."""
    request = exchange("Hi").request

    async def one(sender: LiveSender) -> str:
        try:
            answer = await sender.send(request, "together")
        except NotMeasured as error:
            return str(error)
        return str(answer.recorder.status)

    async def all_of_them() -> list[str]:
        routes = {"api.together.xyz": provider.url}
        async with LiveSender(SendOptions(routes=routes, **options)) as sender:
            return await asyncio.gather(*(one(sender) for _ in range(number)))

    return asyncio.run(all_of_them())


def test_the_rate_holds_back_what_comes_at_once() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with FaithfulProvider([exchange("Hi")]).running() as provider:
        assert sent(provider, 4, rate=0.01, sleep=sleep) == ["200"] * 4
    assert [round(seconds, -2) for seconds in waited] == [100, 200, 300]


def test_no_more_at_a_time_than_allowed() -> None:
    under_way, most = 0, 0

    class Counting(FaithfulProvider):
        async def _answer(self, request: web.Request) -> web.StreamResponse:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return await super()._answer(request)

    with Counting([exchange("Hi")]).running() as provider:
        assert sent(provider, 9, concurrency=3) == ["200"] * 9
    assert 1 < most <= 3


def test_a_refused_key_ends_all_that_wait() -> None:
    with FaithfulProvider([exchange("Hi")]).running() as provider:
        provider.scripted = [web.json_response({}, status=401)]
        outcomes = sent(provider, 5, concurrency=1)
    assert len(provider.requests) == 1
    assert all("refused the key (401)" in outcome for outcome in outcomes)


def test_what_is_sent_is_what_was_recorded_and_says_who_asks() -> None:
    with FaithfulProvider([exchange("Hi")]).running() as provider:
        assert sent(provider, 1) == ["200"]
    [(target, headers, body)] = provider.requests
    assert (target, body) == ("/v1/chat/completions", exchange("Hi").request.body)
    assert headers["user-agent"].startswith("wiretape/")
    assert headers["content-type"] == header(exchange("Hi").request.headers, "content-type")
    assert not issubclass(NotMeasured, WiretapeError)


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.corp:3128"}, "http://proxy.corp:3128"),
        ({"https_proxy": "proxy.corp:3128"}, "http://proxy.corp:3128"),
        ({"ALL_PROXY": "http://proxy.corp:1"}, "http://proxy.corp:1"),
        ({"HTTPS_PROXY": "http://proxy.corp:1", "NO_PROXY": "openai.com"}, None),
        ({"HTTP_PROXY": "http://proxy.corp:1"}, None),
        ({"HTTPS_PROXY": "http://127.0.0.1:8899"}, None),
        ({"HTTPS_PROXY": "http://name:x@localhost:8899"}, None),
    ],
)
def test_a_proxy_of_the_environment_is_gone_through_unless_it_may_be_wiretape(
    environ: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy("https", "api.openai.com") == proxy


def test_a_certificate_that_is_not_trusted_is_not_tried_again(upstream: Upstream) -> None:
    async def one() -> str:
        routes = {"api.together.xyz": upstream.url}
        async with LiveSender(SendOptions(routes=routes)) as sender:
            with pytest.raises(NotMeasured, match="certificate is not trusted") as error:
                await sender.send(exchange("Hi").request, "together")
            return str(error.value)

    assert asyncio.run(one()).startswith("api.together.xyz cannot be asked")
    assert upstream.requests == []
