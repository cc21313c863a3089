"""wiretape inside a mitmproxy of the user's own: what the scripts in `addons/` load.

mitmdump -s addons/record.py
mitmdump -s addons/replay.py --set wiretape_pace=recorded
"""

import logging
import os
from pathlib import Path
from typing import Final

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import server_hooks

from wiretape.config.load import load
from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.core.playback.faults import Faults
from wiretape.core.playback.pace import Pace
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.library import Library
from wiretape.record.intake import Intake
from wiretape.record.journal import Journal
from wiretape.replay.handler import Engine
from wiretape.replay.replayer import Replayer, ReplayOptions, Tickets
from wiretape.report.console import line, summary
from wiretape.report.report import Report
from wiretape.run.open_library import open_library, recover_killed
from wiretape.sessions.sessions import Sessions, UnknownSession
from wiretape.state_dir import state_dir

from . import patch_http1, patch_http2, patch_transport
from .addon import Addon

log = logging.getLogger(__name__)

_OPTIONS: Final = (
    ("wiretape_config", "Configuration file; default config.yaml in the working directory."),
    ("wiretape_recordings", "Folder of the recordings; default as the configuration says."),
    ("wiretape_session", "Use the folder of this name below the recordings."),
    ("wiretape_pace", "When replayed chunks leave: instant, recorded, or a factor such as 2x."),
)


class Script:
    """Builds the addon from mitmproxy's options before anything is let through."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._addon: Addon | None = None
        self._engine: Engine | None = None
        self._intake: Intake | None = None
        self._report: Report | None = None
        self._sessions: Sessions | None = None

    def load(self, loader: Loader) -> None:
        for part in (patch_transport, patch_http1, patch_http2):
            part.install()
        for name, text in _OPTIONS:
            loader.add_option(name, str, "", text)
        if self._mode == "replay":
            # Eager would dial the provider before it is asked anything.
            ctx.options.update(connection_strategy="lazy", http2=False)

    def configure(self, updated: set[str]) -> None:
        """Options are set: once at the start. What is wrong with them ends mitmproxy."""
        if self._addon is not None:
            return
        try:
            self._build()
        except (WiretapeError, ValueError) as error:
            raise exceptions.OptionsError(f"wiretape: {error}") from error

    def _build(self) -> None:
        chosen = ctx.options
        config = load(Path(chosen.wiretape_config) if chosen.wiretape_config else None, os.environ)
        redactor = Redactor(config.redaction)
        report = self._report = Report(self._mode)
        report.listen = lambda row: log.info("wiretape: %s", line(row))
        report.notify = lambda text: log.warning("wiretape: %s", text)
        for notice in config.notices:
            report.notice(notice)
        folder = Path(chosen.wiretape_recordings or config.recordings)
        recording = self._mode == "record"

        def opened(name: str | None) -> Library:
            how = config.record_mode
            return open_library(
                config, folder, name, redactor, report, recording=recording, how=how
            )

        if recording:
            recover_killed(config, folder, redactor, report, config.record_mode)
        try:
            sessions = Sessions(opened, config.repeat, chosen.wiretape_session or None)
        except UnknownSession as error:
            raise ConfigError(f"wiretape_session: {error}") from None
        self._sessions = sessions
        if self._mode == "record":
            self._intake = Intake(
                redactor,
                config.providers,
                report,
                record_errors=config.record_errors,
                journal=Journal(state_dir(), folder, config.redaction.values, report.notice),
            )
            self._addon = Addon(
                config.providers, report, sessions, self._intake, drain=config.record_drain
            )
        else:
            replayer = Replayer(
                sessions,
                config.matcher,
                redactor,
                config.providers,
                report,
                ReplayOptions(faults=Faults(config.faults), miss_status=config.miss_status),
            )
            tickets = Tickets()
            pace = Pace.parse(chosen.wiretape_pace) if chosen.wiretape_pace else config.pace
            self._engine = Engine(replayer, pace, tickets)
            self._addon = Addon(
                config.providers,
                report,
                sessions,
                replayer=replayer,
                tickets=tickets,
                tunnel_others=config.other_hosts == "tunnel",
            )
        ctx.master.addons.add(self._addon)

    async def running(self) -> None:
        if self._engine is not None and self._addon is not None:
            self._addon.engine = await self._engine.start()

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """While there is no addon to decide, nothing goes out in replay."""
        if self._mode == "replay" and self._addon is None:
            data.server.error = "wiretape replays, and could not be set up"

    async def done(self) -> None:
        if self._addon is not None:
            self._addon.abandon()
        if self._engine is not None:
            await self._engine.stop()
        if self._intake is not None:
            await self._intake.finish()
        if self._sessions is not None:
            self._sessions.leave()
        if self._report is not None:
            log.warning(summary(self._report))
