"""MCP over streamable HTTP with the official SDK: its server recorded, its client replayed."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths, pypi
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE

PROGRAMS = paths.ROOT / "tests" / "clients" / "mcp"


@pytest.fixture(scope="module")
def python() -> Path:
    return pypi.python(PROGRAMS)


@pytest.fixture
def server(python: Path, clean_env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, and its URL."""
    command = [python, PROGRAMS / "server.py"]
    process = subprocess.Popen(command, env=clean_env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def ask(python: Path, url: str, mode: str, city: str = "Paris", first_id: int = 0) -> list[str]:
    return [str(python), str(PROGRAMS / "client.py"), url, mode, city, str(first_id)]


# The handshake with a session and a stream of the server's own, and the protocol without either.
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_recorded_server_answers_a_client_that_numbers_its_requests_otherwise(
    mode: str,
    python: Path,
    server: tuple[subprocess.Popen[str], str],
    wiretape: Wiretape,
    tmp_path: Path,
) -> None:
    process, url = server
    host = url.split("/")[2]
    folder = tmp_path / "r"
    done = wiretape("record", "-r", folder, "--host", host, "--", *ask(python, url, mode))
    assert done.returncode == 0, done.stderr
    expected: list[Any] = [["weather"], "Paris: 1", [[0.5, 1.0, "half"]]]
    assert json.loads(done.stdout) == expected
    process.kill()
    process.wait(PATIENCE)

    done = wiretape("replay", "-r", folder, "--", *ask(python, url, mode, first_id=41))
    assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr

    done = wiretape("replay", "-r", folder, "--", *ask(python, url, mode, "Rome"))
    assert done.returncode != 0
    # The client has the report from the answer, in JSON-RPC's own shape.
    assert 'body.params.arguments.city: got "Rome", recorded "Paris"' in done.stderr
    assert "MCPError: wiretape: no recording answers" in done.stderr
