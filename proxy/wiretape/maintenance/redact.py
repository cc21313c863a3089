"""Redact the recordings of a folder together, and prove that their conversation still replays.

What an answer gives out a later request sends: an id, a token, a URL to upload to, a cookie. So it
has to go from both or from neither. What any rule finds in one recording is looked for in all that
are rewritten; then the requests of the whole folder are replayed in the order of recording, on a
copy, before anything is written. All files are replaced together or none is.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import Timeout

from wiretape.core.errors import FormatError, StoreError, WiretapeError
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import Finding
from wiretape.core.text import exact_json
from wiretape.library import index_cache, replace_set
from wiretape.library.folder_names import endpoint_slug, host_folder
from wiretape.library.library import LocalState
from wiretape.library.recording_file import read_bytes, side_files_beside
from wiretape.progress import track
from wiretape.report.report import EXIT_REFUSED
from wiretape.scanning.redact_file import Refused, Rewritten, rewrite
from wiretape.state_dir import state_dir

from .inventory import sessions
from .known_rows import forget_rows
from .redact_proof import FileChanges, LoadedFile, Prover, load_file

if TYPE_CHECKING:
    from wiretape.config.load import Config

_ROUNDS: Final = 4
"""So often what was found anew in one recording is looked for in all others; twice is usual."""

EXIT_FAULTY: Final = 1


class NotRedacted(WiretapeError):
    """Nothing was written; each file with what keeps it from being, and the exit status."""

    def __init__(self, faults: Sequence[tuple[str, str]], status: int) -> None:
        super().__init__(*(f"{name}: {text}" for name, text in faults))
        self.faults: Final = tuple(faults)
        self.status: Final = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written below `root` and what to be removed, by name; the new names of those
    that move, the findings of each changed recording, the files that are not recordings, and how
    many requests were replayed.
    """

    root: Path
    new: Mapping[str, bytes] = field(default_factory=dict)
    void: frozenset[str] = frozenset()
    moved: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    others: tuple[tuple[str, str], ...] = ()
    read: Mapping[str, bytes] = field(default_factory=dict)
    requests: int = 0
    unanswered: int = 0
    """Requests that the recordings did not answer before either."""


def folder_of(path: Path, recordings: Path) -> Path:
    """The folder whose recordings make one conversation with those at `path`.

    It is `recordings` for what lies in it; else the folder that holds the host's folder of a
    recording of ours; else the path itself, or the folder of a file.
    """
    path, recordings = path.resolve(), recordings.resolve()
    if path.is_relative_to(recordings):
        return recordings
    own = path if path.is_dir() else path.parent
    first = path if path.is_file() else next(iter(sorted(path.rglob("*.json"))), None)
    with suppress(FormatError, StoreError, KeyError, ValueError):
        if first is not None and "wiretape" in (
            document := recording_format.loads(read_bytes(first)[0])
        ):
            folder = first.parent
            if (folder.parent.name, folder.name) == _place(document):
                top = folder.parent.parent
                return top if own.is_relative_to(top) else own
    return own


def _place(document: Document) -> tuple[str, str]:
    url = document["request"]["url"]
    return host_folder(url), endpoint_slug(url)


def redactor_for(config: "Config") -> Redactor:
    """A redactor that remembers all it finds."""
    return Redactor(config.redaction, remember=True, most=sys.maxsize)


def plan(
    root: Path,
    files: Iterable[Path],
    config: "Config",
    redactor: Redactor,
    within: Iterable[Path] = (),
) -> Plan:
    """How to redact files of the folder `root`, proved; nothing is written.

    The conversation is that of the whole folder, or of the recordings `within`. NotRedacted where a
    file cannot be read, where a secret would be left, or where a request would not be answered as
    before.
    """
    planner = _Planner(root.resolve(), config, redactor, {path.resolve() for path in within})
    return planner.plan({path.resolve() for path in files})


def carry_out(planned: Plan) -> None:
    """Write what was planned, all or nothing, and forget what wiretape's own directory has of the
    recordings. NotRedacted where a file was changed meanwhile or the system does not let it be
    written.
    """
    root, state = planned.root, LocalState(state_dir())
    if not planned.new:
        return
    folders = sorted({root, *_sessions_in(planned)})
    with ExitStack() as locks:
        try:
            for folder in folders:
                locks.enter_context(state.lock(folder))
            for name, data in planned.read.items():
                if (root / name).read_bytes() != data:
                    raise NotRedacted(
                        [(str(root / name), "was changed meanwhile; nothing was written")],
                        EXIT_REFUSED,
                    )
            replace_set.replace(root, planned.new, planned.void)
            _forget(folders, state)
        except Timeout:
            fault = "locked by another wiretape for 30 s; nothing was written"
            raise NotRedacted([(str(root), fault)], EXIT_REFUSED) from None
        except OSError as error:
            rest = "nothing was written"
            if replace_set.is_begun(root):
                rest = "it was begun, and whatever opens the folder next finishes it"
            fault = f"cannot be rewritten: {error.strerror}; {rest}"
            raise NotRedacted([(str(error.filename or root), fault)], EXIT_REFUSED) from error


def _forget(folders: Iterable[Path], state: LocalState) -> None:
    """Remove indexes, which hold small answers, and rows of listings and of the page."""
    for folder in folders:
        index_cache.forget(state.indexes, folder)
        index_cache.forget(state.folder / "ui", folder)
        forget_rows(folder)


def _sessions_in(planned: Plan) -> Iterator[Path]:
    for files in sessions(planned.root):
        if any((planned.root / name).is_relative_to(files.folder) for name in planned.new):
            yield files.folder


class _Planner:
    """Plans for one folder."""

    def __init__(self, root: Path, config: "Config", redactor: Redactor, within: set[Path]) -> None:
        self._root = root
        self._within = within
        self._config = config
        self._redactor = redactor
        self._stored: dict[str, LoadedFile] = {}
        self._rewritten: dict[str, Rewritten] = {}

    def plan(self, files: set[Path]) -> Plan:
        others = self._load_named(files)
        self._rewrite()
        change = self._change()
        requests = unanswered = 0
        prover = Prover(
            self._root, self._within, self._config, self._redactor, self._stored, self._rewritten
        )
        for session in sessions(self._root) if change.new else ():
            proof = prover.of(session, change)
            if proof.faults:
                raise self._refused(proof.faults)
            requests, unanswered = requests + proof.requests, unanswered + proof.unanswered
        return Plan(
            root=self._root,
            new=change.new,
            void=frozenset(change.void),
            moved=change.moved,
            changes={name: rewritten.changes for name, rewritten in self._rewritten.items()},
            others=tuple(others),
            read={name: self._stored[name].data for name in self._rewritten},
            requests=requests,
            unanswered=unanswered,
        )

    def _refused(self, faults: Iterable[tuple[str, str]]) -> NotRedacted:
        return NotRedacted([*faults, (str(self._root), "nothing was written")], EXIT_REFUSED)

    # -------------------------------------------------------------- reading

    def _load_named(self, files: set[Path]) -> list[tuple[str, str]]:
        """Load the recordings to be rewritten; gives the files that are not recordings."""
        others: list[tuple[str, str]] = []
        faults: list[tuple[str, str]] = []
        for path in track(sorted(files), "reading"):
            if not path.is_relative_to(self._root):
                faults.append((str(path), f"lies outside of {self._root}: name it by itself"))
                continue
            try:
                self._stored[path.relative_to(self._root).as_posix()] = load_file(path)
            except FormatError as error:
                text = f"{error}; only recordings of wiretape and of llama-stack can be rewritten"
                (others if _is_of_others(path) else faults).append((str(path), text))
            except StoreError as error:
                faults.append((str(path), str(error)))
        if faults:
            nothing = (str(self._root), "nothing was written")
            raise NotRedacted([*faults, *others, nothing], EXIT_FAULTY)
        return others

    # -------------------------------------------------------------- rewriting

    def _rewrite(self) -> None:
        """Redact the recordings: each is searched for what was found in any."""
        faults: list[tuple[str, str]] = []
        for _ in range(_ROUNDS):
            known = self._redactor.remembered_ever
            self._rewritten, faults = {}, []
            for name, loaded in track(list(self._stored.items()), "redacting"):
                try:
                    result = self._rewritten_file(name, loaded)
                except Refused as error:
                    leaks = [
                        f"\n  {leak.where}: {leak.rule}; {leak.remedy}" for leak in error.leaks
                    ]
                    faults.append((str(self._root / name), f"{error}{''.join(leaks)}"))
                    continue
                if result is not None:
                    self._rewritten[name] = result
            if self._redactor.remembered_ever == known:
                break
        if faults:
            raise self._refused(faults)

    def _rewritten_file(self, name: str, loaded: LoadedFile) -> Rewritten | None:
        side_file = side_files_beside(self._root / name)
        return rewrite(loaded.data, self._redactor, self._config.matcher, side_file)

    def _change(self) -> FileChanges:
        change = FileChanges()
        for name, rewritten in self._rewritten.items():
            target = _target(name, self._stored[name].document, rewritten.document)
            if target != name:
                change.moved[name] = target
            change.new[target] = rewritten.text.encode("utf-8")
            folder = target[: target.rfind("/") + 1]
            change.new |= {folder + side: data for side, data in rewritten.files.items()}
        self._check_names(change.moved)
        change.void = {*change.moved, *self._void_sides(change)}.difference(change.new)
        return change

    def _check_names(self, moved: Mapping[str, str]) -> None:
        faults = []
        for name in self._stored:
            target = moved.get(name, name)
            path = str(self._root / name)
            if self._redactor.text(target) != target:
                faults.append((path, "what is redacted stands in its name, too: rename it first"))
            elif target != name and (self._root / target).exists():
                faults.append((path, f"would be called {target}, and so is another: move that"))
        if len(set(moved.values())) < len(moved):
            faults.append((str(self._root), "two recordings would have one name: record them anew"))
        if faults:
            raise self._refused(faults)

    def _void_sides(self, change: FileChanges) -> Iterator[str]:
        """The side files that no recording beside them names any more."""
        gone: dict[str, set[str]] = {}
        for name, rewritten in self._rewritten.items():
            sides = {*rewritten.void, *(rewritten.files if name in change.moved else ())}
            if sides:
                gone.setdefault(name[: name.rfind("/") + 1], set()).update(sides)
        for folder, sides in gone.items():
            for path in (self._root / folder).glob("*.json"):
                name = folder + path.name
                if name not in change.moved:
                    data = change.new[name] if name in change.new else path.read_bytes()
                    sides -= {side for side in sides if side.encode() in data}
            yield from (folder + side for side in sides)


def _target(name: str, before: Document, after: Document) -> str:
    """The name of a redacted recording: in the folder of its host and endpoint, if it was there."""
    parts = name.split("/")
    if "wiretape" not in before or tuple(parts[-3:-1]) != _place(before):
        return name
    return "/".join((*parts[:-3], *_place(after), parts[-1]))


def _is_of_others(path: Path) -> bool:
    """Whether a file is whole, and no recording: JSON of another kind."""
    with suppress(ValueError, StoreError):
        document = exact_json.parse(read_bytes(path)[0], max_depth=exact_json.MAX_DEPTH + 8)
        parts = (
            [document.get(key) for key in ("request", "response")]
            if isinstance(document, dict)
            else []
        )
        return not all(isinstance(part, dict) for part in parts) or not parts
    return False
