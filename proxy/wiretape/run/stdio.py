"""One run of `wiretape mcp`: an MCP server on standard input and output, recorded or replayed.

The client has started wiretape as its server. What is recorded passes to and fro, whole lines at a
time; what is replayed is answered by `engine/stdio.py`, and the server is not started unless the
run may ask it.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.capture.stdio import (
    FRESH,
    Messages,
    StdioConversation,
    StdioConversations,
    is_call,
    request_of,
)
from wiretape.core.capture.websocket import WebSocketRecorder
from wiretape.core.errors import ConfigError, reason_of
from wiretape.core.model import MAX_BODY
from wiretape.core.redaction.command_line import command_target
from wiretape.core.wire import jsonrpc
from wiretape.core.wire.jsonrpc import spelled
from wiretape.engine.stdio import SendLine, StdioReplay
from wiretape.report.report import Report, Row

from . import ending
from .compose import Parts, compose
from .inner_runs import tell_outer
from .recordings_store import with_store
from .run import DRAIN_SECONDS, INTERRUPTED, Signals, find_program, start_program
from .settings import Settings

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_READ: Final = 64 * 1024
_LINES_AHEAD: Final = 64

NOT_A_MESSAGE: Final = (
    "the server prints on its standard output what is not a message of JSON-RPC; it is passed on,"
    " recorded and replayed as it is. Clients may fail on it: it should go to standard error"
)
NOT_ASKED: Final = "the server answers what was not asked: it is passed on and not recorded"


@dataclass(frozen=True, slots=True)
class StdioServer:
    """A server's command line, the path and query that name it in recordings, and the descriptors
    at which its client reads and writes.
    """

    command: Sequence[str]
    target: str
    input: int
    output: int


async def run_stdio(settings: Settings, command: Sequence[str], report: Report) -> int:
    """Carry out a run on standard input and output, and give its exit status; WiretapeError where
    it could not begin.
    """
    if str(settings.report) == "-":
        raise ConfigError("--report -: standard output is the client's; name a file")
    target, credentials = command_target(command)
    redaction = settings.config.redaction
    redaction = replace(redaction, values=(*redaction.values, *credentials))
    settings = replace(settings, config=replace(settings.config, redaction=redaction))
    if None in (sys.stdin, sys.stdout):
        raise ConfigError("standard input or output is closed: they are the client's")
    # Whatever else prints, as a library might, must not mix with the lines.
    output = os.dup(1)
    os.dup2(2, 1)
    return await bridge(settings, StdioServer(command, target, 0, output), report)


async def bridge(settings: Settings, server: StdioServer, report: Report) -> int:
    """Carry out a run between a client and its server, as `run_stdio` does."""
    program = None
    if settings.mode != "replay":
        program = find_program(server.command, settings.environ)
    ending.check_report(settings)
    for notice in settings.config.notices:
        report.notice(notice)
    show = report.listen

    def tell(row: Row) -> None:
        if show is not None:
            show(row)
        tell_outer(settings.recordings, row)

    report.listen = tell
    settings = await with_store(settings, report)
    parts = compose(settings, report)
    folder = parts.sessions.own.library.folder
    if parts.intake is None and not folder.exists():
        report.notice(f"{folder}: no such folder, so every request will be a miss")
    with Signals() as signals:
        try:
            status = await _Bridge(parts, server, program, signals).run()
        finally:
            await parts.finish()
    ending.conclude(settings, report)
    if signal.SIGINT in signals.received and status is None:
        return INTERRUPTED
    return status or report.exit_status


class _Bridge:
    """Carries lines between a client and its server, or answers from recordings.

    `program` is the path of the server's program, None where it is not to be started.
    """

    def __init__(
        self, parts: Parts, server: StdioServer, program: str | None, signals: Signals
    ) -> None:
        self._parts = parts
        self._server = server
        self._program = program
        self._signals = signals
        self._output: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES_AHEAD)
        self._replay: StdioReplay | None = None
        if parts.replayer is not None:
            self._replay = StdioReplay(
                parts.replayer,
                server.target,
                self._output.put,
                may_ask=parts.intake is not None,
            )
        self._over = self._replay.broke_off if self._replay else asyncio.Event()
        self._client_left = False
        self._live: _LiveServer | None = None
        self._handshake: list[bytes] = []

    async def run(self) -> int | None:
        """Carry lines until both sides have left; gives the server's exit status, None if it was
        not started.
        """
        if self._replay is None:
            await self._start()
        client = asyncio.create_task(self._read_client())
        writer = asyncio.create_task(self._write())
        waits = (self._over.wait(), self._signals.stop.wait())
        tasks: list[asyncio.Task[Any]] = [client, *map(asyncio.create_task, waits)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            status = await self._live.end(client_left=client.done()) if self._live else None
            if self._replay is not None:
                self._replay.end()
            # A client that has stopped reading does not delay the end of the run.
            last = asyncio.create_task(self._output.put(None))
            await asyncio.wait([writer], timeout=DRAIN_SECONDS)
            last.cancel()
            if client.done():
                client.result()
            return status
        finally:
            for task in (*tasks, writer):
                task.cancel()

    async def _start(self) -> "_LiveServer":
        assert self._program is not None
        environ, pipe = self._parts.settings.environ, asyncio.subprocess.PIPE
        process = await start_program(
            self._program, self._server.command, environ, stdin=pipe, stdout=pipe
        )
        self._live = _LiveServer(
            self._parts, self._server.target, process, self._signals, self._output.put
        )
        self._live.output.add_done_callback(lambda _: self._over.set())
        return self._live

    async def _read_client(self) -> None:
        async for line, part in lines(_reader(self._server.input)):
            if part == "rest":
                if self._live is not None:
                    await self._live.send(line)
                continue
            messages = jsonrpc.messages(line)
            if self._replay is None:
                assert self._live is not None
                await self._live.take(line, messages)
            else:
                await self._answer(self._replay, line, messages)

    async def _answer(self, replay: StdioReplay, line: bytes, messages: Messages) -> None:
        """Replay what is recorded, and ask the server for the rest if that may be."""
        if self._live is not None and self._live.conversations.asking(messages):
            await self._live.take(line, messages)
            return
        if await replay.client_line(line, messages):
            if self._program is not None and _greets(messages):
                self._handshake.append(line)
            return
        if self._live is None:
            # The client's handshake was replayed, so the server has not seen it.
            await (await self._start()).greet([] if _greets(messages) else self._handshake)
        assert self._live is not None
        self._live.state = replay.state
        await self._live.take(line, messages)
        replay.state = self._live.state

    async def _write(self) -> None:
        while (data := await self._output.get()) is not None:
            if self._client_left:
                continue  # a server that cannot write does not end
            try:
                await _in_thread(_write_all, self._server.output, data)
            except OSError as error:
                self._client_left = True
                self._over.set()
                if not isinstance(error, BrokenPipeError):
                    reason = reason_of(error)
                    self._parts.report.not_served(f"the client cannot be answered: {reason}")


def _greets(messages: Messages) -> bool:
    """Whether a line is part of the handshake that a connection begins with."""
    handshake = ("initialize", "notifications/initialized")
    return any(item.get("method") in handshake for item in messages)


class _LiveServer:
    """A running server, whose conversations are recorded."""

    def __init__(
        self, parts: Parts, target: str, process: "Process", signals: Signals, send: SendLine
    ) -> None:
        self.state = FRESH
        self.conversations: Final = StdioConversations()
        self._parts = parts
        self._target = target
        self._process = process
        self._send = send
        self._unheard: set[str] = set()
        self._heard = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self.output: Final = asyncio.create_task(self._read())
        self._exit = asyncio.create_task(signals.forwarded_to(process))

    async def greet(self, handshake: Sequence[bytes]) -> None:
        """Begin the connection as the client did, who does not hear the answers again."""
        for line in handshake:
            self._unheard.update(map(spelled, jsonrpc.request_ids(jsonrpc.messages(line))))
            await self.send(line)
            if self._unheard:
                heard = asyncio.create_task(self._heard.wait())
                await asyncio.wait([heard, self.output], return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()

    async def take(self, line: bytes, messages: Messages) -> None:
        """Pass a line of the client on, and begin a conversation with it if it is not a reply."""
        now = self._clock()
        if asking := self.conversations.asking(messages):
            self.conversations.reply(asking, line, messages, now)
        else:
            self._put(self.conversations.take_over())
            config, intake = self._parts.settings.config, self._parts.intake
            request = request_of(self._target, line, messages, self.state)
            recorder = WebSocketRecorder(request, config.record_max_body)
            if is_call(messages):
                self.state = token_hex(8)
            assert intake is not None
            intake.begin(recorder, self._parts.sessions.own)
            conversation = StdioConversation(recorder=recorder, began=now)
            self.conversations.open(conversation, messages, self.state)
            await intake.wait_for_room()
        await self.send(line)

    async def send(self, data: bytes) -> None:
        """Pass bytes of the client on."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # the server has left, which its output tells
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        async for line, part in lines(lambda: output.read(_READ)):
            messages = jsonrpc.messages(line)
            ids = set(map(spelled, jsonrpc.answer_ids(messages)))
            if self._unheard & ids:
                self._unheard -= ids
                self._heard.set()
                continue
            await self._send(line)
            if part == "rest":
                continue
            if not messages:
                self._parts.report.notice(NOT_A_MESSAGE)
            if not self.conversations.server_line(line, messages, self._clock()):
                self._parts.report.notice(NOT_ASKED)

    async def end(self, *, client_left: bool) -> int:
        """Let the server end, and record what is open; gives its exit status."""
        server_left = self.output.done() and not client_left
        if self._process.stdin is not None:
            self._process.stdin.close()
        status = await self._exit
        # What it started may have its output open still.
        await asyncio.wait([self.output], timeout=DRAIN_SECONDS)
        self._put(self.conversations.take_all(), server_left=server_left)
        if self.output.done():
            self.output.result()
        return status

    def _put(self, ended: Sequence[StdioConversation], *, server_left: bool = False) -> None:
        session, intake = self._parts.sessions.own, self._parts.intake
        assert intake is not None
        for conversation in ended:
            recorder = conversation.recorder
            at = recorder.reads[-1][1] if recorder.reads else 0.0
            intake.put(recorder, conversation.outcome(server_left=server_left), at, session)


# ------------------------------------------------------------------ bytes


async def lines(
    read: Callable[[], Awaitable[bytes]], most: int = MAX_BODY
) -> AsyncIterator[tuple[bytes, str]]:
    """The lines that `read` gives, with their ends: each "whole", or, where one has more than
    `most` bytes, its "first" part and the "rest" as it comes.
    """
    parts: list[bytes] = []
    part = "whole"
    while data := await read():
        *ends, last = data.split(b"\n")
        for end in ends:
            yield b"".join((*parts, end, b"\n")), part
            parts.clear()
            part = "whole"
        parts.append(last)
        if sum(map(len, parts)) > most:
            yield b"".join(parts), "first" if part == "whole" else part
            parts.clear()
            part = "rest"
    if any(parts):
        yield b"".join(parts), part


def _reader(descriptor: int) -> Callable[[], Awaitable[bytes]]:
    """Reads a descriptor of any kind, a file too; one that cannot be read has ended."""

    async def read() -> bytes:
        try:
            return await _in_thread(os.read, descriptor, _READ)
        except OSError:
            return b""

    return read


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


async def _in_thread[T](function: Callable[..., T], *args: Any) -> T:
    """Call a function that may block for ever, on a thread that lets the process end."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(call: Callable[[], None]) -> None:
        if not result.done():
            call()

    def run() -> None:
        try:
            call = partial(result.set_result, function(*args))
        except OSError as error:
            call = partial(result.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, call)

    threading.Thread(target=run, daemon=True).start()
    return await result
