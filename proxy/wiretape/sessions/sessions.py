"""Open and track sessions: named scopes with their own recordings, take order and known ids.

A client names its session in the credentials of the proxy's URL (`http://NAME:x@127.0.0.1:PORT`) or
in a header; without a name it is in the run's own session.
"""

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from wiretape.core.errors import StoreError
from wiretape.core.playback.player import Player, Repeat, TakeOrder
from wiretape.core.recording.given_ids import KnownIds
from wiretape.core.wire.jsonrpc import Renaming
from wiretape.library.library import SESSION_NAME, Library
from wiretape.report.report import RowOutcome

from .branch import Branch

HEADER: Final = "x-wiretape-session"
"""Names a request's session; it goes no further than wiretape."""

MAX_SESSIONS: Final = 10_000
_MAX_PROBLEMS: Final = 100

type LogEntry = tuple[Any, ...]
"""What other processes are told of a session: see `shared.py`."""


class UnknownSession(Exception):
    """A client's session has an invalid name; `str()` says what is valid."""


@dataclass(slots=True, kw_only=True)
class Session:
    """The state of one session; `name` is its folder below the recordings, None if the run's own
    session has no name.
    """

    name: str | None
    library: Library
    player: Player
    key: str | None = None
    """What it is opened by, as a client names it."""
    known_ids: KnownIds = field(default_factory=KnownIds)
    take_order: TakeOrder = field(default_factory=TakeOrder)
    counts: Counter[RowOutcome] = field(default_factory=Counter)
    exact_keys: dict[str, str] = field(default_factory=dict)
    """For each key of a request with values that could be guessed, and so have no digest: the key
    that its first request had with these told apart."""
    used: set[str] = field(default_factory=set)
    """The names of the recordings that answered its requests."""
    renamings: dict[str, Renaming] = field(default_factory=dict)
    """The ids of JSON-RPC in streams that were given, by the events they may be resumed from."""
    branch: Branch | None = None
    """Where its live exchanges are recorded, if not among what it replays."""
    problems: list[str] = field(default_factory=list)
    """What went wrong, each once: misses, and what could not be recorded."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a take is handed out that other processes may want too."""
    unshared: list[LogEntry] = field(default_factory=list)
    """What other processes do not know yet."""

    @property
    def writable(self) -> Library:
        """The library that its exchanges are recorded into."""
        return self.library if self.branch is None else self.branch.library

    def add_problem(self, text: str) -> None:
        """Keep what went wrong, up to a limit."""
        if text not in self.problems and len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)

    def reset(self) -> None:
        """Start over: every key at its first take, no id known."""
        self.player.reset()
        self.known_ids.clear()
        self.take_order.reset()
        self.counts.clear()
        self.used.clear()
        self.exact_keys.clear()
        self.renamings.clear()
        self.problems.clear()
        self.unshared.clear()


class Sessions:
    """The sessions of a run; a session's library is opened when its first request comes.

    `open_library` reads the recordings of a session; requests without a session use `default`.
    """

    def __init__(
        self,
        open_library: Callable[[str | None], Library],
        repeat: Repeat = "last",
        default: str | None = None,
    ) -> None:
        self._open_library = open_library
        self._repeat = repeat
        self.default: Final = default
        self._sessions: dict[str | None, Session] = {}
        self._clients: dict[str, str] = {}
        # Read now, so that faults of the folder are reported before a run begins.
        self.own: Final = self.get(None)

    def get(self, name: str | None) -> Session:
        """The session of a name, opened if it is new; None is the run's own.

        UnknownSession if the name is invalid; StoreError if its folder cannot be read.
        """
        name = name or self.default
        name = self._clients.get(name, name) if name else name
        return self._sessions.get(name) or self._open(name, name)

    def start(self, name: str, folder: str | None = None, client: str | None = None) -> Session:
        """Open a session at the first take of every key, or start an open one over.

        Its recordings are in `folder`, by itself the one of its name: several sessions may share
        one. Until it is finished, what comes in session `client` is in this one: so the clients of
        a test process need not change as its tests do. Errors as `get`.
        """
        check_name(client)
        session = self._sessions.get(name)
        if session is not None and session.name != (folder or name):
            raise UnknownSession(f"session {name} is open with folder {session.name}: finish it")
        session = session or self._open(name, folder or name)
        session.reset()
        if client:
            self._clients[client] = name
        return session

    def _open(self, name: str | None, folder: str | None) -> Session:
        check_name(name)
        check_name(folder)
        if len(self._sessions) >= MAX_SESSIONS:
            raise UnknownSession(f"{MAX_SESSIONS} sessions are open: finish some")
        session = Session(
            name=folder,
            library=self._open_library(folder),
            player=Player(self._repeat),
            key=name,
        )
        self._sessions[name] = session
        return session

    def known(self, name: str | None) -> Session | None:
        """The session of a name, or None if it is not open."""
        return self._sessions.get(name or self.default)

    def forget(self, name: str) -> None:
        """Close a finished session; a later one of its name starts over and reads its folder."""
        session = self._sessions.get(name)
        self._clients = {
            client: session_name
            for client, session_name in self._clients.items()
            if session_name != name
        }
        if session is not None and session is not self.own:
            del self._sessions[name]
            session.library.leave()
            session.library.close()
        elif session is not None:
            session.reset()

    def all(self) -> list[Session]:
        """The open sessions, in the order they began."""
        return list(self._sessions.values())

    def leave(self) -> None:
        """End the recording run of each session's library."""
        for session in self._sessions.values():
            session.library.leave()


def check_name(name: str | None) -> None:
    """Raise UnknownSession unless `name` is None or valid."""
    if name is not None and not SESSION_NAME.fullmatch(name):
        raise UnknownSession(
            "a session's name has letters, digits, - and _, begins with a letter or digit and has"
            " at most 100 of them; up to ten such names, with / between them, are a folder in"
            " folders"
        )


def of_credentials(value: str | None) -> str | None:
    """The session that a Proxy-Authorization header names (RFC 7617): its user; None without one.

    UnknownSession where the header cannot be read.
    """
    if not value:
        return None
    scheme, _, coded = value.strip().partition(" ")
    if scheme.lower() != "basic":
        raise UnknownSession("expected the session as http://NAME:x@127.0.0.1:PORT (Basic)")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise UnknownSession("the proxy credentials are not base64 (RFC 7617)") from None
    name = unquote(text.partition(":")[0])
    check_name(name or None)
    return name or None


def session_error_text(error: StoreError | UnknownSession) -> str:
    """What to answer a client whose session cannot be used."""
    return f"this session cannot be used: {error}"
