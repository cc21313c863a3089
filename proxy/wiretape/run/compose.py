"""The parts of a run, put together once for every proxy that may carry it."""

import asyncio
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wiretape.config.load import Config
from wiretape.config.packs import dummy_keys
from wiretape.core.errors import ConfigError
from wiretape.core.playback.faults import Faults
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.replayer import Replayer, ReplayOptions
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.control import Control, LocalNames
from wiretape.sessions.sessions import Sessions, UnknownSession
from wiretape.sessions.shared import SharedSessions
from wiretape.state_dir import state_dir

from .late_values import redact_late_values
from .open_library import check_writable, config_fingerprint, open_library, recover_killed
from .settings import Settings
from .sharing import shared_sessions

if TYPE_CHECKING:
    from wiretape.intake.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a run is made of: an `intake` where it records, a `replayer` where it replays."""

    settings: Settings
    report: Report
    sessions: Sessions
    control: Control
    intake: "Intake | None"
    replayer: Replayer | None
    shared: SharedSessions | None = None
    """What other processes of the run are told."""

    async def finish(self) -> None:
        """Write what is still to be written, and leave the folder to others."""
        if self.intake is not None:
            await self.intake.finish()
            await asyncio.to_thread(redact_late_values, self.settings, self.intake, self.report)
        self.sessions.leave()
        if self.shared is not None:
            await self.shared.close()


def compose(settings: Settings, report: Report, token: str | None = None) -> Parts:
    """Put the parts of a run together, and take over what killed runs left.

    `token` is the control endpoint's; a random one without it. WiretapeError where the run cannot
    begin.
    """
    config, records = settings.config, settings.mode != "replay"
    redactor = _redactor(settings)
    policy = settings.policy
    report.prices = lambda: config.prices
    if records:
        record_mode = settings.writes
        recover_killed(config, settings.recordings, redactor, report, record_mode)
    sessions = _sessions(settings, redactor, report)
    shared = shared_sessions(settings, sessions, report)
    replayer = None
    if settings.mode != "record":
        replayer = Replayer(
            sessions,
            config.matcher,
            redactor,
            config.providers,
            report,
            ReplayOptions(
                policy=policy,
                faults=Faults(config.faults),
                miss_status=config.miss_status,
                shared=shared,
            ),
        )
    intake = _intake(settings, sessions, redactor, report) if records else None
    drain = intake.drain if intake is not None else None
    control = Control(sessions, report, drain, token, local_names_of(config), shared)
    return Parts(
        settings=settings,
        report=report,
        sessions=sessions,
        control=control,
        intake=intake,
        replayer=replayer,
        shared=shared,
    )


def _redactor(settings: Settings) -> Redactor:
    config = settings.config
    if settings.mode != "replay":
        return Redactor(config.redaction, settings.paths, remember=True)
    # CMD sends dummies where its keys were recorded: they are secret in the same places.
    dummies = ((key.name, key.value) for key in dummy_keys(config.providers.key_names))
    values = (*config.redaction.values, *dummies)
    return Redactor(replace(config.redaction, values=values), settings.paths, remember=True)


def _intake(settings: Settings, sessions: Sessions, redactor: Redactor, report: Report) -> "Intake":
    # They take a tenth of a second to import: only who records pays for it.
    from wiretape.intake.intake import Intake
    from wiretape.intake.journal import Journal

    config = settings.config
    check_writable(sessions.own.library.folder)
    journal = Journal(state_dir(), settings.recordings, config.redaction.values, report.notice)
    return Intake(
        redactor, config.providers, report, record_errors=config.record_errors, journal=journal
    )


def local_names_of(config: Config) -> LocalNames:
    """What this machine may be called in a request."""
    return LocalNames(config.names, not ip_address(config.host).is_loopback)


def _sessions(settings: Settings, redactor: Redactor, report: Report) -> Sessions:
    config, folder, recording = settings.config, settings.recordings, settings.mode != "replay"
    record_mode = settings.writes

    fingerprint = config_fingerprint(config, redactor.paths)

    def opened(name: str | None) -> Library:
        return open_library(
            config,
            folder,
            name,
            redactor,
            report,
            recording=recording,
            record_mode=record_mode,
            fingerprint=fingerprint,
        )

    try:
        return Sessions(opened, config.repeat, settings.session)
    except UnknownSession as error:
        raise ConfigError(f"session {settings.session!r}: {error}") from None
