"""mitmproxy as a library: a Master of our own with few addons, started and stopped exactly.

`mitmdump` would bring some thirty addons, each of which sees every event, and its own way of
logging, exiting and trusting. One Master a process: mitmproxy's `ctx` is global.
"""

import asyncio
import dataclasses
import gc
import inspect
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mitmproxy import addonmanager, connection, exceptions, hooks, http, master, options, tls
from mitmproxy.addonmanager import traverse
from mitmproxy.addons import disable_h2c, next_layer, proxyserver, tlsconfig
from mitmproxy.net.server_spec import ServerSpec

from wiretape import descriptors
from wiretape.core.errors import WiretapeError
from wiretape.ports import number_of, open_ports
from wiretape.report.report import Report
from wiretape.tls.authority import Authority

from . import patches
from . import upstream_proxy as outer
from .connections import BASE_URL_HOST
from .guard import Guarded
from .hooks import Hooks
from .patches import transport
from .upload import Upload

log = logging.getLogger(__name__)

# mitmproxy's reading of a reverse proxy wants one fixed place; ours is set by each request.
_NOWHERE: Final = f"reverse:http://{BASE_URL_HOST}"
_SWITCH_SECONDS: Final = 0.0001
_FLUSH_SECONDS: Final = 0.5
_NO_TIMEOUT: Final = 86_400
"""Seconds. A reasoning model may be silent for minutes; mitmproxy's own limit is 600 s."""


type _Hook = Callable[..., object]


class _Addons(addonmanager.AddonManager):
    """Dispatch without looking every event up in every addon, nor a task where no hook waits: a
    fifth to a third of the CPU.

    mitmproxy's own also sends each flow event on as `update`, for which no addon of ours asks.
    """

    _hooks: dict[str, tuple[list[_Hook], list[str]]]

    def begin(self, event: hooks.Hook) -> Coroutine[Any, Any, None] | None:
        """Call the hooks of an event; gives the rest, to be awaited, where one has to wait."""
        if not hasattr(self, "_hooks"):
            self._hooks = {}
        if event.name not in self._hooks:
            members = (getattr(addon, event.name, None) for addon in traverse(self.chain))
            callables = [hook for hook in members if callable(hook)]
            names = [field.name for field in dataclasses.fields(event)]  # type: ignore[arg-type]  # mitmproxy's are data classes
            self._hooks[event.name] = callables, names
        callables, names = self._hooks[event.name]
        return _call(event.name, callables, [getattr(event, name) for name in names])

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        rest = self.begin(event)
        if rest is not None:
            await rest


def _call(
    name: str, callables: Sequence[_Hook], args: Sequence[object]
) -> Coroutine[Any, Any, None] | None:
    for number, hook in enumerate(callables, 1):
        try:
            result = hook(*args)
        except exceptions.AddonHalt:
            return None
        except Exception:
            _report_fault(name)
        else:
            if result is not None and inspect.isawaitable(result):
                return _finish(name, result, callables[number:], args)
    return None


async def _finish(
    name: str, waiting: Awaitable[object], callables: Sequence[_Hook], args: Sequence[object]
) -> None:
    try:
        await waiting
    except exceptions.AddonHalt:
        return
    except Exception:
        _report_fault(name)
    rest = _call(name, callables, args)
    if rest is not None:
        await rest


def _report_fault(name: str) -> None:
    # As mitmproxy's own dispatcher does: a fault in one hook ends no connection. Ours are guarded
    # besides (`guard.py`).
    log.exception("a hook failed on %s", name)


class _Master(master.Master):
    report: Report | None = None
    open_ports: Mapping[int, socket.socket] = {}
    """What `patches.listening` takes."""

    def _asyncio_exception_handler(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        """Report a client that has to wait because no descriptor is left to accept it."""
        if self.report is not None and descriptors.is_exhaustion(context.get("exception")):
            self.report.not_served(descriptors.advice())
        else:
            super()._asyncio_exception_handler(loop, context)


class _Ready:
    def __init__(self) -> None:
        self.event: Final = asyncio.Event()

    def running(self) -> None:
        self.event.set()


class _PreferHttp2:
    """Picks HTTP/2 where a client offers it, as a provider would: mitmproxy takes what is first."""

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        offers = b"h2" in data.client_hello.alpn_protocols
        if offers and data.context.options.http2 and not data.ignore_connection:
            data.context.client.alpn = b"h2"


class WayOut:
    """Sends what an outer proxy stands before through it; last in the chain, after the routes."""

    def __init__(self, ways: outer.Outer, hooks: Hooks) -> None:
        self._ways = ways
        self._exits = hooks.exits
        self.own: set[tuple[str, int]] = set()
        """Where we listen ourselves: an environment that was made for our clients names it."""

    def http_connect(self, flow: http.HTTPFlow) -> None:
        if flow.response is None:
            proxy = self._proxy("https", flow.request.data.host, flow.request.data.port)
            flow.metadata[transport.VIA] = _via(proxy)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self.choose(flow)
        upload: Upload | None = flow.metadata.get(transport.UPLOAD)
        if upload is not None:
            upload.leave = self.choose

    def request(self, flow: http.HTTPFlow) -> None:
        self.choose(flow)

    def choose(self, flow: http.HTTPFlow) -> None:
        """Say which way a request goes, by where it is to go now."""
        request = flow.request
        proxy = self._proxy(request.scheme, request.data.host, request.data.port)
        # A tunnel is for TLS; a proxy is itself asked for plain HTTP: many tunnel to 443 alone.
        plain = request.scheme == "http"
        flow.metadata[transport.ASKED] = proxy if plain else None
        via = _via(None if plain else proxy)
        if flow.server_conn.via != via:
            address = request.data.host, request.data.port
            flow.server_conn = connection.Server(address=address, via=via)

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """A CONNECT of ours to an outer proxy; the flow is its own, which nobody records."""
        for proxy in (self._ways.https, self._ways.http):
            if proxy and proxy.authorization and proxy.address == flow.server_conn.address:
                flow.request.headers["Proxy-Authorization"] = proxy.authorization

    def _proxy(self, scheme: str, host: str, port: int) -> outer.OuterProxy | None:
        if self._exits.is_engine((host, port)):
            return None
        proxy = self._ways.proxy(scheme, host, port)
        return None if proxy is None or proxy.address in self.own else proxy


def _via(proxy: outer.OuterProxy | None) -> ServerSpec | None:
    return (proxy.scheme, proxy.address) if proxy else None


class EmbeddedProxy:
    """The proxy of `record` and `auto`: a port for HTTPS_PROXY and one for base URLs.

    `http2` offers HTTP/2 to clients, and to providers where the client offered it. `upstream_proxy`
    is an outer proxy's URL; without one the environment's is taken. The environment's NO_PROXY
    holds for both. ConfigError for one that cannot be used.
    """

    def __init__(
        self,
        hooks: Hooks,
        authority: Authority,
        upstream_bundle: Path,
        *,
        http2: bool = False,
        upstream_proxy: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._hooks = hooks
        self._authority = authority
        self._bundle = upstream_bundle
        self._http2 = http2
        self.way_out = WayOut(outer.ways_out(upstream_proxy, environ), hooks)
        self._server = proxyserver.Proxyserver()
        self._master: _Master | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(
        self, port: int, base_url_port: int, host: str = "127.0.0.1"
    ) -> tuple[int, int]:
        """Listen and give the two ports; WiretapeError, and nothing left up, if one is taken."""
        ports = open_ports((port, base_url_port), host)
        await self.serve(ports, host)
        return number_of(ports[0]), number_of(ports[1])

    async def serve(self, ports: Sequence[socket.socket], host: str = "127.0.0.1") -> None:
        """Serve two open ports, that for HTTPS_PROXY and that for base URLs."""
        numbers = {number_of(port): port for port in ports}
        self.way_out.own = {(name, at) for name in (host, "localhost") for at in numbers}
        ready = _Ready()
        patches.install()
        self._master = self._new_master(ready)
        self._master.open_ports = numbers
        self._master.options.update(**self._options(list(numbers), host))
        # The intake's thread works while answers stream: they must not wait 5 ms for their turn.
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._task = asyncio.create_task(self._master.run())
        await ready.event.wait()
        # What was imported stays. Looking through it takes the collector 60 ms each time, in which
        # every stream stands still.
        gc.freeze()
        faults = self._faults(host)
        if faults:
            await self.stop()
            raise WiretapeError("\n".join(faults))

    def _new_master(self, ready: _Ready) -> _Master:
        new_master = _Master(options.Options())
        new_master.report = self._hooks.report
        new_master.addons = _Addons(new_master)
        new_master.addons.add(
            self._server,
            next_layer.NextLayer(),
            tlsconfig.TlsConfig(),
            disable_h2c.DisableH2C(),
            *self._hooks.chain,
            Guarded(self.way_out, self._hooks.report),
            _PreferHttp2(),
            ready,
        )
        return new_master

    def _options(self, numbers: list[int], host: str) -> dict[str, Any]:
        port, base_url_port = numbers
        return {
            "mode": [f"regular@{host}:{port}", f"{_NOWHERE}@{host}:{base_url_port}"],
            "confdir": str(self._authority.directory),
            # Nothing is dialled before a request has been looked at.
            "connection_strategy": "lazy",
            "http2": self._http2,
            "tcp_timeout": _NO_TIMEOUT,
            "ssl_verify_upstream_trusted_ca": str(self._bundle),
            "showhost": True,
            # The Host a client sent tells whether it meant this machine.
            "keep_host_header": True,
        }

    def _faults(self, host: str) -> list[str]:
        return [
            f"port {mode.listen_port()} on {host} cannot be used ({instance.last_exception})"
            for mode, instance in self._server.servers._instances.items()
            if instance.last_exception is not None
        ]

    async def stop(self) -> None:
        """Close the listeners, then the connections: mitmproxy by itself would leave both open."""
        if self._master is None or self._task is None:
            return
        await self._server.servers.update([])
        ends = [io for each in self._server.connections.values() for io in each.transports.values()]
        tasks = [io.handler for io in ends if io.handler is not None]
        for task in tasks:
            task.cancel("wiretape stops")
        if tasks:
            await asyncio.wait(tasks, timeout=_FLUSH_SECONDS)
        writers = [io.writer for io in ends if isinstance(io.writer, asyncio.StreamWriter)]
        closing = [asyncio.create_task(_closed(writer)) for writer in writers]
        if closing:
            # What a client has been sent it is given a moment to take.
            await asyncio.wait(closing, timeout=_FLUSH_SECONDS)
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*closing)
        self._master.shutdown()
        await self._task
        gc.unfreeze()
        sys.setswitchinterval(self._switch_interval)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
