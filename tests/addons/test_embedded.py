"""mitmproxy as a library: its ports, its way out, and how it ends.

tests/addons/patches/test_transport.py drives it with real connections.
"""

import asyncio
import gc
import socket
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook
from mitmproxy.test import tflow, tutils
from tests.support.embedded import OK, answering, get, providing, proxying
from tests.support.hooks import hooks_with

from wiretape.core.errors import WiretapeError
from wiretape.ports import number_of, open_port
from wiretape_mitm.embedded import WayOut, _Addons
from wiretape_mitm.patches import transport
from wiretape_mitm.upstream_proxy import Outer, given


async def test_a_request_goes_through_and_the_ports_are_free_afterwards(tmp_path: Path) -> None:
    async with providing(answering(OK)) as port:
        async with proxying(tmp_path) as proxy:
            client = await proxy.client()
            await client.send(get(port))
            assert (await client.head()).startswith(b"HTTP/1.1 200")
            assert await client.exactly(2) == b"ok"
        for closed in (proxy.port, proxy.base_url_port):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", closed)).close()


async def test_the_collector_leaves_out_what_was_imported_while_streams_pass(
    tmp_path: Path,
) -> None:
    async with proxying(tmp_path):
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0


async def test_a_port_that_is_taken_is_named_and_nothing_is_left_up(tmp_path: Path) -> None:
    from wiretape.tls.authority import Authority
    from wiretape_mitm.embedded import EmbeddedProxy

    authority = Authority.load_or_create(tmp_path)
    proxy = EmbeddedProxy(hooks_with(object()), authority, authority.cert_path, environ={})
    with open_port(0, "127.0.0.1") as free:
        other = number_of(free)
    with open_port(0, "127.0.0.1") as taken:
        port = number_of(taken)
        with pytest.raises(WiretapeError, match=f"port {port} on 127.0.0.1 cannot be used"):
            await proxy.start(other, port)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", other)).close()


PROXY = "http://user:pass@proxy.corp:3128"


def way_out() -> WayOut:
    ways: Outer = given(PROXY)
    hooks = hooks_with(object())
    hooks.exits.engine = 4242
    return WayOut(ways, hooks)


def chosen(way: WayOut, scheme: bytes, host: str, port: int) -> tuple[Any, Any]:
    """How a request goes out: the tunnel's proxy, and the proxy that is asked itself."""
    flow = tflow.tflow(req=tutils.treq(scheme=scheme, host=host, port=port))
    way.request(flow)
    asked = flow.metadata[transport.ASKED]
    return flow.server_conn.via, asked and asked.address


def test_tls_goes_through_a_tunnel_and_plain_http_is_asked_of_the_proxy() -> None:
    via, asked = chosen(way_out(), b"https", "api.openai.com", 443)
    assert (via, asked) == (("http", ("proxy.corp", 3128)), None)
    via, asked = chosen(way_out(), b"http", "api.openai.com", 80)
    assert (via, asked) == (None, ("proxy.corp", 3128))


def test_the_engine_and_our_own_ports_are_reached_without_it() -> None:
    assert chosen(way_out(), b"http", "127.0.0.1", 4242) == (None, None)
    way = way_out()
    way.own = {("proxy.corp", 3128)}
    assert chosen(way, b"https", "api.openai.com", 443) == (None, None)


def test_only_the_outer_proxy_gets_its_credentials() -> None:
    for address, has_them in ((("proxy.corp", 3128), True), (("other.proxy", 3128), False)):
        flow = tflow.tflow()
        flow.server_conn.address = address
        way_out().http_connect_upstream(flow)
        assert ("Proxy-Authorization" in flow.request.headers) is has_them


def test_a_tunnel_that_was_refused_needs_no_way_out() -> None:
    flow = tflow.tflow()
    flow.response = http.Response.make(403)
    way_out().http_connect(flow)
    assert transport.VIA not in flow.metadata


async def test_a_hook_that_fails_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    class Failing:
        def requestheaders(self, flow: http.HTTPFlow) -> None:
            called.append("failing")
            raise KeyError("x")

    class Waiting:
        async def requestheaders(self, flow: http.HTTPFlow) -> None:
            await asyncio.sleep(0)
            called.append("waiting")

    from mitmproxy import master, options

    manager = _Addons(master.Master(options.Options()))
    manager.add(Failing(), Waiting())
    await manager.handle_lifecycle(HttpRequestHeadersHook(tflow.tflow()))
    assert called == ["failing", "waiting"]
    assert "a hook failed on requestheaders" in caplog.text
