"""Rules are written only into the file that they were found for."""

from pathlib import Path

import pytest

from wiretape.calibration import write_rules as module
from wiretape.calibration.write_rules import write_rules
from wiretape.core.errors import ConfigError, StoreError


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "state"))


def test_a_file_is_replaced_whole_or_made(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_rules(path, b"", b"new")
    assert path.read_bytes() == b"new"
    path.chmod(0o600)
    write_rules(path, b"new", b"newer")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"newer", 0o600)


def test_a_file_that_another_has_changed_is_left(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"theirs")
    with pytest.raises(ConfigError, match="changed while CMD ran"):
        write_rules(path, b"", b"ours")
    assert path.read_bytes() == b"theirs"


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "replace", refuse)
    with pytest.raises(StoreError, match=r"config\.yaml: cannot be written: Permission denied"):
        write_rules(tmp_path / "config.yaml", b"", b"x")
