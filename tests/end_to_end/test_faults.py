"""Faults on demand as an SDK meets them: asked for by a request's header, told in the report."""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.rawclient import SEES_RESETS
from tests.support.sdk import post, record_options, shell
from tests.support.upstream import Answer, Upstream

CHAT = "/v1/chat/completions"
TEXTS = ("one", "two", "three", "four")


def chunk(text: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice]}  # fmt: skip


ASKING = textwrap.dedent("""
    # python asking.py HEADER|-…: ask with each of these faults; a line of JSON for each.
    import json, sys, time
    import openai

    client = openai.OpenAI(api_key="k", max_retries=0)
    said = [{"role": "user", "content": "hi"}]
    for header in sys.argv[1:]:
        asked = {"model": "m", "messages": said, "stream": True}
        asked["timeout"] = 4 if header.startswith("stall") else None
        if header != "-":
            asked["extra_headers"] = {"x-wiretape-fault": header}
        got, raised, cause, wait = [], None, None, None
        began = time.monotonic()
        try:
            with client.chat.completions.create(**asked) as stream:
                for chunk in stream:
                    got.append(chunk.choices[0].delta.content)
        except Exception as error:
            raised, cause = type(error).__name__, type(error.__cause__).__name__
            wait = getattr(error, "response", None) and error.response.headers.get("retry-after")
        took = time.monotonic() - began
        print(json.dumps([got, raised, cause, wait, took]), flush=True)
""")


PLAIN = plain_client.program("""
    # HEADER|-…: ask with each of these faults; a line of JSON for each, the status and the text.
    import sys

    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with Client("https://api.openai.com") as client:
        for header in sys.argv[1:]:
            headers = {} if header == "-" else {"x-wiretape-fault": header}
            got = client.request("POST", "/v1/chat/completions", headers, body)
            print(json.dumps([got.status_code, got.text]))
""")


def plainly(*headers: str) -> list[str]:
    return [sys.executable, "-c", PLAIN, *headers]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("asking") / "asking.py"
    path.write_text(ASKING)
    return str(path)


@pytest.fixture
def recorded(wiretape: Wiretape, upstream: Upstream, tmp_path: Path, asking: str) -> Path:
    """A folder with the stream that `asking.py` asks for."""
    upstream.script(CHAT, Answer.sse([chunk(text) for text in TEXTS]))
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    folder = tmp_path / "r"
    done = wiretape("record", *record_options(upstream, folder), "--", *post(CHAT, body))
    assert done.returncode == 0, done.stderr
    return folder


READS_RESET = "ReadError" if SEES_RESETS else "RemoteProtocolError"


def told(text: str) -> list[Any]:
    """What the client got, what it raised and why, and the retry-after; of each time."""
    return [json.loads(line)[:4] for line in text.splitlines()]


FAULTS: dict[str, list[Any]] = {
    "status=503": [[], "InternalServerError", "NoneType", None],
    "status=401": [[], "AuthenticationError", "NoneType", None],
    "rate_limit=30": [[], "RateLimitError", "NoneType", "30"],
    "cut=2": [["one", "two"], "APIConnectionError", "RemoteProtocolError", None],
    "cut=0": [[], "APIConnectionError", "RemoteProtocolError", None],
    "reset=1": [["one"], "APIConnectionError", READS_RESET, None],
    "stall=3": [["one", "two", "three"], "APITimeoutError", "ReadTimeout", None],
    "malformed=2": [["one"], "JSONDecodeError", "NoneType", None],
    "delay=0.1": [list(TEXTS), None, None, None],
    "probability=0,cut=1": [list(TEXTS), None, None, None],
}


@pytest.mark.parametrize("pace", ["instant", "recorded"])
def test_an_sdk_meets_the_faults_it_asks_for(
    wiretape: Wiretape, recorded: Path, asking: str, pace: str
) -> None:
    client = [sys.executable, asking, *FAULTS]
    options: list[str | Path] = ["-r", recorded, "--report", "report.json", "--pace", pace]
    done = wiretape("replay", *options, "--", *client)
    assert dict(zip(FAULTS, told(done.stdout), strict=True)) == FAULTS
    rows = json.loads((recorded.parent / "report.json").read_text())["exchanges"]
    struck = [header for header in FAULTS if not header.startswith("probability")]
    assert [row.get("fault") for row in rows] == ["header"] * len(struck) + [None]
    assert done.stderr.count("fault on demand: header") == len(struck)
    # A fault that was asked for is no fault of the run.
    assert done.returncode == 0
    assert {row["outcome"] for row in rows} == {"replayed"}


def test_a_delay_lies_before_the_answer_and_counts(
    wiretape: Wiretape, recorded: Path, asking: str
) -> None:
    client = [sys.executable, asking, "delay=0.4,cut=1"]
    done = wiretape("replay", "-r", recorded, "--report", "report.json", "--", *client)
    got, raised, *_, took = json.loads(done.stdout)
    assert (got, raised) == (["one"], "APIConnectionError")
    assert took >= 0.4
    (row,) = json.loads((recorded.parent / "report.json").read_text())["exchanges"]
    assert row["first_chunk"] >= 0.4
    assert row["duration"] >= row["first_chunk"]


def test_auto_has_faults_where_it_replays(
    wiretape: Wiretape, upstream: Upstream, recorded: Path, asking: str
) -> None:
    client = [sys.executable, asking, *FAULTS]
    done = wiretape("auto", *record_options(upstream, recorded), "--", *client)
    assert dict(zip(FAULTS, told(done.stdout), strict=True)) == FAULTS
    assert "fault on demand: header" in done.stderr
    assert len(upstream.requests) == 1


def test_a_live_answer_has_no_fault_and_the_header_goes_nowhere(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.sse([chunk(text) for text in TEXTS]))
    for mode in ("record", "auto"):
        folder = tmp_path / mode
        client = plainly("status=503")
        done = wiretape(mode, *record_options(upstream, folder), "--", *client)
        status, text = json.loads(done.stdout)
        assert (status, [word for word in TEXTS if word in text]) == (200, list(TEXTS))
        assert "fault" not in done.stderr
        (path,) = folder.rglob("*.json")
        assert "fault" not in path.read_text()
    assert [r.header("x-wiretape-fault") for r in upstream.requests] == [None, None]


@pytest.mark.parametrize("mode", ["replay", "auto"])
def test_a_header_that_cannot_be_read_is_refused_in_words(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path, mode: str
) -> None:
    upstream.script(CHAT, Answer.json({"a": 1}))
    options = record_options(upstream, tmp_path / "r")
    wiretape("record", *options, "--", *post(CHAT, {"a": 1}))
    bad = post(CHAT, {"a": 1}, "-H", "x-wiretape-fault: explode=1")
    done = wiretape(mode, *(options if mode == "auto" else options[:2]), "--", *bad)
    said = json.loads(done.stdout)["error"]["message"]
    assert said.startswith("wiretape: x-wiretape-fault: expected NAME=NUMBER")
    assert said.endswith("got 'explode=1'")


def test_a_run_goes_wrong_the_same_way_every_time(wiretape: Wiretape, recorded: Path) -> None:
    client = plainly(*["status=503, probability=0.5, seed=3"] * 12)
    runs = [wiretape("replay", "-r", recorded, "--", *client).stdout for _ in range(2)]
    first, second = ([json.loads(line)[0] for line in text.splitlines()] for text in runs)
    assert first == second
    assert set(first) == {200, 503}


def test_a_status_is_told_in_the_shape_of_the_provider(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    host = "api.anthropic.com"
    upstream.script("/v1/messages", Answer.json({"a": 1}))
    plain = post("/v1/messages", {"a": 1}, host=host)
    wiretape("record", *record_options(upstream, tmp_path / "r", host), "--", *plain)
    down = post("/v1/messages", {"a": 1}, "-i", "-H", "x-wiretape-fault: status=529", host=host)
    done = wiretape("replay", "-r", tmp_path / "r", "--", *shell(down, plain))
    _, _, answer = done.stdout.partition("\n\n")  # after that of the tunnel
    head, _, rest = answer.partition("\n\n")
    assert "HTTP/1.1 529" in head
    assert "x-wiretape-fault: header" in head
    body, after, *_ = rest.splitlines()
    assert json.loads(body)["type"] == "error"
    assert json.loads(body)["error"]["type"] == "wiretape_fault"
    assert json.loads(after) == {"a": 1}


def test_the_report_tells_what_was_sent_and_why(wiretape: Wiretape, recorded: Path) -> None:
    client = plainly("rate_limit=1", "-")
    wiretape("replay", "-r", recorded, "--report", "report.json", "--", *client)
    rows = json.loads((recorded.parent / "report.json").read_text())["exchanges"]
    assert [(row["status"], row.get("fault")) for row in rows] == [(429, "header"), (200, None)]
