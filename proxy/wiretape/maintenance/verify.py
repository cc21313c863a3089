"""Verify that each recording loads, replays, matches itself, has the right name and no secret.

Findings come file by file; those that concern several files (one take twice, a side file that no
recording names, an id of unknown source) come last.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from wiretape.core.errors import FormatError, StoreError, WiretapeError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.matching.matcher import Matcher
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_request
from wiretape.core.recording.file_names import by_take, take_of
from wiretape.core.recording.given_ids import answer_ids
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text import exact_json
from wiretape.library.recording_file import LoadedRecording, load, recorded_us, token_of
from wiretape.library.sequence import missing_before
from wiretape.progress import track
from wiretape.scanning.scan import Hit, search

from .inventory import SessionFiles, orphans
from .rekey import Move, Standing, plan

FIX: Final = "`wiretape verify --fix` does it"
_ANEW: Final = "record it anew, or delete it"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong with a file of a session: its name, the rule it breaks, what that is, what to
    do, and whether `fix` can.
    """

    name: str
    rule: str
    text: str
    remedy: str
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in a session; `standing` are the recordings of ours that load, `rewrites` the
    texts of those that are laid out otherwise than they should be, by name.
    """

    findings: tuple[FileProblem, ...] = ()
    standing: tuple[Standing, ...] = ()
    rewrites: Mapping[str, str] = field(default_factory=dict)


class Keys:
    """The keys of stored requests under the rules of today."""

    def __init__(self, matcher: Matcher, redactor: Redactor) -> None:
        self._matcher = matcher
        self._redactor = redactor

    def of(self, request: Document) -> str:
        """The key of a `request` part, redacted as a live one would be."""
        return self._canonical(request).key

    def _canonical(self, request: Document) -> Canonical:
        return self._matcher.canonical(self._redactor.request(request))

    def _of_file(self, name: str, request: Document) -> str:
        """The key by which a file is named or should be."""
        canonical = self._canonical(request)
        named = token_of(name, canonical.key)[:12]
        return canonical.file_key if canonical.file_key.startswith(named) else canonical.key

    def standing(self, name: str, document: Document) -> Standing:
        """A wiretape recording as `rekey.plan` takes it; FormatError if its ids are invalid."""
        request = document["request"]
        ids = request.get("ids", {})
        if not isinstance(ids, dict) or not all(isinstance(text, str) for text in ids.values()):
            raise FormatError("request.ids: expected an object of texts")
        key = self._of_file(name, request)
        return Standing(
            name=name,
            key=key,
            take=take_of(name),
            token=token_of(name, key),
            recorded=recorded_us(document),
            ids=ids,
            answer_ids=answer_ids(document),
        )

    def with_ids(self, files: SessionFiles, name: str, ids: Mapping[str, str]) -> str:
        """The key that a recording would have with other tokens."""
        request = recording_format.loads(files.read(name))["request"]
        return self._of_file(name, {**request, "ids": dict(ids)})


def verify(
    files: SessionFiles,
    keys: Keys,
    redactor: Redactor,
    display_name: Callable[[str], str],
    passes: Callable[[Hit], bool] = lambda hit: False,
) -> Verified:
    """Look at all files of a session; `shown` is what a file is called in messages, and `passes`
    lets findings of the scan pass.
    """
    findings: list[FileProblem] = []
    standing: list[Standing] = []
    rewrites: dict[str, str] = {}
    for folder, reason in files.unreadable:
        findings.append(
            FileProblem(folder.name, "unreadable", f"cannot be read: {reason}", "make it readable")
        )
    for name in track(files.recordings, "checking"):
        try:
            data = files.read(name)
        except StoreError as error:
            findings.append(
                FileProblem(name, "unreadable", str(error), "make it readable, or delete it")
            )
            continue
        findings += _secrets(name, data, redactor, display_name, passes)
        try:
            recording = load(files.folder / name)
            recording_standing = _examine(name, recording, keys, redactor, findings)
        except (FormatError, StoreError) as error:
            findings.append(FileProblem(name, "no-recording", redactor.text(str(error)), _ANEW))
            continue
        if recording_standing is None:
            continue
        standing.append(recording_standing)
        text = recording_format.dumps(recording.document)
        # A checkout may have changed the line ends; in JSON none stands within text.
        if text.encode("utf-8", "surrogatepass") != data.replace(b"\r\n", b"\n"):
            findings.append(_layout(name, data, text, recording.document, rewrites))
    for name in files.side_files:
        with suppress(StoreError):  # the recording that names it says so
            findings += _secrets(name, files.read(name), redactor, display_name, passes)
    findings += _together(files, standing)
    return Verified(tuple(findings), tuple(standing), rewrites)


def _secrets(
    name: str,
    data: bytes,
    redactor: Redactor,
    display_name: Callable[[str], str],
    passes: Callable[[Hit], bool],
) -> Iterator[FileProblem]:
    for hit in search(display_name(name), data, redactor):
        if not passes(hit):
            text = f"line {hit.line}: {hit.rule}: {hit.masked}"
            yield FileProblem(name, "secret", text, f"wiretape redact {hit.file}")


def _examine(
    name: str,
    recording: LoadedRecording,
    keys: Keys,
    redactor: Redactor,
    findings: list[FileProblem],
) -> Standing | None:
    """Look at a recording that replays; gives what it is named by if it is ours."""
    stored, live_request = recording.document["request"], recording.exchange.request
    live = from_request(live_request)
    live |= {name: stored[name] for name in ("ids", "carried") if name in stored}
    current = None if recording.foreign else keys.standing(name, recording.document)
    redacted = redactor.request(live, redactor.secrets(live_request))
    if keys.of(redacted) != keys.of(stored):
        findings.append(
            FileProblem(name, "key", "does not answer the request that is recorded in it", _ANEW)
        )
    if current is not None and current.named != current.key[:12]:
        findings.append(
            FileProblem(
                name,
                "name",
                f"named {current.stem[:40]!r}, but its key begins with {current.key[:12]}:"
                " it was edited, or rules changed (it answers all the same)",
                "`wiretape rekey` renames it",
                fixable=True,
            )
        )
    return current


def _layout(
    name: str, data: bytes, text: str, document: Document, rewrites: dict[str, str]
) -> FileProblem:
    problem = "not written as wiretape writes it (it answers all the same)"
    if not exact_json.unique_keys(data):
        return FileProblem(
            name, "layout", "names a member twice; only the last counts", "take one of them out"
        )
    # Nothing but the layout may change: what would is left to who wrote it.
    if recording_format.loads(text) != document or _holds_surrogate(text):
        return FileProblem(name, "layout", problem, _ANEW)
    rewrites[name] = text
    return FileProblem(name, "layout", problem, FIX, fixable=True)


def _holds_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


# ------------------------------------------------------------------ files together


def _together(files: SessionFiles, standing: list[Standing]) -> Iterator[FileProblem]:
    takes: dict[tuple[str, int], str] = {}
    for recording in standing:
        first_name = takes.setdefault((recording.key, recording.take), recording.name)
        if first_name != recording.name:
            yield FileProblem(
                recording.name,
                "same-take",
                f"the same key and take {recording.take} as {first_name};"
                " the one of the lesser name goes first",
                "`wiretape rekey` numbers them by the time they were recorded",
                fixable=True,
            )
    yield from _missing(standing)
    tokens = {recording.token for recording in standing}
    for recording in standing:
        missing = {t.rpartition("#")[0] for t in recording.ids.values()} - tokens
        for token in sorted(missing):
            yield FileProblem(
                recording.name,
                "origin",
                f"sends back an id that recording {token[:40]!r} gave, which is not here",
                "record the conversation anew",
            )
    for name in orphans(files):
        yield FileProblem(
            name, "orphan", "no recording beside it names it", "`wiretape prune` deletes it"
        )


def _missing(standing: list[Standing]) -> Iterator[FileProblem]:
    names = sorted((recording.name for recording in standing), key=by_take)
    for position, name in enumerate(names):
        missing = list(
            islice(
                missing_before(names[max(position - 1, 0) : position + 1], min(position, 1)), 1000
            )
        )
        if missing:
            takes = ", ".join(str(take_of(missing_name)) for missing_name in missing[:10])
            yield FileProblem(
                name,
                "missing-take",
                f"take {takes}{' and more' if len(missing) > 10 else ''} of its request"
                f" {'is' if len(missing) == 1 else 'are'} missing; it is given in the place of one",
                "`wiretape auto --fill -- CMD` records what is missing",
            )


def moves(files: SessionFiles, keys: Keys, standing: tuple[Standing, ...]) -> tuple[Move, ...]:
    """How to rename the recordings of a session: `rekey.plan`, with what it asks of files."""
    own_names = {recording.name for recording in standing}

    def has_id(name: str, text: str) -> bool:
        try:
            return text.encode("utf-8", "surrogatepass") in files.read(name)
        except WiretapeError:
            return False

    return plan(
        standing,
        lambda name, ids: keys.with_ids(files, name, ids),
        (name for name in files.recordings if name not in own_names),
        has_id,
    )
