"""What surrounds a run is looked at, and each fault says what to do."""

import socket
from pathlib import Path

import pytest

from wiretape.doctor import checks as module
from wiretape.doctor.checks import checks
from wiretape.doctor.finding import CheckResult


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


def found(config: Path | None = None, folder: Path | None = None) -> dict[str, CheckResult]:
    return {finding.name: finding for finding in checks(config, folder, {})}


def test_all_is_well_where_nothing_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    states = {finding.state for finding in found().values()}
    assert states <= {"ok", "note"}


def test_a_port_that_is_taken_is_a_fault(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"listen: {{port: {port}}}\n")
        finding = found(tmp_path / "config.yaml")[f"port {port}"]
    assert (finding.state, finding.seen) == ("fault", "Address already in use")
    assert finding.advice == "choose another listen.port, or 0 for any free one"


def test_a_clock_that_was_never_set_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wiretape.doctor.checks.time.time", lambda: 0.0)
    finding = found()["clock"]
    assert (finding.state, finding.seen) == ("fault", "shows 1970-01-01")


def test_a_state_folder_that_cannot_be_used_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "file" / "home"))
    assert found()["state folder"].state == "fault"


def test_a_package_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("not-there-at-all",))
    assert found()["versions"].seen == "not-there-at-all is not installed"
