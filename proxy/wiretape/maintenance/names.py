"""Find a recording by what the user types: a path, a name below the folder, the start of a key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiretape.core.errors import ConfigError

from .inventory import SessionFiles, sessions

_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class NamedRecording:
    """A recording's file and its name below the folder of recordings (with its session's, and "/"),
    or its path as given if it lies elsewhere.
    """

    path: Path
    name: str


def named_recordings(files: SessionFiles) -> Iterator[NamedRecording]:
    """The recordings of a session by their names below the folder of recordings."""
    lead = "" if files.session is None else files.session + "/"
    yield from (NamedRecording(files.folder / name, lead + name) for name in files.recordings)


def find(folder: Path, wanted: str, session: str | None = None) -> NamedRecording:
    """The recording that `wanted` names, in `session` or in any; recordings without a session go
    first. ConfigError if none matches, and if several do, with their names.
    """
    path = Path(wanted)
    if _is_file(path):
        absolute, top = path.resolve(), folder.resolve()
        is_below = absolute.is_relative_to(top)
        return NamedRecording(path, (absolute.relative_to(top) if is_below else path).as_posix())
    all_files = sessions(folder, session)
    for searched in (all_files[:1], all_files):
        matches = matching(
            [recording for files in searched for recording in named_recordings(files)], wanted
        )
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise ConfigError(*_several(wanted, matches))
    raise ConfigError(
        f"{wanted!r:.200}: no recording of this name, or with a key that starts so, in {folder};"
        " `wiretape ls --all-sessions` lists them"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # The name is too long or holds an invalid character.
        return False


def matching(recordings: Sequence[NamedRecording], wanted: str) -> list[NamedRecording]:
    """The recordings with exactly this name or key and take; else those that begin with it."""
    wanted = wanted.removesuffix(".json").lstrip("/")
    if not wanted:
        return []
    names = ["/" + recording.name.removesuffix(".json") for recording in recordings]
    if "/" in wanted:
        is_exact = [name.endswith("/" + wanted) for name in names]
        is_prefix = ["/" + wanted in name for name in names]
    else:
        file_names = [name.rpartition("/")[2] for name in names]
        is_exact = [name == wanted for name in file_names]
        is_prefix = [name.startswith(wanted) for name in file_names]
    return [
        recording
        for recording, is_match in zip(
            recordings, is_exact if any(is_exact) else is_prefix, strict=True
        )
        if is_match
    ]


def _several(wanted: str, matches: Sequence[NamedRecording]) -> Iterator[str]:
    yield f"{wanted!r:.200} names {len(matches)} recordings; say which:"
    yield from (f"  {recording.name}" for recording in matches[:_MOST_LISTED])
    if len(matches) > _MOST_LISTED:
        yield f"  … and {len(matches) - _MOST_LISTED} more"


def completions(
    folder: Path, start: str, session: str | None = None, limit: int = 200
) -> list[str]:
    """The completions of `start`: keys, or names below the folder if it has a "/"."""
    try:
        all_files = sessions(folder, session)
    except ConfigError:
        return []
    names = [
        recording.name.removesuffix(".json")
        for files in all_files
        for recording in named_recordings(files)
    ]
    if "/" not in start:
        names = [name.rpartition("/")[2] for name in names]
    matches = dict.fromkeys(name for name in names if name.startswith(start))
    return list(matches)[:limit]
