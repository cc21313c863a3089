"""A recording that is redacted after the fact replays as before; what would not is left alone."""

import base64
import glob
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths

from wiretape.config.packs import built_in
from wiretape.core.errors import FormatError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, from_request, to_exchange
from wiretape.core.redaction.key_patterns import PATTERNS, Pattern
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import Finding, RedactionRules
from wiretape.core.text import exact_json
from wiretape.scanning.redact_file import Refused, Rewritten, rewrite

# Put together here, so that no file of this project holds what looks like a key.
KEY = "tgp_v1_" + "Ab3dE6gH9k" * 4 + "xYz"
NAMED = "Qm7" + "x9Kp2Lw5Zt8R" * 3

RULES = RedactionRules()
MATCHER = Matcher(built_in(), secret_query=RULES.secret_query)
RECORDINGS = sorted(glob.glob(str(paths.RECORDINGS / "*.json")))
JSON = (("content-type", "application/json"),)
SSE = (("content-type", "text/event-stream"),)


def no_side_file(name: str) -> bytes:
    raise FormatError(f"side file {name}: No such file or directory")


def again(
    data: str | bytes,
    redactor: Redactor | None = None,
    side_file: Callable[[str], bytes] = no_side_file,
) -> Rewritten | None:
    data = data.encode() if isinstance(data, str) else data
    return rewrite(data, redactor or Redactor(RULES), MATCHER, side_file)


def rewritten(
    data: str | bytes,
    redactor: Redactor | None = None,
    side_file: Callable[[str], bytes] = no_side_file,
) -> Rewritten:
    result = again(data, redactor, side_file)
    assert result is not None
    return result


def exchange(body: Any = None, *chunks: Any, **changes: Any) -> Exchange:
    """A request and its streamed answer; of `chunks`, JSON goes into an event each."""
    request = Request(
        "POST",
        "https",
        "api.together.xyz",
        443,
        "/v1/chat/completions",
        headers=changes.get("headers", JSON),
        body=exact_json.dumps(body).encode(),
    )
    blocks = [
        item if isinstance(item, bytes) else f"data: {exact_json.dumps(item)}\n\n".encode()
        for item in chunks
    ]
    response = Response(
        200,
        changes.get("answer_headers", SSE),
        tuple(Chunk(block, at / 8) for at, block in enumerate(blocks)),
        streaming=True,
        headers_at=0.0,
        end_at=2.0,
    )
    return Exchange(request, response, "2026-11-20T17:30:00Z")


def text_of(taken: Exchange) -> str:
    return recording_format.dumps(from_exchange(taken))


def delta(text: str) -> dict[str, Any]:
    return {
        "id": "o1",
        "created": 1763660000,
        "choices": [{"index": 0, "delta": {"content": text}}],
    }


# ------------------------------------------------------------------ ours


def test_a_clean_recording_is_left_as_it_is() -> None:
    assert again(text_of(exchange({"a": "hello"}, delta("hi")))) is None


def test_a_clean_recording_of_another_layout_is_left_as_it_is() -> None:
    document = from_exchange(exchange({"a": "hello"}, delta("hi")))
    assert again(json.dumps(document, indent=7)) is None


def test_a_key_goes_from_request_and_answer_and_the_changes_are_told() -> None:
    result = rewritten(text_of(exchange({"a": f"my {KEY}"}, delta(f"your {KEY}"), delta("."))))
    assert KEY not in result.text
    assert result.changes == (
        Finding("together-key", "request.body.a"),
        Finding("together-key", "response.body[0].__data__.choices[0].delta.content"),
    )
    assert (result.files, result.void) == ({}, frozenset())


def test_a_key_that_is_cut_over_two_events_goes() -> None:
    result = rewritten(text_of(exchange({}, delta(f"it is {KEY[:20]}"), delta(f"{KEY[20:]} ok"))))
    said = [
        item["__data__"]["choices"][0]["delta"]["content"]
        for item in json.loads(result.text)["response"]["body"]
    ]
    assert len(said) == 2
    assert said[0].startswith("it is REDACTED-together-key-")
    assert said[1].endswith(" ok")


def test_log_probabilities_follow_the_text_of_an_answer() -> None:
    tokens = [
        {"token": text, "bytes": list(text.encode()), "logprob": -0.1, "id": 7, "top_logprobs": []}
        for text in ("see ", KEY[:9], KEY[9:30], KEY[30:], ".")
    ]
    columns = {
        "tokens": [token["token"] for token in tokens],
        "token_ids": [7] * 5,
        "top_logprobs": [{token["token"]: -0.1} for token in tokens],
    }
    body = {"choices": [{"logprobs": {"content": tokens}}, {"logprobs": columns}]}
    answer = Response(200, JSON, (Chunk(json.dumps(body).encode()),))
    asked = Request("POST", "https", "api.together.xyz", 443, "/v1/x", headers=JSON, body=b"{}")
    document = from_exchange(Exchange(asked, answer, "2026-11-20T17:30:00Z"))
    text = rewritten(recording_format.dumps(document)).text
    (left, beside) = json.loads(text)["response"]["body"]["__data__"]["choices"]
    assert [token["id"] for token in left["logprobs"]["content"]] == [7, 0, 0, 0, 7]
    for token in left["logprobs"]["content"]:
        assert bytes(token["bytes"]).decode() == token["token"]
    assert beside["logprobs"]["token_ids"] == [7, 0, 0, 0, 7]
    assert KEY[9:30] not in text
    assert again(text) is None


def test_chunks_times_and_events_stay() -> None:
    before = exchange(
        {"a": KEY},
        b"event: ping\ndata: {}\n\n",
        b": a comment\n\n",
        b"id: 7\nretry: 10\ndata: [1, 2.50]\n\n",
        delta(KEY),
        b"data: [DONE]\n\n",
    )
    after = to_exchange(recording_format.loads(rewritten(text_of(before)).text))
    assert [chunk.at for chunk in after.response.chunks] == [
        chunk.at for chunk in before.response.chunks
    ]
    kept = [0, 1, 2, 4]
    assert [after.response.chunks[at].data for at in kept] == [
        before.response.chunks[at].data for at in kept
    ]
    assert after.response.end_at == 2.0


def test_a_live_request_with_its_key_still_gets_the_answer() -> None:
    headers = (*JSON, ("authorization", f"Bearer {NAMED}"))
    taken = exchange({"a": f"is {NAMED} yours?"}, delta("no"), headers=headers)
    redactor = Redactor(RULES)
    stored = json.loads(rewritten(text_of(taken)).text)["request"]
    live = redactor.request(from_request(taken.request), redactor.secrets(taken.request))
    assert MATCHER.canonical(redactor.request(stored)).key == MATCHER.canonical(live).key
    assert NAMED not in json.dumps(stored)


def test_headers_that_are_not_kept_go_and_are_told() -> None:
    headers = (*SSE, ("openai-organization", "acme-research-inc"), ("cf-ray", "9a1"))
    result = rewritten(text_of(exchange({}, delta("x"), answer_headers=headers)))
    assert json.loads(result.text)["response"]["headers"] == dict(SSE)
    assert result.changes == (
        Finding("header-not-kept", "response.headers.cf-ray"),
        Finding("openai-organization", "response.headers.openai-organization"),
    )


def test_a_pattern_that_was_added_since_is_applied() -> None:
    pattern = Pattern("badge", re.compile("EMP-[0-9]{6}"))
    redactor = Redactor(RedactionRules(patterns=(*PATTERNS, pattern)))
    result = rewritten(text_of(exchange({"a": "I am EMP-123456"}, delta("hi"))), redactor)
    assert result.changes == (Finding("badge", "request.body.a"),)


def test_rewriting_twice_is_rewriting_once() -> None:
    result = rewritten(text_of(exchange({"a": KEY}, delta(KEY[:9]), delta(KEY[9:]))))
    assert again(result.text) is None


# ------------------------------------------------------------------ side files


def with_side_file(part: str) -> tuple[str, dict[str, bytes]]:
    noise = random.Random(1).randbytes(20_000)
    data = noise + b" " + KEY.encode() + b" " + noise
    document = from_exchange(exchange({}, delta("x")))
    encoded = base64.b64encode(data).decode()
    if part == "request":
        del document["request"]["body"]
        document["request"]["body_base64"] = encoded
    else:
        document["response"]["body"][0] = {"base64": encoded}
    smaller, files = recording_format.externalise(document)
    return recording_format.dumps(smaller), files


@pytest.mark.parametrize("part", ["request", "response"])
def test_a_key_in_a_side_file_goes_and_the_file_gets_another_name(part: str) -> None:
    text, files = with_side_file(part)
    result = rewritten(text, side_file=files.__getitem__)
    ((name, data),) = result.files.items()
    assert KEY.encode() not in data
    assert recording_format.side_file_name(data) == name
    assert name in result.text
    assert result.void == frozenset(files)


def test_a_side_file_without_secrets_stays() -> None:
    document = from_exchange(exchange({"a": KEY}, delta("x")))
    data = random.Random(1).randbytes(20_000)
    document["response"]["body"][0] = {"base64": base64.b64encode(data).decode()}
    smaller, files = recording_format.externalise(document)
    result = rewritten(recording_format.dumps(smaller), side_file=files.__getitem__)
    assert (result.files, result.void) == (files, frozenset())


def test_a_side_file_that_is_gone_is_told() -> None:
    text, _ = with_side_file("request")
    with pytest.raises(FormatError, match="No such file"):
        again(text)


# ------------------------------------------------------------------ llama-stack's


def planted(path: str) -> Document:
    """A recording of llama-stack's with a key in the prompt and in the last words."""
    document: Document = json.loads(Path(path).read_text(encoding="utf-8"))
    document["request"]["body"]["user"] = f"é {KEY}"
    document["response"]["body"][1]["__data__"]["choices"][0]["delta"]["content"] = f" {KEY} "
    return document


@pytest.mark.parametrize("path", RECORDINGS)
def test_llamastacks_recordings_are_clean(path: str) -> None:
    assert again(Path(path).read_bytes()) is None


@pytest.mark.parametrize("path", RECORDINGS)
def test_llamastacks_file_changes_in_the_lines_of_the_secret_only(path: str) -> None:
    before = json.dumps(planted(path), indent=2) + "\n"
    after = rewritten(before).text
    assert KEY not in after
    pairs = list(zip(before.splitlines(True), after.splitlines(True), strict=True))
    changed = [one for one, two in pairs if one != two]
    assert len(changed) == 2
    assert all(KEY in line for line in changed)


def test_llamastacks_file_of_another_spelling_keeps_it() -> None:
    before = json.dumps(planted(RECORDINGS[0]), indent=4, ensure_ascii=False)
    after = rewritten(before).text
    assert after == json.dumps(json.loads(after), indent=4, ensure_ascii=False)


def test_llamastacks_rewritten_file_is_still_read_as_the_same_exchange() -> None:
    before = json.dumps(planted(RECORDINGS[0]), indent=2) + "\n"
    one = to_exchange(llamastack.convert(json.loads(before)).document)
    two = to_exchange(llamastack.convert(json.loads(rewritten(before).text)).document)
    assert len(one.response.chunks) == len(two.response.chunks)
    differ = [a != b for a, b in zip(one.response.chunks, two.response.chunks, strict=True)]
    assert differ.count(True) == 1


def call(request: Document, response: Document) -> str:
    return json.dumps({"test_id": KEY, "request": request, "response": response}, indent=2) + "\n"


def test_llamastacks_call_of_a_tool_is_redacted_though_it_has_no_http_form() -> None:
    request = {"provider": "tavily", "tool_name": "search", "kwargs": {"q": f"x {KEY}"}}
    text = rewritten(call(request, {"body": {"content": [KEY, 5]}, "is_streaming": False})).text
    assert KEY not in text
    document = json.loads(text)
    assert list(document) == ["test_id", "request", "response"]
    assert list(document["request"]) == ["provider", "tool_name", "kwargs"]
    assert document["response"]["body"]["content"][1] == 5
    assert document["response"]["is_streaming"] is False


def test_llamastacks_lines_of_a_raw_stream_are_redacted_as_text() -> None:
    request = {
        "url": "https://api.together.xyz/v1/messages",
        "payload": {"messages": [KEY]},
        "headers": {"authorization": f"Bearer {NAMED}", "accept": "*/*"},
    }
    lines = ["event: message", f'data: {{"text": "a {KEY} b"}}', "", f"data: {NAMED}", ""]
    text = rewritten(call(request, {"status": 200, "is_streaming": True, "body": lines})).text
    assert KEY not in text
    assert NAMED not in text
    document = json.loads(text)
    assert document["request"]["headers"] == {"accept": "*/*"}
    now = document["response"]["body"]
    assert [now[0], now[2], now[4]] == ["event: message", "", ""]
    assert json.loads(now[1].removeprefix("data: "))["text"].startswith("a REDACTED-together-key-")


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"log": {"entries": []}}', "not a recording"),
        (b"interactions: []", "not JSON"),
        (b"[]", "expected a recording object"),
        (b"\xff", "not UTF-8"),
        (b"", "empty"),
        (b'{"wiretape": 2, "request": {}, "response": {}}', "update wiretape"),
        (b'{"wiretape": 1, "request": {}, "response": {}}', "request.url"),
    ],
)
def test_what_is_no_recording_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        again(data)


class Broken(Redactor):
    """A redactor with a fault: what it makes of a document is `change`d."""

    def __init__(self, change: Callable[[Document], None]) -> None:
        super().__init__(RULES)
        self._change = change

    def document(self, *args: Any, **kwargs: Any) -> tuple[Document, tuple[Finding, ...]]:
        document, findings = super().document(*args, **kwargs)
        document = json.loads(json.dumps(document))
        self._change(document)
        return document, findings


def drop_chunk(document: Document) -> None:
    del document["response"]["body"][0]


def change_number(document: Document) -> None:
    document["response"]["body"][0]["__data__"]["created"] = 5


def change_prompt(document: Document) -> None:
    document["request"]["body"]["b"] = "another"


def change_event(document: Document) -> None:
    document["response"]["body"][1]["event"] = "pong"


def put_key_back(document: Document) -> None:
    document["request"]["body"]["a"] = KEY


def break_url(document: Document) -> None:
    document["request"]["url"] = "nowhere"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_chunk, "redaction would change more than strings, so it was not rewritten"),
        (change_number, "redaction would change more than strings, so it was not rewritten"),
        (change_prompt, "redaction would change the requests it answers, so it was not rewritten"),
        (change_event, "redaction would change the events of its answer, so it was not rewritten"),
        (put_key_back, "a secret would be left in it, so it was not rewritten"),
        (break_url, "redaction would change whether it can be replayed"),
    ],
)
def test_a_rewriting_that_does_not_replay_the_same_is_refused(
    change: Callable[[Document], None], reason: str
) -> None:
    taken = exchange({"a": KEY, "b": "x"}, delta("x"), b"event: ping\ndata: {}\n\n")
    with pytest.raises(Refused) as caught:
        again(text_of(taken), Broken(change))
    assert str(caught.value).startswith(reason)


def test_what_would_be_left_is_told_by_its_place_and_never_shown() -> None:
    taken = exchange({"a": KEY}, delta("x"))
    with pytest.raises(Refused) as caught:
        again(text_of(taken), Broken(put_key_back))
    (leak,) = caught.value.leaks
    assert (leak.rule, leak.where) == ("together-key", "request.body.a")
    assert KEY not in repr(caught.value.leaks) + str(caught.value)
