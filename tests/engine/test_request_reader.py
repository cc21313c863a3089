"""A request that is known by its bytes is answered as if it had been read: the long way beside the
short one is its truth. Over requests, rules, sessions, takes, ids by origin, and secrets in every
encoding that redaction reads.
"""

import base64
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wiretape.config.load import Config, load
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import KnownIds, answer_ids, stamp
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Session, Sessions

HOST: Final = "api.openai.com"
JSON: Final = ("content-type", "application/json")
KEYS: Final = ("kV8w2Qz-T5rXn1Lp", 'aB"3xYz9Qw7Tr5Pk', "mit%2FpctX9k28QmZ", "hunter2")
"""Credentials of live requests; one that JSON escapes, one with an escape of its own, a weak."""

ENCODINGS: Final[dict[str, Callable[[str], str]]] = {
    "plain": lambda key: key,
    "base64": lambda key: base64.b64encode(b"x" + key.encode()).decode(),
    "base64url": lambda key: base64.urlsafe_b64encode(b"\xfb\xff" + key.encode()).decode(),
    "twice": lambda key: base64.b64encode(base64.b64encode(key.encode())).decode(),
    "lines": lambda key: "\n".join(
        text[at : at + 64]
        for text in [base64.b64encode(b"0" * 43 + key.encode() + b"0" * 60).decode()]
        for at in range(0, len(text), 64)
    ),
    "hex": lambda key: key.encode().hex(),
    "gzip": lambda key: base64.b64encode(gzip.compress(key.encode() * 9, mtime=0)).decode(),
    "utf-16": lambda key: base64.b64encode(key.encode("utf-16-le")).decode(),
    "utf-32": lambda key: base64.b64encode(key.encode("utf-32-be")).decode(),
    "zeros": lambda key: "\0".join(key),
    "percent": lambda key: quote(key, safe="").replace("V", "%56").replace("B", "%42"),
    "json": lambda key: json.dumps({"key": key}),
    "json in json": lambda key: json.dumps(json.dumps([key])),
    "escaped": lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    "url": lambda key: f"https://h.example/?a={quote(key)}&b=2",
    "named": lambda key: f"password={key}9Zx",
    "none": lambda key: "what is it?",
    "prose": lambda key: "say é or meta-llama/Llama-3.3-70B-Instruct-Turbo, C:\\temp",
    "placeholder": lambda key: "REDACTED-secret-3f9a1c07",
}
STYLES: Final[dict[str, dict[str, Any]]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaced": {"ensure_ascii": True},
    "indent": {"indent": 2},
}


@dataclass(frozen=True)
class Call:
    """A request: what its prompt holds of a key, the run it says it belongs to, an id."""

    key: str = KEYS[0]
    encoding: str = "none"
    style: str = "compact"
    run: int = 0
    id: str | None = None
    accept: str = "application/json"
    beta: str | None = None
    raw: bytes | None = None
    """The body, where it is not JSON of the above."""

    def request(self, key: str) -> Request:
        """The request as a client with a key sends it."""
        text = ENCODINGS[self.encoding](self.key)
        body = {"model": "m", "input": text, "metadata": {"run": self.run}}
        if self.id is not None:
            body["previous_response_id"] = self.id
        raw = json.dumps(body, **STYLES[self.style]).encode() if self.raw is None else self.raw
        headers: Headers = (
            ("Accept", self.accept),
            *((("OpenAI-Beta", self.beta),) if self.beta else ()),
            JSON,
            ("Authorization", f"Bearer {key}"),
            ("X-Stainless-Retry-Count", str(self.run)),
        )
        return Request("POST", "https", HOST, 443, "/v1/responses", headers=headers, body=raw)


RAW: Final = (
    b'{"model":"m", "input":"oddly spaced"}',
    b'{"model":"m","input":"x","input":"twice"}',
    b'{"model":"m","input":"kV8w2Qz\\u002dT5rXn1Lp"}',
    b'{"model":"m","temperature":1e0,"seed":12345678901234567890123}',
    b"\xff\xfe not text",
    b"",
)
calls = st.builds(
    Call,
    key=st.sampled_from(KEYS),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    style=st.sampled_from(sorted(STYLES)),
    run=st.integers(0, 1),
    id=st.sampled_from([None, "resp_1", "resp_2"]),
    accept=st.sampled_from(["application/json", "text/event-stream", "*/*"]),
    beta=st.sampled_from([None, "a", "a, b"]),
    raw=st.sampled_from([None, None, None, *RAW]),
)


@dataclass(frozen=True)
class Story:
    """What is recorded, by which key, in which session; what is asked after that, by which; and the
    rules. Each recording's answer gives an id.
    """

    recorded: tuple[tuple[Call, str, str | None], ...]
    asked: tuple[tuple[Call, str, str | None], ...]
    has_rule: bool = True


def exchanges(story: Story, redactor: Redactor) -> Iterator[tuple[str, dict[str, Any]]]:
    """The documents of a story's recordings, by the name of their files."""
    given_ids: dict[str | None, KnownIds] = {}
    for number, (call, key, session) in enumerate(story.recorded):
        request = call.request(key)
        answer = {"id": f"resp_{number % 3}", "output": f"answer {number}"}
        chunk = Chunk(json.dumps(answer).encode(), 0.1)
        vary = (("vary", "X-Stainless-Retry-Count"),) if call.beta == "a, b" else ()
        response = Response(200, (JSON, *vary), (chunk,))
        exchange = Exchange(request, response, f"2026-11-20T17:30:{number:02}.000000Z")
        document = redactor.document(from_exchange(exchange), redactor.secrets(request))[0]
        known_ids = given_ids.setdefault(session, KnownIds())
        document["request"] = stamp(document["request"], known_ids)
        token = f"{number:012x}"
        known_ids.learn(answer_ids(document), token)
        yield f"{session + '/' if session else ''}{HOST}/v1-responses/{token}.json", document


class LongWay(Replayer):
    """Reads every request."""

    def prepare(self, live: Request, session: Session | None = None) -> ReplayRequest:
        return self.reader.examine(live, session or self.sessions.own)


@cache
def config_of(*, has_rule: bool) -> Config:
    rules = [{"name": "run", "ignore": ["$.metadata.run"]}] if has_rule else []
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump({"match": {"rules": rules}}))
        file.flush()
        return load(Path(file.name), {})


def replayer_of(kind: type[Replayer], config: Config, folder: Path) -> tuple[Replayer, Redactor]:
    redactor = Redactor(config.redaction, remember=True)

    def opened(session: str | None) -> Library:
        state = LocalState(folder)
        library = Library(folder / "recordings", config.matcher, redactor.request, session, state)
        library.load()
        return library

    report = Report("replay", strict_ignored=True)
    return kind(Sessions(opened), config.matcher, redactor, config.providers, report), redactor


def told(
    replayer: Replayer, redactor: Redactor, call: Call, key: str, name: str | None
) -> tuple[Any, bool]:
    """All that an answer says of a request and changes for later ones; and whether the request was
    known by its bytes.
    """
    session = replayer.sessions.get(name)
    request = replayer.with_current_ids(replayer.prepare(call.request(key), session), session)
    answer = replayer.answer(request)
    # How a miss is worded depends on which recordings were compared before.
    outcome = answer and (
        *(answer.entry.name, answer.response, answer.take, answer.beyond, answer.stale),
    )
    who = (request.provider, request.shape)
    shown = (request.url, request.path, request.model, request.exact_key, who)
    sequence = (request.keys, request.request_ids, request.sequence_key, request.id_sources)
    changed = (replayer.report.applied, replayer.report.beyond, replayer.report.notices)
    state = (set(redactor.remembered), session.used)
    return (outcome, shown, sequence, changed, state), request.digest is not None


def write(story: Story, folder: Path, config: Config) -> None:
    recorder = Redactor(config.redaction)
    for name, document in exchanges(story, recorder):
        path = folder / "recordings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(document), "utf-8")


def check(story: Story) -> int:
    """Ask a story both ways, and compare; how many requests went the short way."""
    short = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = config_of(has_rule=story.has_rule)
        write(story, folder, config)
        replayers = [replayer_of(kind, config, folder) for kind in (LongWay, Replayer)]
        for call, key, session in story.asked:
            (long_way, _), (short_way, is_short) = (
                told(*pair, call, key, session) for pair in replayers
            )
            assert short_way == long_way
            short += is_short
    return short


sessions = st.sampled_from([None, "a"])
keys = st.sampled_from(KEYS)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    recorded = tuple(draw(st.lists(st.tuples(calls, keys, sessions), min_size=1, max_size=5)))
    known = st.sampled_from([call for call, _, _ in recorded])
    near = st.builds(lambda call, run: replace(call, run=run), known, st.integers(0, 1))
    asked = draw(
        st.lists(st.tuples(st.one_of(known, near, calls), keys, sessions), min_size=2, max_size=8)
    )
    return Story(recorded, tuple(asked), draw(st.booleans()))


PLAIN: Final = Call()
POLL: Final = Call(id="resp_1")
TAKES: Final = Story(
    ((PLAIN, KEYS[0], None), (PLAIN, KEYS[0], None), (POLL, KEYS[0], None), (PLAIN, KEYS[0], "a")),
    (
        (PLAIN, KEYS[0], None),
        (POLL, KEYS[0], None),
        (PLAIN, KEYS[0], None),
        (POLL, KEYS[0], None),
        (PLAIN, KEYS[1], "a"),
        (PLAIN, KEYS[0], None),
    ),
)


@example(story=TAKES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(story=stories())
def test_the_short_way_and_the_long_way_agree(story: Story) -> None:
    check(story)


def test_what_was_recorded_goes_the_short_way() -> None:
    assert check(TAKES) >= 4


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_a_prompt_is_found_in_every_encoding(key: str) -> None:
    # It was no secret when it was recorded, and is the live client's credential.
    found = [
        Call(key=key, encoding=encoding, style=style) for encoding in ENCODINGS for style in STYLES
    ]
    recorded = tuple((call, "other-Xk28QmZ9w", None) for call in found)
    asked = tuple((call, live, None) for live in (key, KEYS[0]) for call in found)
    check(Story(recorded, asked))


@pytest.mark.parametrize("raw", RAW)
def test_a_body_that_is_not_read_as_it_is_written_is_read(raw: bytes) -> None:
    call = Call(raw=raw)
    check(Story(((call, KEYS[3], None),), ((call, KEYS[0], None), (call, KEYS[3], None))))


def test_a_header_that_is_recorded_counts() -> None:
    plain, beta = Call(), Call(beta="a")
    other = Call(accept="text/event-stream")
    asked = tuple((call, KEYS[0], None) for call in (beta, other, plain))
    assert check(Story(((plain, KEYS[0], None), (beta, KEYS[0], None)), asked)) >= 2


def test_rules_changed_since_the_recording_count(tmp_path: Path) -> None:
    story = Story(((Call(run=0), KEYS[0], None),), ())
    key = {}
    for has_rule in (True, False):
        config = config_of(has_rule=has_rule)
        write(story, tmp_path, config)
        for kind in (Replayer, LongWay):
            replayer, _ = replayer_of(kind, config, tmp_path)
            prepared = replayer.prepare(Call(run=0).request(KEYS[0]))
            key[has_rule, kind] = prepared.keys
            assert (prepared.digest is not None) is (kind is Replayer)
    assert key[True, Replayer] == key[True, LongWay] != key[False, LongWay]
    assert key[False, Replayer] == key[False, LongWay]


@pytest.mark.parametrize("is_prepared_before", [True, False])
@pytest.mark.parametrize("change", ["edited", "replaced", "removed", "added"])
def test_recordings_that_change_while_they_are_asked(
    tmp_path: Path, change: str, is_prepared_before: bool
) -> None:
    story = Story(((Call(), KEYS[0], None),), ())
    config = config_of(has_rule=False)
    write(story, tmp_path, config)
    (file,) = (tmp_path / "recordings").rglob("*.json")
    os.utime(file, (0, 0))  # one that has just changed is looked at again
    pairs = [replayer_of(kind, config, tmp_path) for kind in (LongWay, Replayer)]
    live = Call().request(KEYS[0])
    prepared = [replayer.prepare(live) for replayer, _ in pairs if is_prepared_before]
    text = file.read_text()
    if change == "edited":
        file.write_text(text.replace("answer 0", "answer X"))
    elif change == "replaced":  # by the recording of another request
        new = file.with_suffix(".tmp")
        new.write_text(text.replace('"what is it?"', '"what else?"'))
        os.replace(new, file)
    elif change == "removed":
        file.unlink()
    else:
        file.with_suffix(".2.json").write_text(text.replace("answer 0", "answer 2"))
    bodies = []
    if not is_prepared_before:
        for replayer, _ in pairs:  # nothing was read yet, so there is nothing to trust
            replayer.sessions.own.library.cache_for(3600)
        prepared = [replayer.prepare(live) for replayer, _ in pairs]
    for (replayer, _), request in zip(pairs, prepared, strict=True):
        answers = [replayer.answer(request) for _ in range(2)]
        bodies.append([answer and answer.response.body for answer in answers])
    assert bodies[0] == bodies[1]
    if change == "edited":
        assert all(body and b"answer X" in body for body in bodies[1])
    elif change != "added":  # that is noticed at the next look at the folder
        assert bodies[1] == [None, None]
