"""Examine this machine: every client stack through a real proxy, then what surrounds a run."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .finding import CheckResult
from .probes import HOST, PROBES, SOURCES, Probe, answer, recordings

SECONDS: Final = 60.0
"""The longest that one probe may take; Go and Java compile first."""

_CONFIG: Final = f"providers:\n  doctor:\n    hosts: [{HOST}]\n"
_UNTRUSTED: Final = (
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verif",
    "self-signed",
    "self signed",
    "local issuer",
    "unknown authority",
    "is not trusted",
    "PKIX",
)
"""What clients say of a certificate that they do not trust."""

type Tell = Callable[[CheckResult], None]


def clients(environ: Mapping[str, str], tell: Tell) -> None:
    """Drive each installed client stack through a proxy that answers from a made-up recording.

    The proxy is `wiretape replay`, with this environment, and can reach nobody.
    """
    with tempfile.TemporaryDirectory(prefix="wiretape-doctor-") as name:
        folder = Path(name)
        _prepare(folder)
        driver = [sys.executable, "-m", "wiretape.doctor.drive", str(folder)]
        reported = _replay(folder, driver, environ)
        seen = {row["path"] for row in reported.get("exchanges", ())}
        outcomes: Mapping[str, Mapping[str, Any]] = _json(folder / "outcomes.json")
        for probe in PROBES:
            tell(_judge(probe, outcomes.get(probe.name), seen))


def command(
    words: Sequence[str], options: Sequence[str], environ: Mapping[str, str], tell: Tell
) -> None:
    """Run CMD in `replay` and say what of it reached the proxy and what it did not answer."""
    with tempfile.TemporaryDirectory(prefix="wiretape-doctor-") as name:
        report = Path(name, "report.json")
        line = [sys.executable, "-m", "wiretape", "replay", "-q", *options, "--report", str(report)]
        done = subprocess.run([*line, "--", *words], env=dict(environ), check=False)
        reported = _json(report)
        for finding in _of_run(reported, done.returncode):
            tell(finding)


def _prepare(folder: Path) -> None:
    (folder / "recordings").mkdir()
    (folder / "config.yaml").write_text(_CONFIG, encoding="utf-8")
    for name, text in recordings():
        (folder / "recordings" / name).write_text(text, encoding="utf-8")
    for name, text in SOURCES.items():
        (folder / name).write_text(text, encoding="utf-8")


def _replay(folder: Path, words: Sequence[str], environ: Mapping[str, str]) -> Mapping[str, Any]:
    report = folder / "report.json"
    line = [sys.executable, "-m", "wiretape", "replay", "-q", "-c", str(folder / "config.yaml")]
    line += ["-r", str(folder / "recordings"), "--report", str(report), "--", *words]
    subprocess.run(line, env=dict(environ), capture_output=True, check=False)
    return _json(report)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        read: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return read


def run_probes(folder: Path, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What became of each probe whose stack is installed; run as CMD of the proxy."""
    outcomes: dict[str, dict[str, Any]] = {}
    for probe in PROBES:
        program = shutil.which(probe.program, path=environ.get("PATH"))
        if program is None or (probe.needs and _run([program, *probe.needs], environ)[0] != 0):
            continue
        line = probe.command(folder)
        status, out, errors = _run([program, *line[1:]], environ)
        outcomes[probe.name] = {"status": status, "out": out, "errors": errors}
    return outcomes


def _run(line: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            line,
            env=dict(environ),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return -1, "", f"no answer in {SECONDS:.0f} s"
    except OSError as error:
        return -1, "", error.strerror or "cannot be started"
    return done.returncode, done.stdout, done.stderr


def _judge(probe: Probe, outcome: Mapping[str, Any] | None, seen: set[str]) -> CheckResult:
    name = f"client {probe.name}"
    if outcome is None:
        return CheckResult(name, "skipped", "not installed")
    reached = any(f"{path}/".startswith(f"{probe.path}/") for path in seen)  # git adds to it
    if reached and (answer(probe) in outcome["out"] or probe.program == "git"):
        return CheckResult(name, "ok", f"goes through the proxy and trusts it by {probe.trust}")
    if reached:
        return CheckResult(name, "note", "reached the proxy, but did not print its answer")
    if any(word in outcome["errors"] for word in _UNTRUSTED):
        return CheckResult(name, "note", "does not trust the proxy's certificate", probe.advice)
    return CheckResult(name, "note", "goes past the proxy", probe.advice)


def _of_run(reported: Mapping[str, Any], status: int) -> Iterator[CheckResult]:
    rows = reported.get("exchanges", [])
    outcomes = [row["outcome"] for row in rows]
    if not reported:
        yield CheckResult("CMD", "fault", f"the run ended with {status} before it had a report")
        return
    missed = outcomes.count("missed")
    seen = f"{len(rows)} requests reached the proxy, {missed} of them had no recording"
    advice = "record them: wiretape record -- CMD" if missed else ""
    yield CheckResult("CMD", "fault" if missed or not rows else "ok", seen, advice)
    if any("does not trust" in notice for notice in reported.get("notices", [])):
        yield CheckResult(
            "trust",
            "note",
            "CMD went to the proxy, and perhaps not on since it does not trust its certificate",
            "where CMD pins one of its own, or has other roots, take that away, or give it a base"
            " URL: docs/clients.md",
        )
    for host in sorted(item["host"] for item in reported.get("other_hosts", [])):
        yield CheckResult(
            f"host {host}",
            "note",
            "was requested and is not a provider's",
            f"if it is to be recorded: wiretape record --host {host} -- CMD",
        )
