"""A recording by what a person calls it: a path, a name below the folder, the start of a key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiretape.core.errors import ConfigError

from .inventory import SessionFiles, sessions

_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class Named:
    """A recording's file and its name below the folder of recordings (with its session's, and "/"),
    or as it was given where it lies elsewhere.
    """

    path: Path
    name: str


def named(files: SessionFiles) -> Iterator[Named]:
    """The recordings of a session by their names below the folder of recordings."""
    lead = "" if files.session is None else files.session + "/"
    yield from (Named(files.folder / name, lead + name) for name in files.recordings)


def find(folder: Path, wanted: str, session: str | None = None) -> Named:
    """The recording that `wanted` names, in one session or, without one, in any: who are in none go
    first. ConfigError where there is none, and where there are several, with their names.
    """
    path = Path(wanted)
    if _is_file(path):
        real, here = path.resolve(), folder.resolve()
        inside = real.is_relative_to(here)
        return Named(path, (real.relative_to(here) if inside else path).as_posix())
    found = sessions(folder, session)
    for some in (found[:1], found):
        fits = _fitting([one for files in some for one in named(files)], wanted)
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise ConfigError(*_several(wanted, fits))
    raise ConfigError(
        f"{wanted!r:.200}: no recording of this name, or with a key that starts so, in {folder};"
        " `wiretape ls --all-sessions` lists them"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A name that is too long, or holds what no path may.
        return False


def _fitting(there: Sequence[Named], wanted: str) -> list[Named]:
    """Those of the whole name or of the whole key and take; else those with the start of either."""
    wanted = wanted.removesuffix(".json").lstrip("/")
    if not wanted:
        return []
    names = ["/" + one.name.removesuffix(".json") for one in there]
    if "/" in wanted:
        whole = [name.endswith("/" + wanted) for name in names]
        begun = ["/" + wanted in name for name in names]
    else:
        last = [name.rpartition("/")[2] for name in names]
        whole = [name == wanted for name in last]
        begun = [name.startswith(wanted) for name in last]
    return [one for one, fits in zip(there, whole if any(whole) else begun, strict=True) if fits]


def _several(wanted: str, fits: Sequence[Named]) -> Iterator[str]:
    yield f"{wanted!r:.200} names {len(fits)} recordings; say which:"
    yield from (f"  {one.name}" for one in fits[:_TOLD])
    if len(fits) > _TOLD:
        yield f"  … and {len(fits) - _TOLD} more"


def completions(
    folder: Path, start: str, session: str | None = None, limit: int = 200
) -> list[str]:
    """What a shell may complete `start` to: keys, or names below the folder where it has a "/"."""
    try:
        found = sessions(folder, session)
    except ConfigError:
        return []
    names = [one.name.removesuffix(".json") for files in found for one in named(files)]
    if "/" not in start:
        names = [name.rpartition("/")[2] for name in names]
    fits = dict.fromkeys(name for name in names if name.startswith(start))
    return list(fits)[:limit]
