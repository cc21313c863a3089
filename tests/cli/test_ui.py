"""`wiretape ui` on the command line."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests
from tests.support import commands
from tests.support.limits import PATIENCE
from tests.support.page_recordings import recording, write


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("wiretape ui: http://127.0.0.1:")
    return line.removeprefix("wiretape ui: ").strip()


def test_it_prints_a_url_that_opens_the_library_and_ends_on_ctrl_c(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "recordings", "a.json", recording(["Hello"]))
    with commands.start(["ui", "--no-open"], clean_env, tmp_path) as process:
        try:
            with requests.Session() as session:
                session.trust_env = False
                seen = session.get(url_of(process), timeout=PATIENCE)
            assert seen.status_code == 200
            assert 'href="/recording?name=a.json"' in seen.text
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_as_it_is_told_where_a_shell_ignores_ctrl_c(
    number: int, status: int, clean_env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "recordings", "a.json", recording(["Hello"]))
    # As a shell without job control starts what is to run beside it.
    line = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *commands.command("ui", "--no-open")]
    with subprocess.Popen(
        line, env=clean_env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url_of(process)
            process.send_signal(number)
            assert process.wait(PATIENCE) == status
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_what_it_cannot_show_is_said(clean_env: dict[str, str], tmp_path: Path) -> None:
    def fails(*args: str) -> str:
        ran = commands.run(["ui", "--no-open", *args], clean_env, tmp_path)
        assert (ran.returncode, ran.stdout) == (2, "")
        return ran.stderr

    assert "no such folder" in fails("no")
    (tmp_path / "recordings").mkdir()
    assert "--report no.json: cannot be read: No such file" in fails("--report", "no.json")
    (tmp_path / "r.json").write_text("[]")
    assert "r.json: not a report" in fails("--report", "r.json")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: " in fails("--port", port)
