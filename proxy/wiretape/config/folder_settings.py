"""What a command that lists a folder has to know of config.yaml: little, and soon."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from wiretape.kept_json import read_kept, write_kept
from wiretape.program_files import program_state

if TYPE_CHECKING:
    from wiretape.core.cost.prices import PriceTable
    from wiretape.core.providers.registry import Providers

    from .load import Config

_MAX_BYTES: Final = 1 << 20
"""Of a file whose settings are kept."""


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """The folder of recordings, and what rows about them are made with.

    `load` gives the providers and prices, which take long to import. `fingerprint` stands for them
    and for wiretape itself; it is empty where that cannot be looked at.
    """

    recordings: Path
    stale_after: str
    """An age limit: 90d, 12h."""
    fingerprint: str
    load: Callable[[], tuple["Providers", "PriceTable"]]


def folder_settings(path: Path | None, environ: Mapping[str, str]) -> FolderSettings:
    """Read a configuration file as `load` does; ConfigError if it is not right.

    One that was right before, and on which nothing else bears, is only compared with what it was.
    Where there is none, matching and redaction are not imported.
    """
    chosen = path or Path("config.yaml")
    name, program = f"settings of {os.path.abspath(chosen)}", _program()
    if path is None and _is_missing("config.yaml"):
        return _of_defaults(name, program)
    key = _key(program, _content(chosen))
    known = read_kept(name, key) if key else None
    if known is not None:
        return FolderSettings(Path(known[0]), known[1], key, lambda: _of(_load(path, environ)))
    config = _load(path, environ)
    key = _key(program, config.text)
    if key and not config.depends_on_more:
        write_kept(name, key, [str(config.recordings), config.stale_after])
    return FolderSettings(config.recordings, config.stale_after, key, lambda: _of(config))


def _of_defaults(name: str, program: str) -> FolderSettings:
    known = read_kept(name, program) if program else None
    if known is None:
        from .shipped import shipped

        defaults = shipped()["defaults"]
        known = [defaults["recordings"], defaults["stale_after"]]
        if program:
            write_kept(name, program, known)
    return FolderSettings(Path(known[0]), known[1], program, _of_shipped)


def _of_shipped() -> tuple["Providers", "PriceTable"]:
    from .packs import built_in
    from .prices import price_table

    return built_in(), price_table()


def _load(path: Path | None, environ: Mapping[str, str]) -> "Config":
    from .load import load

    return load(path, environ)


def _of(config: "Config") -> tuple["Providers", "PriceTable"]:
    return config.providers, config.prices


def _content(path: Path) -> bytes | None:
    """What a file holds; None if `load` has to say what is wrong, or nobody can read it twice."""
    with suppress(OSError, ValueError):
        info = os.stat(path)
        if S_ISREG(info.st_mode) and info.st_size <= _MAX_BYTES:
            return path.read_bytes()
    return None


def _program() -> str:
    """What tells this wiretape from another; "" if that cannot be looked at."""
    with suppress(OSError):
        return "\n".join(program_state())
    return ""


def _key(program: str, text: bytes | None) -> str:
    if text is None or not program:
        return ""
    from hashlib import sha256  # late: it needs OpenSSL

    return f"{program}\n{sha256(text).hexdigest()}"


def _is_missing(name: str) -> bool:
    """Whether there is no such file; of one that cannot be looked at `load` says why."""
    try:
        os.lstat(name)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False
