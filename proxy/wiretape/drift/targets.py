"""Choose the recorded requests to be sent again, each with all takes that answered it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wiretape.config.load import Config
from wiretape.core.drift.repeatable import unrepeatable_reason, unsafe_reason
from wiretape.core.errors import ConfigError, FormatError, StoreError
from wiretape.core.matching.canonical import Canonical
from wiretape.core.model import Request, WebSocket
from wiretape.core.playback.policy import Selection
from wiretape.core.providers.registry import Provider
from wiretape.core.recording.document import Document
from wiretape.core.recording.outage import is_outage
from wiretape.core.redaction.redactor import Redactor
from wiretape.library.recording_file import LoadedRecording
from wiretape.library.recording_file import load as load_recording
from wiretape.maintenance.inventory import recorded_at, sessions
from wiretape.maintenance.names import NamedRecording, find, matching, named_recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A recorded request, redacted as it is stored, and the takes that answered it; `skipped` says
    why it is not sent.
    """

    names: tuple[str, ...]
    session: str | None
    provider: Provider | None
    provider_name: str
    request: Request
    model: str | None
    takes: tuple[Document, ...]
    paths: tuple[str, ...] = ()
    skipped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRecordings:
    """Which recordings are measured: `names` as users type them (none: all), what `refresh --only`
    takes, and how many of them at random.
    """

    names: tuple[str, ...] = ()
    session: str | None = None
    only: tuple[str, ...] = ()
    sample: int | None = None
    without_session: str | None = None
    unsafe: bool = False


def targets(
    folder: Path, chosen: ChosenRecordings, config: Config, redactor: Redactor
) -> tuple[list[Target], list[str]]:
    """The targets of a folder in the order of their names, and the files that are no recordings.

    ConfigError where nothing is chosen.
    """
    try:
        selection = Selection.parse(chosen.only, [rule.name for rule in config.matcher.rules])
    except ValueError as error:
        raise ConfigError(f"--only {error}") from None
    groups: dict[tuple[str | None, str], list[tuple[str, LoadedRecording]]] = {}
    faults: list[str] = []
    for session, named in _recordings(folder, chosen):
        try:
            recording = load_recording(named.path)
        except (FormatError, StoreError) as error:
            faults.append(f"{named.name}: {error}")
            continue
        canonical = config.matcher.canonical(redactor.request(recording.document["request"]))
        if _is_selected(selection, canonical, recording.document):
            groups.setdefault((session, canonical.key), []).append((named.name, recording))
    if not groups and not faults:
        raise ConfigError(f"{folder}: no recording that is chosen; `wiretape ls` lists them")
    result = [
        _target(session, takes, config, unsafe=chosen.unsafe)
        for (session, _), takes in groups.items()
    ]
    if chosen.sample is not None and chosen.sample < len(result):
        result = [result[n] for n in sorted(random.sample(range(len(result)), chosen.sample))]
    return result, faults


def _recordings(
    folder: Path, chosen: ChosenRecordings
) -> Iterator[tuple[str | None, NamedRecording]]:
    """The recordings that are chosen, with all takes of each; ConfigError for an unknown name."""
    recordings = [
        (files.session, named)
        for files in sessions(folder, chosen.session)
        if files.session is None or files.session != chosen.without_session
        for named in named_recordings(files)
    ]
    stems = set()
    for name in chosen.names:
        matches = matching([named for _, named in recordings], name)
        matches = matches or [find(folder, name, chosen.session)]
        stems |= {_stem(named) for named in matches}
    yield from (pair for pair in recordings if not chosen.names or _stem(pair[1]) in stems)


def _stem(named: NamedRecording) -> Path:
    """What the takes of a request have in common."""
    path = named.path.resolve()
    return path.with_name(path.name.partition(".")[0])


def _is_selected(selection: Selection, canonical: Canonical, document: Document) -> bool:
    at = recorded_at(document)
    return selection(canonical, None if at is None else datetime.now(UTC) - at)


def _target(
    session: str | None,
    recordings: Sequence[tuple[str, LoadedRecording]],
    config: Config,
    *,
    unsafe: bool,
) -> Target:
    usable = [recording for _, recording in recordings if _no_answer(recording) is None]
    first = usable[0] if usable else recordings[0][1]
    request = first.exchange.request
    provider = config.providers.find(request.host, request.port)
    document = first.document["request"]
    skipped = None if usable else _no_answer(first)
    skipped = skipped or unrepeatable_reason(document)
    if not unsafe:
        skipped = skipped or unsafe_reason(document)
    return Target(
        names=tuple(name for name, _ in recordings),
        session=session,
        provider=provider,
        provider_name=provider.name if provider else request.authority,
        request=request,
        model=document.get("model"),
        takes=tuple(recording.document for recording in usable),
        paths=first.exchange.paths,
        skipped=skipped,
    )


def _no_answer(recording: LoadedRecording) -> str | None:
    """Why a recording's answer says nothing of its provider; None if it does."""
    response = recording.exchange.response
    if isinstance(response, WebSocket):
        return "a WebSocket"
    if "edited" in recording.document:
        return "its answer was edited by hand"
    if is_outage(response.status):
        return f"its answer is a {response.status}, which depends on the moment"
    if response.end != "complete":
        return f"its answer was not recorded whole ({response.end})"
    return None
