"""Sessions as clients name them, and the endpoint that controls them."""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import documents, post, record_options
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"


def ask(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def answer(text: str) -> Answer:
    return Answer.json({"choices": [{"message": {"content": text}}]})


IN_SESSION = plain_client.program("""
    # python in_session.py NAME TEXT…: ask each text in a session, as the proxy's URL names it.
    import sys

    name, *texts = sys.argv[1:]
    proxy = os.environ["HTTPS_PROXY"].replace("http://", f"http://{name}:x@")
    with Client(proxy=proxy) as client:
        for text in texts:
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            got = client.post("https://api.openai.com/v1/chat/completions", json=body)
            print(got.json()["choices"][0]["message"]["content"] if got.is_success else got.text)
""")


@pytest.fixture
def in_session(tmp_path: Path) -> str:
    path = tmp_path / "in_session.py"
    path.write_text(IN_SESSION)
    return str(path)


def test_the_proxys_credentials_give_a_session_its_own_folder(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, in_session: str
) -> None:
    upstream.script(CHAT, answer("1"), answer("2"), answer("3"))
    both = [
        *["sh", "-c"],
        f"{sys.executable} {in_session} one hi && {sys.executable} {in_session} two hi",
    ]
    done = wiretape(
        "record", *record_options(upstream, tmp_path / "r"), "--report", "r.json", "--", *both
    )
    assert done.stdout.split() == ["1", "2"], done.stderr
    assert [name.split("/")[0] for name in documents(tmp_path / "r")] == ["one", "two"]
    # Who the session is goes neither to the provider nor into the recordings.
    for request in upstream.requests:
        assert request.header("proxy-authorization") is None
    again = wiretape("replay", "-r", tmp_path / "r", "--report", "p.json", "--", *both)
    assert again.stdout.split() == ["1", "2"]
    for name in ("r.json", "p.json"):
        report = json.loads((tmp_path / name).read_text())
        assert list(report["sessions"]) == ["one", "two"]


def test_a_header_names_a_session_too(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, answer("1"))
    command = post(CHAT, ask("hi"), "-H", "X-Wiretape-Session: mine")
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *command)
    assert done.returncode == 0, done.stderr
    (name,) = documents(tmp_path / "r")
    assert name.startswith("mine/")
    assert upstream.requests[0].header("x-wiretape-session") is None
    again = wiretape("replay", "-r", tmp_path / "r", "--", *command)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    other = wiretape("replay", "-r", tmp_path / "r", "--", *post(CHAT, ask("hi")))
    assert other.returncode == 3


def test_a_session_without_recordings_is_told(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    command = post(CHAT, ask("hi"), "-H", "x-wiretape-session: nobody")
    done = wiretape("replay", "-r", tmp_path / "r", "--", *command)
    assert done.returncode == 3
    assert "nobody" in done.stdout


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_name_that_is_none_is_refused(wiretape: Wiretape, tmp_path: Path, mode: str) -> None:
    (tmp_path / "r").mkdir()
    command = post(CHAT, ask("hi"), "-H", "x-wiretape-session: ../up")
    done = wiretape(mode, "-r", tmp_path / "r", "--", *command)
    assert "a session's name has letters" in done.stdout
    assert list((tmp_path / "r").iterdir()) == []


def test_the_credentials_of_a_tunnel_are_refused_where_they_name_none(
    wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    text = 'curl -sS --proxy-user "a b:x" https://api.openai.com/v1/models'
    for mode in ("record", "replay"):
        done = wiretape(mode, "-r", tmp_path / "r", "--", "sh", "-c", text)
        assert done.returncode == 56, done.stderr
        assert "403" in done.stderr


MANY = textwrap.dedent("""
    # A hundred sessions at once on one proxy, each with two takes of one request.
    import asyncio, os, ssl, sys
    import httpx

    trust = ssl.create_default_context()  # each client would read all roots for one of its own

    async def one(number):
        proxy = os.environ["HTTPS_PROXY"].replace("http://", f"http://s{number}:x@")
        async with httpx.AsyncClient(proxy=proxy, verify=trust, timeout=None) as client:
            said = []
            for _ in range(2):
                body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
                got = await client.post("https://api.openai.com/v1/chat/completions", json=body)
                said.append(got.json()["choices"][0]["message"]["content"])
            return said

    async def main():
        answers = await asyncio.gather(*(one(n) for n in range(100)))
        wrong = [(n, a) for n, a in enumerate(answers) if a != [f"{n}-1", f"{n}-2"]]
        print(wrong or "all right")

    asyncio.run(main())
""")


def test_a_hundred_sessions_at_once_keep_their_order(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, answer("0-1"), answer("0-2"))
    both = [
        "sh",
        "-c",
        "; ".join(["{}"] * 2).format(*[" ".join(map(_quoted, post(CHAT, ask("hi"))))] * 2),
    ]
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *both)
    assert "2 recorded" in done.stderr
    for number in range(100):
        for name in documents(tmp_path / "r"):
            text = (tmp_path / "r" / name).read_text()
            place = tmp_path / "many" / f"s{number}" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.replace('"0-', f'"{number}-'))
    again = wiretape("replay", "-r", tmp_path / "many", "--", sys.executable, "-c", MANY)
    assert again.stdout == "all right\n", again.stderr[-2000:]


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


CONTROL = textwrap.dedent("""
    import json, os, sys
    import httpx

    base, token = os.environ["WIRETAPE_BASE_URL"], os.environ["WIRETAPE_TOKEN"]
    here = httpx.Client(trust_env=False, headers={"authorization": f"Bearer {token}"}, timeout=None)
    asks = httpx.Client(timeout=None, headers={"x-wiretape-session": "one"})

    def act(action):
        return here.post(f"{base}/wiretape/sessions/one/{action}").json()

    def ask():
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        got = asks.post("https://api.openai.com/v1/chat/completions", json=body)
        return got.json()["choices"][0]["message"]["content"]

    print(json.dumps([act("start")["counts"], ask(), ask(), act("reset")["counts"], ask(),
                      act("finish")]))
""")


def test_the_control_endpoint_starts_resets_and_finishes(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, answer("1"), answer("2"), answer("3"))
    command = ["--", sys.executable, "-c", CONTROL]
    live = wiretape("record", *record_options(upstream, tmp_path / "r"), *command)
    assert live.returncode == 0, live.stderr
    *_, told = json.loads(live.stdout)
    # What was asked for is written by then.
    assert told["counts"] == {"recorded": 1} or told["counts"] == {"recorded": 3}
    assert len(told["used"]) >= 1
    names = documents(tmp_path / "r" / "one")
    assert len(names) == 3
    again = wiretape("replay", "-r", tmp_path / "r", *command)
    started, first, second, reset, third, finished = json.loads(again.stdout)
    assert (started, reset) == ({}, {})
    assert (first, second, third) == ("1", "2", "1")
    assert finished["counts"] == {"replayed": 1}
    assert sorted([*finished["used"], *finished["unused"]]) == sorted(names)
    assert len(finished["used"]) == 1


@pytest.mark.parametrize("mode", ["record", "replay", "auto"])
def test_pages_of_other_origins_are_refused(wiretape: Wiretape, tmp_path: Path, mode: str) -> None:
    (tmp_path / "r").mkdir()
    text = (
        'for header in "Host: evil.example" "Origin: https://evil.example"; do'
        ' for path in wiretape api.openai.com/v1/models; do curl -s -o /dev/null -w "%{http_code} "'
        ' -H "authorization: Bearer $WIRETAPE_TOKEN" -H "$header" "$WIRETAPE_BASE_URL/$path";'
        " done; done"
    )
    done = wiretape(mode, "-r", tmp_path / "r", "--", "sh", "-c", text, env={"CI": ""})
    assert done.stdout.split() == ["403"] * 4


def test_a_token_is_asked_for(wiretape: Wiretape, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    text = 'curl -s -w "%{http_code}" "$WIRETAPE_BASE_URL/wiretape"'
    for mode in ("record", "replay"):
        done = wiretape(mode, "-r", tmp_path / "r", "--", "sh", "-c", text)
        assert done.stdout.endswith("401")
