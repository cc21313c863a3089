"""pytest-wiretape, pytest in pytest: tests of a user's with real clients and the real program."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import openai
import pytest
from tests.support import paths, stored
from tests.support.upstream import Answer, Upstream

PLUGIN = paths.ROOT / "integrations" / "pytest"
URL = "https://api.together.xyz/v1/chat/completions"
IN_PROCESS = (aiohttp, httpx, openai)
"""Imported here, so that the inner runs do not do it again each."""

HEAD = f"""
import asyncio, os
import aiohttp, httpx, openai, pytest

URL = {URL!r}

def ask(prompt, client=httpx):
    body = {{"model": "m", "messages": [{{"role": "user", "content": prompt}}]}}
    return client.post(URL, json=body).status_code
"""


@pytest.fixture(autouse=True)
def inner(
    pytester: pytest.Pytester, clean_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A user's environment, and a project of his."""
    for name in list(os.environ):
        if not name.startswith(("PYTEST_", "PY_COLORS")):
            monkeypatch.delenv(name)
    for name, value in clean_env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p pytest_wiretape.plugin -p no:cacheprovider")
    yield
    assert "HTTPS_PROXY" not in os.environ
    assert aiohttp.ClientSession.__init__.__module__ == "aiohttp.client"


def record(pytester: pytest.Pytester, folder: str, *prompts: str) -> None:
    for prompt in prompts:
        stored.put(pytester.path / "recordings" / folder, stored.document(prompt))


def passed(result: pytest.RunResult, **outcomes: int) -> str:
    result.assert_outcomes(**outcomes)
    return result.stdout.str()


def test_each_test_is_answered_from_its_own_folder(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_chat=HEAD
        + """
@pytest.fixture(scope="session")
def client():
    with httpx.Client(timeout=600) as made:
        yield made

@pytest.mark.wiretape
def test_httpx():
    assert ask("Hi") == 200

@pytest.mark.wiretape
def test_one_client_for_all(client):
    assert ask("one", client) == 200

@pytest.mark.wiretape
@pytest.mark.parametrize("model", ["gpt-4o"])
def test_one_client_for_another(client, model):
    assert ask("two", client) == 200

@pytest.mark.wiretape("shared")
class TestShared:
    def test_first(self):
        messages = [{"role": "user", "content": "shared"}]
        with openai.OpenAI(base_url="https://api.together.xyz/v1", max_retries=0) as client:
            answer = client.chat.completions.with_raw_response.create(model="m", messages=messages)
        assert answer.http_response.status_code == 200

    def test_async(self):
        async def main():
            async with aiohttp.ClientSession() as session:
                body = {"model": "m", "messages": [{"role": "user", "content": "shared"}]}
                async with session.post(URL, json=body) as answer:
                    return answer.status
        assert asyncio.run(main()) == 200

def test_the_fixture_marks_a_test(wiretape, wiretape_proxy):
    url = URL.replace("https://api.together.xyz", wiretape.base_url("api.together.xyz"))
    body = {"model": "m", "messages": [{"role": "user", "content": "base"}]}
    answer = httpx.post(url, json=body, headers=wiretape_proxy.headers, timeout=600)
    assert answer.status_code == 200
    assert wiretape.report()["counts"] == {"replayed": 1}
    assert wiretape.mode == "replay"
    assert wiretape.recordings.is_dir()
    with httpx.Client(proxy=wiretape.url, verify=wiretape.ssl_context(), timeout=600) as client:
        assert ask("base", client) == 200

def test_others_are_left_alone():
    assert "HTTPS_PROXY" not in os.environ
"""
    )
    record(pytester, "test_chat/test_httpx", "Hi", "never asked")
    record(pytester, "test_chat/test_one_client_for_all", "one")
    record(pytester, "test_chat/test_one_client_for_another-gpt-4o", "two")
    record(pytester, "shared", "shared")
    record(pytester, "test_chat/test_the_fixture_marks_a_test", "base")
    record(pytester, "gone", "gone")
    os.environ["OPENAI_API_KEY"] = "sk-of-the-user"
    result = pytester.runpytest("--wiretape-unused")
    assert os.environ.pop("OPENAI_API_KEY") == "sk-of-the-user"
    text = passed(result, passed=7)
    assert result.ret == 0
    assert "wiretape: replay, recordings in recordings" in text
    ran, _, others = text.partition("in folders of no test that ran:")
    assert [line.rsplit("/", 4)[-4] for line in ran.splitlines() if line.endswith(".json")] == [
        "test_httpx"
    ]
    assert "recordings/gone/" in others


MISSES = """
@pytest.mark.wiretape("shared")
def test_swallows_it():
    ask("unknown")

@pytest.mark.wiretape("shared")
def test_is_well():
    assert ask("Hi") == 200

@pytest.fixture
def swallowing():
    ask("unknown in set-up")
    yield
    ask("unknown in teardown")

@pytest.mark.wiretape("shared")
def test_with_a_fixture(swallowing):
    pass

@pytest.mark.wiretape("shared")
def test_fails_of_it():
    messages = [{"role": "user", "content": "unseen"}]
    with openai.OpenAI(base_url=URL.split("/chat")[0], api_key="x", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=messages)

@pytest.mark.wiretape("shared")
@pytest.mark.xfail
def test_is_not_saved_by_xfail():
    ask("unknown")
"""


def test_a_miss_fails_the_test_that_caused_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_misses=HEAD + MISSES)
    record(pytester, "shared", "Hi")
    result = pytester.runpytest("-rA")
    text = passed(result, passed=1, failed=4, errors=1)
    assert result.ret == 1
    swallowed = text[text.index("_ test_swallows_it _") :]
    assert "no recording answers POST https://api.together.xyz" in swallowed[:1_000]
    assert "body.messages[0].content" in swallowed[:1_000]
    assert "pytest --wiretape=record 'test_misses.py::test_swallows_it'" in swallowed[:1_000]
    fails = text[text.index("_ test_fails_of_it _") :]
    assert "- wiretape -" in fails
    assert "wiretape: the run fails" not in text  # each was told by its test


def test_workers_share_one_proxy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_many=HEAD.replace("aiohttp, httpx, openai", "httpx")
        + """
@pytest.mark.wiretape("shared")
@pytest.mark.parametrize("number", range(8))
def test_it(number, wiretape):
    assert [ask("Hi"), ask("Hi")] == [200, 200]
    assert wiretape.report()["counts"] == {"replayed": 2}
    with open(f"url-{os.getpid()}", "w") as file:
        file.write(wiretape.base_url(""))

@pytest.mark.wiretape("shared")
def test_misses():
    ask("unknown")

@pytest.mark.wiretape("shared")
def test_dies():
    if "gw" in os.environ.get("PYTEST_XDIST_WORKER", ""):
        os._exit(1)
"""
    )
    record(pytester, "shared", "Hi")
    result = pytester.runpytest_subprocess("-p", "xdist.plugin", "-n2")
    text = passed(result, passed=8, failed=2)
    assert "no recording answers POST" in text
    assert "crashed while running" in text
    urls = {path.read_text() for path in pytester.path.glob("url-*")}
    assert len(list(pytester.path.glob("url-*"))) > 1
    assert len(urls) == 1


def test_what_is_recorded_replays(pytester: pytest.Pytester, upstream: Upstream) -> None:
    upstream.script("/v1/chat/completions", Answer.json({"choices": []}))
    pytester.makepyfile(
        test_live=HEAD
        + """
def test_asks(wiretape):
    assert ask("Hi") == 200

def test_asks_too(wiretape):
    assert ask("Hi") == 200
"""
    )
    options = f"--upstream-ca={upstream.ca_file} --map=api.together.xyz={upstream.url}"
    live = ["-o", f"wiretape_arguments={options}"]
    passed(pytester.runpytest("--wiretape=all", *live), passed=2)
    folders = {path.parents[2] for path in pytester.path.rglob("recordings/**/*.json")}
    assert {folder.name for folder in folders} == {"test_asks", "test_asks_too"}
    assert {folder.parent.name for folder in folders} == {"test_live"}
    upstream.requests.clear()
    for path in (pytester.path / "recordings/test_live/test_asks_too").rglob("*.json"):
        path.unlink()
    # "once" records where there is nothing, and in CI nothing is recorded unasked.
    os.environ["CI"] = "true"
    text = passed(pytester.runpytest("--wiretape=once", *live), passed=1, failed=1)
    assert "wiretape: replay (CI is set)" in text
    del os.environ["CI"]
    assert upstream.requests == []
    passed(pytester.runpytest("--record-mode=once", *live), passed=2)
    assert len(upstream.requests) == 1


def test_the_page_s_examples_run(pytester: pytest.Pytester, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "Hello!"}
    upstream.script("/v1/chat/completions", Answer.json({"choices": [{"message": message}]}))
    upstream.script("/v1/models", Answer.json({"object": "list", "data": []}))
    text = (paths.ROOT / "docs" / "pytest.md").read_text()
    pytester.makepyfile(test_page="\n".join(re.findall(r"```python\n(.*?)```", text, re.S)))
    os.environ["OPENAI_API_KEY"] = key = "sk-proj-" + "Xq7" * 20
    options = f"--upstream-ca={upstream.ca_file} --map=api.openai.com={upstream.url}"
    # Processes of their own, for the page's clients stay open until theirs ends.
    run = pytester.runpytest_subprocess
    recorded = run("--wiretape=record", "-o", f"wiretape_arguments={options}")
    # The page's second test says that it is replayed.
    assert "1 failed, 1 passed" in recorded.stdout.str()
    del os.environ["OPENAI_API_KEY"]
    assert key.encode() not in b"".join(p.read_bytes() for p in pytester.path.rglob("*.json"))
    passed(run(), passed=2)


def test_a_client_that_goes_past_the_proxy_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_past=HEAD
        + """
import socket, subprocess, sys

@pytest.mark.wiretape
@pytest.mark.block_network(allowed_hosts=["192[.]0[.]2[.]9"])
def test_is_blocked():
    assert ask("Hi") == 200
    with httpx.Client(trust_env=False) as client, pytest.raises(RuntimeError, match="past it"):
        client.get("https://192.0.2.1")
    probe = socket.socket()
    probe.settimeout(0.001)
    with pytest.raises(OSError):  # it is let through, and nobody is there
        probe.connect(("192.0.2.9", 9))
    probe.close()

def test_is_not_blocked_any_more():
    assert "connect" not in vars(socket.socket)
"""
    )
    record(pytester, "test_past/test_is_blocked", "Hi")
    passed(pytester.runpytest(), passed=2)
    pytester.makepyfile(test_past="def test_x(wiretape): pass")
    result = pytester.runpytest()
    text = passed(result, passed=1)
    assert "nothing reached the proxy" in text
    assert result.ret == 1


def test_another_plugin_s_block_lets_the_proxy_through(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import socket, pytest

@pytest.fixture(autouse=True)
def block_network():  # as pytest-recording does
    usual = socket.socket.connect
    def guard(self, address):
        raise RuntimeError(f"Network is disabled for host {address[0]!r}")
    socket.socket.connect = guard
    yield
    socket.socket.connect = usual
"""
    )
    pytester.makepyfile(
        test_blocked=HEAD
        + """
@pytest.mark.wiretape
def test_it():
    assert ask("Hi") == 200
    with httpx.Client(trust_env=False) as client, pytest.raises(RuntimeError, match="disabled"):
        client.get("http://127.0.0.1:9/")

@pytest.mark.wiretape
def test_misses():
    ask("unknown")
"""
    )
    record(pytester, "test_blocked/test_it", "Hi")
    result = pytester.runpytest("-W", "ignore::pytest.PytestUnraisableExceptionWarning")
    assert "no recording answers" in passed(result, passed=1, failed=1)


def test_what_is_wrong_is_told(pytester: pytest.Pytester, tmp_path: Path) -> None:
    pytester.makepyfile(test_x="def test_x(wiretape): pass\ndef test_y(): pass")
    result = pytester.runpytest("--wiretape=sometimes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--wiretape=sometimes: expected one of replay, record" in result.stderr.str()
    os.environ["WIRETAPE_BIN"] = "no-such-wiretape"
    text = passed(pytester.runpytest(), passed=1, errors=1)
    assert "no-such-wiretape: no such program" in text
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho \"Error: No such command 'pipe'.\" >&2\nexit 2\n")
    newer = tmp_path / "newer"
    newer.write_text("#!/bin/sh\necho '" + json.dumps({"wiretape_pipe": 2, "version": "9"}) + "'\n")
    for program, message in {old: "may be too old", newer: "update pytest-wiretape"}.items():
        program.chmod(0o755)
        os.environ["WIRETAPE_BIN"] = str(program)
        assert message in passed(pytester.runpytest(), passed=1, errors=1)
    del os.environ["WIRETAPE_BIN"]
    result = pytester.runpytest("-o", "wiretape_arguments=--pace=fast")
    assert "--pace" in passed(result, passed=1, errors=1)
