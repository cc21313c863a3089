"""Where wiretape keeps what outlasts a run: its authority, indexes, journals, locks."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from .core.errors import WiretapeError, reason_of


def state_dir() -> Path:
    """Give this user's directory for what wiretape keeps between runs; made with mode 0700.

    WIRETAPE_HOME if set, else the platform's data directory, else, where there is no home that can
    be written to (containers), a directory of this user's own under the temporary one.

    Raises WiretapeError if none can be used.
    """
    if chosen := os.environ.get("WIRETAPE_HOME"):
        try:
            return _made(Path(chosen).expanduser().absolute())
        except (OSError, RuntimeError) as error:
            raise WiretapeError(
                f"WIRETAPE_HOME={chosen}: {reason_of(error)}; "
                "set it to a directory you can write to"
            ) from error
    # Without HOME platformdirs would ask the user database; who took HOME away meant it.
    if os.name != "posix" or os.environ.get("HOME") or os.environ.get("XDG_DATA_HOME"):
        from platformdirs import user_data_path

        with suppress(OSError):
            return _made(user_data_path("wiretape", appauthor=False))
    return _temporary_state_dir()


def _made(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (path.is_absolute() and os.access(path, os.W_OK | os.X_OK)):
        raise PermissionError(f"{path} is not writable")
    return path


def _temporary_state_dir() -> Path:
    import tempfile  # late: most have a home, and it takes longer to import than all of this

    path = Path(tempfile.gettempdir(), f"wiretape-{os.getuid()}")
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        info = path.lstat()
    except OSError as error:
        raise WiretapeError(
            f"{path}: {reason_of(error)}; set WIRETAPE_HOME to a directory you can write to"
        ) from error
    # Anyone may write beside it: one that is not ours may hold an authority that is not ours.
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise WiretapeError(
            f"{path}: expected a directory that belongs to this user alone (mode 0700); "
            "remove it, or set WIRETAPE_HOME to a directory you can write to"
        )
    return path
