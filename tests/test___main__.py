"""`python -m wiretape` is `wiretape`."""

import runpy
import sys

import pytest

from wiretape import __version__


def test_python_m_wiretape_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wiretape", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("wiretape", run_name="__main__")
    assert ended.value.code in (0, None)
    assert __version__ in capsys.readouterr().out
