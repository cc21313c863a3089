"""The parts of a run, put together once for every proxy that may carry it."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wiretape.config.load import Config
from wiretape.config.packs import dummy_keys
from wiretape.core.cost.budget import Budget
from wiretape.core.errors import ConfigError, StoreError
from wiretape.core.playback.faults import Faults
from wiretape.core.playback.policy import RecordMode
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.age import parse_age
from wiretape.engine.replayer import Replayer, ReplayOptions
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.branch import Branch
from wiretape.sessions.control import Control, LocalNames
from wiretape.sessions.sessions import Sessions, UnknownSession, check_name
from wiretape.sessions.shared import SharedSessions
from wiretape.state_dir import state_dir

from .late_values import redact_late_values
from .open_library import (
    announced,
    check_writable,
    config_fingerprint,
    open_library,
    recover_killed,
)
from .recordings_store import on_demand, open_on_demand, origin_of, update_index
from .settings import Settings
from .sharing import shared_sessions
from .telemetry import metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wiretape.core.model import Exchange
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
    recovered: tuple[str, ...] = ()
    """The recordings of runs that were killed."""

    async def finish(self) -> None:
        """Write what is still to be written, and leave the folder to others."""
        if self.intake is not None:
            await self.intake.finish()
            await asyncio.to_thread(self._redact_and_upload, self.intake)
        branch = self.sessions.own.branch
        if branch is not None:
            branch.close()
            self.report.notice(branch.unreached or f"the branch is the session {branch.name}")
        self.sessions.leave()
        if self.settings.on_demand is not None:
            await asyncio.to_thread(self.settings.on_demand.trim)
        if self.shared is not None:
            await self.shared.close()

    def _redact_and_upload(self, intake: "Intake") -> None:
        moved = redact_late_values(self.settings, intake.writer, self.report)
        mirror = self.settings.mirror
        if mirror is None:
            return
        # What could not be redacted stays on this machine.
        paths = set(intake.writer.written) - set(intake.writer.holding_late_values())
        names = [path.relative_to(mirror.folder).as_posix() for path in paths]
        if not mirror.upload([*self.recovered, *(moved.get(name, name) for name in names)]):
            self.report.unserved += 1
            return
        config = self.settings.config
        if config.store is not None and paths:
            with suppress(StoreError):  # a run that replays makes what is not there
                update_index(config, on_demand(config, mirror.store, mirror.folder))


def compose(settings: Settings, report: Report, token: str | None = None) -> Parts:
    """Put the parts of a run together, and take over what killed runs left.

    `token` is the control endpoint's; a random one without it. WiretapeError where the run cannot
    begin.
    """
    settings = replace(settings, on_demand=origin_of(settings))
    config, records = settings.config, settings.mode != "replay"
    redactor = _redactor(settings)
    report.prices = lambda: config.prices
    report.budget = _budget(settings)
    if records:
        _recover_killed(settings, redactor, report)
    recovered = _recorded(report)
    sessions = _sessions(settings, redactor, report)
    shared = shared_sessions(settings, sessions, report)
    if settings.live_from is not None or settings.after is not None:
        sessions.own.branch = _branch(settings, sessions.own.library, redactor, report)
    replayer = None
    if settings.mode != "record":
        replayer = Replayer(
            sessions,
            config.matcher,
            redactor,
            config.providers,
            report,
            ReplayOptions(
                policy=settings.policy,
                faults=Faults(config.faults),
                miss_status=config.miss_status,
                shared=shared,
                max_age=None if settings.max_age is None else parse_age(settings.max_age),
            ),
        )
    intake = _intake(settings, sessions, redactor, report) if records else None
    drain = intake.drain if intake is not None else None
    metrics = metrics_of(settings, report, intake)
    control = Control(sessions, report, drain, token, local_names_of(config), shared)
    control.metrics = metrics
    return Parts(
        settings=settings,
        report=report,
        sessions=sessions,
        control=control,
        intake=intake,
        replayer=replayer,
        shared=shared,
        recovered=recovered,
    )


def _recorded(report: Report) -> tuple[str, ...]:
    """The recordings of a report, by their names below the folder."""
    return tuple(
        f"{row.session}/{row.recording}" if row.session else row.recording
        for row in report.rows
        if row.recording is not None and row.outcome == "recorded"
    )


def _branch(settings: Settings, source: Library, redactor: Redactor, report: Report) -> Branch:
    """The branch of a run, in a session that is not there yet."""
    from wiretape.maintenance.names import find

    config, folder = settings.config, settings.recordings
    if settings.mode != "auto":
        raise ConfigError("--live-from and --after: nothing goes live where CI is set; see --live")
    name = settings.branch or f"branch-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        check_name(name)
    except UnknownSession as error:
        raise ConfigError(f"--branch {name}: {error}") from None
    if (folder / name).exists():
        raise ConfigError(f"--branch {name}: it is there already; name another, or delete it")
    after = None
    if settings.after is not None:
        path = find(folder, settings.after, settings.session).path.resolve()
        if not path.is_relative_to(source.folder.resolve()):
            raise ConfigError(f"--after {settings.after}: not in the session that is replayed")
        after = path.relative_to(source.folder.resolve()).as_posix()
    library = open_library(config, folder, name, redactor, report, recording=True)
    library.names_elsewhere = settings.mirror
    return Branch(library, settings.live_from, after)


def _budget(settings: Settings) -> Budget | None:
    limit = settings.budget
    if limit is None or settings.mode == "replay":
        return None
    known = settings.config.prices.currencies
    if limit.currency not in known:
        raise ConfigError(
            f"--budget {limit}: no price is in {limit.currency}; give it in {' or '.join(known)},"
            " or add prices in config.yaml"
        )
    return Budget(limit, settings.config.prices)


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


def _recover_killed(settings: Settings, redactor: Redactor, report: Report) -> None:
    on_demand = partial(_open_on_demand, settings, redactor) if settings.on_demand else None
    recordings, record_mode = settings.recordings, settings.writes
    recover_killed(settings.config, recordings, redactor, report, record_mode, on_demand)


def _open_on_demand(
    settings: Settings,
    redactor: Redactor,
    session: str | None,
    record_mode: RecordMode | None,
    since_ns: float = math.inf,
) -> Library:
    assert settings.on_demand is not None
    library = open_on_demand(settings.config, settings.on_demand, session, record_mode, since_ns)
    library.own_prepare = redactor.request
    library.names_elsewhere = settings.mirror
    return library


def _sessions(settings: Settings, redactor: Redactor, report: Report) -> Sessions:
    config, folder, recording = settings.config, settings.recordings, settings.mode != "replay"
    record_mode = settings.writes

    fingerprint = config_fingerprint(config, redactor.paths)
    edits: Mapping[Path, Exchange] = {}
    if settings.edits:
        from .edits import edited_exchanges

        edits = edited_exchanges(folder, settings.session, settings.edits)

    def opened(name: str | None) -> Library:
        if settings.on_demand is not None:
            library = _open_on_demand(settings, redactor, name, record_mode if recording else None)
            return announced(library, config, report)
        library = open_library(
            config,
            folder,
            name,
            redactor,
            report,
            recording=recording,
            record_mode=record_mode,
            fingerprint=fingerprint,
        )
        library.names_elsewhere = settings.mirror
        library.is_asked = settings.mode != "record"
        top = library.folder.resolve()
        for path, exchange in edits.items():
            if path.is_relative_to(top):
                library.edit(path.relative_to(top).as_posix(), exchange)
        return library

    try:
        return Sessions(opened, config.repeat, settings.session)
    except UnknownSession as error:
        raise ConfigError(f"session {settings.session!r}: {error}") from None
