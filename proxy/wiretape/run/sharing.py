"""The logs by which a replay's processes share their sequences, if it has more than one."""

import re
from typing import Final

from wiretape.core.errors import ConfigError
from wiretape.report.report import Report
from wiretape.sequences.shared_log import SharedLog
from wiretape.sessions.sessions import Sessions
from wiretape.sessions.shared import SharedSessions

from .settings import Settings

_RUN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def shared_sessions(
    settings: Settings, sessions: Sessions, report: Report
) -> SharedSessions | None:
    """What keeps the sessions of a run equal in all its processes; None where there is only this.

    ConfigError for a run that cannot share them.
    """
    log = shared_log(settings)
    if log is None:
        return None
    shared = SharedSessions(sessions, log)
    shared.notify = report.notice
    return shared


def shared_log(settings: Settings) -> SharedLog | None:
    """The logs of a run's processes; None where there is one alone. ConfigError as above."""
    text = settings.config.sequences
    if text is None and settings.crew is not None:
        from wiretape.sequences.file_log import FileLog

        return FileLog(settings.crew.folder)
    if text is None or settings.mode == "record":
        return None
    where = f"{settings.config.source}: sequences"
    if settings.mode != "replay":
        raise ConfigError(
            f"{where}: only replay shares takes, {settings.mode} hands them out alone"
        )
    from wiretape.config.value_types import SEQUENCES_EXPECTED, SEQUENCES_URL, VARIABLES

    variable = VARIABLES.fullmatch(text)
    if variable:
        name = variable[1] or variable[2]
        text = settings.environ.get(name, "").strip()
        if not SEQUENCES_URL.match(text):
            # The value is not shown: it may hold a password.
            raise ConfigError(f"{where}: ${name} is not what it should be: {SEQUENCES_EXPECTED}")
    if not settings.run_name or not _RUN_NAME.fullmatch(settings.run_name):
        raise ConfigError(
            f"{where}: --run NAME (or WIRETAPE_RUN) has to name the run that replicas share:"
            " ci-1234, say, of letters, digits, ., - and _. A run that is named again goes on where"
            " it was"
        )
    from wiretape.sequences.redis_log import RedisLog

    return RedisLog(text, settings.run_name)
