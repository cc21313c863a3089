"""Measure what has changed: send each target, compare what comes, and record it where wanted."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from wiretape.config.load import Config
from wiretape.core.cost.budget import Budget
from wiretape.core.cost.prices import Money
from wiretape.core.drift.answer_facts import answer_facts
from wiretape.core.drift.compare import changes
from wiretape.core.drift.rules import VERDICTS, DriftVerdict, JudgedChange, judged, worst
from wiretape.core.model import Request
from wiretape.core.playback.player import Player
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count
from wiretape.intake.exchange_writer import EndedExchange, ExchangeWriter
from wiretape.report.report import EXIT_REFUSED, Report
from wiretape.run.open_library import open_library
from wiretape.sessions.sessions import Session

from .credentials import NoKey, with_credentials
from .sending import LiveAnswer, LiveSender, NotMeasured, SendOptions
from .targets import Target

EXIT_REGRESSION: Final = 5
EXIT_NOT_MEASURED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The result for one target: its changes, or why it has none (`skipped`: it is not
    to be sent; `failed`: nothing came that says anything).
    """

    target: Target
    changes: tuple[JudgedChange, ...] = ()
    skipped: str | None = None
    failed: str | None = None
    answers: tuple[LiveAnswer, ...] = field(default=(), repr=False)

    @property
    def verdict(self) -> DriftVerdict | None:
        """The gravest verdict of the changes; None without a change."""
        return worst(self.changes)

    @property
    def outcome(self) -> str:
        """benign, new, regression, same, skipped or failed."""
        if self.skipped or self.failed:
            return "skipped" if self.skipped else "failed"
        return self.verdict or "same"

    @property
    def has_drifted(self) -> bool:
        """Whether there is more than a benign change, other than of the time it took."""
        return worst(each for each in self.changes if each.change.tier != "timing") in (
            "new",
            "regression",
        )


@dataclass(slots=True, kw_only=True)
class DriftReport:
    """All measurements, files that could not be read, and what was recorded anew."""

    measurements: Sequence[Measurement]
    unreadable: Sequence[str] = ()
    written: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    budget: Budget | None = None

    def count(self, outcome: str) -> int:
        """Count the measurements with this outcome."""
        return sum(measurement.outcome == outcome for measurement in self.measurements)

    @property
    def measured(self) -> int:
        """How many requests were answered and compared."""
        return len(self.measurements) - self.count("skipped") - self.count("failed")

    @property
    def exit_status(self) -> int:
        """4: something could not be recorded; 5: a regression; 6: something that should have been
        measured was not, or nothing was; else 0.
        """
        if self.refused:
            return EXIT_REFUSED
        if self.count("regression"):
            return EXIT_REGRESSION
        is_whole = self.measured and not self.count("failed") and not self.unreadable
        return 0 if is_whole else EXIT_NOT_MEASURED

    @property
    def summary(self) -> str:
        """One line: "12 of 14 measured: 1 regression, 2 new, 9 same; 2 skipped"."""
        parts = [
            count(n, name) if name == "regression" else f"{n} {name}"
            for name in (*reversed(VERDICTS), "same")
            if (n := self.count(name))
        ]
        text = f"{self.measured} of {len(self.measurements)} measured"
        text += f": {', '.join(parts)}" if parts else ""
        for outcome, words in (("skipped", "skipped"), ("failed", "not measured")):
            text += f"; {n} {words}" if (n := self.count(outcome)) else ""
        text += f"; {len(self.unreadable)} unreadable" if self.unreadable else ""
        if self.budget is not None:
            spent = Money(self.budget.spent, self.budget.limit.currency)
            text += f"; {spent} of {self.budget.limit} spent"
        return text + (f"; {len(self.written)} recorded anew" if self.written else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPlan:
    """How to measure. `transform` makes of a recorded request the one to be sent; `repeats` says
    that one with several takes is sent as often, if its first answer has drifted.
    """

    config: Config
    redactor: Redactor
    options: SendOptions
    environ: Mapping[str, str]
    transform: Callable[[Request], Request] = lambda request: request
    repeats: bool = False
    on_progress: Callable[[int], None] = lambda done: None


async def measure(targets: Sequence[Target], plan: DriftPlan) -> list[Measurement]:
    """Send all targets, as many at a time as the options say, and then compare what came: while it
    comes, nothing else takes the time that is measured.
    """
    async with LiveSender(plan.options) as sender:
        asker = _Asker(plan, sender)
        results = await asyncio.gather(*map(asker.ask, targets))
        compared = [
            each if each.failed or each.skipped else _compared(each, plan) for each in results
        ]
        if not plan.repeats:
            return compared
        return list(await asyncio.gather(*map(asker.repeat, compared)))


class _Asker:
    """Asks for targets; equal requests of several sessions are sent once."""

    def __init__(self, plan: DriftPlan, sender: LiveSender) -> None:
        self._plan = plan
        self._sender = sender
        self._answers: dict[Request, asyncio.Task[LiveAnswer | str]] = {}
        self._done = 0

    async def ask(self, target: Target) -> Measurement:
        """Get the answer to a target, without comparing it."""
        if target.skipped is not None:
            return Measurement(target=target, skipped=target.skipped)
        try:
            request = self._request(target)
            if request not in self._answers:
                self._answers[request] = asyncio.create_task(self._send(request))
            answer = await self._answers[request]
        except NoKey as error:
            answer = str(error)
        self._done += 1
        self._plan.on_progress(self._done)
        if isinstance(answer, str):
            return Measurement(target=target, failed=self._plan.redactor.text(answer))
        return Measurement(target=target, answers=(answer,))

    async def repeat(self, measurement: Measurement) -> Measurement:
        """Ask as often as there are takes for what is to be recorded anew."""
        target, answers = measurement.target, list(measurement.answers)
        if measurement.has_drifted:
            for _ in target.takes[1:]:
                answer = await self._send(self._request(target))
                if isinstance(answer, str):
                    failed = self._plan.redactor.text(answer)
                    return Measurement(target=target, failed=f"not all of its takes: {failed}")
                answers.append(answer)
        return replace(measurement, answers=tuple(answers))

    async def _send(self, request: Request) -> LiveAnswer | str:
        """Send a request; gives its answer, or why none came."""
        try:
            provider = self._plan.config.providers.find(request.host, request.port)
            return await self._sender.send(request, provider.name if provider else request.host)
        except NotMeasured as error:
            return str(error)

    def _request(self, target: Target) -> Request:
        plan = self._plan
        sent = _restored(plan.transform(target.request), target, plan)
        provider = plan.config.providers.find(sent.host, sent.port)
        own = replace(target, request=sent, provider=provider)
        return with_credentials(own, plan.config.redaction.secret_query, plan.environ)


def _compared(measurement: Measurement, plan: DriftPlan) -> Measurement:
    target = measurement.target
    try:
        live = answer_facts(_document(measurement.answers[0], plan))
    except NotMeasured as error:
        return Measurement(target=target, failed=str(error))
    result = judged(
        changes(target.takes, live, target.tools, plan.config.drift_limits),
        plan.config.drift_rules,
        target.provider_name,
    )
    return replace(measurement, changes=result)


def _restored(request: Request, target: Target, plan: DriftPlan) -> Request:
    """A request with this machine's folders in place of their stand-ins."""
    return replace(request, body=plan.redactor.paths.restored(request.body, target.paths))


def _document(answer: LiveAnswer, plan: DriftPlan) -> Any:
    """The document of an answer, redacted as if it were to be written."""
    exchange = answer.recorder.finish(answer.outcome, answer.at, answer.recorded_at)
    if answer.recorder.unrecorded is not None:
        raise NotMeasured(answer.recorder.unrecorded)
    secrets = plan.redactor.secrets(exchange.request)
    return plan.redactor.document(from_exchange(exchange), secrets)[0]


# ------------------------------------------------------------------ recording


def record(
    measurements: Sequence[Measurement],
    report: DriftReport,
    plan: DriftPlan,
    folder: Path,
    session: str | None = None,
) -> None:
    """Write the answers of measurements, each to its session, or all to `session`, and note it in
    the report; the takes that were there are replaced.
    """
    run = Report("refresh", keep_rows=False)
    writer = ExchangeWriter(plan.redactor, plan.config.providers, run, record_errors=True)
    with _opened(plan, folder, run) as session_of:
        for measurement in measurements:
            name = session or measurement.target.session
            for answer in measurement.answers:
                ended = EndedExchange(
                    answer.recorder, answer.outcome, answer.at, session_of(name), answer.recorded_at
                )
                for row in writer.keep(ended):
                    prefix = f"{name}/" if name else ""
                    if row.outcome == "recorded":
                        report.written.append(f"{prefix}{row.recording}")
                    else:
                        report.refused.append(f"{measurement.target.names[0]}: {row.note}")


@contextmanager
def _opened(
    plan: DriftPlan, folder: Path, run: Report
) -> Iterator[Callable[[str | None], Session]]:
    """Open the sessions that are written to, and leave them again."""
    opened: dict[str | None, Session] = {}

    def session_of(name: str | None) -> Session:
        if name not in opened:
            library = open_library(plan.config, folder, name, plan.redactor, run, recording=True)
            opened[name] = Session(name=name, library=library, player=Player("last"))
        return opened[name]

    try:
        yield session_of
    finally:
        for session in opened.values():
            session.library.leave()
            session.library.close()
