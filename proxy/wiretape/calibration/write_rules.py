"""Put the rules that were found into the user's config.yaml, unless it is another by now."""

import hashlib
import os
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from wiretape.core.errors import ConfigError, StoreError, reason_of
from wiretape.files import replace
from wiretape.state_dir import state_dir

_LOCK_SECONDS: Final = 30.0


def write_rules(path: Path, before: bytes, after: bytes) -> None:
    """Write `after` to a file that holds `before`; a file that is not there holds nothing.

    Raises ConfigError where it holds something else: another process may have added rules. Raises
    StoreError where it cannot be written.
    """
    name = hashlib.sha256(os.path.realpath(path).encode("utf-8", "surrogateescape")).hexdigest()
    try:
        with FileLock(state_dir() / f"config-{name[:16]}.lock", timeout=_LOCK_SECONDS):
            if (path.read_bytes() if path.exists() else b"") != before:
                raise ConfigError(
                    f"{path}: changed while CMD ran; the rules were not added. Run it again"
                )
            replace(path, after)
    except Timeout:
        raise StoreError(f"{path}: locked by another wiretape for {_LOCK_SECONDS:.0f} s") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {reason_of(error)}") from error
