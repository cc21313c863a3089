"""What commands that look at a folder of recordings share: options, the folder, how they print."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wiretape.core.text.printable import escaped
from wiretape.files import name_of

from .options import CONFIG, RECORDINGS, as_json, session

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.verify import Keys

FOUND: Final = 1
"""The exit status where there is something to do."""

FOLDER: Final = (
    CONFIG,
    RECORDINGS,
    session("Only this session's recordings; default all."),
    as_json("Print what is found as JSON."),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command looks, as its options say it."""

    config_file: Path | None
    recordings: Path | None
    session: str | None


def say(text: str) -> None:
    """What is no result goes to standard error."""
    click.echo(f"wiretape: {text}", err=True)


def count(number: int, noun: str) -> str:
    """A number of things: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sized(number: int) -> str:
    """A number of bytes as people say it: "1.2 kB"."""
    amount, unit = float(number), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"


def print_json(kind: str, **members: Any) -> None:
    """Print a JSON document that says what it is and its version."""
    click.echo(json.dumps({f"wiretape_{kind}": 1, **members}, indent=2))


class Folder:
    """The recordings a command looks at, and what they are called in what it prints."""

    def __init__(self, place: Place) -> None:
        from wiretape.config.load import load
        from wiretape.core.redaction.redactor import Redactor
        from wiretape.maintenance.inventory import sessions

        self.config: Final[Config] = load(place.config_file, os.environ)
        self.redactor: Final[Redactor] = Redactor(self.config.redaction)
        self.path: Final = place.recordings or self.config.recordings
        self.session: Final = place.session
        self.sessions: Final[list[SessionFiles]] = sessions(self.path, place.session)

    @property
    def count(self) -> int:
        """How many recording files there are."""
        return sum(len(files.recordings) for files in self.sessions)

    @property
    def keys(self) -> "Keys":
        """The keys under the rules of this configuration."""
        from wiretape.maintenance.verify import Keys

        return Keys(self.config.matcher, self.redactor)

    def shown(self, files: "SessionFiles", name: str) -> str:
        """A file's name, fit to be printed."""
        # It may hold a secret, line ends, escape sequences, and bytes that are not UTF-8.
        text = self.redactor.text(name_of(files.folder / name))
        return escaped(text)

    def row(self, files: "SessionFiles", name: str, **members: Any) -> dict[str, Any]:
        """A file as JSON tells of it."""
        session = {} if files.session is None else {"session": files.session}
        return {"file": self.shown(files, name), **session, "recording": name, **members}
