"""Rules that misses suggest are pasted until none is offered: the same prompt is answered then, and
another one never is.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from wiretape.config.load import Config, load
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import FolderState, Miss, miss_for
from wiretape.core.matching.rule import Rule
from wiretape.core.model import Chunk, Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.playback.websocket import Mismatch, ReplayedConnection
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.jsonpath import compiled
from wiretape.engine.replayer import Replayer
from wiretape.engine.rule_trials import RuleTrials
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON: Final = (("content-type", "application/json"),)
UPGRADE: Final = (("upgrade", "websocket"), ("connection", "upgrade"))

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


class Door:
    """Asks what is recorded in a folder, under the rules of a config.yaml, without a process."""

    def __init__(self, folder: Path, host: str = "llm.example.org") -> None:
        self.folder = folder
        self.host = host
        self.rules: list[Any] = []
        self.names: set[str] = set()
        self.report = Report("replay")

    def request(self, body: Any, **more: Any) -> Request:
        raw = b"" if body is None else json.dumps(body).encode()
        facts: dict[str, Any] = {"method": "POST", "headers": JSON, "body": raw, **more}
        return Request(facts.pop("method"), "https", self.host, 443, "/v1/ask", **facts)

    def put(self, exchange: Exchange) -> None:
        stored = from_exchange(exchange)
        path = self.folder / self.host / f"{len(list(self.folder.rglob('*.json')))}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(stored), "utf-8")

    def config(self) -> Config:
        path = self.folder.parent / "config.yaml"
        entry = {"hosts": [self.host], "errors": "openai"}
        file = {"providers": {"example": entry}, "match": {"rules": self.rules}}
        path.write_text(yaml.safe_dump(file), "utf-8")
        return load(path, {})

    def replayer(self) -> Replayer:
        config = self.config()
        redactor = Redactor(config.redaction)

        def opened(session: str | None) -> Library:
            state = LocalState(self.folder.parent)
            library = Library(self.folder, config.matcher, redactor.request, session, state)
            library.load()
            return library

        self.report = Report("replay")
        return Replayer(Sessions(opened), config.matcher, redactor, config.providers, self.report)

    def ask(self, body: Any) -> str | Miss:
        """The answer's text, or the miss."""
        raise NotImplementedError

    def paste(self, body: Any) -> str | Miss:
        """Ask, paste the rule that is suggested, ask again, until there is an answer or no rule."""
        for _ in range(20):
            outcome = self.ask(body)
            if isinstance(outcome, str) or outcome.suggestion is None:
                return outcome
            (entry,) = yaml.safe_load(outcome.suggestion.yaml)
            assert entry["name"] not in self.names
            self.names.add(entry["name"])
            self.rules.append(entry)
        raise AssertionError("rules are suggested without end")


class Http(Door):
    def record(self, body: Any, answer: str) -> None:
        request = self.request(body)
        self.put(Exchange(request, Response(200, JSON, (Chunk(answer.encode()),)), None))

    def ask(self, body: Any) -> str | Miss:
        replayer = self.replayer()
        asked = replayer.now(replayer.ask(self.request(body)))
        played = replayer.play(asked)
        return played.response.body.decode() if played else replayer.explain(asked)


class Socket(Door):
    """Each question is the first message of a connection."""

    def opening(self) -> Request:
        return self.request(None, method="GET", headers=UPGRADE)

    def record(self, body: Any, answer: str) -> None:
        messages = (
            Message(json.dumps(body).encode(), 0.1, "client"),
            Message(json.dumps({"answer": answer}).encode(), 0.2, "server"),
        )
        socket = WebSocket(101, (), messages, streaming=True, close=Close("client", 1000))
        self.put(Exchange(self.opening(), socket, None))

    def ask(self, body: Any) -> str | Miss:
        replayer = self.replayer()
        asked = replayer.now(replayer.ask(self.opening()))
        played = replayer.play(asked)
        assert played is not None
        lock = replayer.lock_step(asked, played)
        step = lock.feed(Message(json.dumps(body).encode(), None, "client"))
        if not isinstance(step, Mismatch):
            return str(json.loads(step.due[0].message.data)["answer"])
        ended = ReplayedConnection(
            recording=lock.recording, sent=0, received=1, first=None, duration=0, mismatch=step
        )
        miss = replayer.conversed(asked, played, ended).miss
        assert miss is not None
        return miss


DOORS: Final = {"http": Http, "websocket": Socket}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return DOORS[request.param](tmp_path / "recordings")


@pytest.mark.parametrize("name", SHAPES)
def test_with_all_suggestions_pasted_only_the_same_prompt_is_answered(name: str, door: Any) -> None:
    shape = SHAPES[name]
    door.record(shape("hi", 1), "hello")
    door.record(shape("capital of France?", 1), "Paris")
    assert door.paste(shape("hi", 2)) == "hello"
    assert door.rules
    assert door.paste(shape("capital of France?", 3)) == "Paris"
    for prompt in OTHERS:
        assert isinstance(door.paste(shape(prompt, 1)), Miss), prompt
        assert isinstance(door.paste(shape(prompt, 4)), Miss), prompt
    for kind, aside in asides(shape).items():
        assert isinstance(door.paste(aside), Miss), kind
    assert door.ask(shape("hi", 5)) == "hello"


@pytest.mark.parametrize("name", SHAPES)
def test_rules_are_pasted_for_other_prompts_first_and_none_is_answered(
    name: str, door: Any
) -> None:
    """A prompt that was never recorded is what a user of an agent types next."""
    shape = SHAPES[name]
    for kind, aside in asides(shape, 1).items():
        door.record(aside, kind)
    door.record(shape("hi", 1), "hello")
    for prompt in OTHERS:
        assert isinstance(door.paste(shape(prompt, 2)), Miss), prompt
    assert door.paste(shape("hi", 3)) == "hello"
    for kind, aside in asides(shape).items():
        assert door.paste(aside) == kind


def test_a_rule_that_would_make_two_recordings_equal_is_not_offered(door: Any) -> None:
    body = {"prompt": "hi", "tenant": "t1"}
    door.record(body, "one")
    door.record({**body, "tenant": "t2"}, "two")
    miss = door.ask({**body, "tenant": "t3"})
    assert miss.suggestion is None
    assert "recordings that differ would become equal by it" in miss.message


def test_messages_of_one_connection_are_not_made_equal(tmp_path: Path) -> None:
    door = Socket(tmp_path / "recordings")
    messages = [
        Message(json.dumps({"step": f"s{number}"}).encode(), 0.1, "client") for number in (1, 2)
    ]
    socket = WebSocket(101, (), tuple(messages), streaming=True, close=Close("client", 1000))
    door.put(Exchange(door.opening(), socket, None))
    miss = door.ask({"step": "s9"})
    assert isinstance(miss, Miss)
    assert "would become equal by it (llm.example.org/0.json #1, llm" in miss.withheld


def test_a_rule_is_tried_on_other_paths_that_it_is_for(tmp_path: Path) -> None:
    """The path of a request that names an id is a pattern, and covers longer paths."""
    door = Http(tmp_path / "recordings")
    config = door.config()
    matcher = Matcher(config.providers)
    library = Library(door.folder, matcher, state=LocalState(tmp_path))
    library.load()
    finder = compiled("$.a")
    assert finder is not None
    for number in (1, 2):
        body = json.dumps({"a": number}).encode()
        request = Request("POST", "https", door.host, 443, "/v1/x/y", headers=JSON, body=body)
        door.put(Exchange(request, Response(200, JSON, ()), None))
    library.check()
    asked = from_exchange(Exchange(door.request({"a": 3}), Response(200, JSON, ()), None))
    rule = Rule("r", path="/v1/x*", ignore=(finder,))
    trial = RuleTrials(matcher).of(library, asked["request"])(rule)
    assert trial is not None
    assert (trial.tried, len(trial.merged)) == (2, 1)
    elsewhere = RuleTrials(matcher).of(library, asked["request"])(Rule("r", path="/v2/*"))
    assert elsewhere is not None
    assert elsewhere.tried == 0


@pytest.mark.parametrize("allowance", [{"most_files": 1}, {"most_bytes": 600}])
def test_beyond_its_allowance_a_run_tries_no_rule(tmp_path: Path, allowance: Any) -> None:
    door = Http(tmp_path / "recordings")
    door.record({"prompt": "hi", "run": 1}, "one")
    replayer = door.replayer()
    replayer._rule_trials = RuleTrials(door.config().matcher, **allowance)
    first, second = (
        replayer.explain(replayer.ask(door.request({"prompt": "hi", name: run})))
        for name, run in (("run", 2), ("run", 3))
    )
    assert first.suggestion is not None
    assert second.suggestion is None
    assert "it was not tried on all recordings" in second.message


def test_a_recording_that_changes_meanwhile_leaves_a_rule_untried(tmp_path: Path) -> None:
    door = Http(tmp_path / "recordings")
    door.record({"run": 1}, "one")
    replayer = door.replayer()
    library = replayer.sessions.own.library
    asked = replayer.ask(door.request({"run": 2}))
    nearest = library.nearest(asked.canonical)
    (file,) = door.folder.rglob("*.json")
    file.write_text("{}", "utf-8")
    try_rule = RuleTrials(door.config().matcher).of(library, asked.document)
    miss = miss_for(asked.canonical, "u", nearest, FolderState(total=1, try_rule=try_rule))
    assert (miss.suggestion, "not tried on all" in miss.message) == (None, True)


def test_asking_for_rules_changes_neither_request_nor_recording(door: Any) -> None:
    """Record "room 37", replay "room 39", then "room 37" with another heat: what is recorded is
    still "room 37".
    """
    body: dict[str, Any] = {"metadata": {"note": "room 37"}, "temperature": 1}
    door.record(body, "yes")
    live = copy.deepcopy(body)
    live["metadata"]["note"] = "room 39"
    assert door.ask(live).suggestion is not None
    (difference,) = door.ask({**body, "temperature": 2}).differences
    assert (difference.path, difference.recorded) == ("body.temperature", 1)
