"""Proxies for a block of Python: real clients in this very process."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import aiohttp
import httpx
import openai
import pytest
import requests
import urllib3
from tests.support import stored
from tests.support.limits import PATIENCE, wait_until
from tests.support.upstream import Answer, Upstream

import wiretape
from wiretape.library.processes import is_alive

URL = "https://api.together.xyz/v1/chat/completions"


def body(prompt: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}]}


def ask(prompt: str) -> int:
    return httpx.post(URL, json=body(prompt), timeout=600).status_code


async def with_aiohttp(prompt: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(URL, json=body(prompt)) as answer:
        return answer.status


def with_urllib(prompt: str) -> int:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(URL, json.dumps(body(prompt)).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return int(answer.status)


def with_openai(prompt: str) -> int:
    url = "https://api.together.xyz/v1"
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": prompt}]
        )
        return int(answer.http_response.status_code)


def with_urllib3(prompt: str) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("POST", URL, json=body(prompt)).status


CLIENTS: dict[str, Callable[[str], int]] = {
    "httpx": ask,
    "requests": lambda prompt: requests.post(URL, json=body(prompt)).status_code,
    "urllib3": with_urllib3,
    "urllib": with_urllib,
    "aiohttp": lambda prompt: asyncio.run(with_aiohttp(prompt)),
    "openai": with_openai,
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_is_made_in_the_block_is_answered(recorded: Path, name: str) -> None:
    with wiretape.replay(recorded) as proxy:
        assert CLIENTS[name]("Hi") == 200
        assert proxy.report().counts == {"replayed": 1}
    assert proxy.report().counts == {"replayed": 1}
    assert [used.rpartition("/")[0] for used in proxy.report().used] == [stored.CHAT]


def test_afterwards_clients_are_as_before() -> None:
    def all_there_is() -> list[object]:
        patched = aiohttp.ClientSession.__init__, urllib3.PoolManager.urlopen
        trusted = "wiretape" in str(aiohttp.connector._SSL_CONTEXT_VERIFIED.get_ca_certs())
        return [patched, sys.meta_path.copy(), urllib.request._opener, trusted, dict(os.environ)]  # type: ignore[attr-defined]

    before = all_there_is()
    with wiretape.replay("none", allow_none=True):
        now = all_there_is()
        assert now[0] != before[0]
        assert (before[3], now[3]) == (False, True)
    assert all_there_is() == before


def test_what_a_block_raises_leaves_the_environment_as_it_was(recorded: Path) -> None:
    def block() -> None:
        with wiretape.replay(recorded):
            assert "HTTPS_PROXY" in os.environ
            assert ask("Hi") == 200
            raise LookupError

    with pytest.raises(LookupError):
        block()
    assert "HTTPS_PROXY" not in os.environ  # and the fixture looks at the rest


def test_a_miss_that_is_swallowed_fails_the_block(recorded: Path) -> None:
    with (
        pytest.raises(wiretape.RunFailed, match="no recording answers POST") as failed,
        wiretape.replay(recorded),
    ):
        assert ask("Hey") == 400
    assert failed.value.result.status == 3
    assert len(failed.value.result.problems) == 1
    assert "body.messages[0].content" in failed.value.result.problems[0]


def test_a_miss_is_told_beside_the_error_that_it_caused(recorded: Path) -> None:
    with pytest.raises(openai.BadRequestError) as caused, wiretape.replay(recorded):
        with_openai("Hey")
    assert "no recording answers POST" in caused.value.__notes__[0]


def test_a_block_can_be_let_off(recorded: Path) -> None:
    with wiretape.replay(recorded, check=False) as proxy:
        assert ask("Hey") == 400
    assert not proxy.report().ok


def test_a_block_that_nothing_reached_fails(recorded: Path) -> None:
    with (
        pytest.raises(wiretape.RunFailed, match="nothing reached the proxy"),
        wiretape.replay(recorded),
    ):
        pass
    with wiretape.replay(recorded, allow_none=True):
        pass


async def test_a_block_may_be_async(recorded: Path) -> None:
    async with wiretape.replay(recorded) as proxy:
        assert await with_aiohttp("Hi") == 200
        async with proxy.session("checkout"), httpx.AsyncClient(timeout=600) as client:
            assert (await client.post(URL, json=body("Pay"))).status_code == 200
    assert proxy.report().counts == {"replayed": 2}


async def test_an_async_block_that_is_cancelled_while_it_opens_leaves_nothing(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, abandoned = threading.Event(), threading.Event()
    real = wiretape.Proxy._open, wiretape.Proxy._abandon

    def slow(proxy: wiretape.Proxy) -> object:
        opening.set()
        return real[0](proxy)

    def told(proxy: wiretape.Proxy) -> None:
        real[1](proxy)
        abandoned.set()

    monkeypatch.setattr(wiretape.Proxy, "_open", slow)
    monkeypatch.setattr(wiretape.Proxy, "_abandon", told)

    async def block() -> None:
        async with wiretape.replay(recorded):
            pytest.fail("it was cancelled")

    task = asyncio.create_task(block())
    await asyncio.to_thread(opening.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(abandoned.wait, PATIENCE)
    assert abandoned.is_set()


def test_sessions_have_their_own_recordings_and_tell_their_own_misses(recorded: Path) -> None:
    with wiretape.replay(recorded) as proxy:
        with proxy.session("checkout") as session:
            assert ask("Pay") == 200
            assert session.report().counts == {"replayed": 1}
        assert session.report().unused == ()
        with proxy.session("tests/test_a", folder="checkout"):
            assert CLIENTS["requests"]("Pay") == 200
        with (
            pytest.raises(wiretape.RunFailed, match="body") as failed,
            proxy.session("again", folder="checkout"),
        ):
            assert ask("Hi") == 400
        assert failed.value.result.counts == {"missed": 1}
        assert ask("Hi") == 200
    # The session has told it; the run knows of it all the same.
    assert proxy.report().status == 3
    assert proxy.report().counts == {"missed": 1, "replayed": 3}


def test_a_client_of_the_block_may_go_to_a_base_url(recorded: Path) -> None:
    with wiretape.replay(recorded, set_environment=False) as proxy:
        assert "HTTPS_PROXY" not in os.environ
        url = proxy.base_url("api.together.xyz") + "/v1/chat/completions"
        assert httpx.post(url, json=body("Hi"), timeout=600).status_code == 200
        with proxy.session("checkout") as session:
            answer = httpx.post(url, json=body("Pay"), headers=session.headers, timeout=600)
            assert answer.status_code == 200
            with httpx.Client(
                proxy=session.url, verify=session.ssl_context(), timeout=600
            ) as client:
                assert client.post(URL, json=body("Pay")).status_code == 200


def test_a_process_that_the_block_starts_is_led_in(recorded: Path) -> None:
    code = f"import urllib3; print(urllib3.request('POST', {URL!r}, json={body('Hi')!r}).status)"
    with wiretape.replay(recorded, set_environment=False) as proxy:
        line = [sys.executable, "-c", code]
        assert subprocess.check_output(line, env=proxy.environ, text=True) == "200\n"


def test_what_is_recorded_replays(tmp_path: Path, upstream: Upstream) -> None:
    upstream.script("/v1/chat/completions", Answer.sse([{"id": "1"}, {"id": "2"}]))
    more = ["--upstream-ca", str(upstream.ca_file), f"--map=api.together.xyz={upstream.url}"]
    os.environ["TOGETHER_API_KEY"] = key = "tgp_v1_" + "Xq7" * 14 + "z"
    try:
        with wiretape.record(tmp_path / "new", arguments=more) as proxy:
            headers = {"authorization": f"Bearer {key}"}
            answer = httpx.post(URL, json=body("Hi"), headers=headers, timeout=600)
            assert proxy.mode == "record"
            assert os.environ["TOGETHER_API_KEY"] == key
        assert proxy.report().counts == {"recorded": 1}
        with wiretape.auto(tmp_path / "new", arguments=more) as proxy:
            assert httpx.post(URL, json=body("Hi"), timeout=600).content == answer.content
        assert proxy.report().counts == {"replayed": 1}
        with wiretape.replay(tmp_path / "new"):
            assert os.environ["TOGETHER_API_KEY"] != key
            assert httpx.post(URL, json=body("Hi"), timeout=600).content == answer.content
    finally:
        del os.environ["TOGETHER_API_KEY"]
    (recording,) = wiretape.open(tmp_path / "new")
    assert [chunk.data for chunk in recording.response.chunks][-1] == b"data: [DONE]\n\n"
    assert recording.response.chunks[0].at is not None
    assert key not in recording.path.read_text()


def test_where_ci_is_set_auto_is_replay(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with wiretape.auto(recorded) as proxy:
        assert proxy.mode == "replay"
        assert ask("Hi") == 200


def test_what_is_wrong_is_told_and_nothing_is_open(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("recordngs: x\n")
    with (
        pytest.raises(wiretape.ConfigError, match="recordngs"),
        wiretape.replay(config=tmp_path / "wrong.yaml"),
    ):
        pass
    with pytest.raises(wiretape.ConfigError, match="--pace"), wiretape.replay(pace="fast"):
        pass
    with (
        pytest.raises(wiretape.ConfigError, match="no CMD can be run"),
        wiretape.record(arguments=["--", "true"]),
    ):
        pass
    with pytest.raises(TypeError, match="unexpected argument sesion"):
        wiretape.replay(sesion="x")  # type: ignore[call-arg]  # that is the point
    proxy = wiretape.replay()
    with pytest.raises(wiretape.WiretapeError, match="not open"):
        print(proxy.url)


def test_a_block_is_entered_once(recorded: Path) -> None:
    with wiretape.replay(recorded) as proxy:
        assert ask("Hi") == 200
        with pytest.raises(wiretape.WiretapeError, match="entered before"), proxy:
            pass


def test_blocks_may_be_nested_and_the_inner_one_answers(recorded: Path) -> None:
    with wiretape.replay(recorded) as outer:
        with wiretape.replay(recorded / "checkout", allow_none=True) as inner:
            assert ask("Pay") == 200
        assert ask("Hi") == 200
    assert (inner.report().counts, outer.report().counts) == ({"replayed": 1}, {"replayed": 1})


def test_blocks_beside_one_another_are_refused_unless_they_leave_the_environment(
    recorded: Path,
) -> None:
    told: list[str] = []

    def beside() -> None:
        try:
            with wiretape.replay(recorded):
                told.append("opened")
        except wiretape.WiretapeError as error:
            told.append(str(error))
        with (
            wiretape.replay(recorded, set_environment=False) as proxy,
            httpx.Client(proxy=proxy.url, verify=proxy.ssl_context(), timeout=600) as client,
        ):
            told.append(str(client.post(URL, json=body("Hi")).status_code))

    with wiretape.replay(recorded):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join(PATIENCE)
        assert ask("Hi") == 200
    assert "another thread or task" in told[0]
    assert told[1:] == ["200"]


async def test_tasks_beside_one_another_are_refused(recorded: Path) -> None:
    opened, over = asyncio.Event(), asyncio.Event()

    async def block() -> None:
        async with wiretape.replay(recorded, allow_none=True):
            opened.set()
            await over.wait()

    task = asyncio.create_task(block())
    await opened.wait()
    with pytest.raises(wiretape.WiretapeError, match="another thread or task"):
        async with wiretape.replay(recorded):
            pass
    over.set()
    await task


KILLED = """
import os, signal, sys
import wiretape
with wiretape.replay("recordings", allow_none=True) as proxy:
    print(proxy._process._process.pid, flush=True)
    if os.fork() == 0:  # it holds the pipe open
        signal.pause()
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_test_process_that_is_killed_leaves_no_proxy(tmp_path: Path) -> None:
    line = [sys.executable, "-c", KILLED]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    proxy = int(process.stdout.readline())
    process.stdout.readline()
    children = subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(process.pid)], text=True)
    forked = [int(pid) for pid in children.split() if int(pid) != proxy]
    assert is_alive(proxy)
    assert process.stdin is not None
    process.stdin.write("now\n")
    process.stdin.flush()
    process.wait(PATIENCE)
    try:
        wait_until(lambda: not is_alive(proxy))
    finally:
        for pid in forked:
            os.kill(pid, 9)
        process.stdin.close()
        process.stdout.close()


def test_a_proxy_that_has_died_is_told(recorded: Path) -> None:
    def block() -> None:
        with wiretape.replay(recorded) as proxy:
            assert proxy._process is not None
            proxy._process.kill()

    with pytest.raises(wiretape.WiretapeError, match="has ended"):
        block()
