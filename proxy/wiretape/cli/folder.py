"""What commands that look at a folder of recordings share: their options and the folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.text.printable import escaped
from wiretape.files import name_of

from .options import CONFIG, RECORDINGS, as_json, session

if TYPE_CHECKING:
    from wiretape.config.load import Config
    from wiretape.maintenance.inventory import SessionFiles
    from wiretape.maintenance.verify import Keys

FOLDER: Final = (
    CONFIG,
    RECORDINGS,
    session("Only this session's recordings; default all."),
    as_json("Print the result as JSON."),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The recordings a command looks at, as its options name them."""

    config_file: Path | None
    recordings: Path | None
    session: str | None


class Folder:
    """The recordings a command looks at, and their names in what it prints."""

    def __init__(self, scope: Scope) -> None:
        from wiretape.config.load import load
        from wiretape.core.redaction.redactor import Redactor
        from wiretape.maintenance.inventory import sessions

        self.config: Final[Config] = load(scope.config_file, os.environ)
        self.redactor: Final[Redactor] = Redactor(self.config.redaction)
        self.path: Final = scope.recordings or self.config.recordings
        self.session: Final = scope.session
        self.sessions: Final[list[SessionFiles]] = sessions(self.path, scope.session)

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
        """A file's name as it is printed: without secrets and escape sequences."""
        return escaped(self.redactor.text(name_of(files.folder / name)))

    def row(self, files: "SessionFiles", name: str, **members: Any) -> dict[str, Any]:
        """A file as a row of JSON."""
        session = {} if files.session is None else {"session": files.session}
        return {"file": self.shown(files, name), **session, "recording": name, **members}
