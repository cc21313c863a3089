"""MCP with the official SDK for TypeScript: sessions, a stream that is resumed, and stdio."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import npm, paths
from tests.support.commands import Wiretape, command
from tests.support.limits import PATIENCE

PROGRAMS: Final = paths.ROOT / "tests" / "clients" / "mcp" / "node"
TOOLS: Final = ["weather", "ask", "late"]
HALF: Final = [1, 2]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server and its client beside their packages, from where modules look for them."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(npm.packages(PROGRAMS), target_is_directory=True)
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder


def test_sessions_and_resumed_streams_are_replayed_to_a_client_that_numbers_otherwise(
    programs: Path, wiretape: Wiretape, clean_env: dict[str, str], tmp_path: Path
) -> None:
    server = subprocess.Popen(
        [npm.NODE, programs / "server.mjs"], env=clean_env, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    host = f"127.0.0.1:{int(server.stdout.readline())}"
    client: list[str | Path] = [
        npm.NODE,
        programs / "client.mjs",
        f"http://{host}/mcp",
        "Paris",
        "Rome",
    ]
    # Each session counts its own calls, and Oslo is asked for in both.
    expected: list[Any] = [TOOLS, HALF, "Paris: 1", HALF, "Rome: 1", HALF, "Oslo: 2", HALF]
    expected += ["Oslo: 2", "late"]
    try:
        done = wiretape("record", "-r", "r", "--host", host, "--", *client)
        assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr
    finally:
        server.kill()
        server.communicate(timeout=PATIENCE)
    requests = [json.loads(path.read_text())["request"] for path in tmp_path.rglob("r/**/*.json")]
    # The client did resume: else this tries nothing.
    assert any("last-event-id" in request["headers"] for request in requests)
    done = wiretape("replay", "-r", "r", "--", *client, env={"AGAIN": "1"})
    assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr


def test_its_client_starts_wiretape_for_its_server(
    programs: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    def run(mode: str, server: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        mcp = [*command("mcp", mode, "--report", "report.json", "--"), str(npm.NODE), *server]
        return subprocess.run(
            [npm.NODE, programs / "client.mjs", "stdio", "Paris", "--", *mcp],
            env={**clean_env, **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    server = [str(programs / "server.mjs"), "stdio"]
    expected = [TOOLS, "Paris: 1", "Oslo: 2", "the user said sure? yes"]
    done = run("--record", server)
    assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr
    done = run("--replay", server, AGAIN="1")
    assert (done.returncode, json.loads(done.stdout)) == (0, expected), done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["counts"]) == {"replayed"}

    done = run("--replay", server, SAYS="no")
    assert done.returncode != 0
    assert 'body.result.content.answer: got "no", recorded "sure? yes"' in done.stderr
    assert "McpError: MCP error -32000: wiretape: no recording answers" in done.stderr
