"""What a calibration found, as `wiretape calibrate` prints it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from wiretape.core.matching.diff_text import clipped, describe
from wiretape.core.matching.miss import as_told
from wiretape.core.matching.variation import Variation
from wiretape.core.text.printable import count, printable

from .rounds import CalibrationOutcome

_LINE: Final = 240
"""The most characters of a line that shows what varied."""


def lines(outcome: CalibrationOutcome, source: str, *, written: bool) -> Iterator[str]:
    """The result for people; `source` is the configuration file, to which rules were `written`."""
    for run in outcome.runs:
        if run.recorded:
            varied = f", {run.varied} of them otherwise than in run 1" if run.number > 1 else ""
            yield f"run {run.number}: {count(run.recorded, 'request')} recorded{varied}"
        elif run.number > 1:
            total = count(run.replayed + run.varied, "request")
            yield f"run {run.number}: {run.replayed} of {total} answered from run 1"
    for rule in outcome.rules:
        yield ""
        for each in rule.variations:
            yield printable(clipped(f"  varies: {each.kind}: {describe(each.shown)}", _LINE))
        yield from (printable(line) for line in rule.suggestion.yaml.splitlines())
        yield from (printable(f"  hides: {text}") for text in rule.hides)
        yield from (f"  Warning: {warning}." for warning in rule.suggestion.warnings)
    for variation in outcome.calibration.untamed:
        yield ""
        yield printable(clipped(f"cannot be tamed: {describe(variation.shown)}", _LINE))
        yield f"  {variation.reason}. Let CMD say the same in each run, or record it anew"
    for yaml, reason in outcome.withheld.items():
        yield f"\nwithheld: {reason}; delete what is old, or record it anew:\n{yaml}"
    yield from _shortfalls(outcome)
    yield ""
    yield from _verdict(outcome, source, written=written)


def _shortfalls(outcome: CalibrationOutcome) -> Iterator[str]:
    """What the last run did otherwise than the first, besides what varied."""
    last = outcome.runs[-1].number
    if outcome.only_later:
        number = count(len(outcome.only_later), "request")
        yield f"run {last} sent {number} that run 1 did not: {', '.join(outcome.only_later[:3])}"
    if outcome.only_first and outcome.runs[-1].varied:
        number = count(len(outcome.only_first), "request")
        yield f"run {last} did not send {number} of run 1: {', '.join(outcome.only_first[:3])}"
    if outcome.calibration.answers_differ and not outcome.proven:
        yield "after other answers CMD went another way, so what it sent then was not compared"


def _verdict(outcome: CalibrationOutcome, source: str, *, written: bool) -> Iterator[str]:
    proof = outcome.proof
    if proof is not None:
        yield (
            f"tried: {proof.replayed} of {count(proof.pairs, 'varied request')} equal under the"
            f" rules; of {count(proof.prompts, 'text')} that may ask something, each changed in"
            f" three ways, {len(proof.hidden)} would get an old answer;"
            f" {len(proof.unneeded)} parts of rules not needed"
        )
    last = outcome.runs[-1].number if outcome.runs else 0
    if outcome.is_settled and not outcome.rules:
        yield f"CMD replays: run {last} was answered from run 1 alone, and needs no rules"
    elif outcome.is_settled:
        yield f"CMD replays under the rules: run {last} was answered from run 1 alone"
        yield f"{source}: rules added" if written else f"--write adds them to {source}"
    else:
        yield "CMD does not replay yet; nothing is written"


def as_json(outcome: CalibrationOutcome, source: str, *, written: bool) -> dict[str, Any]:
    """The members of the document for `--json`."""
    proof = outcome.proof
    return {
        "settled": outcome.is_settled,
        "problem": outcome.problem or None,
        "runs": [asdict(run) for run in outcome.runs],
        "rules": [
            {
                "name": rule.suggestion.rule.name,
                "yaml": rule.suggestion.yaml,
                "hides": list(rule.hides),
                "warnings": list(rule.suggestion.warnings),
                "variations": [_variation(each) for each in rule.variations],
            }
            for rule in outcome.rules
        ],
        "untamed": [
            {**_variation(each), "reason": each.reason} for each in outcome.calibration.untamed
        ],
        "withheld": [{"yaml": yaml, "reason": why} for yaml, why in outcome.withheld.items()],
        "only_in_first_run": list(outcome.only_first),
        "only_in_last_run": list(outcome.only_later),
        "proof": {**asdict(proof), "holds": proof.holds} if proof is not None else None,
        "file": source,
        "written": written,
    }


def _variation(variation: Variation) -> dict[str, Any]:
    provider, method, path = variation.endpoint
    return {
        "provider": provider,
        "method": method,
        "path": path,
        "place": variation.shown.path,
        "kind": variation.kind,
        "first": as_told(variation.shown.recorded),
        "later": as_told(variation.shown.got),
    }
