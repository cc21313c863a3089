"""The folders of CMD, as its environment and the working directory say them."""

import os
from collections.abc import Mapping
from pathlib import Path

from wiretape.core.redaction.run_paths import RunPaths


def folders_of(environ: Mapping[str, str], working: Path) -> RunPaths:
    """The folder that CMD works in, and its home; either by all its names.

    A root or a relative path is no folder to be told by. Where both are one it is the home.
    """
    homes = _names(environ.get("HOME", ""))
    return RunPaths({"home": homes, "cwd": _names(environ.get("PWD", ""), str(working))})


def _names(*paths: str) -> list[str]:
    """The paths, and what they are without links; those that are the working directory's own."""
    absolute = [path for path in paths if os.path.isabs(path)]
    if len(absolute) > 1 and not _is_same(*absolute[:2]):
        absolute = absolute[1:]  # PWD is another process's, which has changed its directory
    return list(dict.fromkeys([*absolute, *map(os.path.realpath, absolute)]))


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
