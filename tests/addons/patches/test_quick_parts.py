"""The quick parts do what mitmproxy's own do, without what those do besides."""

import copy
from pathlib import Path

import pytest
from mitmproxy import connection, http
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.test import taddons, tflow
from mitmproxy.utils import typecheck
from tests.support.embedded import OK, answering, asking, providing, proxying, tls_for

from wiretape_mitm import patches
from wiretape_mitm.patches import quick_parts


@pytest.fixture(autouse=True)
def patched() -> None:
    patches.install()


def message(**parts: object) -> http.Response:
    plain = {"http_version": b"HTTP/1.1", "status_code": 200, "reason": b"OK"}
    rest = {"content": b"", "trailers": None, "timestamp_start": 1.0, "timestamp_end": None}
    return http.Response(**{**plain, "headers": http.Headers(), **rest, **parts})  # type: ignore[arg-type]


def test_plain_parts_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr(typecheck, "check_option_type", lambda name, *_: looks.append(name))
    message()
    assert looks == []
    message(timestamp_start=1)
    assert "timestamp_start" in looks, "a whole number is one by mitmproxy's rules"


@pytest.mark.parametrize("parts", [{"status_code": "200"}, {"timestamp_start": "1"}])
def test_a_part_of_another_type_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        message(**parts)
    assert message(timestamp_start=1).timestamp_start == 1


def context_of_flow() -> context.Context:
    with taddons.context(proxyserver.Proxyserver()) as running:
        return context.Context(tflow.tclient_conn(), running.options)


def test_a_fork_makes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    before = context_of_flow()
    before.layers.append(layer.NextLayer(before))
    monkeypatch.setattr(connection, "Server", None)
    forked = before.fork()
    assert vars(forked) == vars(before)
    assert forked.layers is not before.layers


def test_a_layer_of_http_has_no_command_to_wait_for() -> None:
    """What it hands on waits for its stream: mitmproxy has marked it as the stream's."""
    inner = context_of_flow()
    http_layer = http_layers.HttpLayer(inner, http_layers.HTTPMode.regular)
    assert list(http_layer.handle_event(events.Start())) == []
    request = events.DataReceived(inner.client, b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n")
    given = [*http_layer.handle_event(request)]
    assert [type(command).__name__ for command in given] == ["HttpRequestHeadersHook"]
    assert given[0].blocking is next(iter(http_layer.streams.values()))
    assert isinstance(given[0], commands.StartHook)
    assert vars(http_layers.HttpLayer)["handle_event"] is quick_parts.handle_event
    assert http_layer._paused is None
    (more,) = http_layer.handle_event(events.HookCompleted(given[0]))
    assert type(more).__name__ == "HttpRequestHook"


async def test_what_is_open_is_not_gone_around(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around: list[str] = []
    generic = layer.Layer.handle_event

    def noted(handler: layer.Layer, event: events.Event) -> layer.CommandGenerator[None]:
        around.append(type(handler).__name__)
        return generic(handler, event)

    context, roots = tls_for("localhost", tmp_path)
    async with (
        proxying(state, roots) as proxy,
        providing(answering(OK, OK), ssl=context) as port,
    ):
        client = await asking(proxy, port, secure=True)
        assert await client.exactly(len(OK)) == OK
        await proxy.watch.end()
        monkeypatch.setattr(layer.Layer, "handle_event", noted)
        await client.send(b"GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await client.exactly(len(OK)) == OK
        await proxy.watch.end()
        monkeypatch.undo()
    assert set(around) == {"PatchedHttpStream"}


def test_an_option_that_nobody_can_change_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    options = context_of_flow().options
    plain = {name: getattr(options, name) for name in ("http2", "tcp_timeout", "body_size_limit")}
    copied: list[object] = []

    def noted(value: object) -> object:
        copied.append(value)
        return [] if value == [] else value

    monkeypatch.setattr(copy, "deepcopy", noted)
    assert {name: getattr(options, name) for name in plain} == plain
    assert copied == []
    assert options.ignore_hosts is not options.ignore_hosts, "a list is copied"
    assert copied
