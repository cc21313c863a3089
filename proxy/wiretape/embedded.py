"""mitmproxy as a library: a Master of our own with few addons, started and stopped exactly.

`mitmdump` would bring some thirty addons, each of which sees every event, and its own way of
logging, exiting and trusting. One Master a process: mitmproxy's `ctx` is global.
"""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Final

from mitmproxy import master, options
from mitmproxy.addons import disable_h2c, next_layer, proxyserver, tlsconfig

from .authority import Authority
from .errors import WiretapeError
from .mitm import BASE_URL_HOST, Addon

log = logging.getLogger(__name__)

# mitmproxy's reading of a reverse proxy wants one fixed place; ours is set by each request.
_NOWHERE: Final = f"reverse:http://{BASE_URL_HOST}"
_NO_TIMEOUT: Final = 86_400
"""Seconds. A reasoning model may be silent for minutes; mitmproxy's own limit is 600 s."""


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


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on just now; mitmproxy refuses two servers on port 0 of one host."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
