"""What a kill, a full disk and a second writer leave behind: nothing lost, nothing half there."""

import json
import os
import random
import resource
import shlex
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape, serving
from tests.support.limits import PATIENCE
from tests.support.sdk import documents, post, record_options
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"
STREAM = [("content-type", "text/event-stream")]
EVENTS = [
    *(b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(4)),
    b"data: [DONE]\n\n",
]


@pytest.fixture
def home(clean_env: dict[str, str], state: Path, tmp_path: Path) -> dict[str, str]:
    """An environment whose journals are this test's own."""
    own = tmp_path / "home"
    own.mkdir(mode=0o700)
    for path in state.iterdir():
        if path.is_file():
            (own / path.name).write_bytes(path.read_bytes())
            (own / path.name).chmod(stat.S_IMODE(path.stat().st_mode))
    (own / "runtime").mkdir()
    names = {"WIRETAPE_HOME": own, "WIRETAPE_RUNTIME_DIR": own / "runtime"}
    return {**clean_env, **{name: str(path) for name, path in names.items()}}


def proxy_of(ready: str) -> str:
    return ready.split("HTTPS_PROXY=")[1].split(",")[0]


def ask(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def client(proxy: str, text: str = "hi") -> list[str]:
    return post(CHAT, ask(text), "-kN", "-x", proxy)


def read_until(stream: IO[bytes] | None, text: bytes) -> bytes:
    """What a client is sent up to and with `text`; pytest's time limit ends a wait in vain."""
    assert stream is not None
    got = b""
    while text not in got:
        got += os.read(stream.fileno(), 65536)
    return got


def journals(environment: dict[str, str]) -> list[Path]:
    """The files of exchanges in the journals."""
    found = Path(environment["WIRETAPE_HOME"], "journal").glob("*/*")
    return sorted(path for path in found if path.name.isdecimal())


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def kill_in_flight(home: dict[str, str], upstream: Upstream, tmp_path: Path, until: bytes) -> None:
    """A run that is killed when its client has had what ends with `until`."""
    arguments = ["record", *record_options(upstream, tmp_path / "r")]
    with (
        serving(arguments, home, tmp_path) as (process, ready),
        subprocess.Popen(client(proxy_of(ready)), env=home, stdout=subprocess.PIPE) as curl,
    ):
        read_until(curl.stdout, until)
        process.kill()
        process.wait(timeout=PATIENCE)


def test_what_had_come_of_an_answer_is_recovered_after_a_kill(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    kill_in_flight(home, upstream, tmp_path, b'"1"')
    assert documents(tmp_path / "r") == {}
    (journal,) = journals(home)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700
    done = wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    assert done.returncode == 0
    assert "recovered 1 exchange of a run that was killed" in done.stderr
    assert "1 of them incomplete" in done.stderr
    (document,) = documents(tmp_path / "r").values()
    assert document["response"]["end"] == "cut"
    body = document["response"]["body"]
    assert [event["__data__"]["choices"][0]["delta"]["content"] for event in body] == ["0", "1"]
    assert list(Path(home["WIRETAPE_HOME"], "journal").iterdir()) == []
    assert wiretape("verify", "-r", tmp_path / "r", env=home).returncode == 0


def test_what_had_come_cannot_be_read_and_is_lost_with_its_key(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    kill_in_flight(home, upstream, tmp_path, b'"1"')
    (journal,) = journals(home)
    left = b"".join(path.read_bytes() for path in journal.parent.iterdir())
    assert [text for text in (b"openai", b"content", b"data:") if text in left] == []
    (key,) = Path(home["WIRETAPE_RUNTIME_DIR"], "wiretape").iterdir()
    key.unlink()
    done = wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    assert "could not be recovered: its key went with the machine's memory" in done.stderr
    assert done.returncode == 0
    assert documents(tmp_path / "r") == {}
    assert list(Path(home["WIRETAPE_HOME"], "journal").iterdir()) == []


def test_without_a_place_for_its_key_a_run_records_and_keeps_no_journal(
    wiretape: Wiretape, home: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    nowhere = {**home, "WIRETAPE_RUNTIME_DIR": str(tmp_path / "missing")}
    asking = ["record", *record_options(upstream, tmp_path / "r"), "--", *post(CHAT, ask("hi"))]
    told = "no journal is kept: "
    quiet = wiretape(*asking, env=nowhere)
    assert "1 recorded" in quiet.stderr
    assert told not in quiet.stderr
    loud = wiretape(asking[0], "-v", *asking[1:], env=nowhere)
    assert loud.stderr.count(told) == 1
    assert not Path(home["WIRETAPE_HOME"], "journal").exists()


def test_it_is_recovered_once(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    kill_in_flight(home, upstream, tmp_path, b'"1"')
    wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    again = wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    assert "recovered" not in again.stderr
    assert len(documents(tmp_path / "r")) == 1


def test_an_answer_that_had_said_it_was_whole_is_recovered_as_whole(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={len(EVENTS): gate}))
    kill_in_flight(home, upstream, tmp_path, b"[DONE]")
    done = wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    assert "incomplete" not in done.stderr
    (document,) = documents(tmp_path / "r").values()
    assert "end" not in document["response"]


def test_an_incomplete_one_replaces_no_recording(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    upstream.script(
        CHAT,
        Answer(headers=STREAM, chunks=EVENTS),
        Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}),
    )
    options = record_options(upstream, tmp_path / "r")
    whole = wiretape("record", *options, "--", *post(CHAT, ask("hi")), env=home)
    assert "1 recorded" in whole.stderr, whole.stderr
    before = documents(tmp_path / "r")
    kill_in_flight(home, upstream, tmp_path, b'"1"')
    wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    after = documents(tmp_path / "r")
    assert [after[name] for name in before] == list(before.values())
    assert [d["response"].get("end") for d in after.values()] in ([None, "cut"], ["cut", None])


LOAD = plain_client.program("""
    # python load.py PROXY COUNT LABEL: that many requests in all, over 8 connections.
    import ssl, sys, threading
    from concurrent.futures import ThreadPoolExecutor, as_completed

    proxy, count, label = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    unverified, own = ssl._create_unverified_context(), threading.local()

    def connect():
        own.client = Client(proxy=proxy, context=unverified)

    def ask(number):
        text = label if label.startswith("same") else f"{label} {number}"
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        got = own.client.post("https://api.openai.com/v1/chat/completions", json=body)
        return got.status_code

    with ThreadPoolExecutor(8, initializer=connect) as clients:
        for answer in as_completed([clients.submit(ask, number) for number in range(count)]):
            print(answer.result(), flush=True)
""")


@pytest.fixture
def load(tmp_path: Path) -> str:
    path = tmp_path / "load.py"
    path.write_text(LOAD)
    return str(path)


def test_a_kill_at_any_moment_leaves_whole_recordings_and_loses_no_answer(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    load: str,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    chance = random.Random(5)
    answered = 0
    for number in range(10):
        options = record_options(upstream, tmp_path / "r")
        with serving(["record", *options], home, tmp_path) as (process, ready):
            asking = [sys.executable, load, proxy_of(ready), "100", f"run {number}"]
            with subprocess.Popen(
                asking, env=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as asked:
                assert asked.stdout is not None
                for _ in range(chance.randrange(1, 60)):
                    answered += asked.stdout.readline() == b"200\n"
                process.kill()
                process.wait(timeout=PATIENCE)
                answered += asked.stdout.read().count(b"200\n")
    wiretape("record", "-r", tmp_path / "r", "--", "true", env=home)
    found = documents(tmp_path / "r")
    whole = [d for d in found.values() if "end" not in d["response"]]
    asked_for = [d["request"]["body"]["messages"][0]["content"] for d in found.values()]
    assert len(set(asked_for)) == len(asked_for), "none was recorded twice"
    assert len(whole) >= answered > 10
    assert {len(d["response"]["body"]) for d in whole} == {len(EVENTS)}
    assert {path.name for path in (tmp_path / "r").rglob(".*")} <= {".gitattributes"}
    verified = wiretape("verify", "-r", tmp_path / "r", env=home)
    assert verified.returncode == 0, verified.stdout


def test_sigterm_right_after_a_burst_loses_nothing(
    home: dict[str, str], upstream: Upstream, tmp_path: Path, load: str
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    options = record_options(upstream, tmp_path / "r")
    with serving(["record", *options], home, tmp_path) as (process, ready):
        asking = [sys.executable, load, proxy_of(ready), "200", "one"]
        done = subprocess.run(asking, env=home, capture_output=True, timeout=PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    assert done.stdout.count(b"200\n") == 200
    assert len(documents(tmp_path / "r")) == 200
    assert list(Path(home["WIRETAPE_HOME"], "journal").iterdir()) == []


@pytest.mark.parametrize(("label", "number"), [("same", 200), ("other", 100)])
def test_two_proxies_on_one_folder_lose_nothing(
    wiretape: Wiretape,
    home: dict[str, str],
    upstream: Upstream,
    tmp_path: Path,
    load: str,
    label: str,
    number: int,
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    arguments = ["record", *record_options(upstream, tmp_path / "r")]
    with (
        serving(arguments, home, tmp_path) as (one, ready),
        serving(arguments, home, tmp_path) as (two, also_ready),
    ):
        asking = [
            subprocess.Popen(
                [sys.executable, load, proxy_of(line), str(number), f"{label} {name}"],
                env=home,
                stdout=subprocess.DEVNULL,
            )
            for name, line in (("one", ready), ("two", also_ready))
        ]
        assert [process.wait(timeout=PATIENCE) for process in asking] == [0, 0]
        for process in (one, two):
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=PATIENCE) for process in (one, two)] == [0, 0]
    assert len(documents(tmp_path / "r")) == 2 * number
    assert wiretape("verify", "-r", tmp_path / "r", env=home).returncode == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limit can be set from outside")
def test_a_disk_that_fills_up_costs_the_recordings_and_not_the_clients(
    wiretape: Wiretape, home: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    answer = EVENTS[:-1] * 40
    upstream.script(CHAT, Answer(headers=STREAM, chunks=answer))
    options = record_options(upstream, tmp_path / "r")
    # From now on no file of the proxy may grow beyond 2 KiB, as if the disk ended there.
    limit = "import resource, sys; resource.prlimit(int(sys.argv[1]), 1, (2048, 2048))"
    assert resource.RLIMIT_FSIZE == 1
    asked = "; ".join(shlex.join(post(CHAT, ask(text))) for text in ("hi", "there"))
    script = f'{shlex.join([sys.executable, "-c", limit])} "$PPID"; {asked}'
    done = wiretape("record", *options, "--", "sh", "-c", script, env=home)
    assert done.stdout.encode() == b"".join(answer * 2)
    assert done.stderr.count(": cannot be written: File too large") == 2, done.stderr
    assert done.stderr.count("cannot be written (File too large): recording goes on") == 1
    assert done.returncode == 4
    assert {path.name for path in (tmp_path / "r").rglob("*") if path.is_file()} <= {
        ".gitattributes"
    }


def test_a_folder_that_is_lost_under_way_costs_the_recordings_and_not_the_clients(
    wiretape: Wiretape, home: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    options = record_options(upstream, tmp_path / "r")
    lost = f"rm -r {tmp_path}/r; touch {tmp_path}/r; {shlex.join(post(CHAT, ask('hi')))}"
    done = wiretape("record", *options, "--report", "x.json", "--", "sh", "-c", lost, env=home)
    assert done.stdout.encode() == b"".join(EVENTS)
    assert done.returncode == 4
    (row,) = json.loads((tmp_path / "x.json").read_text())["exchanges"]
    assert row["outcome"] == "refused"
    assert row["note"].endswith("/v1-chat-completions: cannot be written: Not a directory")


def test_a_session_that_cannot_be_opened_costs_its_recordings_and_not_the_clients(
    wiretape: Wiretape, home: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "one").write_text("in the way of a folder")
    asking = post(CHAT, ask("hi"), "-H", "x-wiretape-session: one")
    named = f'exec {shlex.join(asking)} -x "http://one:x@${{HTTPS_PROXY#http://}}"'
    for shell in (shlex.join(asking), named):
        arguments = ["record", *record_options(upstream, tmp_path / "r")]
        done = wiretape(*arguments, "--", "sh", "-c", shell, env=home)
        assert done.stdout.encode() == b"".join(EVENTS)
        assert "1 refused" in done.stderr
        assert "not recorded: this session cannot be used: " in done.stderr
        assert done.returncode == 4
