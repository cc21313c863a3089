"""What else answers over HTTP: nginx with static files, the physical limit, and other tools that
replay. Each is found, installed into a scratch folder, or skipped with a reason.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Final

from . import process, workload
from .client import Holding, Place
from .process import CannotStart, Server

NGINX: Final = "nginx, static"
AIMOCK: Final = "aimock"
_PACKAGE: Final = "@copilotkit/aimock@1.43.0"
_SCRATCH: Final = process.ROOT / ".cache" / "benchmarks"
_INSTALL_SECONDS: Final = 45.0
_STREAM: Final = 555_555_555
"""The number of the question that aimock streams the answer to."""

UNAVAILABLE: Final[Mapping[str, str]] = {
    "buffr": "a Go program; the package of that name on PyPI is another, and npm has none",
    "reel": "not on npm; the package of that name on PyPI is another",
}
"""Other tools of the same kind that cannot be installed here, and why."""

type Question = tuple[bytes, bytes | Holding]
"""A request, and its answer's body as it is framed."""


class Skipped(Exception):
    """A rival that cannot be measured here; says why."""


@dataclass(frozen=True)
class Rival:
    """One that answers: where, by which process, and what it is asked in each load."""

    place: Place
    server: Server
    loads: Mapping[str, Iterator[Question]]


def start(stack: ExitStack, folder: Path) -> tuple[dict[str, Rival], list[str]]:
    """Start all that can be had here; gives them by name, and why others are left out."""
    rivals: dict[str, Rival] = {}
    reasons = [f"{name} is left out: {reason}" for name, reason in UNAVAILABLE.items()]
    starts: dict[str, Callable[[ExitStack, Path], Rival]] = {NGINX: _nginx, AIMOCK: _aimock}
    for name, begin in starts.items():
        try:
            rivals[name] = begin(stack, folder)
        except (Skipped, CannotStart) as error:
            reasons.append(f"{name} is left out: {error}")
    return rivals, reasons


# ------------------------------------------------------------------ nginx

_NGINX: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  types {{ }}
  default_type application/json;
  open_file_cache max=10;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ root {folder}/files; }}
  }}
}}
"""


def _nginx(stack: ExitStack, folder: Path) -> Rival:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise Skipped("not installed (Debian's package nginx-light has it)")
    home, port = folder / "nginx", process.free_port()
    files = home / "files"
    files.mkdir(parents=True)
    bodies = {"small": workload.answer(1), "stream": _stream(), "large": workload.large_answer()}
    for name, body in bodies.items():
        (files / name).write_bytes(body)
    (home / "nginx.conf").write_text(_NGINX.format(folder=home, port=port))
    home.chmod(0o755)
    command = [program, "-e", "stderr", "-p", str(home), "-c", str(home / "nginx.conf")]
    env, log = process.environment(home), home / "log"
    server = stack.enter_context(process.serving(command, env, home, log, port=port))

    def asked(name: str) -> Iterator[Question]:
        return repeat((f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), bodies[name]))

    small, _, stream, large = workload.LOADS
    loads = {small: asked("small"), stream: asked("stream"), large: asked("large")}
    return Rival(Place(port, plain=True), server, loads)


def _stream() -> bytes:
    return b"".join(map(workload.chunk, range(workload.CHUNKS)))


# ------------------------------------------------------------------ aimock


def _aimock(stack: ExitStack, folder: Path) -> Rival:
    program = _installed()
    home, port = folder / "aimock", process.free_port()
    home.mkdir()
    words = "".join(f" w{number:03}" for number in range(workload.CHUNKS - 2))
    large = "The quick brown fox jumps. " * 3_700
    texts = {number: f"It is {number * number:018}." for number in range(workload.QUESTIONS)}
    fixtures = [
        _fixture(f"{workload.LARGE:09}", large),
        _fixture(f"{_STREAM:09}", words),
        *(_fixture(f"{number:09}", text) for number, text in texts.items()),
    ]
    (home / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    command = [
        *(str(program), "-p", str(port), "-f", str(home / "fixtures.json")),
        *("--chunk-size", "5", "--log-level", "silent", "--journal-max", "1"),
    ]
    env = process.environment(home)
    server = stack.enter_context(process.serving(command, env, home, home / "log", port=port))

    def ask(number: int, *, stream: bool = False) -> bytes:
        return workload.request(number, stream=stream, authority="127.0.0.1")

    def different() -> Iterator[Question]:
        many = [(ask(number), Holding(text.encode())) for number, text in texts.items()]
        while True:
            yield from many

    loads: tuple[Iterator[Question], ...] = (
        repeat((ask(1), Holding(texts[1].encode()))),
        different(),
        repeat((ask(_STREAM, stream=True), Holding(b"data: [DONE]"))),
        repeat((ask(workload.LARGE), Holding(large.encode()))),
    )
    named = dict(zip(workload.LOADS, loads, strict=True))
    return Rival(Place(port, plain=True), server, named)


def _fixture(asked: str, text: str) -> dict[str, object]:
    return {"match": {"userMessage": asked}, "response": {"content": text}}


def _installed() -> Path:
    program = _SCRATCH / "node_modules" / ".bin" / "llmock"
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise Skipped("npm is not installed")
    _SCRATCH.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries", "0"]
    command += ["--prefix", str(_SCRATCH), _PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        raise Skipped(f"npm could not install {_PACKAGE}") from None
    return program
