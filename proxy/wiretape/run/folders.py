"""Read the folders of CMD from its environment and the working directory."""

import os
from collections.abc import Mapping
from pathlib import Path

from wiretape.core.redaction.run_paths import RunPaths


def folders_of(environ: Mapping[str, str], working: Path) -> RunPaths:
    """The folder that CMD works in, and its home, each by all its names.

    A root or a relative path does not count. If both are the same folder, it is the home.
    """
    homes = _names(environ.get("HOME", ""))
    return RunPaths({"home": homes, "cwd": _names(environ.get("PWD", ""), str(working))})


def _names(*paths: str) -> list[str]:
    """The absolute paths of a folder, with and without links."""
    absolute = [path for path in paths if os.path.isabs(path)]
    if len(absolute) > 1 and not _is_same(*absolute[:2]):
        absolute = absolute[1:]  # PWD is another process's, which has changed its directory
    return list(dict.fromkeys([*absolute, *map(os.path.realpath, absolute)]))


def _is_same(path: str, other_path: str) -> bool:
    try:
        return os.path.samefile(path, other_path)
    except OSError:
        return False
