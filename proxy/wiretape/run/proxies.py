"""The proxy of a run: replay's own front, or mitmproxy where something may go out."""

import gc
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wiretape.config.packs import built_in
from wiretape.core.providers.registry import Providers
from wiretape.engine.late_roots import import_aiohttp
from wiretape.ports import number_of, open_ports
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.tls.authority import Authority

from .client_environment import local_names_among
from .compose import Parts, compose
from .late_front import LateFront
from .settings import Settings

if TYPE_CHECKING:
    from wiretape.engine.engine import Engine
    from wiretape.engine.front import Front
    from wiretape_mitm.embedded import EmbeddedProxy
    from wiretape_mitm.hooks import Hooks


class RunningProxy(Protocol):
    """A proxy that is up: replay's own front, or mitmproxy."""

    @property
    def control(self) -> Control | None: ...
    @property
    def token(self) -> str: ...
    def drain(self) -> None: ...
    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]: ...
    async def idle(self) -> None: ...
    async def stop(self) -> None: ...


class ReplayProxy:
    """Pure replay: mitmproxy is not imported and nothing can go out."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        config, parts = settings.config, compose(settings, report, settings.token)
        self._parts = parts
        self._shares_port = settings.crew is not None
        folder = parts.sessions.own.library.folder
        if not folder.exists():
            report.notice(f"{folder}: no such folder, so every request will be a miss")
        self.control = parts.control
        self.token = parts.control.token
        self._host = config.host
        self._late = LateFront(partial(_replay_front, parts, authority))
        report.open_streams = self._open_streams

    def _open_streams(self) -> int:
        return self._late.server.handler.under_way if self._late.server else 0

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        if self._parts.shared is not None:
            await self._parts.shared.catch_up()
        numbers = [port] if base_url_port is None else [port, base_url_port]
        return _listen(self._late, numbers, self._host, is_shared=self._shares_port)

    def host_keys(self) -> set[str]:
        """The hosts that the run has recordings of."""
        return self._parts.sessions.own.library.host_keys()

    def drain(self) -> None:
        self.control.is_draining = True

    async def idle(self) -> None:
        if front := await self._late.settled():
            await front.handler.idle()

    async def stop(self) -> None:
        if front := await self._late.end():
            await front.close()
            gc.unfreeze()
        await self._parts.finish()


def _listen(
    late: LateFront[Any], numbers: Sequence[int], host: str, *, is_shared: bool = False
) -> tuple[int, int]:
    """Open the ports of these numbers, and give the first and the last."""
    ports = open_ports(numbers, host, is_shared=is_shared)
    late.listen(ports)
    return number_of(ports[0]), number_of(ports[-1])


async def _replay_front(
    parts: Parts, authority: Authority, ports: Sequence[socket.socket]
) -> "Front":
    """Serve pure replay on open ports."""
    import_aiohttp()
    from wiretape.engine.front import Front
    from wiretape.engine.handler import Handler

    config, replayer = parts.settings.config, parts.replayer
    assert replayer is not None
    max_body, control = config.record_max_body, parts.control
    handler = Handler(replayer, parts.settings.pace, control=control, max_body=max_body)
    # Where NO_PROXY lets a local server through, its neighbours come along.
    handler.requests.passes_local = bool(local_names_among(own_hosts(config.providers)))
    others = config.other_hosts or "refuse"
    front = Front(handler, authority, config.providers, parts.report, others)
    for port in ports:
        await front.serve(port)
    # What was imported stays. Looking through it, too, takes the collector twice as long each time,
    # in which every stream stands still.
    gc.freeze()
    return front


class _RecordFront(NamedTuple):
    """What serves where something may go out."""

    hooks: "Hooks"
    proxy: "EmbeddedProxy"
    engine: "Engine | None"


class RecordProxy:
    """Through mitmproxy to the provider; in `auto` and `refresh` the recordings answer first."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        from wiretape_mitm.upstream_proxy import ways_out

        config = settings.config
        self._settings = settings
        self._authority = authority
        ways_out(config.upstream_proxy, settings.environ)  # before CMD runs, it is right
        self._bundle = authority.upstream_bundle(settings.upstream_ca, settings.environ)
        self._parts = compose(settings, report)
        self.control = self._parts.control
        self.token = self.control.token
        self._late = LateFront(self._serve)
        report.open_streams = self._open_streams

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        return _listen(self._late, (port, base_url_port or 0), self._settings.config.host)

    async def _serve(self, ports: Sequence[socket.socket]) -> _RecordFront:
        # mitmproxy takes half a second to import: only who records pays for it.
        from wiretape_mitm.few_addons import leave_out_addons

        leave_out_addons()
        from wiretape_mitm.embedded import EmbeddedProxy

        config, hooks = self._settings.config, hooks_of(self._parts)
        proxy = EmbeddedProxy(
            hooks,
            self._authority,
            self._bundle,
            http2=config.http2,
            upstream_proxy=config.upstream_proxy,
            environ=self._settings.environ,
        )
        front = _RecordFront(hooks, proxy, await start_engine(self._parts, hooks))
        await proxy.serve(ports, config.host)
        return front

    def drain(self) -> None:
        self.control.is_draining = True

    def _open_streams(self) -> int:
        front = self._late.server
        if front is None:
            return 0
        return front.hooks.under_way + (front.engine.under_way if front.engine else 0)

    async def idle(self) -> None:
        if front := await self._late.settled():
            await front.hooks.idle()

    async def stop(self) -> None:
        if front := await self._late.end():
            front.hooks.abandon()
            await front.proxy.stop()
            if front.engine is not None:
                await front.engine.stop()
        await self._parts.finish()


def own_hosts(providers: Providers) -> tuple[str, ...]:
    """The hosts that the user named in the configuration or by --host, or has recordings of."""
    known = set(built_in().hosts)
    named = (host for host in providers.hosts if host not in known)
    return (*named, *providers.nameless_hosts)


def hooks_of(parts: Parts) -> "Hooks":
    """The hooks that carry a run inside mitmproxy."""
    from wiretape_mitm.hooks import HookRules, Hooks

    settings, config = parts.settings, parts.settings.config
    tunnels = config.other_hosts != "refuse" if parts.intake else config.other_hosts == "tunnel"
    rules = HookRules(
        routes=settings.routes,
        tunnel_others=tunnels,
        max_body=config.record_max_body,
        drain=config.record_drain,
        budget=parts.report.budget,
        miss_status=config.miss_status,
    )
    return Hooks(parts.sessions, parts.report, parts.control, parts.intake, parts.replayer, rules)


async def start_engine(parts: Parts, hooks: "Hooks") -> "Engine | None":
    """Start the replay engine that the hooks hand answers to; None where nothing is replayed."""
    if parts.replayer is None:
        return None
    import_aiohttp()
    from wiretape.engine.engine import Engine

    engine = Engine(parts.replayer, parts.settings.pace, hooks.tickets)
    hooks.exits.engine = await engine.start()
    return engine
