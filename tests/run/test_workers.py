"""Several processes carry a replay: on one port, with one sequence of takes and one report."""

import http.client
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import commands, stored
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE, wait_until

from wiretape.core.model import Chunk
from wiretape.core.recording.document import from_exchange
from wiretape.report.report import _NEWS, EXIT_REFUSED, Report, Row
from wiretape.run.workers import _reserve

TAKES = 40
PROMPTS = [f"prompt {number}" for number in range(10)]
"""Each recorded once: the index has their answers ready."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for take in range(1, TAKES + 1):
        document = stored.document("hi", f"2026-11-20T17:30:{take:02}Z")
        suffix = f".{take}" if take > 1 else ""
        stored.put(tmp_path / "r", document, f"{stored.CHAT}/{stored.key12(document)}{suffix}.json")
    for prompt in PROMPTS:
        exchange = stored.exchange(prompt)
        answer = b'{"id":"1","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
        response = replace(exchange.response, chunks=(Chunk(answer, 0.1),))
        document = from_exchange(replace(exchange, response=response))
        os.utime(stored.put(tmp_path / "r", document), (0, 0))
    return tmp_path


def ask(port: int, prompt: str = "hi") -> str | None:
    """The recording that answers, by a connection of its own; None where it broke."""
    answer = answered(port, prompt)
    return answer and answer[0]


def answered(port: int, prompt: str) -> tuple[str, bytes] | None:
    """The same, with the answer's body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    body = stored.exchange(prompt).request.body
    headers = {"content-type": "application/json"}
    try:
        connection.request("POST", "/api.together.xyz/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        return answer.getheader("x-wiretape", "").removeprefix("replay "), answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def control(port: int, token: str, method: str, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, f"/wiretape/{path}", headers={"authorization": f"Bearer {token}"})
    document = json.loads(connection.getresponse().read())
    connection.close()
    return document


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def change_while_asked(folder: Path, port: int) -> None:
    """Change a recording while workers give it: each answer is the old one or the new, and in the
    end the new.
    """
    prompt = PROMPTS[0]
    path = folder / "r" / f"{stored.CHAT}/{stored.key12(stored.document(prompt))}.json"
    new = path.with_suffix(".tmp")
    new.write_text(
        path.read_text().replace('"id":"1"', '"id":"2"').replace('"id": "1"', '"id": "2"')
    )
    with ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(answered, port, prompt) for _ in range(40)]
        assert asked[0].result() is not None
        os.replace(new, path)
        bodies = {answer[1][:9] for each in asked if (answer := each.result())}
    assert bodies <= {b'{"id":"1"', b'{"id":"2"'}, bodies

    def is_new() -> bool:
        answers = [answered(port, prompt) for _ in range(8)]
        return all(answer and answer[1].startswith(b'{"id":"2"') for answer in answers)

    wait_until(is_new)


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="no port can be shared here")
def test_workers_give_each_take_once_and_a_killed_one_is_replaced(
    folder: Path, clean_env: Mapping[str, str]
) -> None:
    report = folder / "report.json"
    args: list[str | Path] = ["replay", "-r", "r", "--workers", "3", "--report", report]
    env = {**clean_env, "WIRETAPE_TESTS_FORK": "0"}
    with commands.serving(args, env, folder) as (process, ready):
        port = commands.port_of(ready)
        (announced,) = (Path(env["WIRETAPE_HOME"]) / "running").glob("*.json")
        token = json.loads(announced.read_text())["token"]
        (nursery,) = children(process.pid)
        with ThreadPoolExecutor(8) as clients:
            names = list(clients.map(lambda _: ask(port), range(TAKES // 2)))
        assert len(set(names)) == TAKES // 2
        with ThreadPoolExecutor(8) as clients:
            assert all(clients.map(lambda prompt: ask(port, prompt), PROMPTS * 4))
        change_while_asked(folder, port)
        refused = control(port, token, "POST", "sessions/reset")
        assert refused["error"]["code"] == 405, "it names no session"
        killed, *_ = workers = children(nursery)
        assert len(workers) == 3
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(children(nursery)) == 3 and killed not in children(nursery))
        wait_until(lambda: control(port, token, "GET", "")["sessions"][0]["problems"])
        with ThreadPoolExecutor(8) as clients:
            more = [name for name in clients.map(lambda _: ask(port), range(TAKES)) if name]
        last = f"{stored.CHAT}/{stored.key12(stored.document('hi'))}.{TAKES}.json"
        given = Counter([*names, *more])
        assert len(given) == TAKES
        assert all(count == 1 for name, count in given.items() if name != last)
        process.terminate()
        assert process.wait(PATIENCE) == EXIT_REFUSED
    document = json.loads(report.read_text())
    assert "ended unexpectedly" in document["notices"][0]
    assert document["counts"]["replayed"] >= len(given)
    rows = [row for row in document["exchanges"] if row["recording"] not in given]
    firsts = Counter(row["recording"] for row in rows if "beyond" not in row)
    assert set(firsts.values()) == {1}, "each but the first was asked again"


def test_workers_are_refused_where_they_could_not_share(wiretape: Wiretape, folder: Path) -> None:
    assert wiretape("auto", "--workers", "2", "--", "true", cwd=folder).returncode == 2
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = wiretape("replay", "--workers", "2", "--port", port, cwd=folder)
    assert (ran.returncode, "cannot be used" in ran.stderr) == (2, True)


def test_a_folder_that_cannot_be_read_ends_the_run(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("no folder")
    (tmp_path / "config.yaml").write_text("recordings: r")
    ran = wiretape("replay", "--workers", "2", "--", "true", cwd=tmp_path)
    assert (ran.returncode, "not a folder" in ran.stderr) == (2, True), ran.stderr
    assert "worker" not in ran.stderr, "no worker has died: the folder is at fault"


def test_news_of_a_report_are_told_once_and_add_up() -> None:
    worker, run = Report("replay"), Report("replay")
    for number in range(2):
        worker.add(Row("replayed", "openai", "POST", "/v1", session="s"))
        worker.notice(f"notice {number}")
        worker.connections += 1
        worker.tunnels["api.openai.com"] = bool(number)
        worker.bypassed("example.com", 443, "refused")
        run.absorb(worker.take_news())
    run.absorb(worker.take_news())
    assert run.counts == {"replayed": 2}
    assert run.sessions == {"s": {"replayed": 2}}
    assert run.notices == ["notice 0", "notice 1"]
    assert (run.connections, run.tunnels) == (2, {"api.openai.com": True})
    assert run.other_hosts == {"example.com": {"refused": 2}}


def test_of_a_run_that_shows_no_rows_the_latest_are_told_and_all_that_went_wrong() -> None:
    worker, run = Report("replay"), Report("replay", keep_rows=False)
    for number in range(10):
        worker.add(Row("missed" if number == 2 else "replayed", "openai", "POST", f"/{number}"))
    run.absorb(worker.take_news(3))
    assert [row.path for row in run.rows] == ["/2", "/7", "/8", "/9"]
    assert (run.counts, worker.take_news(3)["rows"]) == ({"replayed": 9, "missed": 1}, [])


def test_every_member_of_a_report_is_told_or_is_the_runs_own() -> None:
    own = {"mode", "trust_remedy", "expects_requests", "isolated", "listen", "notify", "watched"}
    own |= {"underway", "strict_ignored", "command_status", "prices", "budget"}
    own |= {"observers", "lateness", "open_streams"}
    assert {field.name for field in fields(Report)} == own | set(_NEWS)


def test_a_server_that_is_to_end_says_so_first(folder: Path, clean_env: Mapping[str, str]) -> None:
    args = ["replay", "-r", "r", "--drain", "600"]
    with commands.serving(args, clean_env, folder) as (process, ready):
        port = commands.port_of(ready)
        assert status(port, "/readyz") == 200
        process.terminate()
        wait_until(lambda: status(port, "/readyz") == 503)
        assert (status(port, "/healthz"), ask(port) is not None) == (200, True)
        process.terminate()
        assert process.wait(PATIENCE) == 0


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    code = connection.getresponse().status
    connection.close()
    return code


def test_a_port_whose_last_connections_are_still_closing_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = server.accept()
            served.close()  # who closes first has the connection in TIME_WAIT
            assert client.recv(1) == b""
    reserved: list[socket.socket] = []
    try:
        assert _reserve(reserved, "127.0.0.1", port) == port
    finally:
        for each in reserved:
            each.close()
