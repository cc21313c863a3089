"""Keep a process's sessions equal to those of the other processes of its run.

Everything that decides which take is next is in logs that all of them append to and read: the takes
that a session gave, and in the control log which sessions were started, reset and finished. Who has
read all of a log chooses by itself, and appends what it chose; who has not reads on, and chooses
again. So ids and WebSockets keep their session on any process, and a client need not come back to
the same.

    control    start NAME FOLDER CLIENT · reset NAME · finish NAME · problem TEXT
    session    take NAME TOKEN [KEY EXACT] · socket NAME TOKEN · miss TEXT

TOKEN is empty where the answer gives no ids.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from wiretape.core.errors import StoreError
from wiretape.sequences.shared_log import SharedLog, Tail

from .sessions import Session, Sessions, UnknownSession

_MOST_SHARED: Final = 1_000
"""The number of a session's entries after which repeated takes are not counted any more."""


class SessionsChanged(Exception):
    """A session was started, reset or finished meanwhile: find the request's session again."""


class SharedSessions:
    """The sessions of this process, and the logs that they follow."""

    def __init__(self, sessions: Sessions, log: SharedLog) -> None:
        self._sessions = sessions
        self._log = log
        # By session: how many control entries there were when it began anew.
        self._begun: dict[str, int] = {}
        self._control_entries = 0
        self._entries: dict[str, int] = {}
        self.notify: Callable[[str], None] = lambda text: None
        """Called with problems that concern all sessions."""

    async def append(
        self, session: Session, *entry: str, is_needed: bool = True
    ) -> list[str] | None:
        """Append an entry to a session's log, with what it has not shared yet; None if that is
        done. Else others were first, and the session now has theirs: the recordings they gave.

        An entry that changes nothing (`is_needed` False) is left out of a long log. `session.turn`
        has to be held. SessionsChanged as it says; SequencesLost as `SharedLog.append`.
        """
        name = self._log_name(session)
        unshared = list(session.unshared)
        entries = [*unshared]
        if entry and (is_needed or self._entries.get(name, 0) < _MOST_SHARED):
            entries.append(entry)
        tail = await self._log.append(name, [json.dumps(item) for item in entries])
        self._follow_control(tail)
        if name != self._log_name(session) or self._sessions.known(session.key) is not session:
            raise SessionsChanged
        if tail.is_appended:
            del session.unshared[: len(unshared)]
            self._entries[name] = self._entries.get(name, 0) + len(entries)
        entries_of_others = [json.loads(text) for text in tail.entries]
        for other in entries_of_others:
            self._entries[name] = self._entries.get(name, 0) + 1
            _follow(session, *other)
        if tail.control:
            raise SessionsChanged
        return None if tail.is_appended else [name for _, name, *_ in entries_of_others]

    async def catch_up(self, key: str | None = None) -> None:
        """Read all logs that concern a session."""
        while True:
            with suppress(SessionsChanged):
                session = self._sessions.known(key) or self._sessions.own
                async with session.turn:
                    if await self.append(session) is None:
                        return

    async def announce(self, *entry: str) -> None:
        """Append to the control log what every process does then, this one too."""
        text = json.dumps(entry)
        while True:
            tail = await self._log.append("", [text])
            self._follow_control(tail)
            if tail.is_appended:
                if not tail.control:
                    self._control(entry)
                return

    def _follow_control(self, tail: Tail) -> None:
        for text in tail.control:
            self._control(json.loads(text))

    def _control(self, entry: "tuple[str, ...] | list[str]") -> None:
        self._control_entries += 1
        action, name, *options = entry
        if action == "problem":
            self.notify(name)
            for every in self._sessions.all():
                every.add_problem(name)
            return
        session = self._sessions.known(name)
        if session is not None:
            self._forget(session)
        self._begun[name] = self._control_entries
        # If this process cannot open it, the requests for it fail with the reason.
        with suppress(UnknownSession, StoreError):
            if action == "start":
                folder, client = options[0] or name, options[1] or None
                # A request that came first opened the folder of its name.
                if session is not None and session.name != folder:
                    self._sessions.forget(name)
                self._sessions.start(name, folder, client)
            elif action == "reset" and session is not None:
                session.reset()
            elif action == "finish":
                self._sessions.forget(name)

    def _forget(self, session: Session) -> None:
        name = self._log_name(session)
        self._log.forget(name)
        self._entries.pop(name, None)

    def _log_name(self, session: Session) -> str:
        # The control log has the name "".
        return f"{self._begun.get(session.key or '', 0)}/{session.key or ''}"

    async def close(self) -> None:
        """Let go of the log."""
        await self._log.close()


def _follow(session: Session, kind: str, text: str, token: str = "", *exact: str) -> None:
    """Bring a session to where another process has brought it."""
    if kind == "miss":
        session.counts["missed"] += 1
        session.add_problem(text)
        return
    session.used.add(text)
    if token:
        session.known_ids.learn(session.library.ids(text), token)
    if kind == "socket":
        session.take_order.used(text)
        return
    session.counts["replayed"] += 1
    session.player.give(text)
    if exact:
        session.exact_keys.setdefault(*exact)
