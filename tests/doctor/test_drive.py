"""`python -m wiretape.doctor.drive FOLDER` writes what became of each probe."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from wiretape.doctor import doctor


def test_the_outcomes_of_the_probes_are_written_where_the_doctor_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def run_probes(folder: Path, environ: object) -> dict[str, dict[str, str]]:
        asked.append(folder)
        return {"curl": {"state": "ok"}}

    monkeypatch.setattr(doctor, "run_probes", run_probes)
    monkeypatch.setattr(sys, "argv", ["drive", str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wiretape.doctor.drive", raising=False)
    runpy.run_module("wiretape.doctor.drive", run_name="__main__")
    assert asked == [tmp_path]
    assert json.loads((tmp_path / "outcomes.json").read_text()) == {"curl": {"state": "ok"}}
