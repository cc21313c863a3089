"""The texts of help that are shipped are those of today's commands."""

import pytest
from tests.support.all_commands import forget_help_options

from wiretape.cli.write_help import FILE, as_text


def test_the_file_is_as_the_commands_are(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_help_options(monkeypatch)
    assert FILE.read_text(encoding="utf-8") == as_text(), "run `make packs`"
