"""The proxy of a run: replay's own front, or mitmproxy where something may go out."""

from typing import TYPE_CHECKING, Final, Protocol

from wiretape.config.packs import built_in
from wiretape.core.errors import WiretapeError
from wiretape.core.providers.registry import Providers
from wiretape.engine.late_roots import import_aiohttp
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.tls.authority import Authority

from .client_environment import local_names_among
from .compose import Parts, compose
from .late_front import LateFront
from .settings import Settings

if TYPE_CHECKING:
    from wiretape.engine.front import Front
    from wiretape.engine.handler import Engine
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
        self._front = LateFront(lambda: _front(parts, report, authority))
        report.open_streams = lambda: self._front.under_way

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        if self._parts.shared is not None:
            await self._parts.shared.catch_up()
        listen, is_shared = self._front.listen, self._shares_port
        first = listen(port, self._host, is_shared=is_shared)
        if base_url_port is None:
            return first, first
        return first, listen(base_url_port, self._host, is_shared=is_shared)

    def host_keys(self) -> set[str]:
        """The hosts that the run has recordings of."""
        return self._parts.sessions.own.library.host_keys()

    def drain(self) -> None:
        self.control.is_draining = True

    async def idle(self) -> None:
        await self._front.idle()

    async def stop(self) -> None:
        await self._front.close()
        await self._parts.finish()


def _front(parts: Parts, report: Report, authority: Authority) -> "Front":
    """What answers in pure replay."""
    import_aiohttp()
    from wiretape.engine.front import Front
    from wiretape.engine.handler import Handler

    config, replayer = parts.settings.config, parts.replayer
    assert replayer is not None
    max_body, control = config.record_max_body, parts.control
    handler = Handler(replayer, parts.settings.pace, control=control, max_body=max_body)
    # Where NO_PROXY lets a local server through, its neighbours come along.
    handler.passes_local = bool(local_names_among(own_hosts(config.providers)))
    return Front(handler, authority, config.providers, report, config.other_hosts or "refuse")


_TRIES: Final = 3


class RecordProxy:
    """Through mitmproxy to the provider; in `auto` and `refresh` the recordings answer first."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        self._settings = settings
        self._authority = authority
        self._parts = compose(settings, report)
        self.control = self._parts.control
        self.token = self.control.token
        self._hooks = hooks_of(self._parts)
        report.open_streams = self._open_streams
        self._proxy = self._new_proxy()
        self._engine: Engine | None = None

    def _new_proxy(self) -> "EmbeddedProxy":
        # mitmproxy takes half a second to import: only who records pays for it.
        from wiretape_mitm.embedded import EmbeddedProxy

        settings = self._settings
        return EmbeddedProxy(
            self._hooks,
            self._authority,
            self._authority.upstream_bundle(settings.upstream_ca, settings.environ),
            http2=settings.config.http2,
            upstream_proxy=settings.config.upstream_proxy,
            environ=settings.environ,
        )

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        self._engine = await start_engine(self._parts, self._hooks)
        host = self._settings.config.host
        for _ in range(_TRIES):
            try:
                return await self._proxy.start(port, base_url_port or 0, host)
            except WiretapeError:
                if port and base_url_port:
                    raise
                # Another process may have taken a port that was free a moment ago.
                self._proxy = self._new_proxy()
        return await self._proxy.start(port, base_url_port or 0, host)

    def drain(self) -> None:
        self.control.is_draining = True

    def _open_streams(self) -> int:
        replayed = self._engine.under_way if self._engine is not None else 0
        return self._hooks.under_way + replayed

    async def idle(self) -> None:
        await self._hooks.idle()

    async def stop(self) -> None:
        self._hooks.abandon()
        await self._proxy.stop()
        if self._engine is not None:
            await self._engine.stop()
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
    from wiretape.engine.handler import Engine

    engine = Engine(parts.replayer, parts.settings.pace, hooks.tickets)
    hooks.exits.engine = await engine.start()
    return engine
