"""Choose the recorded requests to be sent again, each with all takes that answered it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wiretape.config.load import Config
from wiretape.core.drift.answer_facts import AnswerFacts, answer_facts, declared_tools
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
    takes: tuple[AnswerFacts, ...] = ()
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The JSON Schemas of the tools that the request offers, by name."""
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
    """List a folder's targets by name, and the files that are not recordings.

    ConfigError where nothing is chosen.
    """
    try:
        selection = Selection.parse(chosen.only, [rule.name for rule in config.matcher.rules])
    except ValueError as error:
        raise ConfigError(f"--only {error}") from None
    groups: dict[tuple[str | None, str], list[Target]] = {}
    faults: list[str] = []
    for session, named in _recordings(folder, chosen):
        try:
            recording = load_recording(named.path)
        except (FormatError, StoreError) as error:
            faults.append(f"{named.name}: {error}")
            continue
        canonical = config.matcher.canonical(redactor.request(recording.document["request"]))
        if _is_selected(selection, canonical, recording.document):
            target = _target(session, named.name, recording, config, unsafe=chosen.unsafe)
            groups.setdefault((session, canonical.key), []).append(target)
    if not groups and not faults:
        raise ConfigError(f"{folder}: no recording that is chosen; `wiretape ls` lists them")
    result = [_merged(takes) for takes in groups.values()]
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
    session: str | None, name: str, recording: LoadedRecording, config: Config, *, unsafe: bool
) -> Target:
    """The target of one recording; of its answer only what is compared is kept in memory."""
    request, part = recording.exchange.request, recording.document["request"]
    provider = config.providers.find(request.host, request.port)
    no_answer = _no_answer(recording)
    skipped = no_answer or unrepeatable_reason(part) or (None if unsafe else unsafe_reason(part))
    return Target(
        names=(name,),
        session=session,
        provider=provider,
        provider_name=provider.name if provider else request.authority,
        request=request,
        model=part.get("model"),
        takes=() if no_answer else (answer_facts(recording.document),),
        tools=declared_tools(part.get("body")),
        paths=recording.exchange.paths,
        skipped=skipped,
    )


def _merged(targets: Sequence[Target]) -> Target:
    """All takes of a request as one target; those whose answer says nothing are only named."""
    first = next((target for target in targets if target.takes), targets[0])
    return replace(
        first,
        names=tuple(name for target in targets for name in target.names),
        takes=tuple(take for target in targets for take in target.takes),
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
