"""Keep a process's sessions equal to those of the other processes of its run.

Everything that decides which take is next is in logs that all of them append to and read: the takes
that a session gave, and in the control log which sessions were started, reset and finished. Who has
read all of a log chooses by itself, and appends what it chose; who has not reads on, and chooses
again. So ids and WebSockets keep their session on any process, and a client need not come back to
the same.

    control    start NAME FOLDER CLIENT · reset NAME · finish NAME · problem TEXT
    session    take NAME TOKEN IDS [KEY EXACT] · socket NAME TOKEN IDS · miss TEXT

IDS are the ids that the answer gives, which TOKEN names: nobody has to look them up.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from wiretape.core.errors import StoreError
from wiretape.core.recording.given_ids import AnswerId, Claim
from wiretape.core.text.exact_json import dumps, parse
from wiretape.sequences.shared_log import LocalLog, SharedLog, Tail

from .sessions import LogEntry, Session, Sessions, UnknownSession

_MOST_SHARED: Final = 1_000
"""The number of a session's entries after which repeated takes are not counted any more."""

type IsApart = Callable[[Sequence[LogEntry]], bool]
"""Says whether an entry is right though others appended these first."""


class SessionsChanged(Exception):
    """A session was started, reset or finished meanwhile: find the request's session again."""


@dataclass(slots=True)
class _Followed:
    """The log of a session, and how many entries of it are known here."""

    log_name: str
    entries: int = 0


class SharedSessions:
    """The sessions of this process, and the logs that they follow."""

    def __init__(self, sessions: Sessions, log: SharedLog) -> None:
        self._sessions = sessions
        self._log = log
        self._local = log if isinstance(log, LocalLog) else None
        self.is_immediate: Final = self._local is not None
        """Whether `append_now` may be called."""
        # By session: how many control entries there were when it began anew.
        self._begun: dict[str, int] = {}
        self._control_entries = 0
        self._followed: dict[str, _Followed] = {}
        self.notify: Callable[[str], None] = lambda text: None
        """Called with problems that concern all sessions."""

    async def append(
        self, session: Session, *entry: Any, is_needed: bool = True
    ) -> list[str] | None:
        """Append an entry to a session's log, with what it has not shared yet; None if that is
        done. Else others were first, and the session now has theirs: the recordings they gave.

        An entry that changes nothing (`is_needed` False) is left out of a long log. `session.turn`
        has to be held. SessionsChanged as it says; SequencesLost as `SharedLog.append`.
        """
        followed = self._followed_of(session)
        unshared = list(session.unshared)
        entries = [*unshared]
        if entry and (is_needed or followed.entries < _MOST_SHARED):
            entries.append(entry)
        tail = await self._log.append(followed.log_name, list(map(_written, entries)))
        if tail.is_appended:
            del session.unshared[: len(unshared)]
            followed.entries += len(entries)
        others = list(map(parse, tail.entries))
        self._follow(session, followed, tail, others)
        return None if tail.is_appended else [name for _, name, *_ in others]

    def append_now(self, session: Session, *entry: Any, is_needed: bool, is_apart: IsApart) -> bool:
        """Append an entry as `append` does, but without waiting, and after the entries of others
        if `is_apart` says so of these; gives whether that is done.
        """
        assert self._local is not None
        followed = self._followed_of(session)
        entries = [_written(entry)] if is_needed or followed.entries < _MOST_SHARED else []
        others: list[LogEntry] = []

        def are_apart(texts: Sequence[str]) -> bool:
            others.extend(map(parse, texts))
            return is_apart(others)

        tail = self._local.append_now(followed.log_name, entries, are_apart)
        if tail.is_appended:
            followed.entries += len(entries)
        if others or tail.control:
            self._follow(session, followed, tail, others or list(map(parse, tail.entries)))
        return tail.is_appended

    def is_settled(self, session: Session) -> bool:
        """Whether a take that is repeated may be given with nobody asked or told."""
        followed = self._followed.get(session.key or "")
        if self._local is None or followed is None or followed.entries < _MOST_SHARED:
            return False
        return not session.unshared and self._local.is_read(followed.log_name)

    def _follow(
        self, session: Session, followed: _Followed, tail: Tail, others: Sequence[LogEntry]
    ) -> None:
        """Bring a session to where others have brought it."""
        for text in tail.control:
            self._control(parse(text))
        if (
            self._followed.get(session.key or "") is not followed
            or self._sessions.known(session.key) is not session
        ):
            raise SessionsChanged
        for other in others:
            _follow(session, *other)
        followed.entries += len(others)
        if tail.control:
            raise SessionsChanged

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
        text = _written(entry)
        while True:
            tail = await self._log.append("", [text])
            for other in tail.control:
                self._control(parse(other))
            if tail.is_appended:
                if not tail.control:
                    self._control(entry)
                return

    def _control(self, entry: "tuple[str, ...] | list[str]") -> None:
        self._control_entries += 1
        action, name, *options = entry
        if action == "problem":
            self.notify(name)
            for every in self._sessions.all():
                every.add_problem(name)
            return
        session = self._sessions.known(name)
        followed = self._followed.pop(name, None)
        if followed is not None:
            self._log.forget(followed.log_name)
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

    def _followed_of(self, session: Session) -> _Followed:
        key = session.key or ""
        followed = self._followed.get(key)
        if followed is None:
            # The control log has the name "".
            log_name = f"{self._begun.get(key, 0)}/{key}"
            followed = self._followed[key] = _Followed(log_name)
        return followed

    async def close(self) -> None:
        """Let go of the log."""
        await self._log.close()


def given(
    kind: Literal["take", "socket"], name: str, token: str, ids: Iterable[AnswerId], *exact: str
) -> LogEntry:
    """The entry of a take, or of a WebSocket, that was given."""
    return kind, name, token, [(each.text, each.claim) for each in ids], *exact


def ids_in(entry: LogEntry) -> list[str]:
    """The ids that an entry's answer gave."""
    return [text for text, _ in entry[3]] if len(entry) > 3 else []


def _written(entry: LogEntry) -> str:
    return dumps(entry, parsed=True)


def _follow(
    session: Session,
    kind: str,
    text: str,
    token: str = "",
    ids: Iterable[tuple[str, Claim]] = (),
    *exact: str,
) -> None:
    """Bring a session to where another process has brought it."""
    if kind == "miss":
        session.counts["missed"] += 1
        session.add_problem(text)
        return
    session.used.add(text)
    session.known_ids.learn([AnswerId(*each) for each in ids], token)
    if kind == "socket":
        session.take_order.used(text)
        return
    session.counts["replayed"] += 1
    session.player.give(text)
    if exact:
        session.exact_keys.setdefault(*exact)
