"""Run CMD, then run it again with what was recorded, until rules are found under which it replays.

The first run records. Each further run is answered from the first wherever a request is the same,
so that CMD takes the same way, and goes to the provider only where it is not. What it asked there
is compared with what the first run asked; the rules found are in force in the next run. A run in
which every request was answered from the first one is the proof.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wiretape.config.add_rules import add_rules
from wiretape.config.load import Config
from wiretape.core.matching.calibration import (
    CalibratedRule,
    Calibration,
    Proof,
    calibrate,
    moved_pairs,
    prove,
)
from wiretape.core.matching.request_pairs import RequestPair, SentRequest, pair_up
from wiretape.core.playback.pace import Pace
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.run_paths import NO_PATHS
from wiretape.engine.rule_trials import RuleTrials
from wiretape.library.library import Library
from wiretape.report.report import EXIT_MISS, EXIT_REFUSED, Report
from wiretape.run import ending
from wiretape.run.folders import folders_of
from wiretape.run.settings import Mode, Settings

from .one_run import file_name, find_program, run_command, sent_requests
from .workplace import Workplace, WorkplaceMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """What is to be calibrated. `load` reads the configuration, of another file where it is given
    one; `source` names the file that rules would go into.
    """

    command: Sequence[str]
    load: Callable[[Path | None], Config]
    source: str
    workplaces: WorkplaceMaker
    time_limit: float
    most_runs: int
    upstream_ca: tuple[Path, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)
    base_urls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What one run of CMD came to: how many requests it recorded, or had answered from the first
    run; `varied` are those that the first did not make.
    """

    number: int
    status: int
    recorded: int
    replayed: int
    varied: int


@dataclass(slots=True, kw_only=True)
class CalibrationOutcome:
    """What calibrate found out. `problem` says why it ended early, with the exit `status` for that;
    `withheld` has the rules that would make older recordings equal, each with why.

    `proven` says that in the last run, under the rules, every request was answered from the first.
    """

    runs: list[RunSummary] = field(default_factory=list)
    calibration: Calibration = field(default_factory=lambda: Calibration((), (), tamed=()))
    proof: Proof | None = None
    looked_up: int = 0
    """Requests of later runs that the first run's recordings answer under the rules."""
    only_first: tuple[str, ...] = ()
    only_later: tuple[str, ...] = ()
    withheld: dict[str, str] = field(default_factory=dict)
    proven: bool = False
    problem: str = ""
    status: int = 0
    config_before: bytes = b""
    config_text: bytes = b""
    """The configuration file as it was, and with the rules."""

    @property
    def rules(self) -> tuple[CalibratedRule, ...]:
        """The rules to propose."""
        return self.calibration.rules

    @property
    def is_settled(self) -> bool:
        """Whether CMD replays, now or once the rules are in force."""
        is_clean = not (self.problem or self.withheld or self.calibration.untamed)
        return is_clean and self.proven and (self.proof is None or self.proof.holds)


async def calibrate_command(
    plan: CalibrationPlan, report_progress: Callable[[str], None], keep: Path | None = None
) -> CalibrationOutcome:
    """Find the rules under which CMD replays; the recordings of the first run go to `keep`.

    Raises WiretapeError where nothing could be begun.
    """
    with tempfile.TemporaryDirectory(prefix="wiretape-calibrate-") as scratch:
        rounds = _Rounds(plan, Path(scratch), report_progress)
        outcome = await rounds.carry_out()
        if keep is not None and not outcome.problem:
            shutil.copytree(rounds.first_folder, keep, dirs_exist_ok=True)
        return outcome


class _Rounds:
    def __init__(self, plan: CalibrationPlan, scratch: Path, tell: Callable[[str], None]) -> None:
        self.first_folder: Final = scratch / "run-1"
        self._plan = plan
        self._scratch = scratch
        self._tell = tell
        self._config = plan.load(None)
        self._workplaces = plan.workplaces
        if not self._config.run_paths:
            tell("record.folders is off, so CMD keeps its home and its folder in every run")
            self._workplaces = replace(plan.workplaces, choice="keep", keep_home=True)
        self._program = find_program(plan.command, plan.workplaces.environ.get("PATH"))
        self._outcome = CalibrationOutcome(
            config_before=self._config.text, config_text=self._config.text
        )
        self._first: list[SentRequest] = []
        self._tried: dict[str, str] = {}

    async def carry_out(self) -> CalibrationOutcome:
        outcome = self._outcome
        started_at = datetime.now(UTC)
        report = await self._run(1, self._config)
        if report is None:
            return outcome
        self._first = sent_requests(self.first_folder, self._config)
        if not self._first:
            outcome.problem, outcome.status = "no answer of run 1 could be recorded", EXIT_MISS
            return outcome
        outcome.runs[0] = replace(outcome.runs[0], recorded=len(self._first))
        days = {moment.date() for moment in (started_at, started_at.astimezone())}
        moved = moved_pairs(self._first, sorted(days))
        tamed: list[RequestPair] = []
        for number in range(2, self._plan.most_runs + 1):
            config = self._with_rules()
            report = await self._run(number, config)
            if report is None:
                break
            pairs = self._compared(number, report)
            before = [rule.suggestion.yaml for rule in outcome.rules]
            self._calibrate([*tamed, *pairs, *moved])
            tamed = [pair for pair in outcome.calibration.tamed if not pair.is_moved]
            is_clean = not outcome.runs[-1].varied and not report.counts["missed"]
            outcome.proven = is_clean and not outcome.only_later and report.mode == "auto"
            is_same = [rule.suggestion.yaml for rule in outcome.rules] == before
            outcome.proven = outcome.proven and is_same
            # A second run that was recorded is no proof, whatever it shows.
            if is_same and report.mode == "auto":
                break
        if outcome.rules:
            self._prove(tamed)
        return outcome

    # ------------------------------------------------------------------ runs

    async def _run(self, number: int, config: Config) -> Report | None:
        """Run CMD once; None where that was no run to go on with, and the outcome says why."""
        folder = self._folder(number)
        # A WebSocket that is answered from a recording ends at the first message that differs.
        is_recorded = number == 1 or (number == 2 and self._has_websockets())
        if not is_recorded:
            shutil.copytree(self.first_folder, folder)
        mode: Mode = "record" if is_recorded else "auto"
        report = Report(mode)
        notices: list[str] = []
        report.notify = notices.append
        with self._workplaces.new() as workplace:
            settings = self._settings(mode, config, folder, workplace)
            rules = " under the rules found so far" if self._outcome.rules else ""
            self._tell(f"run {number}{rules}: {self._plan.command[0]}")
            end = await run_command(
                settings,
                self._plan.command,
                self._program,
                workplace.folder,
                self._plan.time_limit,
                report,
            )
        report.command_status = end.status
        counts = report.counts
        self._outcome.runs.append(
            RunSummary(
                number=number,
                status=end.status,
                recorded=counts["recorded"] if is_recorded else 0,
                replayed=counts["replayed"],
                varied=0 if number == 1 else counts["recorded"],
            )
        )
        self._outcome.problem, self._outcome.status = self._problem(number, report, end.timed_out)
        if self._outcome.problem:
            ending.explain(settings, report, self._plan.command)
            for notice in notices:
                self._tell(notice)
            return None
        return report

    def _settings(self, mode: Mode, config: Config, folder: Path, workplace: Workplace) -> Settings:
        paths = folders_of(workplace.environ, workplace.folder) if config.run_paths else NO_PATHS
        return Settings(
            mode=mode,
            # Nothing may go wrong on demand, and what is not recorded has to be.
            config=replace(config, on_miss=None, faults=()),
            recordings=folder,
            pace=Pace(),
            record_mode="append" if mode == "auto" else "replace",
            upstream_ca=self._plan.upstream_ca,
            routes=self._plan.routes,
            base_urls=self._plan.base_urls,
            paths=paths,
            environ=workplace.environ,
        )

    def _problem(self, number: int, report: Report, timed_out: bool) -> tuple[str, int]:
        """Why the search cannot go on after a run, and the exit status for that; "" if it can."""
        run, status, counts = f"run {number}", report.command_status or 0, report.counts
        unanswered = sorted(
            {
                f"{row.provider} {row.status}"
                for row in report.rows
                if row.outcome == "skipped" and row.status
            }
        )
        refusals = (
            f" (answers that are not recorded: {', '.join(unanswered)})" if unanswered else ""
        )
        if timed_out:
            limit = f"{self._plan.time_limit:g} s"
            return f"{run} did not end within {limit}, and was ended (--time-limit)", status
        if counts["refused"] or report.unserved:
            return f"{run} could not be recorded whole: `wiretape record` says why", EXIT_REFUSED
        if status:
            rules = " under the rules found" if self._outcome.rules else ""
            return (
                f"CMD ended with {status} in {run}{rules}{refusals}: only a CMD that succeeds can"
                f" be calibrated{_KEY_HINT if number == 1 else ''}",
                status,
            )
        if not report.is_reached:
            return f"{run} sent no request to a provider", EXIT_MISS
        if number == 1 and not counts["recorded"]:
            return f"no answer of {run} could be recorded{refusals}{_KEY_HINT}", EXIT_MISS
        return "", 0

    def _folder(self, number: int) -> Path:
        return self._scratch / f"run-{number}"

    def _has_websockets(self) -> bool:
        return any(" #" in request.name for request in self._first)

    def _with_rules(self) -> Config:
        """The configuration with the rules found so far, read as the file would be."""
        if not self._outcome.rules:
            return self._plan.load(None)
        path = self._scratch / "config.yaml"
        path.write_bytes(self._outcome.config_text)
        return self._plan.load(path)

    # ------------------------------------------------------------------ what they show

    def _compared(self, number: int, report: Report) -> list[RequestPair]:
        """Pair what a run did not find among the recordings with what the first run asked."""
        outcome = self._outcome
        sent = sent_requests(self._folder(number), self._config)
        if report.mode == "record":
            first = self._first
        else:
            known = {request.name for request in self._first}
            sent = [request for request in sent if request.name not in known]
            used = {row.recording for row in report.rows if row.outcome == "replayed"}
            first = [request for request in self._first if file_name(request) not in used]
        pairing = pair_up(first, sent, self._config.matcher)
        if report.mode == "record":
            outcome.runs[-1] = replace(
                outcome.runs[-1],
                recorded=len(sent),
                varied=len(pairing.pairs) + len(pairing.only_second),
            )
        outcome.only_first = tuple(file_name(request) for request in pairing.only_first)
        outcome.only_later = tuple(file_name(request) for request in pairing.only_second)
        return pairing.pairs

    def _calibrate(self, pairs: Sequence[RequestPair]) -> None:
        outcome, matcher = self._outcome, self._config.matcher
        taken = dict.fromkeys((rule.name for rule in matcher.rules), "")
        calibration = calibrate(pairs, matcher, taken)
        outcome.withheld = {
            rule.suggestion.yaml: reason
            for rule in calibration.rules
            if (reason := self._harm(rule, pairs[0].first))
        }
        rules = tuple(
            rule for rule in calibration.rules if rule.suggestion.yaml not in outcome.withheld
        )
        outcome.calibration = replace(calibration, rules=rules)
        texts = [rule.suggestion.yaml for rule in rules]
        outcome.config_text = add_rules(self._config.text, texts, self._plan.source)

    def _harm(self, rule: CalibratedRule, request: SentRequest) -> str:
        """What a rule would do to the recordings that are there already, "" for nothing."""
        folder = self._config.recordings
        if not folder.is_dir():
            return ""
        text = rule.suggestion.yaml
        if text not in self._tried:
            matcher = self._config.matcher
            library = Library(folder, matcher, Redactor(self._config.redaction).request)
            library.load()
            try_rule = RuleTrials(matcher).of(library, request.document)
            trial = try_rule(rule.suggestion.rule)
            library.close()
            self._tried[text] = ""
            if trial is None:
                self._tried[text] = f"it was not tried on all recordings of {folder}"
            elif trial.merged:
                names = ", ".join(trial.merged[0][:3])
                self._tried[text] = f"recordings of {folder} that differ would be equal ({names})"
        return self._tried[text]

    def _prove(self, tamed: Sequence[RequestPair]) -> None:
        outcome = self._outcome
        outcome.proof = prove(outcome.calibration, self._first, self._config.matcher)
        config = self._with_rules()
        library = Library(self.first_folder, config.matcher, Redactor(config.redaction).request)
        library.load()
        # Messages of a WebSocket have no files of their own.
        requests = [pair.second for pair in tamed if " #" not in pair.second.name]
        keys = [library.matched(request.document).key for request in requests]
        outcome.looked_up = sum(bool(library.takes(key)) for key in keys)
        library.close()
        outcome.proven = outcome.proven and outcome.looked_up == len(requests)


_KEY_HINT: Final = (
    ". It has an empty home (--keep-home leaves it the user's) and the environment's variables,"
    " keys among them"
)
