"""Stories of requests, recorded and asked again: over rules, sessions, takes, ids by origin,
and secrets in every encoding that redaction reads.
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

import yaml
from hypothesis import strategies as st

from wiretape.config.load import Config, load
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import KnownIds, answer_ids, stamp
from wiretape.core.redaction.redactor import Redactor

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
        answer: dict[str, Any] = {"id": f"resp_{number % 3}", "output": f"answer {number}"}
        if number % 2 == 0:
            answer["usage"] = {"input_tokens": 7, "output_tokens": number}
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


@cache
def config_of(*, has_rule: bool) -> Config:
    """The configuration of a story."""
    rules = [{"name": "run", "ignore": ["$.metadata.run"]}] if has_rule else []
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump({"match": {"rules": rules}}))
        file.flush()
        return load(Path(file.name), {})


def write(story: Story, folder: Path, config: Config) -> None:
    """Write the recordings of a story below a folder."""
    recorder = Redactor(config.redaction)
    for name, document in exchanges(story, recorder):
        path = folder / "recordings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(document), "utf-8")
        os.utime(path, (0, 0))  # one that has just changed is looked at again


def change_recording(file: Path, change: str) -> None:
    """Change the recording of the first answer: edited, replaced, removed, or one more is added."""
    text = file.read_text("utf-8")
    if change == "edited":
        file.write_text(text.replace("answer 0", "answer X"), "utf-8")
    elif change == "replaced":  # by the recording of another request
        new = file.with_suffix(".tmp")
        new.write_text(text.replace('"what is it?"', '"what else?"'), "utf-8")
        os.replace(new, file)
    elif change == "removed":
        file.unlink()
    else:
        assert change == "added"
        file.with_suffix(".2.json").write_text(text.replace("answer 0", "answer 2"), "utf-8")


sessions = st.sampled_from([None, "a"])
keys = st.sampled_from(KEYS)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw a story, in which most of what is asked is recorded, or nearly."""
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
