"""Where open files run out, clients wait or get a 503, and the run does not succeed."""

import json
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.commands import command
from tests.support.limits import PATIENCE

HOST = "api.openai.com"
CLIENTS = 120


def limited(soft: int, hard: int, *args: str | Path) -> list[str]:
    """`wiretape ARGS` in a process that may have so many open files."""
    limits = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, {soft, hard})"
    return [sys.executable, "-c", f"{limits}; os.execv(sys.argv[1], sys.argv[1:])", *command(*args)]


def statuses(port: int) -> Counter[bytes]:
    """What many clients at once get for a CONNECT; each leaves when it has its answer."""
    clients = [
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(CLIENTS)
    ]
    for client in clients:
        client.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
    found: Counter[bytes] = Counter()
    for client in clients:
        with client:
            answer = client.recv(4096)
            found[answer.split()[1] if answer else b"nothing"] += 1
            if b" 503 " in answer:
                while more := client.recv(4096):
                    answer += more
                assert b"too many open files: this process may have 90" in answer
                assert b"retry-after: 1" in answer.lower()
    return found


@pytest.mark.parametrize("mode", ["record", "replay"])
@pytest.mark.parametrize(("soft", "hard"), [(90, 90), (90, 4096)])
def test_every_client_is_told_and_the_run_fails(
    mode: str, soft: int, hard: int, clean_env: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    process = subprocess.Popen(
        limited(soft, hard, mode, "-r", tmp_path / "r", "--report", report),
        env=clean_env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split("127.0.0.1:")[1].split(",")[0])
        found = statuses(port)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE)
    if hard > soft:
        assert (process.returncode, found) == (0, {b"200": CLIENTS}), errors
        return
    assert found[b"200"] + found[b"503"] == CLIENTS
    assert found[b"503"]
    assert process.returncode == 4, errors
    assert errors.count("too many open files") == 1
    assert json.loads(report.read_text())["unserved"] >= found[b"503"]
