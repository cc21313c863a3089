"""Runs for the program that started this process: JSON, a line each, on stdin and stdout.

    ← {"wiretape_pipe": 1, "version": "0.1.0"}
    → {"open": {"arguments": ["replay", "-r", "recordings"], "directory": "…", "environment": {…}}}
    ← {"opened": {"url": "http://127.0.0.1:8899", "environment": {"HTTPS_PROXY": …}, …}}
    → {"control": ["POST", "/wiretape/sessions/checkout/finish"]}
    ← {"control": {"status": 200, "document": {…}}}
    → {"report": true}
    ← {"report": {…}}
    → {"close": true}
    ← {"closed": {"status": 3, "problems": ["no recording answers …"], "report": {…}}}

Then another run may be opened. What cannot be done is answered {"error": {"message": …}}. The
process ends, and a run that is open with it, when stdin does or its parent is gone: a program that
is killed leaves no proxy behind. docs/python.md has the protocol for others.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wiretape import __version__
from wiretape.core.errors import WiretapeError, reason_of
from wiretape.report.console import summary
from wiretape.report.report import Report

from . import ending
from .client_environment import changed
from .run import StartedProxy, started
from .settings import Settings
from .stubborn_clients import NODE_PRELOAD, PYTHON_CLIENTS

type ParseArguments = Callable[[Sequence[str]], tuple[Settings, Report]]
"""Reads a command line of `wiretape`, without the program's name; WiretapeError where it is wrong.
"""

type _Message = dict[str, Any]

_MOST_BYTES: Final = 64 << 20
_PARENT_SECONDS: Final = 1.0


async def serve_pipe(parse: ParseArguments) -> None:
    """Carry out what stdin asks for until it ends."""
    # What else prints, as a library might, must not come between the lines.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines = asyncio.StreamReader(limit=_MOST_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    watch = asyncio.create_task(_end_with_parent(lines))

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        await _PipeServer(parse, lines, answer).serve()
    except BrokenPipeError:
        pass  # nobody is there to be answered
    finally:
        watch.cancel()


async def _end_with_parent(lines: asyncio.StreamReader) -> None:
    """End the input when this process is another's child than it was: a process that its parent
    forked may hold the pipe open.
    """
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  # no event tells of it
        await asyncio.sleep(_PARENT_SECONDS)
    lines.feed_eof()


class _PipeServer:
    def __init__(
        self, parse: ParseArguments, lines: asyncio.StreamReader, answer: Callable[..., None]
    ) -> None:
        self._parse = parse
        self._lines = lines
        self._answer = answer

    async def serve(self) -> None:
        self._answer(wiretape_pipe=1, version=__version__)
        while (message := await self._next()) is not None:
            if "open" not in message:
                self._fail(f"expected open, got {', '.join(message) or 'nothing'}")
                continue
            try:
                await self._run(message["open"])
            except WiretapeError as error:
                self._fail(str(error))

    async def _next(self) -> _Message | None:
        """The next message; None at the end of the input."""
        while line := await self._lines.readline():
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if isinstance(message, dict):
                return message
            self._fail("expected an object of JSON on a line")
        return None

    def _fail(self, message: str) -> None:
        self._answer(error={"message": message})

    async def _run(self, opening: Any) -> None:
        _enter(opening)
        settings, report = self._parse(opening["arguments"])
        ending.check_report(settings)
        report.expects_requests = settings.expects_requests
        hurry = asyncio.Event()
        async with started(settings, report, hurry) as proxy:
            self._answer(opened=_opened(proxy))
            if not await self._attend(proxy, report):
                hurry.set()
        ending.conclude(settings, report)
        self._answer(closed=_result(report))

    async def _attend(self, proxy: StartedProxy, report: Report) -> bool:
        """Answer until the run is to be closed; gives whether that was asked for."""
        while (message := await self._next()) is not None:
            if "close" in message:
                return True
            if "report" in message:
                self._answer(report=_result(report))
            elif "control" in message:
                await self._control(proxy, message["control"])
            else:
                self._fail(f"expected control, report or close, got {', '.join(message)}")
        return False

    async def _control(self, proxy: StartedProxy, request: Any) -> None:
        match request:
            case [str(method), str(path)]:
                assert proxy.control is not None
                headers = {"authorization": f"Bearer {proxy.control.token}"}
                reply = await proxy.control.handle(method, path, headers)
                self._answer(control={"status": reply.status, "document": reply.document})
            case _:
                self._fail("control: expected [METHOD, PATH]")


def _enter(opening: Any) -> None:
    """Take over the directory and the environment of who asks."""
    members = {"arguments": list, "directory": str, "environment": dict}
    if not isinstance(opening, dict) or any(
        not isinstance(opening.get(name), kind) for name, kind in members.items()
    ):
        raise WiretapeError("open: expected arguments, directory and environment")
    environment: Mapping[str, str] = opening["environment"]
    try:
        os.chdir(opening["directory"])
        os.environ.clear()
        os.environ.update(environment)
    except (OSError, TypeError, ValueError) as error:
        raise WiretapeError(f"{opening['directory']}: {reason_of(error)}") from None


def _result(report: Report) -> _Message:
    return {
        "status": report.exit_status,
        "summary": summary(report),
        "problems": ending.problems(report),
        "report": report.as_json(),
    }


def _opened(proxy: StartedProxy) -> _Message:
    environment = proxy.environment()
    return {
        "mode": proxy.settings.mode,
        "recordings": str(proxy.settings.recordings.absolute()),
        "url": proxy.url,
        "base_url": proxy.base_url,
        "token": proxy.serving.token,
        "bundle": environment["SSL_CERT_FILE"],
        "node_preload": str(NODE_PRELOAD),
        "python_clients": str(PYTHON_CLIENTS),
        "environment": changed(proxy.settings.environ, environment),
    }
