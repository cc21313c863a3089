"""The GitHub Action: its own scripts run as GitHub would run them, and misses are shown."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.support import paths
from tests.support.limits import PATIENCE

ACTION: Final = yaml.safe_load((paths.ROOT / "action.yml").read_text())
STEPS: Final[list[dict[str, Any]]] = ACTION["runs"]["steps"]
SHOW: Final = paths.ROOT / "integrations" / "github" / "show_report.py"
MISS: Final = {
    "outcome": "missed",
    "method": "POST",
    "path": "/v1/chat/completions",
    "miss": {"message": "no recording answers it\n  50% of ``` and ```` differ"},
}


def report(folder: Path, *rows: object) -> Path:
    counts = {"missed": len(rows)} if rows else {}
    document = {"mode": "replay", "counts": counts, "notices": ["careful"], "exchanges": rows}
    path = folder / "report.json"
    path.write_text(json.dumps(document))
    return path


def shown(path: Path, summary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", SHOW, path],
        env={"GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_what_users_give_is_in_no_scripts_text() -> None:
    scripts = [step["run"] for step in STEPS if "run" in step]
    assert len(scripts) >= 3
    assert not [script for script in scripts if "${{" in script]
    given = {name for step in STEPS for name in re.findall(r"inputs\.([\w-]+)", json.dumps(step))}
    assert given == set(ACTION["inputs"])


@pytest.mark.parametrize(("command", "status"), [("echo ran", 3), ("exit 7", 7)])
def test_its_run_step_replays_and_fails_as_the_command_does(
    command: str, status: int, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    (step,) = [step for step in STEPS if step.get("id") == "run"]
    assert set(step["env"]) == {"WIRETAPE", "MODE", "ARGUMENTS", "COMMAND", "REPORT"}
    given = {
        "WIRETAPE": str(Path(sys.executable).parent / "wiretape"),
        "MODE": "replay",
        "ARGUMENTS": "--no-isolate --pace instant",
        "COMMAND": command,
        "REPORT": str(tmp_path / "report.json"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step["run"]],
        env={**clean_env, **given},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == status, done.stderr
    assert ("ran" in done.stdout) == (status == 3)
    assert json.loads((tmp_path / "report.json").read_text())["mode"] == "replay"


def test_misses_are_annotations_and_the_summary_has_all(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = shown(report(tmp_path, *[MISS] * 12), summary)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "::error title=wiretape%3A missed POST /v1/chat/completions::"
        "no recording answers it%0A  50%25 of ``` and ```` differ"
    )
    assert len(lines) == 11
    assert "2 more" in lines[-1]
    text = summary.read_text()
    assert text.startswith("### wiretape replay: 12 missed\n\n- careful\n")
    assert text.count("\n`````\n") == 24, "a fence longer than any within"


def test_a_run_that_went_well_has_no_annotation(tmp_path: Path) -> None:
    done = shown(report(tmp_path), tmp_path / "summary.md")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_report_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    done = shown(tmp_path / "none.json", tmp_path / "summary.md")
    assert done.returncode == 1
    assert done.stdout.startswith("::warning title=wiretape::")


def test_the_workflow_of_drift_calls_it_as_it_can_be_called(tmp_path: Path) -> None:
    workflow = yaml.safe_load((paths.ROOT / "integrations" / "github" / "drift.yml").read_text())
    steps = workflow["jobs"]["drift"]["steps"]
    [line] = re.findall(r"wiretape (drift [^|]*) \|\|", next(s["run"] for s in steps if "id" in s))
    words = line.replace("$RUNNER_TEMP", str(tmp_path)).replace('"', "").split()
    (tmp_path / "recordings").mkdir()
    command = [sys.executable, "-m", "wiretape", *words]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (ran.returncode, "no recording that is chosen" in ran.stderr) == (2, True), ran.stderr
    assert "pull-requests" in workflow["permissions"]
