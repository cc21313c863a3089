"""A wiretape that starts at once: a process that has imported all of it makes each by fork.

Most of what a start costs is imports, and the suite starts wiretape many hundred times. A forked
one is a process of its own, with its own environment, folder, streams and signals, and ends as
any Python does; only its modules were imported before, and are not taken apart at the end: the
memory shared with the server would be copied for that. What must start as the user starts it
(what it imports, how long it takes, how much memory it has) uses `commands.command` instead.

Run as a program, this file is the server. A request is a JSON document with its length before it,
and four descriptors: the streams of the new process and where its exit status is written to.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from select import select
from typing import IO, Any, Final, NamedTuple, NoReturn, cast

LENGTH: Final = struct.Struct("!I")
STATUS: Final = struct.Struct("!i")
READ_AT_START: Final = ("PYTHON", "LC_", "LANG", "LD_", "OPENSSL_", "MALLOC_", "GLIBC_", "TZ")
"""What these variables say, a process looks at while it starts."""
IMPORTED_LATE: Final = ("_strptime", "encodings.idna", "msgspec", "re2")
"""What a run imports when it first needs it, by way of others or in a function."""
WORKS: Final = hasattr(os, "pidfd_open") and sys.platform == "linux"


class Request(NamedTuple):
    args: list[str]
    env: dict[str, str]
    cwd: str


# ------------------------------------------------------------------ the tests' side


class ForkServer:
    """A server for one process of tests, started when it is first needed.

    `env` is what the server starts with.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**env, "LANG": "C.UTF-8"}
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def suits(self, env: Mapping[str, str]) -> bool:
        """Whether a process with this environment would start as the server did."""
        return WORKS and _read_at_start(env) == _read_at_start(self._env)

    def fork(self, request: Request, streams: Sequence[int]) -> tuple[int, int]:
        """Start a process; gives its id and a descriptor that its exit status can be read from."""
        status, report = os.pipe()
        data = json.dumps(request).encode()
        try:
            with self._lock:
                control = self._started()
                socket.send_fds(control, [LENGTH.pack(len(data))], [*streams, report])
                control.sendall(data)
                (pid,) = STATUS.unpack(_exactly(control, STATUS.size))
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(report)
        return pid, status

    def _started(self) -> socket.socket:
        if self._control is None:
            self._control, other = socket.socketpair()
            with other:
                self._process = subprocess.Popen(
                    [sys.executable, __file__, str(other.fileno())],
                    env=self._env,
                    cwd="/",  # where no config.yaml is
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[other.fileno()],
                )
        return self._control

    def close(self) -> None:
        """End the server; what it has started goes on."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}


class Forked(subprocess.Popen[str]):
    """A `Popen` whose process a server forks: `wiretape ARGS`."""

    def __init__(
        self,
        server: ForkServer,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        stderr: int | IO[str] = subprocess.PIPE,
    ) -> None:
        self._server = server
        self._request = Request(list(args), dict(env), cwd)
        self._status = -1
        super().__init__(
            ["wiretape", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def _execute_child(self, *arguments: Any) -> None:
        # Its parameters end with both ends of the three pipes, as Popen made them, and seven more.
        read_in, write_in, read_out, write_out, read_err, write_err = arguments[10:16]
        streams = (read_in, write_out, write_err)
        self.pid, self._status = self._server.fork(self._request, streams)
        own = cast("Any", self)
        own._child_created = True
        own._close_pipe_fds(read_in, write_in, read_out, write_out, read_err, write_err)

    def _internal_poll(self, _deadstate: object = None) -> int | None:
        return self._ended(0)

    def _wait(self, timeout: float | None) -> int:
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select([self._status], [], [], timeout)[0]:
            data = os.read(self._status, STATUS.size)
            os.close(self._status)
            if len(data) != STATUS.size:
                raise RuntimeError("the server of forks has ended before its child")
            (self.returncode,) = STATUS.unpack(data)
        return self.returncode


# ------------------------------------------------------------------ the server's side


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise EOFError("the other side has closed the connection")
        data += part
    return data


def _import_all() -> None:
    for top in ("wiretape", "wiretape_mitm"):
        for module in pkgutil.walk_packages(importlib.import_module(top).__path__, f"{top}."):
            if "__main__" not in module.name and ".preload." not in module.name:
                importlib.import_module(module.name)
    for name in IMPORTED_LATE:
        with suppress(ImportError):  # one does without
            importlib.import_module(name)


def _warm_up() -> None:
    """Compile the patterns and read the providers that each run needs; Python keeps both."""
    load, redactor = (
        importlib.import_module(f"wiretape.{name}")
        for name in ("config.load", "core.redaction.redactor")
    )
    redactor.Redactor(load.load(None, {}).redaction)


def _serve(control: socket.socket) -> Request | None:
    """Fork until the tests are over; in each child gives what it is to be."""
    waiting = selectors.DefaultSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not control:
                _, status = os.waitpid(key.data[0], 0)
                waiting.unregister(key.fileobj)
                os.close(key.fd)
                with open(key.data[1], "wb", closefd=True) as report:
                    report.write(STATUS.pack(os.waitstatus_to_exitcode(status)))
                continue
            head, received, _, _ = socket.recv_fds(control, LENGTH.size, 4)
            if not head:
                return None
            head += _exactly(control, LENGTH.size - len(head))
            data = _exactly(control, *LENGTH.unpack(head))
            *streams, report_fd = received
            pid = os.fork()
            if not pid:
                for other in waiting.get_map().values():
                    os.close(other.fd)
                waiting.close()
                os.close(report_fd)
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                    os.close(stream)
                return Request(*json.loads(data))
            for stream in streams:
                os.close(stream)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report_fd))
            control.sendall(STATUS.pack(pid))


def _become(request: Request) -> None:
    """What a new process finds, as `python -m wiretape` sets it up."""
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    sys.path[0] = os.getcwd()
    sys.argv[1:] = request.args


def _end(end: SystemExit) -> NoReturn:
    """End as Python does, but for the modules' memory, which stays as it is."""
    threading_, atexit_ = cast("Any", threading), cast("Any", atexit)
    if isinstance(end.code, int | None):
        with suppress(OSError):  # of a stream that is closed: Python says so
            threading_._shutdown()
            atexit_._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit((end.code or 0) & 0xFF)
    raise end


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    _import_all()
    _warm_up()
    gc.collect()
    gc.freeze()
    request = _serve(control)
    if request is not None:
        control.detach()
        _become(request)
        try:
            runpy.run_module("wiretape", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            _end(end)


if __name__ == "__main__":
    _main()
