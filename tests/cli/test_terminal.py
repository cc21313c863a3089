"""What a recording holds cannot steer the terminal it is printed to."""

import io
import sys

import pytest

from wiretape.cli.terminal import echo, echo_cells, for_terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\tb", "a   b"), ("a\r\nb", "a\nb"), ("a\N{NO-BREAK SPACE}b", "a b")],
)
def test_spaces_are_plain(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


def test_nothing_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    echo("\x1b[2Jred\x07", "error")
    echo_cells(["a\tb", "c\nd\x1b]0;x"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert out.splitlines()[1].startswith("a   b\tc d")
    assert len(out.splitlines()) == 2


def test_letters_that_the_terminal_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    echo("né")
    out.flush()
    assert out.buffer.getvalue() == b"n?\n"
