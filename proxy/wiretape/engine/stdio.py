"""Replay an MCP server that speaks on standard input and output: it is never started.

Each line of the client is answered by the conversation that it opened in the recordings
(`core/capture/stdio.py`). What the server asks in one waits, as a WebSocket does, for the client's
reply, which has to be the recorded one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from wiretape.core.capture.stdio import FRESH, Messages, is_call, is_reply, request_of
from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.miss import Miss
from wiretape.core.model import Message, WebSocket, header
from wiretape.core.playback.websocket import LockStep, Mismatch, ReplayedConnection, Step
from wiretape.core.wire import jsonrpc
from wiretape.core.wire.jsonrpc import SESSION_HEADER, spelled

from .answer import ReplayAnswer
from .replayer import Replayer
from .request import ReplayRequest


@dataclass(slots=True, kw_only=True)
class _OpenConversation:
    """A conversation under replay."""

    request: ReplayRequest
    answer: ReplayAnswer
    lock: LockStep
    started: float
    sent: int = 0
    received: int = 0
    first: float | None = None
    mismatch: Mismatch | None = None
    miss: Miss | None = None
    """Why there was a mismatch, once that is known."""

    @property
    def gives_state(self) -> str:
        """The id of what its call makes of the server, of the take that answers at present."""
        return header(self.lock.recorded.headers, SESSION_HEADER) or FRESH


NOT_KNOWN: Final = (
    "the server is not asked for what is missing: it does not know of the calls that were answered"
    " from recordings, and its answer may be another one. Record the session as a whole, with"
    f" --record; where calls do not depend on each other: match.without_headers: [{SESSION_HEADER}]"
)

type SendLine = Callable[[bytes], Awaitable[None]]
"""Sends a line to the client."""


class StdioReplay:
    """Answers the lines of a client; `state` is what the last tool called made of the server.

    With `may_ask` a line that the run's policy wants from the server itself is left to the caller.
    `broke_off` is set where the server's output ended in the midst of a recorded conversation.
    """

    def __init__(self, replayer: Replayer, target: str, send: SendLine, *, may_ask: bool) -> None:
        self.state = FRESH
        self.broke_off: Final = asyncio.Event()
        self._replayer = replayer
        self._target = target
        self._send = send
        self._may_ask = may_ask
        self._has_replayed_calls = False
        self._open: list[_OpenConversation] = []
        self._asking: dict[str, _OpenConversation] = {}

    async def client_line(self, line: bytes, messages: Messages) -> bool:
        """Answer a line of the client; False where the server is to be asked."""
        if is_reply(messages):
            ids = map(spelled, jsonrpc.answer_ids(messages))
            talks = [talk for text in ids if (talk := self._asking.pop(text, None)) is not None]
            if talks:
                await self._reply(talks[0], line.removesuffix(b"\n"))
                return True
        replayer = self._replayer
        live = request_of(self._target, line, messages, self.state)
        request = replayer.with_current_ids(replayer.prepare(live))
        if self._may_ask and replayer.decide(request) == "record":
            depends = SESSION_HEADER in request.canonical.value["headers"]
            if not (depends and self._has_replayed_calls):
                return False
            replayer.report.notice(NOT_KNOWN)
        answer = replayer.answer(request)
        if answer is None or not isinstance(answer.response, WebSocket):
            await self._miss(request)
        else:
            await self._begin(request, answer, changes_state=is_call(messages))
        return True

    async def _begin(
        self, request: ReplayRequest, answer: ReplayAnswer, *, changes_state: bool
    ) -> None:
        try:
            lock = self._replayer.sockets.lock_step(request, answer)
        except (FormatError, StoreError):
            await self._miss(request)
            return
        started = asyncio.get_running_loop().time()
        talk = _OpenConversation(request=request, answer=answer, lock=lock, started=started)
        self._open.append(talk)
        if changes_state:
            self.state = talk.gives_state
            self._has_replayed_calls = True
        await self._send_step(talk, lock.begin())

    async def _reply(self, talk: "_OpenConversation", line: bytes) -> None:
        talk.received += 1
        state = talk.gives_state
        step = talk.lock.feed(Message(line, None, "client"))
        if self.state == state:
            self.state = talk.gives_state
        if isinstance(step, Mismatch):
            talk.mismatch = step
            talk.miss = await self._replayer.sockets.explain(talk.request, step)
            if talk in self._open:  # the client has not left meanwhile
                self._report(talk)
                await self._refuse(
                    talk.request, self._replayer.misses.body(talk.request, talk.miss)
                )
        else:
            await self._send_step(talk, step)

    async def _miss(self, request: ReplayRequest) -> None:
        _, _, body = await self._replayer.misses.answer_in_thread(request)
        await self._refuse(request, body)

    async def _refuse(self, request: ReplayRequest, body: bytes) -> None:
        # A notification gets no answer: JSON-RPC 2.0, section 4.1.
        if jsonrpc.request_ids(jsonrpc.messages(request.live.body)):
            await self._send(body + b"\n")

    async def _send_step(self, talk: "_OpenConversation", step: Step) -> None:
        for due in step.due:
            if talk.first is None:
                talk.first = asyncio.get_running_loop().time() - talk.started
            talk.sent += 1
            data = due.message.data
            for message_id in jsonrpc.request_ids(jsonrpc.messages(data)):
                self._asking[spelled(message_id)] = talk
            await self._send(data + b"\n")
        if step.ending is not None and step.ending.close is None:
            self.broke_off.set()
        elif step.ending is not None:
            self._report(talk)

    def end(self) -> None:
        """Report what is still open when the client has left or the server's output has ended."""
        for talk in tuple(self._open):
            end = talk.lock.recorded.end
            note = "the client left" if end == "complete" else f"ended as recorded: {end}"
            self._report(talk, note)

    def _report(self, talk: "_OpenConversation", note: str | None = None) -> None:
        self._open.remove(talk)
        self._asking = {text: other for text, other in self._asking.items() if other is not talk}
        connection = ReplayedConnection(
            recording=talk.lock.recording,
            sent=talk.sent,
            received=talk.received,
            first=talk.first,
            duration=asyncio.get_running_loop().time() - talk.started,
            note=note,
            mismatch=talk.mismatch,
            stale=talk.lock.stale,
            rules=talk.lock.rules,
        )
        row = self._replayer.sockets.row(talk.request, talk.answer, connection, talk.miss)
        self._replayer.report.add(row)
