"""Two replicas behind nginx, on one bucket and one Redis, one of them killed and started again: a
real SDK gets each take once.
"""

import json
import os
import shlex
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from tests.support import commands, stored
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE, wait_until
from tests.support.nginx import nginx
from tests.support.ports import unused_port
from tests.support.redis_server import redis_server
from tests.support.seaweedfs import seaweedfs
from tests.support.stream_call import CHAT, EVENTS, HOST, STREAM, curl, options
from tests.support.upstream import Answer, Upstream

TAKES: Final = 40
REPORTS: Final = "s3://recordings/reports/one"
CLIENTS: Final = 4


class Gate:
    """A way to a server that can be shut, as if the server were gone."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        for connection in (self._listener, *self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for take in range(1, TAKES + 1):
        document = stored.document("hi", f"2026-11-20T17:30:{take:02}Z")
        suffix = f".{take}" if take > 1 else ""
        name = f"{stored.CHAT}/{stored.key12(document)}{suffix}.json"
        stored.put(tmp_path / "recordings", document, name)
    return tmp_path


def test_each_take_is_given_once_though_a_replica_is_killed(
    folder: Path, clean_env: dict[str, str], wiretape: Wiretape
) -> None:
    ports = [unused_port(), unused_port()]
    with seaweedfs(folder) as store, redis_server(folder) as redis, nginx(folder, ports) as port:
        environ = {**clean_env, **store, "REDIS_URL": redis.url, "WIRETAPE_TOKEN": "t"}
        assert wiretape("push", "s3://recordings/fleet", env=store).returncode == 0
        text = "recordings: s3://recordings/fleet\nsequences: $REDIS_URL\n"
        (folder / "config.yaml").write_text(text)

        def replica(number: int) -> Any:
            home = {"WIRETAPE_HOME": str(folder / f"home-{number}")}
            arguments = ["replay", "--run", "one", "--port", str(ports[number])]
            arguments += ["--report", REPORTS]
            process = commands.start(arguments, {**environ, **home}, folder)
            assert process.stdout is not None
            assert "is ready" in process.stdout.readline()
            return process

        replicas = [replica(0), replica(1)]
        names: list[str] = []
        load = threading.Thread(target=ask_all, args=(port, 2 * TAKES, names))
        load.start()
        wait_until(lambda: len(names) > TAKES // 4)
        os.kill(replicas[0].pid, signal.SIGKILL)
        replicas[0].communicate()
        replicas[0] = replica(0)
        load.join()
        assert len(names) == 2 * TAKES
        for process in replicas:
            process.terminate()
            process.communicate(timeout=PATIENCE)
        merged = wiretape("report", "merge", REPORTS, env=store)
    given = Counter(names)
    last = max(given, key=lambda name: (len(name), name))
    assert all(count == 1 for name, count in given.items() if name != last), given
    # A take that the killed one handed out and did not send counts as given.
    assert TAKES - CLIENTS <= len(given) <= TAKES
    assert merged.returncode == 0, merged.stderr


def ask_all(port: int, number: int, names: list[str]) -> None:
    """Add what clients of an SDK get, several at a time; they try again where it breaks."""
    client = openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/api.together.xyz/v1", api_key="x", max_retries=10
    )

    def ask(_: int) -> None:
        answer = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
        names.append(answer.headers["x-wiretape"].removeprefix("replay "))

    with client, ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(ask, range(number)))


def test_what_was_recorded_when_the_store_went_is_uploaded_by_the_next_run(
    tmp_path: Path, clean_env: dict[str, str], wiretape: Wiretape, upstream: Upstream
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    url = "s3://recordings/gone"
    with seaweedfs(tmp_path) as store:
        gate = Gate(int(store["AWS_ENDPOINT_URL"].rpartition(":")[2]))
        (tmp_path / "config.yaml").write_text(f"recordings: {url}\n")
        record = ["record", *options(upstream, tmp_path)[2:], "--allow-none", "--"]
        waits = f"{shlex.join(curl())} && touch recorded && until [ -e go ]; do sleep 0.1; done"
        environ = {**clean_env, **store, "AWS_ENDPOINT_URL": gate.url}
        process = commands.start([*record, "sh", "-c", waits], environ, tmp_path)
        wait_until((tmp_path / "recorded").exists)
        gate.shut()
        (tmp_path / "go").touch()
        errors = process.communicate(timeout=PATIENCE)[1]
        assert (process.returncode, "could not be uploaded" in errors) == (4, True), errors
        assert wiretape("pull", url, "-r", "before", env=store).returncode == 0
        assert not list((tmp_path / "before").rglob("*.json"))
        done = wiretape(*record, "true", env=store)
        assert done.returncode == 0, done.stderr
        assert wiretape("pull", url, "-r", "after", env=store).returncode == 0
    assert len(list((tmp_path / "after").rglob("*.json"))) == 1


def test_a_run_fetches_what_answers_and_uploads_what_is_new(
    tmp_path: Path, wiretape: Wiretape, upstream: Upstream
) -> None:
    upstream.script(CHAT, Answer.json({"id": "1"}))
    for prompt in ("one", "two", "three"):
        stored.put(tmp_path / "recordings", stored.document(prompt))
    url = f"file://{tmp_path}/store"
    assert wiretape("push", url).returncode == 0
    (tmp_path / "config.yaml").write_text(f"recordings: {url}\n")

    def ask(prompt: str) -> str:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        return shlex.join(curl(CHAT, json.dumps(body, separators=(",", ":")), HOST, "-i"))

    home = {"WIRETAPE_HOME": str(tmp_path / "home")}
    more = [*options(upstream, tmp_path)[2:], "--allow-none", "--", "sh", "-c"]
    ran = wiretape("record", *more, ask("new"), env=home)
    assert ran.returncode == 0, ran.stderr
    (mirror,) = (path for path in (tmp_path / "home" / "stores").iterdir() if not path.suffix)
    assert len(list(mirror.rglob("*.json"))) == 1
    assert len(list((tmp_path / "store").rglob(f"{HOST}/*/*.json"))) == 4
    ran = wiretape("auto", *more, f"{ask('one')} && {ask('new')} && {ask('newer')}")
    assert (ran.returncode, ran.stdout.count("x-wiretape: replay")) == (0, 2), ran.stderr
    replayed = wiretape("replay", "--", "sh", "-c", f"{ask('two')} && {ask('newer')}")
    assert (replayed.returncode, replayed.stdout.count("x-wiretape: replay")) == (0, 2)
    # What is there and cannot be had is not asked of the provider again.
    (gone,) = (tmp_path / "store").rglob(f"{HOST}/*/{stored.key12(stored.document('three'))}.json")
    gone.unlink()
    asked = len(upstream.requests)
    ran = wiretape("auto", *more, ask("three"), env={"WIRETAPE_HOME": str(tmp_path / "new")})
    assert (ran.returncode, "503" in ran.stdout) == (4, True), ran.stdout + ran.stderr
    assert len(upstream.requests) == asked
