"""The recordings of a run: opened, looked at, and taken over from runs that were killed."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wiretape.config.load import Config
from wiretape.core.errors import StoreError
from wiretape.core.playback.policy import RecordMode
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.run_paths import NO_PATHS, RunPaths
from wiretape.library import index_cache
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.state_dir import state_dir

TRUSTED_SECONDS: Final = 0.001
"""No client can have its answer, change a recording and ask again in less."""


def open_library(
    config: Config,
    folder: Path,
    session: str | None,
    redactor: Redactor,
    report: Report,
    *,
    recording: bool,
    record_mode: RecordMode = "replace",
    fingerprint: str | None = None,
    since_ns: float = math.inf,
) -> Library:
    """Open the recordings of a run; reports files that are not recordings. StoreError as `load`.

    `fingerprint` is the configuration's, where there are several to open. Recordings that are
    younger than `since_ns`, in nanoseconds of the epoch, are not replaced.
    """
    library = Library(
        folder,
        config.matcher,
        redactor.request,
        session,
        LocalState(state_dir(), fingerprint or config_fingerprint(config, redactor.paths)),
        record_mode,
    )
    library.read_in_processes(lambda: redactor.remembered_ever)
    if recording:
        library.join(since_ns)
    library.load()
    return announced(library, config, report)


def announced(library: Library, config: Config, report: Report) -> Library:
    """The same library; reports files that are not recordings, now and later."""
    config.providers.add_host_keys(library.host_keys())
    library.cache_for(TRUSTED_SECONDS)
    for fault in library.faults:
        report.notice(f"skipped {library.folder / fault.name}: {fault.reason}")
    library.notify = lambda fault: report.notice(
        f"skipped {library.folder / fault.name}: {fault.reason}"
    )
    return library


def recover_killed(
    config: Config,
    folder: Path,
    redactor: Redactor,
    report: Report,
    record_mode: RecordMode,
    on_demand: Callable[[str | None, RecordMode, int], Library] | None = None,
) -> None:
    """Record what runs into this folder that were killed had not recorded yet; `on_demand` opens a
    session's recordings where they are in a store.
    """
    from wiretape.intake.recovery import recover

    def opened(name: str | None, replaces: bool, since_ns: int) -> Library:
        kind = "append" if record_mode == "replace" and not replaces else record_mode
        if on_demand is not None:
            return announced(on_demand(name, kind, since_ns), config, report)
        return open_library(
            config,
            folder,
            name,
            redactor,
            report,
            recording=True,
            record_mode=kind,
            since_ns=since_ns,
        )

    recover(
        state_dir(),
        folder,
        redactor,
        config.providers,
        report,
        opened,
        record_errors=config.record_errors,
    )


def config_fingerprint(config: Config, paths: RunPaths = NO_PATHS) -> str:
    """The fingerprint of all that the keys of recordings made with this configuration depend on."""
    values = (part for known in config.redaction.values for part in known)
    return index_cache.fingerprint(
        LocalState(state_dir()).indexes, config.text, *values, *paths.texts
    )


def check_writable(folder: Path) -> None:
    """A recording session is not to be begun where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".wiretape-{os.getpid()}.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error
