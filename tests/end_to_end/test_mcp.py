"""MCP with the official SDK for Python, over streamable HTTP and on standard input and output, and
`wiretape mcp` as a whole: its command line, signals, a kill, the page in docs.
"""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import paths, pypi
from tests.support.commands import Wiretape, command
from tests.support.limits import PATIENCE

PROGRAMS = paths.ROOT / "tests" / "clients" / "mcp"
SERVER: Final = paths.ROOT / "tests" / "support" / "stdio_server.py"
KEY: Final = "kq83Hd72Jw01Lm55"


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


def ask(python: Path, url: str, cases: str, first_id: int = 0) -> list[str]:
    return [str(python), str(PROGRAMS / "client.py"), url, str(first_id), cases]


def printed(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(text) for text in done.stdout.splitlines()]


def test_a_recorded_server_answers_a_client_that_numbers_its_requests_otherwise(
    python: Path,
    server: tuple[subprocess.Popen[str], str],
    wiretape: Wiretape,
) -> None:
    process, url = server
    tools = ["weather", "ask"]
    # The handshake with a session and a stream of the server's own, and the protocol without.
    cases = "legacy:Paris,2026-07-28:Paris"
    expected = [[tools, f"Paris: {calls}", [[0.5, 1.0, "half"]]] for calls in (1, 2)]
    done = wiretape("record", "--host", url.split("/")[2], "--", *ask(python, url, cases))
    assert (done.returncode, printed(done)) == (0, expected), done.stderr
    process.kill()
    process.wait(PATIENCE)

    client = ask(python, url, f"{cases},2026-07-28:Rome", first_id=41)
    done = wiretape("replay", "--", *client)
    *answers, (_, error) = printed(done)
    assert answers == expected
    assert done.returncode == 3
    # The client has the report from the answer, in JSON-RPC's own shape.
    assert 'body.params.arguments.city: got "Rome", recorded "Paris"' in error
    assert error.startswith("MCPError: wiretape: no recording answers")


def test_the_sdks_client_starts_wiretape_for_its_server_within_another_run(
    python: Path, wiretape: Wiretape
) -> None:
    def asking(mode: str, first_id: int) -> list[str]:
        server = [*command("mcp", mode, "--"), str(python), str(PROGRAMS / "server.py"), "stdio"]
        return [*ask(python, "stdio", "legacy:ask", first_id), *server]

    expected = [[["weather", "ask"], "the model said sure? yes", []]]
    done = wiretape("record", "--", *asking("--record", 0))
    assert (done.returncode, printed(done)) == (0, expected), done.stderr
    done = wiretape("replay", "--allow-none", "--", *asking("--replay", 40))
    assert (done.returncode, printed(done)) == (0, expected), done.stderr


def test_a_miss_that_the_agent_swallows_fails_the_run_around_it(
    wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    server = shlex.join(command("mcp", "--replay", "-r", "r", "--", "server"))
    agent = f"""echo '{{"jsonrpc": "2.0", "id": 1, "method": "ping"}}' | {server}; true"""
    done = wiretape("replay", "--allow-none", "-r", "r", "--", "sh", "-c", agent)
    assert done.returncode == 3
    assert "in wiretape mcp: no recording answers POST http://stdio.invalid/server" in done.stderr


# ------------------------------------------------------------------ the program


def call(name: str, text: str = "") -> bytes:
    params = {"name": name, "arguments": {"text": text}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(message).encode() + b"\n"


@pytest.fixture
def mcp(clean_env: dict[str, str], tmp_path: Path) -> Any:
    """Starts `wiretape mcp ARGS -- SERVER`."""

    def start(*args: str, server: tuple[str, ...] = (), **env: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command("mcp", *args, "--"), sys.executable, "-S", str(SERVER), *server],
            env={**clean_env, **env},
            cwd=tmp_path,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )

    return start


def test_no_secret_of_the_command_line_or_the_environment_is_written(
    mcp: Any, tmp_path: Path
) -> None:
    token = KEY[::-1]
    with mcp("--record", server=("--api-token", token), NOTES_API_KEY=KEY) as process:
        out, err = process.communicate(call("secret"), PATIENCE)
    assert process.returncode == 0, err
    assert KEY.encode() in out
    assert token.encode() in out
    files = [path for path in (tmp_path / "recordings").rglob("*") if path.is_file()]
    assert len(files) > 1
    for data in (err, *(path.read_bytes() for path in files)):
        assert KEY.encode() not in data
        assert token.encode() not in data
    with mcp("--replay", server=("--api-token", "")) as process:
        out, err = process.communicate(call("secret"), PATIENCE)
    assert (process.returncode, b"result" in out) == (0, True), err


def test_a_signal_ends_the_server_and_what_was_said_is_recorded(mcp: Any, tmp_path: Path) -> None:
    with mcp("--record") as process:
        process.stdin.write(call("add"))
        process.stdin.flush()
        assert b"1 notes" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"1 recorded" in err


def test_a_killed_run_loses_nothing(mcp: Any, tmp_path: Path) -> None:
    with mcp("--record") as process:
        process.stdin.write(call("add"))
        process.stdin.flush()
        answer = process.stdout.readline()
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert list(tmp_path.rglob("*.json")) == []
    with mcp("--record") as process:
        process.communicate(b"", PATIENCE)
    with mcp("--replay") as process:
        out, err = process.communicate(call("add"), PATIENCE)
    assert (out, process.returncode) == (answer, 0), err
    (recording,) = tmp_path.rglob("*.json")
    assert json.loads(recording.read_text())["response"]["close"]["from"] == "server"


def test_a_closed_descriptor_is_told_and_nothing_is_started(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    text = f"{shlex.join(command('mcp', '--replay', '--', 'x'))} <&-"
    ran = subprocess.run(["sh", "-c", text], env=clean_env, cwd=tmp_path, check=False)
    assert ran.returncode == 2


# ------------------------------------------------------------------ the page


def test_the_commands_of_the_page_do_what_it_says(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    page = (paths.ROOT / "docs" / "mcp.md").read_text()
    shutil.copy(SERVER, tmp_path / "server.py")
    by_hand, over_http = re.findall(r"```sh\n(.*?)```", page, re.S)
    # What the SDK's test above runs.
    assert over_http == (
        "wiretape record --host localhost:8000 -- python agent.py\n"
        "wiretape replay -- python agent.py\n"
    )
    (config,) = re.findall(r"```json\n(.*?)```", page, re.S)
    entry = json.loads(config)["mcpServers"]["notes"]
    configured = shlex.join([entry["command"], *entry["args"]]).replace("--record", "--replay")
    ask = by_hand.partition("|")[0]
    for text in (*by_hand.splitlines(), f"{ask} | {configured}"):
        ran = subprocess.run(
            ["sh", "-c", text],
            env=clean_env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert ran.returncode == 0, ran.stderr
        assert "result" in json.loads(ran.stdout)
