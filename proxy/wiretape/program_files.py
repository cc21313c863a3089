"""The files that wiretape consists of: by them what is kept between runs is known to be its own."""

import os
from collections.abc import Iterator
from typing import Final

_PACKAGE: Final = os.path.dirname(os.path.abspath(__file__))


def program_files() -> list[os.DirEntry[str]]:
    """The files of wiretape that keys and facts depend on, in an order that is always the same.

    OSError if they cannot be listed.
    """
    files: list[os.DirEntry[str]] = []
    folders = [_PACKAGE]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".yaml", ".json")):
                    files.append(entry)
                elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return sorted(files, key=lambda file: file.path)


def program_state() -> Iterator[str]:
    """Each file with its time of change and size: in a checkout the code changes while the version
    stays. OSError as `program_files`.
    """
    for file in program_files():
        info = file.stat()
        yield f"{file.path[len(_PACKAGE) + 1 :]} {info.st_mtime_ns} {info.st_size}"
