"""Errors hold what a caller needs, and say it in lines."""

from pathlib import Path

import pytest

from wiretape.core.errors import ConfigError, FormatError, StoreError, WiretapeError, reason_of


def test_a_configuration_error_has_a_line_for_each_fault() -> None:
    error = ConfigError("config.yaml:1: a", "config.yaml:2: b")
    assert str(error) == "config.yaml:1: a\nconfig.yaml:2: b"
    assert error.faults == ("config.yaml:1: a", "config.yaml:2: b")


@pytest.mark.parametrize("kind", [ConfigError, FormatError, StoreError])
def test_who_catches_the_base_catches_all(kind: type[WiretapeError]) -> None:
    with pytest.raises(WiretapeError, match="no such file"):
        raise kind("no such file")


def test_the_reason_of_a_system_call_has_no_path() -> None:
    with pytest.raises(OSError, match="nowhere") as caught:
        Path("/nowhere/at/all").read_bytes()
    assert reason_of(caught.value) == "No such file or directory"
    assert reason_of(OSError("closed")) == "closed"
    assert reason_of(ValueError("not a path")) == "not a path"
