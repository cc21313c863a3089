"""Line up two runs, step by step: `wiretape diff --sessions A B`."""

import os
from dataclasses import dataclass
from typing import Any, Final

from wiretape.config.load import Config, load
from wiretape.core.conversation.align import aligned
from wiretape.core.conversation.compare import Comparison
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.recording.file_names import by_take
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count
from wiretape.library.recording_file import LoadedRecording, recorded_us
from wiretape.library.recording_file import load as load_recording
from wiretape.maintenance.inventory import sessions
from wiretape.maintenance.loading import compare_recordings
from wiretape.maintenance.names import NamedRecording, named_recordings

from .command import FOUND, print_json, say
from .folder import Scope
from .terminal import echo, for_terminal

_MARKS: Final = {"same": "=", "answers differ": "≠", "asks differ": "≠"}


@dataclass(frozen=True, slots=True)
class RunStep:
    """One step of a run: a recording, and the key of what it asks."""

    named: NamedRecording
    recording: LoadedRecording
    key: str


@dataclass(frozen=True, slots=True)
class AlignedStep:
    """A step of two runs, either of which may lack it, and how it differs."""

    a: RunStep | None
    b: RunStep | None
    comparison: Comparison | None

    @property
    def outcome(self) -> str:
        """same, answers differ, asks differ, only in A, or only in B."""
        if self.comparison is None:
            return "only in A" if self.b is None else "only in B"
        if self.comparison.equal:
            return "same"
        return "asks differ" if self.comparison.request else "answers differ"


def diff_sessions(scope: Scope, a: str, b: str, *, as_json: bool) -> int:
    """Print two sessions side by side, and the first step where they differ; "." names the
    recordings that are in no session.
    """
    from .show import print_comparison

    config = load(scope.config_file, os.environ)
    redactor = Redactor(config.redaction)
    runs = [_steps(scope, config, redactor, name) for name in (a, b)]
    steps = [
        _compared(
            None if i is None else runs[0][i], None if j is None else runs[1][j], config, redactor
        )
        for i, j in aligned(*([step.key for step in run] for run in runs))
    ]
    first = next((n for n, step in enumerate(steps, 1) if step.outcome != "same"), None)
    if as_json:
        rows = [_row(step) for step in steps]
        print_json("diff_sessions", a=a, b=b, first_difference=first, steps=rows)
        return 0 if first is None else FOUND
    for number, step in enumerate(steps, 1):
        names = [each.named.name if each else "—" for each in (step.a, step.b)]
        mark = _MARKS.get(step.outcome, "±")
        echo(f"{number:>4}  {mark}  {step.outcome:<14}  {names[0]}  {names[1]}")
    if first is None:
        say(f"{a} and {b} are the same in {count(len(steps), 'step')}")
        return 0
    say(f"the first step that differs is {first}: {for_terminal(steps[first - 1].outcome)}")
    comparison = steps[first - 1].comparison
    if comparison is not None:
        print_comparison(comparison)
    return FOUND


def _steps(scope: Scope, config: Config, redactor: Redactor, session: str) -> list[RunStep]:
    """Load a session's recordings, oldest first; files that are not recordings are reported."""
    folder = scope.recordings or config.recordings
    files = sessions(folder, None if session == "." else session)[0]
    steps = []
    for named in named_recordings(files):
        try:
            recording = load_recording(named.path)
        except (FormatError, StoreError) as error:
            say(for_terminal(f"{named.name}: {error}"))
            continue
        canonical = config.matcher.canonical(redactor.request(recording.document["request"]))
        steps.append(RunStep(named, recording, canonical.key))
    return sorted(
        steps, key=lambda step: (recorded_us(step.recording.document), by_take(step.named.name))
    )


def _compared(
    a: RunStep | None, b: RunStep | None, config: Config, redactor: Redactor
) -> AlignedStep:
    if a is None or b is None:
        return AlignedStep(a, b, None)
    comparison = compare_recordings(a.recording, b.recording, config.matcher, redactor)
    return AlignedStep(a, b, comparison)


def _row(step: AlignedStep) -> dict[str, Any]:
    names = {"a": step.a and step.a.named.name, "b": step.b and step.b.named.name}
    comparison = {} if step.comparison is None else step.comparison.as_json()
    return {"outcome": step.outcome, **names, **comparison}
