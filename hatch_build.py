"""Puts man pages into the wheel, made from the help of the commands."""

import atexit
import shutil
import sys
import tempfile
from inspect import cleandoc
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Hatchling's build hook of this project."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages to a temporary folder, and name them as the wheel's shared data."""
        if version == "editable":
            return
        folder = tempfile.mkdtemp(prefix="man-")
        atexit.register(shutil.rmtree, folder)
        for name, text in man_pages(Path(self.root), self.metadata.version).items():
            page = Path(folder, name)
            page.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(page)] = f"share/man/man1/{name}"


def man_pages(root: Path, version: str) -> dict[str, str]:
    """A page for wiretape and for each of its commands: `wiretape-replay.1`, by file name."""
    import click

    sys.path.insert(0, str(root / "proxy"))
    try:
        # Nothing but click is needed: commands import the rest when they run.
        from wiretape.cli.main import main
    finally:
        sys.path.pop(0)
    context = click.Context(main, info_name="wiretape", max_content_width=100)
    contexts = [context]
    contexts += [
        click.Context(command, info_name=name, parent=context)
        for name, command in main.commands.items()
    ]
    return {f"{each.command_path.replace(' ', '-')}.1": _page(each, version) for each in contexts}


def _page(context: Any, version: str) -> str:
    from click_man.man import ManPage

    command = context.command
    first, _, rest = cleandoc(command.help).partition("\n\n")
    page = ManPage(context.command_path)
    page.date, page.version = "", version  # a build is to be the same on another day
    page.short_help = _roff(" ".join(first.split()).rstrip("."))
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    page.description = "\n\n".join(
        _paragraph(text) for text in [first, *rest.split("\n\n")] if text
    )
    options = [each for each in command.params if each.param_type_name == "option"]
    records = filter(None, (option.get_help_record(context) for option in options))
    page.options = [(name, _roff(text)) for name, text in records]
    page.commands = [
        (name, _roff(each.get_short_help_str(200)))
        for name, each in getattr(command, "commands", {}).items()
    ]
    return str(page)


def _paragraph(text: str) -> str:
    """A paragraph of help; one after a backspace has lines that stay as they are."""
    if text.startswith("\b\n"):
        return f".nf\n{_roff(text[2:])}\n.fi"
    return _roff(text)


def _roff(text: str) -> str:
    """Text in which no backslash, no dash and no start of a line says something to roff."""
    text = text.replace("\\", "\\e").replace("-", r"\-")
    return "\n".join(rf"\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))
