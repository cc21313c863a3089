"""The texts of help that are shipped are those of today's commands."""

from wiretape.cli.write_help import FILE, as_text


def test_the_file_is_as_the_commands_are() -> None:
    assert FILE.read_text(encoding="utf-8") == as_text(), "run `make packs`"
