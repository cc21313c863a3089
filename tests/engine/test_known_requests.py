"""Whom a request is for, and that what was sent before is known again, within bounds."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.support.parts import parts_in
from tests.support.stored import document, exchange, put

from wiretape.core.providers.base_url import Destination
from wiretape.engine import known_requests, local_servers
from wiretape.engine.http_request import Heads, Origin, WholeRequest
from wiretape.engine.known_requests import KnownRequests
from wiretape.sessions.own_port import ForControl, Refusal

BODY = exchange("Hi").request.body
TUNNEL = Origin("https", "api.together.xyz", 443, "one")
DOOR = "/api.together.xyz/v1/chat/completions"


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownRequests:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    put(tmp_path / "r", document("Hi"))
    parts = parts_in(tmp_path, "replay")
    assert parts.replayer is not None
    return KnownRequests(parts.replayer, parts.control, 100_000)


async def sent(
    target: str = DOOR, body: bytes = BODY, header: str = "accept: */*", heads: Heads | None = None
) -> WholeRequest:
    lines = [f"POST {target} HTTP/1.1", "host: 127.0.0.1", header, f"content-length: {len(body)}"]
    heads = heads or Heads(asyncio.get_running_loop())
    head = heads.read("\r\n".join([*lines, "", ""]).encode())
    assert head is not None
    peer = SimpleNamespace(get_extra_info=lambda name: ("127.0.0.1", 1))
    return WholeRequest(head, body, cast(Any, peer))


async def test_a_request_is_for_a_provider_control_or_nobody(requests: KnownRequests) -> None:
    together = Destination("https", "api.together.xyz", 443, "/v1/chat/completions")
    assert requests.purpose(await sent(), None) == together
    models = together._replace(target="/v1/models")
    assert requests.purpose(await sent("/v1/models"), TUNNEL) == models
    assert isinstance(requests.purpose(await sent("/wiretape"), None), ForControl)
    assert isinstance(requests.purpose(await sent("/nobody.example/v1"), None), Refusal)
    assert requests.known(await sent("/wiretape"), None) is None


async def test_the_same_bytes_are_prepared_once(requests: KnownRequests) -> None:
    heads = Heads(asyncio.get_running_loop())
    first = await sent(heads=heads)
    known = requests.known(first, None)
    assert known is not None
    assert requests.known(await sent(heads=heads), None) is known
    assert requests.known(first, TUNNEL) is not known, "it came from elsewhere"
    assert requests.in_session(known).keys == known.request.keys
    assert known.door == "http://127.0.0.1"


async def test_sessions_come_from_the_request_or_else_from_its_tunnel(
    requests: KnownRequests,
) -> None:
    for tunnel, header, name in (
        (TUNNEL, "accept: */*", "one"),
        (TUNNEL, "x-wiretape-session: two", "two"),
        (None, "x-wiretape-session: two", "two"),
        (None, "accept: */*", None),
    ):
        target = "/v1/chat/completions" if tunnel else DOOR
        known = requests.known(await sent(target, header=header), tunnel)
        assert known is not None
        assert known.session_name == name
        assert (known.door is None) is (tunnel is not None)


async def test_what_is_remembered_is_bounded(
    requests: KnownRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_requests, "_MOST_MEMO_BYTES", 2000)
    for number in range(20):
        assert requests.known(await sent(body=b'{"n":"%0400d"}' % number), None) is not None
    assert requests._memo_bytes <= 2000
    assert sum(len(key[2]) for key in cast(Any, requests._memo)) == requests._memo_bytes
    monkeypatch.setattr(known_requests, "_MOST_MEMOS", 2)
    for number in range(20):
        requests.known(await sent(body=b"%d" % number), None)
    assert len(requests._memo) == 2
    assert requests.known(await sent(body=b" " * 100_001), None) is None, "no recording has it"


async def test_a_request_that_asks_for_a_fault_is_not_known(requests: KnownRequests) -> None:
    assert requests.known(await sent(header="x-wiretape-fault: status=503"), None) is None


async def test_a_local_server_is_passed_on_to_where_that_is_allowed(
    requests: KnownRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_servers, "is_on_this_machine", lambda transport: True)
    http = await sent("http://127.0.0.1:9/tool")
    assert requests.local_server(http) is None
    requests.passes_local = True
    assert requests.local_server(http) == ("127.0.0.1", 9, "/tool")
    assert requests.local_server(await sent("https://127.0.0.1:9/tool")) is None
    assert requests.local_server(await sent("http://192.0.2.1/tool")) is None
    assert requests.local_server(await sent()) is None
