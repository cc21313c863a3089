"""The gate that knows what redaction has searched refuses whatever the gate that does not refuses.

The slow way is the truth: both are asked about texts in which secrets stand wherever they are hard
to see, written before redaction, after it, and changed behind its back.
"""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.support.cases import check_each
from tests.support.keys import KEYS
from tests.support.limits import examples

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange
from wiretape.core.redaction.clean_parts import CleanParts
from wiretape.core.redaction.gate import Leak, inspect, inspect_bytes
from wiretape.core.redaction.known_values import KnownValue, Secrets
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.redaction.text_search import TextSearch

pytestmark = pytest.mark.usefixtures("looks_at_short_texts")
KEY = dict(KEYS)["together-key"]
VALUE = "kV8w2Qz-T5rXn1Lp"
KNOWN = "plain-Vanilla-Xk29-q"


def delta(text: str, **more: object) -> bytes:
    value = {"choices": [{"index": 0, "delta": {"content": text}}], **more}
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def escaped(name: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in name)


PLACES: dict[str, Callable[[str], list[bytes]]] = {
    "nowhere": lambda secret: [delta("hello")],
    "whole": lambda secret: [delta(f"use {secret} now")],
    "divided": lambda secret: [delta("use " + secret[:9]), delta(secret[9:] + " now")],
    "letter by letter": lambda secret: [delta(letter) for letter in secret],
    "named": lambda secret: [delta("hi", client_secret=secret)],
    "escaped name": lambda secret: [
        f'data: {{"{escaped("api_key")}":"{secret}"}}\n\n'.encode(),
    ],
    "as a name": lambda secret: [delta("hi", **{secret: 1})],
    "base64": lambda secret: [delta(base64.b64encode(f"key {secret} end".encode()).decode())],
    "JSON in JSON": lambda secret: [delta(json.dumps({"password": secret}))],
    "retry": lambda secret: [f"retry: {secret}\ndata: x\n\n".encode()],
    "comment": lambda secret: [f": {secret}\n\n".encode()],
    "binary": lambda secret: [b"\xff\xfe " + secret.encode() + b"\n\n"],
    "binary, divided": lambda secret: [
        b"\xff" + secret[:9].encode(),
        secret[9:].encode() + b"\xfe",
    ],
    "side file": lambda secret: [b"\xff" * 20_000 + secret.encode() + b"\n\n"],
}
LONG = "v" * 60
PLACED = st.tuples(st.sampled_from(sorted(PLACES)), st.sampled_from((KEY, VALUE, KNOWN)))


def exchange(placed: list[tuple[str, str]], prompt: str) -> Exchange:
    """An exchange with secrets in its answer: events, or reads where a chunk is not one."""
    body = json.dumps({"model": "m", "messages": [{"content": prompt}], "stream": True}).encode()
    sent = (("content-type", "application/json"), ("authorization", f"Bearer {KNOWN}"))
    request = Request("POST", "https", "api.together.xyz", 443, "/v1/x", headers=sent, body=body)
    parts = [part for name, secret in placed for part in PLACES[name](secret)]
    chunks = tuple(Chunk(part, at / 10) for at, part in enumerate(parts))
    events = all(part.endswith(b"\n\n") for part in parts)
    kind = "text/event-stream" if events else "application/octet-stream"
    response = Response(
        200,
        (("content-type", kind),),
        chunks,
        streaming=True,
        framing="sse" if events else "reads",
    )
    return Exchange(request, response, "2026-11-20T17:30:00Z")


def written(document: Document, clean: CleanParts | None = None) -> tuple[str, dict[str, bytes]]:
    smaller, files = recording_format.externalise(document)
    text = recording_format.dumps(smaller)
    if clean is not None:
        assert recording_format.dumps(smaller, clean.texts) == text
    return text, files


def put(document: Document, step: str, secret: str) -> Document:
    """A document in which a secret was put after redaction."""
    document = copy.deepcopy(document)
    response = document["response"]
    items: list[dict[str, Any]] = response["body"]
    if step == "type":
        items[-1]["__type__"] = secret
    elif step == "coding":
        response["coding"] = secret
    elif step == "header":
        response["headers"]["x-note"] = secret
    elif step == "last chunk":
        items.append({"text": secret})
    elif step == "two chunks":
        items += [{"text": secret[:8]}, {"text": secret[8:]}]
    elif step == "request":
        document["request"]["body"] = {"note": secret}
    elif step == "prompt":
        document["request"]["body"]["messages"][0]["content"] += secret
    elif step == "url":
        document["request"]["url"] += f"?key={secret}"
    elif step == "ids":
        document["request"]["ids"] = {secret: "0123456789ab#0"}
    elif step == "more":
        document["notes"] = {"password": secret}
    elif step == "method":
        document["request"]["method"] = secret
    return document


STEPS = (
    *("nothing", "type", "coding", "header", "last chunk", "two chunks"),
    *("request", "prompt", "url", "ids", "more"),
)


def looks(
    given: Exchange, text_of: Callable[[Document], Document], later: tuple[KnownValue, ...]
) -> tuple[tuple[Leak, ...], tuple[Leak, ...]]:
    """What the quick gate and the slow gate find; each has a redactor of its own, with one past."""
    result = []
    for quick in (True, False):
        redactor = Redactor(RedactionRules(), remember=True)
        secrets = redactor.secrets(given.request)
        clean = CleanParts()
        document, _ = redactor.document(from_exchange(given), secrets, clean)
        text, files = written(text_of(document), clean)
        redactor.remember(later)
        leaks = inspect(text, redactor, secrets, clean if quick else None)
        result.append(
            leaks + tuple(leak for data in files.values() for leak in inspect_bytes(data, redactor))
        )
    return result[0], result[1]


@settings(max_examples=examples(150), deadline=None)
@given(
    placed=st.lists(PLACED, min_size=1, max_size=3),
    prompt=st.sampled_from(("hello", f"my key is {KEY}", KNOWN, f"password={VALUE}")),
    step=st.sampled_from((*STEPS, "method", "unredacted")),
    secret=st.sampled_from((KEY, VALUE, KNOWN)),
    later=st.sampled_from(((), (("token", "quick-Brown-7Fox-42"),), (("x", VALUE),))),
)
def test_the_quick_gate_finds_what_the_slow_one_finds(
    placed: list[tuple[str, str]],
    prompt: str,
    step: str,
    secret: str,
    later: tuple[KnownValue, ...],
) -> None:
    sent = exchange(placed, prompt)

    def text_of(document: Document) -> Document:
        return from_exchange(sent) if step == "unredacted" else put(document, step, secret)

    quick, slow = looks(sent, text_of, later)
    assert quick == slow
    event(f"{'refused' if slow else 'passed'}: {step}")


@pytest.mark.parametrize("name", sorted(PLACES.keys() - {"nowhere"}))
def test_a_secret_that_redaction_did_not_see_is_refused(name: str) -> None:
    """A clean answer is noted, then another is written in its place."""
    sent, other = exchange([("nowhere", KEY)], "hi"), exchange([(name, KEY)], "hi")
    quick, slow = looks(sent, lambda document: from_exchange(other), ())
    assert quick == slow
    assert any(leak.rule in ("together-key", "credential-field") for leak in quick)


def test_a_clean_part_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor, clean = Redactor(RedactionRules()), CleanParts()
    sent = exchange([("nowhere", KEY)] * 3, "hi")
    document, _ = redactor.document(from_exchange(sent), redactor.secrets(sent.request), clean)
    text = recording_format.dumps(document)
    searched: list[object] = []

    def redact(part: Document, *_: object, **__: object) -> Document:
        searched.append(part)
        return part

    monkeypatch.setattr("wiretape.core.redaction.streams.redact", redact)
    look = TextSearch.may_hold

    def looked(self: TextSearch, text: str) -> bool:
        searched.extend(name for name in ("messages", "choices") if name in text)
        return look(self, text)

    monkeypatch.setattr(TextSearch, "may_hold", looked)
    assert inspect(text, redactor, redactor.secrets(sent.request), clean) == ()
    assert not searched
    assert inspect(text, redactor, redactor.secrets(sent.request)) == ()
    assert {"messages", "choices"} <= {name for name in searched if isinstance(name, str)}


def put_into_text(text: str, edit: str, secret: str) -> str:
    """A recording's text that was changed after it was written."""
    quoted = json.dumps(secret)
    end = text.removesuffix("\n}\n")
    match edit:
        case "a word":
            return text.replace("hello", secret)
        case "as long, in the answer":
            return text.replace(LONG[: len(secret)], secret, 1)
        case "as long, in the request":
            return text.replace(LONG.upper()[: len(secret)], secret, 1)
        case "a name":
            return text.replace('"content"', '"api_key"').replace("hello", secret)
        case "another answer":
            return f'{end},\n  "response": {{"status": 200, "body": [{{"text": {quoted}}}]}}\n}}\n'
        case "another answer before":
            return text.replace('"request":', f'"response": {{"a": {quoted}}}, "request":', 1)
        case "another request":
            return f'{end},\n  "request": {{"body": {quoted}}}\n}}\n'
        case "paths":
            return f'{end},\n  "paths": [{quoted}]\n}}\n'
        case "more":
            return f'{end},\n  "notes": {{"password": {quoted}}}\n}}\n'
        case "recorded":
            return text.replace('"wiretape": 1', f'"wiretape": 1, "token": {quoted}')
        case "within":
            return f'{{"a": {quoted},\n  "request": {text}}}'
        case "beside":
            return f'{{"a": {quoted}, "b": {end}\n}}\n}}\n'
        case "after":
            return f"{text}{quoted}"
        case "not JSON":
            return f"{secret}{text}"
    return text


EDITS = (
    *("as long, in the answer", "as long, in the request"),
    *("a word", "a name", "another answer", "another answer before", "another request", "paths"),
    *("more", "recorded", "within", "beside", "after", "not JSON", "nothing"),
)


def test_the_quick_gate_finds_what_was_put_into_the_text() -> None:
    sent = exchange([("nowhere", KEY)] * 2, f"hello {LONG.upper()}")
    chunks = (*sent.response.chunks, Chunk(delta(LONG), 0.5))
    sent = replace(sent, response=replace(sent.response, chunks=chunks))

    def check_edit(edit: str) -> None:
        for secret in (KEY, VALUE, KNOWN):
            redactor, clean = Redactor(RedactionRules()), CleanParts()
            secrets = redactor.secrets(sent.request)
            document, _ = redactor.document(from_exchange(sent), secrets, clean)
            text = put_into_text(written(document, clean)[0], edit, secret)
            leaks = inspect(text, redactor, secrets, clean)
            assert leaks == inspect(text, redactor, secrets)
            is_refused = edit != "nothing" and (secret != VALUE or edit in NAMING)
            assert bool(leaks) == is_refused

    check_each(check_edit, {edit: edit for edit in EDITS})


NAMING = ("a name", "more", "recorded")
"""Edits that name their value as a secret."""


def test_a_clean_part_that_stands_in_the_text_is_not_read_again() -> None:
    redactor, clean = Redactor(RedactionRules()), CleanParts()
    sent = exchange([("nowhere", KEY)] * 2, "hello")
    document, _ = redactor.document(from_exchange(sent), redactor.secrets(sent.request), clean)
    text = written(document, clean)[0]
    read = clean.read(text)
    assert read == document == recording_format.loads(text)
    assert read["request"] is document["request"]
    assert read["response"] is document["response"]
    assert clean.read(text.replace("hello", "bye", 1)) is not None
    assert clean.read(text + " ") is None
    with_paths = f'{text.removesuffix("\n}\n")},\n  "paths": ["cwd", "home"]\n}}\n'
    assert (clean.read(with_paths) or {})["paths"] == ["cwd", "home"]


@pytest.mark.parametrize("text", ["REDACTED-x-0a1b2c3d", "UkVEQUNURUQteC0wYTFiMmMzZA=="])
def test_a_placeholder_that_came_on_the_wire_is_seen_in_a_clean_part(text: str) -> None:
    redactor, clean = Redactor(RedactionRules()), CleanParts()
    sent = Exchange(
        exchange([], text).request, Response(200, (), (Chunk(delta(text)),), streaming=True)
    )
    document, _ = redactor.document(from_exchange(sent), redactor.secrets(sent.request), clean)
    for name in ("request", "response"):
        assert clean.may_hold_placeholder(name, document[name])
    plain = exchange([("nowhere", KEY)], "hello")
    document, _ = redactor.document(from_exchange(plain), redactor.secrets(plain.request), clean)
    for name in ("request", "response"):
        assert not clean.may_hold_placeholder(name, document[name])


def test_what_became_known_later_is_searched_for() -> None:
    sent = exchange([("divided", KNOWN.upper())], "hi")
    later = (("token", KNOWN.upper()),)
    quick, slow = looks(sent, lambda document: document, later)
    assert quick == slow
    assert [leak.rule for leak in quick] == ["token"]


def test_a_part_that_was_changed_in_place_is_no_longer_clean() -> None:
    clean, part = CleanParts(), {"status": 200, "body": [{"text": "a"}]}
    clean.note("response", part, Secrets())
    assert clean.holds("response", copy.deepcopy(part), Secrets())
    part["body"] = [{"text": KEY}]
    assert not clean.holds("response", part, Secrets())


@pytest.mark.parametrize(
    "other", [{"a": True, "b": 2}, {"b": 2, "a": 1}, {"a": 1.0, "b": 2}, {"a": "1", "b": 2}]
)
def test_order_and_types_count(other: Document) -> None:
    clean = CleanParts()
    clean.note("response", {"a": 1, "b": 2}, Secrets())
    assert not clean.holds("response", other, Secrets())


def test_fewer_values_are_held_and_others_are_not() -> None:
    clean, both = CleanParts(), [("a", "quick-Brown-7Fox-42"), ("b", "lazy-Dog-9Jumps-17")]
    assert not clean.holds("response", {}, Secrets())  # nothing was searched
    clean.note("response", {}, Secrets(both))
    assert clean.holds("response", {}, Secrets(both[1:]))
    assert clean.holds("response", {}, Secrets(reversed(both)))
    assert not clean.holds("response", {}, Secrets([*both, ("c", KNOWN)]))
    assert not clean.holds("response", {}, Secrets([("a", KNOWN)]))


def test_a_search_is_not_a_look_and_a_part_not_another() -> None:
    clean = CleanParts()
    clean.note("request", {"a": 1}, Secrets())
    assert clean.holds("request", {"a": 1}, Secrets())
    assert not clean.holds("response", {"a": 1}, Secrets())
    assert not clean.holds("request", {"a": 1}, Secrets(), by_a_look=True)
    clean.note("request", {"a": 1}, Secrets(), by_a_look=True)
    assert clean.holds("request", {"a": 1}, Secrets(), by_a_look=True)
    clean.note("request", {"a": 1}, Secrets())
    assert not clean.holds("request", {"a": 1}, Secrets(), by_a_look=True)
