"""What a command that lists a folder has to know of config.yaml: little, and soon."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wiretape.core.cost.prices import PriceTable
from wiretape.core.providers.registry import Providers

from .packs import built_in
from .prices import price_table
from .shipped import shipped


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """The folder of recordings, and what rows about them are made with."""

    recordings: Path
    stale_after: str
    """An age limit: 90d, 12h."""
    providers: Providers
    prices: PriceTable


def folder_settings(path: Path | None, environ: Mapping[str, str]) -> FolderSettings:
    """Read a configuration file as `load` does; ConfigError if it is not right.

    Where there is none, matching and redaction are not imported.
    """
    if path is None and _is_missing("config.yaml"):
        defaults = shipped()["defaults"]
        folder = Path(defaults["recordings"])
        return FolderSettings(folder, defaults["stale_after"], built_in(), price_table())
    from .load import load

    config = load(path, environ)
    return FolderSettings(config.recordings, config.stale_after, config.providers, config.prices)


def _is_missing(name: str) -> bool:
    """Whether there is no such file; of one that cannot be looked at `load` says why."""
    try:
        os.lstat(name)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False
