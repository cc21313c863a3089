"""wiretape inside a mitmproxy of the user's own: what the scripts in `addons/` load.

mitmdump -s addons/record.py
mitmdump -s addons/replay.py --set wiretape_pace=recorded
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import server_hooks

from wiretape.config.load import load
from wiretape.core.errors import ConfigError, WiretapeError
from wiretape.core.playback.pace import Pace
from wiretape.report.console import line, summary
from wiretape.report.report import Report
from wiretape.run.compose import Parts, compose
from wiretape.run.proxies import hooks_of, start_engine
from wiretape.run.settings import Settings

from . import patches
from .hooks import Hooks

if TYPE_CHECKING:
    from wiretape.engine.engine import Engine

log = logging.getLogger(__name__)

_OPTIONS: Final[tuple[tuple[str, Any, Any, str], ...]] = (
    ("config", str, "", "Configuration file; default config.yaml in the working directory."),
    ("recordings", str, "", "Folder of the recordings; default as the configuration says."),
    ("session", str, "", "Use the folder of this name below the recordings."),
    ("pace", str, "", "When replayed chunks leave: instant, recorded, or a factor such as 2x."),
    ("record_mode", str, "", "Earlier takes of a request: replace, append or missing-only."),
    ("map", Sequence[str], [], "HOST=URL: send what is meant for HOST to URL instead."),
)
TOKEN: Final = "WIRETAPE_TOKEN"
"""The environment variable that the control endpoint's token is taken from."""


class Script:
    """Builds the hooks from mitmproxy's options before anything is let through."""

    def __init__(self, mode: Literal["record", "replay"]) -> None:
        self._mode = mode
        self._parts: Parts | None = None
        self._hooks: Hooks | None = None
        self._engine: Engine | None = None

    def load(self, loader: Loader) -> None:
        patches.install()
        for name, kind, default, text in _OPTIONS:
            loader.add_option(f"wiretape_{name}", kind, default, text)
        # Eager would dial the provider before it is asked anything.
        ctx.options.update(connection_strategy="lazy")
        if self._mode == "replay":
            ctx.options.update(http2=False)

    def configure(self, updated: set[str]) -> None:
        """Options are set: once at the start. What is wrong with them ends mitmproxy."""
        if self._hooks is not None:
            return
        try:
            self._build()
        except (WiretapeError, ValueError) as error:
            raise exceptions.OptionsError(f"wiretape: {error}") from error

    def _build(self) -> None:
        settings = _settings(self._mode)
        report = Report(self._mode)
        report.listen = lambda row: log.info("wiretape: %s", line(row))
        report.notify = lambda text: log.warning("wiretape: %s", text)
        for notice in settings.config.notices:
            report.notice(notice)
        self._parts = compose(settings, report, os.environ.get(TOKEN) or None)
        self._hooks = hooks_of(self._parts)
        ctx.master.addons.add(*self._hooks.chain)

    async def running(self) -> None:
        if self._parts is not None and self._hooks is not None:
            self._engine = await start_engine(self._parts, self._hooks)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Block every request in replay until the hooks are ready."""
        if self._mode == "replay" and self._hooks is None:
            data.server.error = "wiretape replays, and could not be set up"

    async def done(self) -> None:
        if self._hooks is not None:
            self._hooks.abandon()
        if self._engine is not None:
            await self._engine.stop()
        if self._parts is not None:
            await self._parts.finish()
            log.warning(summary(self._parts.report))


def _settings(mode: Literal["record", "replay"]) -> Settings:
    """What mitmproxy's options say, over the configuration; ValueError names one that is wrong."""
    chosen = {name: getattr(ctx.options, f"wiretape_{name}") for name, *_ in _OPTIONS}
    config = load(Path(chosen["config"]) if chosen["config"] else None, os.environ)
    record_mode = chosen["record_mode"] or None
    if record_mode not in (None, "replace", "append", "missing-only"):
        raise ConfigError("wiretape_record_mode: expected replace, append or missing-only")
    routes = dict(text.partition("=")[::2] for text in chosen["map"])
    if not all(routes.values()):
        raise ConfigError("wiretape_map: expected HOST=URL")
    return Settings(
        mode=mode,
        config=config,
        recordings=Path(chosen["recordings"] or config.recordings),
        pace=Pace.parse(chosen["pace"]) if chosen["pace"] else config.pace,
        session=chosen["session"] or None,
        record_mode=record_mode,
        routes=routes,
    )
