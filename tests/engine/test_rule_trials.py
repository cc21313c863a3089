"""Rules that misses suggest are pasted until none is offered: the same prompt is answered then, and
another one never is.
"""

import asyncio
import copy
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.support.agent_runs import MADE, RUNS
from tests.support.asked_folder import JSON, HttpFolder, SocketFolder
from tests.support.limits import PATIENCE

from wiretape.config.packs import providers
from wiretape.config.packs import rules as pack_rules
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import FolderState, Miss, miss_for
from wiretape.core.matching.rule import Rule
from wiretape.core.matching.rule_trial import RuleTrial, try_rules
from wiretape.core.model import Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.playback.pace import Pace
from wiretape.core.recording.document import from_exchange
from wiretape.core.text.jsonpath import compiled
from wiretape.engine import rule_trials
from wiretape.engine.handler import Handler
from wiretape.engine.rule_trials import RuleTrials
from wiretape.library.library import Library, LocalState

type Shape = Callable[[str, int], Any]
"""A request body, of a prompt and the number of the run."""


def uuid(run: int, number: int = 0) -> str:
    return f"3f9c1d52-0a7b-4c11-8e5{number}-0d6a1b2c3d4{run}"


def chat(prompt: str, run: int) -> Any:
    return {
        "model": "m",
        "stream": True,
        "messages": [
            {"role": "system", "content": f"You help.\nToday's date: 2026-11-2{run}\nBe brief."},
            {"role": "user", "content": prompt},
        ],
        "user": f"user-{uuid(run)}",
        "metadata": {"session": f"s{run}", "note": f"attempt {run} of 9"},
    }


def blocks(prompt: str, run: int) -> Any:
    return {
        "model": "m",
        "max_tokens": 99,
        "system": [{"type": "text", "text": f"Work in /tmp/run-{run}/x", "block_id": f"b{run}"}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": f"<today>2026-11-2{run}</today>"},
                    {"type": "text", "text": prompt},
                ],
            }
        ],
        "tools": [{"name": "f", "input_schema": {"properties": {"id": {"type": "string"}}}}],
        "stream": True,
        "trace": {"span": f"{run}af3"},
    }


def items(prompt: str, run: int) -> Any:
    return {
        "type": "response.create",
        "model": "m",
        "stream": True,
        "instructions": "Be an agent.",
        "tools": [{"name": "exec"}],
        "input": [
            {
                "type": "message",
                "turn_id": uuid(run, number),
                "create_time": 17959655.5 + run,
                "content": [{"type": "input_text", "text": text}],
            }
            for number, text in enumerate((f"<now>2026-11-2{run}T10:00:0{run}Z</now>", prompt))
        ],
        "cache_key": uuid(run),
        "started_ms": 17959655536 + run,
    }


def turns(prompt: str, run: int) -> Any:
    return {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "systemInstruction": {"parts": [{"text": f"Folder: /tmp/agent-{run}/w. id {uuid(run)}"}]},
        "labels": {"run": f"r{run}"},
        "requestId": f"r-{run}",
    }


SHAPES: Final[dict[str, Shape]] = {"chat": chat, "blocks": blocks, "items": items, "turns": turns}
OTHERS: Final = (
    *("write me a poem on tax law", "hi ", "Hi", "hi 2", "bye", ""),
    *("hi 2026-11-20", "hi there", f"hi {uuid(1)}", "<today>2026-11-20</today>"),
)


def without(body: Any, *names: str, **more: Any) -> Any:
    return {name: value for name, value in body.items() if name not in names} | more


ASIDE: Final[dict[str, Callable[[Any], Any]]] = {
    "warm-up": lambda body: {**body, "generate": False},
    "quota": lambda body: {**body, "max_tokens": 1},
    "title": lambda body: without(body, "tools", system="Generate a title."),
    "no stream": lambda body: without(body, "stream"),
    "another model": lambda body: {**body, "model": "m2"},
}


def asides(shape: Shape, run: int = 4) -> dict[str, Any]:
    """What an agent asks beside "hi", or otherwise."""
    body = shape("hi", run)
    bodies = {kind: change(body) for kind, change in ASIDE.items()}
    return {kind: aside for kind, aside in bodies.items() if aside != body}


FOLDERS: Final = {"http": HttpFolder, "websocket": SocketFolder}


@pytest.fixture(params=FOLDERS)
def asked_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return FOLDERS[request.param](tmp_path / "recordings")


@pytest.mark.parametrize("name", SHAPES)
def test_with_all_suggestions_pasted_only_the_same_prompt_is_answered(
    name: str, asked_folder: Any
) -> None:
    shape = SHAPES[name]
    asked_folder.record(shape("hi", 1), "hello")
    asked_folder.record(shape("capital of France?", 1), "Paris")
    assert asked_folder.paste(shape("hi", 2)) == "hello"
    assert asked_folder.rules
    assert asked_folder.paste(shape("capital of France?", 3)) == "Paris"
    for prompt in OTHERS:
        assert isinstance(asked_folder.paste(shape(prompt, 1)), Miss), prompt
        assert isinstance(asked_folder.paste(shape(prompt, 4)), Miss), prompt
    for kind, aside in asides(shape).items():
        assert isinstance(asked_folder.paste(aside), Miss), kind
    assert asked_folder.ask(shape("hi", 5)) == "hello"


@pytest.mark.parametrize("name", SHAPES)
def test_rules_are_pasted_for_other_prompts_first_and_none_is_answered(
    name: str, asked_folder: Any
) -> None:
    """A prompt that was never recorded is what a user of an agent types next."""
    shape = SHAPES[name]
    for kind, aside in asides(shape, 1).items():
        asked_folder.record(aside, kind)
    asked_folder.record(shape("hi", 1), "hello")
    for prompt in OTHERS:
        assert isinstance(asked_folder.paste(shape(prompt, 2)), Miss), prompt
    assert asked_folder.paste(shape("hi", 3)) == "hello"
    for kind, aside in asides(shape).items():
        assert asked_folder.paste(aside) == kind


@pytest.mark.parametrize("agent", MADE)
def test_without_its_pack_no_agent_gets_the_answer_of_another_prompt(
    agent: str, asked_folder: Any
) -> None:
    """As it was before there were packs: Codex answered a poem on tax law with a greeting."""
    names = [each.name for each in pack_rules(providers()) if not each.never_recorded]
    asked_folder.without = [name for name in names if name.startswith(f"{agent}/")]
    assert asked_folder.without
    ask = MADE[agent][1]
    asked_folder.record(ask(RUNS[0], "hi"), "hello")
    asked_folder.record(ask(RUNS[0], "bye"), "goodbye")
    same = asked_folder.paste(ask(RUNS[1], "hi"))
    assert same == "hello" if agent == "openai-agents" else isinstance(same, Miss | str)
    for prompt in OTHERS:
        if prompt != "bye":
            for run in RUNS:
                assert isinstance(asked_folder.paste(ask(run, prompt)), Miss), prompt
    assert asked_folder.ask(ask(RUNS[0], "hi")) == "hello"
    assert asked_folder.ask(ask(RUNS[0], "bye")) == "goodbye"


def test_a_rule_that_would_make_two_recordings_equal_is_not_offered(asked_folder: Any) -> None:
    body = {"prompt": "hi", "tenant": "t1"}
    asked_folder.record(body, "one")
    asked_folder.record({**body, "tenant": "t2"}, "two")
    miss = asked_folder.ask({**body, "tenant": "t3"})
    assert miss.suggestion is None
    assert "recordings that differ would become equal by it" in miss.message


def test_messages_of_one_connection_are_not_made_equal(tmp_path: Path) -> None:
    asked_folder = SocketFolder(tmp_path / "recordings")
    messages = [
        Message(json.dumps({"step": f"s{number}"}).encode(), 0.1, "client") for number in (1, 2)
    ]
    socket = WebSocket(101, (), tuple(messages), streaming=True, close=Close("client", 1000))
    asked_folder.put(Exchange(asked_folder.opening(), socket, None))
    miss = asked_folder.ask({"step": "s9"})
    assert isinstance(miss, Miss)
    assert "would become equal by it (llm.example.org/0.json #1, llm" in miss.withheld


def test_a_rule_is_tried_on_other_paths_that_it_is_for(tmp_path: Path) -> None:
    """The path of a request that names an id is a pattern, and covers longer paths."""
    asked_folder = HttpFolder(tmp_path / "recordings")
    config = asked_folder.config()
    matcher = Matcher(config.providers)
    library = Library(asked_folder.folder, matcher, state=LocalState(tmp_path))
    library.load()
    finder = compiled("$.a")
    assert finder is not None
    for number in (1, 2):
        body = json.dumps({"a": number}).encode()
        request = Request(
            "POST", "https", asked_folder.host, 443, "/v1/x/y", headers=JSON, body=body
        )
        asked_folder.put(Exchange(request, Response(200, JSON, ()), None))
    library.check()
    document = from_exchange(
        Exchange(asked_folder.request({"a": 3}), Response(200, JSON, ()), None)
    )
    rule = Rule("r", path="/v1/x*", ignore=(finder,))
    trial = RuleTrials(matcher).of(library, document["request"])(rule)
    assert trial is not None
    assert (trial.tried, len(trial.merged)) == (2, 1)
    elsewhere = RuleTrials(matcher).of(library, document["request"])(Rule("r", path="/v2/*"))
    assert elsewhere is not None
    assert elsewhere.tried == 0


@pytest.mark.parametrize("allowance", [{"most_files": 1}, {"most_bytes": 600}])
def test_beyond_its_allowance_a_run_tries_no_rule(tmp_path: Path, allowance: Any) -> None:
    asked_folder = HttpFolder(tmp_path / "recordings")
    asked_folder.record({"prompt": "hi", "run": 1}, "one")
    replayer = asked_folder.replayer()
    replayer.misses._rule_trials = RuleTrials(asked_folder.config().matcher, **allowance)
    first, second = (
        replayer.misses.explain(replayer.prepare(asked_folder.request({"prompt": "hi", name: run})))
        for name, run in (("run", 2), ("span", 3))
    )
    assert first.suggestion is not None
    assert second.suggestion is None
    assert "it was not tried on all recordings" in second.message


def test_a_rule_that_many_misses_suggest_is_tried_once(tmp_path: Path) -> None:
    folder = HttpFolder(tmp_path / "recordings")
    for prompt in ("hi", "bye"):
        folder.record({"prompt": prompt, "run": 1}, prompt)
    replayer = folder.replayer()
    replayer.misses._rule_trials = RuleTrials(folder.config().matcher, most_files=2)
    misses = [
        replayer.misses.explain(replayer.prepare(folder.request({"prompt": prompt, "run": run})))
        for run, prompt in ((2, "hi"), (3, "bye"), (4, "hi"))
    ]
    assert [miss.is_repeated for miss in misses] == [False, True, True]
    folder.record({"prompt": "hi", "run": 9}, "hi again")
    replayer.sessions.own.library.check()
    last = replayer.misses.explain(replayer.prepare(folder.request({"prompt": "hi", "run": 5})))
    assert (last.suggestion, "not tried on all" in last.withheld) == (None, True)


def test_a_recording_that_changes_meanwhile_leaves_a_rule_untried(tmp_path: Path) -> None:
    asked_folder = HttpFolder(tmp_path / "recordings")
    asked_folder.record({"run": 1}, "one")
    replayer = asked_folder.replayer()
    library = replayer.sessions.own.library
    request = replayer.prepare(asked_folder.request({"run": 2}))
    nearest = library.nearest(request.canonical)
    (file,) = asked_folder.folder.rglob("*.json")
    file.write_text("{}", "utf-8")
    try_rule = RuleTrials(asked_folder.config().matcher).of(library, request.document)
    miss = miss_for(request.canonical, "u", nearest, FolderState(total=1, try_rule=try_rule))
    assert (miss.suggestion, "not tried on all" in miss.message) == (None, True)


def test_asking_for_rules_changes_neither_request_nor_recording(asked_folder: Any) -> None:
    """Record "room 37", replay "room 39", then "room 37" with another heat: what is recorded is
    still "room 37".
    """
    body: dict[str, Any] = {"metadata": {"note": "room 37"}, "temperature": 1}
    asked_folder.record(body, "yes")
    live = copy.deepcopy(body)
    live["metadata"]["note"] = "room 39"
    assert asked_folder.ask(live).suggestion is not None
    (difference,) = asked_folder.ask({**body, "temperature": 2}).differences
    assert (difference.path, difference.recorded) == ("body.temperature", 1)


@asynccontextmanager
async def served(folder: HttpFolder) -> AsyncIterator[str]:
    """A folder replayed on a port of this process."""
    server = Handler(folder.replayer(), Pace()).server()
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/{folder.host}{folder.path}"
    finally:
        listener.close()
        await server.shutdown(0)


class HeldTrial:
    """Holds the trial of a rule until the test lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

        def held(*arguments: Any) -> RuleTrial:
            self.begun.set()
            assert self.may_end.wait(PATIENCE)
            return try_rules(*arguments)

        monkeypatch.setattr(rule_trials, "try_rules", held)


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_others_are_answered_while_a_rule_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = HttpFolder(tmp_path / "r")
    for prompt in ("hi", "bye"):
        folder.record(chat(prompt, 1), f'"{prompt}"')
    trial = HeldTrial(monkeypatch)
    async with served(folder) as url, httpx.AsyncClient(timeout=PATIENCE) as client:
        missed = asyncio.create_task(client.post(url, json=chat("hi", 2)))
        assert await asyncio.to_thread(trial.begun.wait, PATIENCE)
        others = [await client.post(url, json=chat(prompt, 1)) for prompt in ("hi", "bye")]
        assert [other.text for other in others] == ['"hi"', '"bye"']
        assert not missed.done()
        trial.may_end.set()
        assert (await missed).status_code == 400
        assert "add under match.rules" in (await missed).text
    (row,) = (row for row in folder.report.rows if row.outcome == "missed")
    assert row.miss is not None


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_a_miss_whose_client_leaves_meanwhile_fails_the_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = HttpFolder(tmp_path / "r")
    folder.record(chat("hi", 1), '"hi"')
    trial, reported = HeldTrial(monkeypatch), asyncio.Event()
    async with served(folder) as url:
        folder.report.listen = lambda row: reported.set()
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            missed = asyncio.create_task(client.post(url, json=chat("hi", 2)))
            assert await asyncio.to_thread(trial.begun.wait, PATIENCE)
            missed.cancel()
            await asyncio.gather(missed, return_exceptions=True)
        await asyncio.wait_for(reported.wait(), PATIENCE)
        trial.may_end.set()
    (row,) = folder.report.rows
    assert (row.outcome, row.miss) == ("missed", None)
    assert "the client left" in (row.note or "")
