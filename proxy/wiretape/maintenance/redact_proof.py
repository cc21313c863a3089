"""Prove that redacted recordings answer a session's requests as they did, before any is written.

The requests are replayed in the order of recording on a copy of the folder, as it would be.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.recording_file import read_bytes, side_files_beside
from wiretape.scanning.redact_file import Refused, Rewritten, rewrite, with_side_files

from .conversation import NOTHING, BeforeAfter, RecordedConversation, ask_again, merged, unanswered
from .inventory import SessionFiles

if TYPE_CHECKING:
    from wiretape.config.load import Config

_SHOWN: Final = 20
"""Faults of a session that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A recording as it is on the disk."""

    data: bytes
    document: Document


def load_file(path: Path) -> LoadedFile:
    """Read a recording with its side files; FormatError or StoreError says why it is not one."""
    data = read_bytes(path)[0]
    document = recording_format.loads(data)
    return LoadedFile(data, with_side_files(document, side_files_beside(path), set()))


@dataclass(slots=True)
class FileChanges:
    """What is to be done below a folder: files written and void, recordings that move."""

    new: dict[str, bytes] = field(default_factory=dict)
    void: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayProof:
    """How many requests of a session were replayed, how many of them nothing answers before or
    after, and the recordings that would no longer answer as before, each with why.
    """

    requests: int
    unanswered: int
    faults: tuple[tuple[str, str], ...]


class Prover:
    """Replays sessions of the folder `root`, or only the recordings `within`.

    `stored` are the recordings that are to be rewritten, and `rewritten` what is to become of those
    that change, both by name below the folder.
    """

    def __init__(
        self,
        root: Path,
        within: set[Path],
        config: "Config",
        redactor: Redactor,
        stored: Mapping[str, LoadedFile],
        rewritten: Mapping[str, Rewritten],
    ) -> None:
        self._root = root
        self._within = within
        self._config = config
        self._redactor = redactor
        self._stored = stored
        self._rewritten = rewritten

    def of(self, session: SessionFiles, change: FileChanges) -> ReplayProof:
        """Replay a session as it is and as it would be."""
        prefix = "" if session.session is None else session.session + "/"
        session = self._confined(session)
        parts = self._parts(session)
        if all(part.before is part.after for part in parts.values()):
            return ReplayProof(0, 0, ())
        conversation = RecordedConversation(parts, self._redactor)
        with tempfile.TemporaryDirectory(prefix="wiretape-redact-") as folder:
            root, copy = self._root, Path(folder) / "new"
            if self._within:
                root = Path(folder) / "old"
                self._copy(root, session, prefix, FileChanges())
            self._copy(copy, session, prefix, change)
            was = ask_again(root, session.session, conversation.before, self._config)
            new = [
                ask_again(copy, session.session, steps, self._config)
                for steps in (conversation.after, conversation.own())
            ]
        names = {
            old.removeprefix(prefix): to.removeprefix(prefix) for old, to in change.moved.items()
        }
        faults = dict(merged(names, was, new[0]))
        for answers in new:
            faults |= unanswered(conversation.order, names, was, answers)
        worded = tuple(self._worded(session, prefix, parts, faults))
        return ReplayProof(len(was.names), was.names.count(NOTHING), worded)

    def _confined(self, session: SessionFiles) -> SessionFiles:
        """A session without the recordings that take no part."""
        if not self._within:
            return session
        names = (n for n in session.recordings if (session.folder / n).resolve() in self._within)
        return replace(session, recordings=tuple(names))

    def _parts(self, session: SessionFiles) -> dict[str, BeforeAfter]:
        """The recordings of a session by name, also those that are not to be rewritten: what would
        be redacted in these is what a client is given and sends.
        """
        parts = {}
        for name in session.recordings:
            path = (session.folder / name).resolve()
            full = self._below(path)
            try:
                loaded = self._stored.get(full) or load_file(path)
                result = self._rewritten.get(full)
                if full not in self._stored:
                    side_file = side_files_beside(path)
                    with suppress(Refused):
                        matcher = self._config.matcher
                        result = rewrite(loaded.data, self._redactor, matcher, side_file)
            except (FormatError, StoreError):
                continue  # replay skips it as well
            before = loaded.document
            parts[name] = BeforeAfter(before, result.document if result is not None else before)
        return parts

    def _copy(self, copy: Path, session: SessionFiles, prefix: str, change: FileChanges) -> None:
        """Make a copy of a session as it would be; what stays is linked to."""
        for name in (*session.recordings, *session.side_files):
            full = prefix + name
            path = self._root / full
            real = path.resolve()
            if full in change.void or full in change.new:
                continue
            target = copy / full
            target.parent.mkdir(parents=True, exist_ok=True)
            own = self._below(real)
            own = change.moved.get(own, own)
            if own in change.new:
                target.write_bytes(change.new[own])
                continue
            try:
                target.symlink_to(real)
            except OSError:
                shutil.copyfile(real, target)
        for name, data in change.new.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(data)

    def _below(self, path: Path) -> str:
        """The name of a file; "" outside of the folder."""
        inside = path.is_relative_to(self._root)
        return path.relative_to(self._root).as_posix() if inside else ""

    def _worded(
        self,
        session: SessionFiles,
        prefix: str,
        parts: Mapping[str, BeforeAfter],
        faults: Mapping[str, str],
    ) -> Iterator[tuple[str, str]]:
        for name, text in list(faults.items())[:_SHOWN]:
            path = session.folder / name
            if prefix + name not in self._stored and parts[name].before != parts[name].after:
                text += f"; what is redacted stands in it, too: wiretape redact {self._root}"
            yield str(path), text
        if len(faults) > _SHOWN:
            yield str(session.folder), f"and {len(faults) - _SHOWN} more of its recordings"
