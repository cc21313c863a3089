"""The proxy of a run: replay's own front, or mitmproxy where something may go out."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Final, Protocol

from wiretape.config.load import Config
from wiretape.config.packs import built_in, dummy_keys
from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.core.playback.faults import Faults
from wiretape.core.providers.registry import Providers
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.library import Library
from wiretape.replay.replayer import Replayer, ReplayOptions, Tickets
from wiretape.report.report import Report
from wiretape.sessions.control import Control, LocalNames
from wiretape.sessions.sessions import Sessions, UnknownSession
from wiretape.state_dir import state_dir
from wiretape.tls.authority import Authority

from .client_environment import local_names_among
from .open_library import check_writable, index_mark, open_library, recover_killed
from .settings import Settings


class RunningProxy(Protocol):
    """A proxy that is up: replay's own front, or mitmproxy."""

    control: Control

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]: ...
    async def idle(self) -> None: ...
    async def stop(self) -> None: ...


class ReplayProxy:
    """Pure replay: mitmproxy is not imported and nothing can go out."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        from wiretape.replay.front import Front
        from wiretape.replay.handler import Handler

        config = settings.config
        # CMD sends dummies where its keys were recorded: they are secret in the same places.
        dummies = ((key.name, key.value) for key in dummy_keys(config.providers.key_names))
        values = (*config.redaction.values, *dummies)
        redactor = Redactor(replace(config.redaction, values=values))
        sessions = _sessions(settings, redactor, report)
        folder = sessions.own.library.folder
        if not folder.exists():
            report.notice(f"{folder}: no such folder, so every request will be a miss")
        replayer = Replayer(
            sessions,
            config.matcher,
            redactor,
            config.providers,
            report,
            ReplayOptions(faults=Faults(config.faults), miss_status=config.miss_status),
        )
        self.control = Control(sessions, report, local_names=local_names_of(config))
        self._host = config.host
        self._front = Front(
            Handler(replayer, settings.pace, control=self.control, max_body=config.record_max_body),
            authority,
            config.providers,
            report,
            config.other_hosts or "refuse",
        )
        # Where NO_PROXY lets a local server through, its neighbours come along.
        self._front.handler.passes_local = bool(local_names_among(own_hosts(config.providers)))

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        first = await self._front.listen(port, self._host)
        if base_url_port is None:
            return first, first
        return first, await self._front.listen(base_url_port, self._host)

    async def idle(self) -> None:
        await self._front.handler.idle()

    async def stop(self) -> None:
        await self._front.close()


_TRIES: Final = 3


class RecordProxy:
    """Through mitmproxy to the provider; in `auto` and `refresh` the recordings answer first."""

    def __init__(self, settings: Settings, report: Report, authority: Authority) -> None:
        # mitmproxy takes half a second to import: only who records pays for it.
        from wiretape.record.intake import Intake
        from wiretape.record.journal import Journal
        from wiretape_mitm.addon import Addon
        from wiretape_mitm.embedded import EmbeddedProxy

        config, redactor = settings.config, Redactor(settings.config.redaction)
        policy = settings.policy
        how = settings.writes
        recover_killed(config, settings.recordings, redactor, report, how)
        self._sessions = sessions = _sessions(settings, redactor, report)
        check_writable(sessions.own.library.folder)
        self._intake = Intake(
            redactor,
            config.providers,
            report,
            record_errors=config.record_errors,
            journal=Journal(
                state_dir(), settings.recordings, config.redaction.values, report.notice
            ),
        )
        self._replayer = None
        self._tickets = None
        if settings.mode != "record":
            self._tickets = Tickets()
            self._replayer = Replayer(
                sessions,
                config.matcher,
                redactor,
                config.providers,
                report,
                ReplayOptions(
                    policy=policy,
                    faults=Faults(config.faults),
                    miss_status=config.miss_status,
                ),
            )
        self._pace = settings.pace
        self.control = Control(
            sessions, report, self._intake.drain, local_names=local_names_of(config)
        )
        self._host = config.host
        self._addon = Addon(
            config.providers,
            report,
            sessions,
            self._intake,
            self._replayer,
            self._tickets,
            settings.routes,
            tunnel_others=config.other_hosts != "refuse",
            control=self.control,
            max_body=config.record_max_body,
            drain=config.record_drain,
        )
        roots = authority.upstream_bundle(settings.upstream_ca, settings.environ)

        def made() -> EmbeddedProxy:
            return EmbeddedProxy(
                self._addon,
                authority,
                roots,
                http2=config.http2,
                upstream_proxy=config.upstream_proxy,
                environ=settings.environ,
            )

        self._made = made
        self._proxy = made()
        self._engine: object = None

    async def start(self, port: int, base_url_port: int | None) -> tuple[int, int]:
        if self._replayer is not None:
            from wiretape.replay.handler import Engine

            self._engine = engine = Engine(self._replayer, self._pace, self._tickets)
            self._addon.engine = await engine.start()
        for _ in range(_TRIES):
            try:
                return await self._proxy.start(port, base_url_port or 0, self._host)
            except WiretapeError:
                if port and base_url_port:
                    raise
                # Another process may have taken a port that was free a moment ago.
                self._proxy = self._made()
        return await self._proxy.start(port, base_url_port or 0, self._host)

    async def idle(self) -> None:
        await self._addon.idle()

    async def stop(self) -> None:
        self._addon.abandon()
        await self._proxy.stop()
        if self._engine is not None:
            await self._engine.stop()  # type: ignore[attr-defined]  # an Engine, imported late
        await self._intake.finish()
        self._sessions.leave()


def local_names_of(config: Config) -> LocalNames:
    """What this machine may be called in a request."""
    return LocalNames(config.names, not ip_address(config.host).is_loopback)


def own_hosts(providers: Providers) -> tuple[str, ...]:
    """The hosts that the user named in the configuration or by --host, or has recordings of."""
    known = set(built_in().hosts)
    named = (host for host in providers.hosts if host not in known)
    return (*named, *providers.nameless_hosts)


def _sessions(settings: Settings, redactor: Redactor, report: Report) -> Sessions:
    config, folder, recording = settings.config, settings.recordings, settings.mode != "replay"
    how = settings.writes

    mark = index_mark(config)

    def opened(name: str | None) -> Library:
        return open_library(
            config, folder, name, redactor, report, recording=recording, how=how, mark=mark
        )

    try:
        return Sessions(opened, config.repeat, settings.session)
    except UnknownSession as error:
        raise ConfigError(f"session {settings.session!r}: {error}") from None
