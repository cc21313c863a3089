"""mitmproxy as a library: a Master of our own with few addons, started and stopped exactly.

`mitmdump` would bring some thirty addons, each of which sees every event, and its own way of
logging, exiting and trusting. One Master a process: mitmproxy's `ctx` is global.
"""

import asyncio
import inspect
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mitmproxy import addonmanager, exceptions, hooks, master, options
from mitmproxy.addonmanager import traverse
from mitmproxy.addons import disable_h2c, next_layer, proxyserver, tlsconfig

from .authority import Authority
from .errors import WiretapeError
from .mitm import BASE_URL_HOST, Addon

log = logging.getLogger(__name__)

# mitmproxy's reading of a reverse proxy wants one fixed place; ours is set by each request.
_NOWHERE: Final = f"reverse:http://{BASE_URL_HOST}"
_SWITCH_SECONDS: Final = 0.0001
_NO_TIMEOUT: Final = 86_400
"""Seconds. A reasoning model may be silent for minutes; mitmproxy's own limit is 600 s."""


class _Addons(addonmanager.AddonManager):
    """Dispatch without looking every event up in every addon: a tenth to a fifth of the CPU.

    mitmproxy's own also sends each flow event on as `update`, for which no addon of ours asks.
    """

    _hooks: dict[str, list[Callable[..., object]]]

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        if not hasattr(self, "_hooks"):
            self._hooks = {}
        found = self._hooks.get(event.name)
        if found is None:
            members = (getattr(addon, event.name, None) for addon in traverse(self.chain))
            found = self._hooks[event.name] = [hook for hook in members if callable(hook)]
        for hook in found:
            try:
                result = hook(*event.args())
                if result is not None and inspect.isawaitable(result):
                    await result
            except exceptions.AddonHalt:
                return
            except Exception:
                # As mitmproxy's own dispatcher does: a fault in one hook ends no connection.
                log.exception("a hook failed on %s", event.name)


class _Ready:
    def __init__(self) -> None:
        self.event: Final = asyncio.Event()

    def running(self) -> None:
        self.event.set()


class EmbeddedProxy:
    """The proxy of `record` and `auto`: a port for HTTPS_PROXY and one for base URLs."""

    def __init__(self, addon: Addon, authority: Authority, upstream_bundle: Path) -> None:
        self._addon = addon
        self._authority = authority
        self._bundle = upstream_bundle
        self._server = proxyserver.Proxyserver()
        self._master: master.Master | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(
        self, port: int, base_url_port: int, host: str = "127.0.0.1"
    ) -> tuple[int, int]:
        """Listen and give the two ports; WiretapeError, and nothing left up, if one is taken."""
        port, base_url_port = port or free_port(host), base_url_port or free_port(host)
        ready = _Ready()
        opts = options.Options()
        self._master = master.Master(opts)
        self._master.addons = _Addons(self._master)
        self._master.addons.add(
            self._server,
            next_layer.NextLayer(),
            tlsconfig.TlsConfig(),
            disable_h2c.DisableH2C(),
            self._addon,
            ready,
        )
        modes = [f"regular@{host}:{port}", f"{_NOWHERE}@{host}:{base_url_port}"]
        opts.update(
            mode=modes,
            confdir=str(self._authority.directory),
            # Nothing is dialled before a request has been looked at.
            connection_strategy="lazy",
            http2=False,
            tcp_timeout=_NO_TIMEOUT,
            ssl_verify_upstream_trusted_ca=str(self._bundle),
            showhost=True,
        )
        # The intake's thread works while answers stream: they must not wait 5 ms for their turn.
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._task = asyncio.create_task(self._master.run())
        await ready.event.wait()
        faults = [
            f"port {mode.listen_port()} on {host} cannot be used ({instance.last_exception}):"
            " choose another, or 0 for any free one"
            for mode, instance in self._server.servers._instances.items()
            if instance.last_exception is not None
        ]
        if faults:
            await self.stop()
            raise WiretapeError("\n".join(faults))
        return port, base_url_port

    async def stop(self) -> None:
        """Close the listeners, then the connections: mitmproxy by itself would leave both open."""
        if self._master is None or self._task is None:
            return
        await self._server.servers.update([])
        for handler in list(self._server.connections.values()):
            for transport in list(handler.transports.values()):
                if transport.handler is not None:
                    transport.handler.cancel("wiretape stops")
        self._master.shutdown()
        await self._task
        sys.setswitchinterval(self._switch_interval)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on just now; mitmproxy refuses two servers on port 0 of one host."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
