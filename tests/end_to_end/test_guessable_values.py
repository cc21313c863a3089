"""Two requests that differ only in a redacted value without a digest never get each other's
answers.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape
from tests.support.stream_call import CHAT, curl, documents, options
from tests.support.upstream import Answer, Upstream

from wiretape.config.load import Config, load
from wiretape.core.capture.recorder import Recorder
from wiretape.core.model import Request
from wiretape.core.recording import text as recording_format
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.replayer import Replayer
from wiretape.intake.intake import Intake
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

MAIL = 'redact: {patterns: [{name: mail, regex: "[a-z]+@example[.]com"}]}\n'
USER = 'redact: {json: ["$.user"]}\n'
STRONG = ("Wm4tR8qLz2VbN6xKc9PdYh3Js7", "q7HsT2mXv9LbWc4RzKp8NdFgYh3Js7")

type Shape = Callable[[str], str]


def member(value: str) -> str:
    return json.dumps({"user": value, "say": "hi"})


def mail(value: str) -> str:
    return json.dumps({"say": f"write to {value}@example.com"})


GUESSABLE: dict[str, tuple[str, Shape]] = {
    "a JSON path": (USER, member),
    "a list at a path": (
        'redact: {json: ["$.pins[*]"]}\n',
        lambda value: json.dumps({"pins": ["1", value]}),
    ),
    "a pattern": (MAIL, mail),
    "a pattern in a text": (MAIL, lambda value: f"write to {value}@example.com"),
    "a pattern in JSON in a string": (MAIL, lambda value: json.dumps({"x": mail(value)})),
    "both": (
        MAIL.replace("{pat", '{json: ["$.user"], pat'),
        lambda value: json.dumps({"user": "anna", "say": f"{value}@example.com"}),
    ),
}


class Folder:
    """Runs in this process, on one folder of recordings."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.folder = folder
        (folder / "config.yaml").write_text(rules)
        self.config: Config = load(folder / "config.yaml", {})

    @contextmanager
    def run(self) -> Iterator[tuple[Sessions, Redactor, Report]]:
        redactor = Redactor(self.config.redaction, remember=True)
        library = Library(
            self.folder / "r", self.config.matcher, redactor.request, state=LocalState(self.folder)
        )
        library.load()
        yield Sessions(lambda name: library, self.config.repeat), redactor, Report("x")
        library.close()

    async def record(self, *bodies: str) -> list[str]:
        """What became of each exchange; its answer is its number."""
        with self.run() as (sessions, redactor, report):
            intake = Intake(redactor, self.config.providers, report)
            for number, body in enumerate(bodies):
                recorder = Recorder(request(body))
                recorder.start(200, (("content-type", "application/json"),), 0.1)
                recorder.read(json.dumps({"n": number}).encode(), 0.2)
                intake.put(recorder, "ended", 0.3, sessions.own)
                await intake.drain()
            await intake.finish()
            return [row.outcome for row in report.rows]

    def replay(self, *bodies: str) -> list[Any]:
        """The number that each request gets, or why it gets none."""
        with self.run() as (sessions, redactor, report):
            config = self.config
            replayer = Replayer(sessions, config.matcher, redactor, config.providers, report)
            answers = []
            for body in bodies:
                asked = replayer.with_current_ids(replayer.prepare(request(body)))
                answer = replayer.answer(asked)
                answers.append(
                    json.loads(answer.response.body)["n"]
                    if answer is not None
                    else replayer.misses.explain(asked).reason
                )
            return answers


def request(body: str) -> Request:
    media = "application/json" if body.startswith("{") else "text/plain"
    media = "application/x-www-form-urlencoded" if body.startswith("grant_type") else media
    return Request(
        "POST",
        "https",
        "api.together.xyz",
        443,
        CHAT,
        headers=(("content-type", media),),
        body=body.encode(),
    )


@pytest.mark.parametrize("name", GUESSABLE)
async def test_the_second_is_refused_when_recording_and_missed_in_replay(
    tmp_path: Path, name: str
) -> None:
    rules, shape = GUESSABLE[name]
    folder = Folder(tmp_path, rules)
    anna, bob = shape("anna"), shape("bob")
    assert await folder.record(anna, bob, anna) == ["recorded", "refused", "recorded"]
    assert folder.replay(anna, anna) == [0, 2]
    assert folder.replay(anna, bob, anna, bob) == [0, "guessable", 2, "guessable"]
    # A run that asks with one value alone cannot tell which it was.
    assert folder.replay(bob, bob) == [0, 2]


@pytest.mark.parametrize("name", GUESSABLE)
async def test_values_that_cannot_be_guessed_are_two_requests(tmp_path: Path, name: str) -> None:
    rules, shape = GUESSABLE[name]
    if "mail" in rules:
        rules = rules.replace("[a-z]+@", "[A-Za-z0-9]+@")
    folder = Folder(tmp_path, rules)
    first, second = map(shape, STRONG)
    assert await folder.record(first, second) == ["recorded", "recorded"]
    assert folder.replay(second, first) == [1, 0]


OTHERS: dict[str, tuple[str, Shape]] = {
    "it does not count": (
        USER + 'match: {rules: [{name: users, ignore: ["$.user"]}]}\n',
        member,
    ),
    "a credential of a form": ("{}\n", lambda value: f"grant_type=password&password={value}"),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_where_the_value_does_not_count_they_are_takes(tmp_path: Path, name: str) -> None:
    rules, shape = OTHERS[name]
    folder = Folder(tmp_path, rules)
    assert await folder.record(shape("anna"), shape("bob")) == ["recorded", "recorded"]
    assert folder.replay(shape("bob"), shape("anna")) == [0, 1]


async def test_recordings_of_earlier_versions_replay_in_their_order(tmp_path: Path) -> None:
    folder = Folder(tmp_path, USER)
    assert await folder.record(member("anna"), member("anna")) == ["recorded"] * 2
    for path in (tmp_path / "r").rglob("*.json"):
        document = json.loads(path.read_text())
        assert document["request"].pop("guessable") is True
        path.write_text(recording_format.dumps(document))
    assert folder.replay(member("anna"), member("bob")) == [0, 1]


def test_a_run_says_why_and_fails(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(USER)
    upstream.script(CHAT, Answer.json({"n": 0}), Answer.json({"n": 1}))
    both = [*curl(CHAT, member("anna")), "--next", *curl(CHAT, member("bob"))[1:]]
    folder = tmp_path / "r"
    done = wiretape("record", *options(upstream, folder), "--", *both, cwd=tmp_path)
    assert done.returncode == 4
    assert "differs from it only in a value that is redacted" in done.stderr
    assert len(documents(folder)) == 1
    again = wiretape("replay", "-r", folder, "--", *both, cwd=tmp_path)
    assert again.returncode == 3
    assert "nothing tells whose answer" in again.stderr
    # Nor does a run that may ask the provider give one the other's answer.
    auto = wiretape("auto", *options(upstream, folder), "--", *both, cwd=tmp_path)
    assert (auto.returncode, auto.stdout) == (4, '{"n": 0}{"n": 1}')
