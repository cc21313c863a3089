"""The text of a recording file, and what is said of a text that is none."""

import base64
import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not installed
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.cases import in_one_test

from wiretape.core.errors import FormatError
from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, to_exchange, to_response
from wiretape.core.recording.llamastack import is_llamastack
from wiretape.core.recording.text import SIDE_FILE_BYTES, dumps, externalise, loads, side_file_name
from wiretape.core.text.exact_json import MAX_DEPTH

ROOT = paths.ROOT
SCHEMA = json.loads(
    (Path(recording_format.__file__).parent / "recording.schema.json").read_text(encoding="utf-8")
)
JSON: Headers = (("content-type", "application/json"),)
EVENTS: Headers = (("content-type", "text/event-stream"),)


def document(body: bytes = b"", response: Response | None = None, media: str = "") -> Document:
    headers = (("content-type", media),) if media else ()
    request = Request(
        "POST", "https", "api.x.ai", 443, "/v1/chat/completions", headers=headers, body=body
    )
    return from_exchange(Exchange(request, response or Response(200)))


# ------------------------------------------------------------------ writing


def test_a_stream_has_a_line_for_each_chunk() -> None:
    events = (
        b'data: {"id":"1","choices":[{"delta":{"content":"H\xc3\xa9"}}]}\n\n',
        b"data: [DONE]\n\n",
    )
    response = Response(200, EVENTS, tuple(Chunk(e, 0.5) for e in events), True, headers_at=0.25)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 80}]})
    request = Request(
        "POST", "https", "api.x.ai", 443, "/v1/messages", headers=JSON, body=body.encode()
    )
    text = dumps(from_exchange(Exchange(request, response, "2026-11-20T17:30:00Z")))
    assert text == (
        """\
{
  "wiretape": 1,
  "recorded_at": "2026-11-20T17:30:00Z",
  "request": {
    "method": "POST",
    "url": "https://api.x.ai/v1/messages",
    "headers": {"content-type": "application/json"},
    "body": {
      "model": "m",
      "messages": [
        {
          "role": "user",
          "content": "%s"
        }
      ]
    },
    "body_json": "spaced",
    "endpoint": "/v1/messages",
    "model": "m"
  },
  "response": {
    "status": 200,
    "headers": {"content-type": "text/event-stream"},
    "is_streaming": true,
    "headers_at": 0.25,
    "body": [
      {"__data__": {"id": "1", "choices": [{"delta": {"content": "Hé"}}]}, "at": 0.5},
      {"data": "[DONE]", "at": 0.5}
    ]
  }
}
"""
        % ("x" * 80)
    )


VALUES = st.recursive(
    st.one_of(st.integers(), st.sampled_from(["a", "word " * 15, "word " * 30]), st.none()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_body_is_laid_out_as_if_each_level_was_written_first(value: Any) -> None:
    document = {"request": {"body": value}, "response": {"body": value}}
    short = dumps(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_format, "_is_long", lambda value: False)
        assert short == dumps(document)


def test_what_fits_into_a_line_to_the_letter_stands_on_one() -> None:
    values = [
        value
        for size in range(50, 110)
        for value in (
            {"a": 1, "b": "x" * size, "c": {"d": 2}},
            [1, "x" * size, {"a": None}],
            {f"{number}": number for number in range(size // 8)},
            ["é" * (size // 3)] * 3,
        )
    ]
    short = [dumps({"request": value, "response": {"a": value}}) for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_format, "_is_long", lambda value: False)
        assert short == [dumps({"request": value, "response": {"a": value}}) for value in values]


@given(VALUES, st.lists(VALUES, max_size=3), st.booleans())
def test_parts_that_stand_in_a_text_are_taken_out(
    value: Any, items: list[Any], with_paths: bool
) -> None:
    document: Document = {"wiretape": 1, "request": {"body": value}}
    document |= {"response": {"body": items}}
    document |= {"paths": ["cwd"]} if with_paths else {}
    parts = {name: recording_format.part_text(name, document[name]) for name in PARTS}
    text = dumps(document)
    rest, names = recording_format.without_parts(text, parts)
    assert names == ["response", "request"]
    assert json.loads(rest) == document | dict.fromkeys(PARTS)
    rest, names = recording_format.without_parts(text, {"response": parts["response"]})
    assert (json.loads(rest), names) == (document | {"response": None}, ["response"])
    for other in (text[1:], text + " ", text.replace("response", "resPonse"), f"{{{text}"):
        rest, names = recording_format.without_parts(other, parts)
        assert not names or not is_json(rest)


PARTS = ("request", "response")


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_a_part_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, written = recording_format.PartTexts(), document(b'{"a": "b"}')
    text = dumps(written, texts)
    monkeypatch.setattr(recording_format, "part_text", lambda *_: pytest.fail("written again"))
    assert dumps(written, texts) == text


def test_a_list_of_numbers_stays_on_one_line() -> None:
    embedding = b'{"embedding":[' + b",".join([b"-0.0123"] * 300) + b'],"a":["' + b"x" * 99 + b'"]}'
    lines = dumps(document(response=Response(200, JSON, (Chunk(embedding),)))).splitlines()
    assert sum("-0.0123" in line for line in lines) == 1
    assert sum("xxx" in line for line in lines) == 1


def test_no_line_but_a_chunk_or_a_text_is_long() -> None:
    body = json.dumps({f"member{n}": {"a": ["b", {"c": n}]} for n in range(50)}).encode()
    assert max(map(len, dumps(document(body)).splitlines())) <= 100


def test_a_recording_without_a_time_does_not_say_null() -> None:
    assert "recorded_at" not in dumps(document())


def test_a_stream_without_chunks_has_an_empty_list() -> None:
    assert '"body": []' in dumps(document(response=Response(200, EVENTS, (), True)))


def test_a_part_without_members_is_an_object() -> None:
    assert dumps({"request": {}, "response": {}}) == (
        '{\n  "request": {},\n  "response": {\n\n  }\n}\n'
    )


def test_a_body_of_null_is_kept() -> None:
    text = dumps(document(b"null"))
    assert '"body": null' in text
    assert to_exchange(loads(text)).request.body == b"null"


@pytest.mark.parametrize("body", [b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b"[" * 5000 + b"]" * 5000])
def test_a_body_as_deep_as_any_comes_back(body: bytes) -> None:
    stream = Response(200, EVENTS, (Chunk(b"data: " + body + b"\n\n"),), True)
    again = to_exchange(loads(dumps(document(body, stream))))
    assert (again.request.body, again.response) == (body, stream)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.one_of(st.text(), st.lists(st.floats(0, 1)), st.none())))
def test_what_is_written_is_json_of_the_document(body: dict[str, Any]) -> None:
    written = document(json.dumps(body).encode())
    text = dumps(written)
    assert json.loads(text) == {k: v for k, v in written.items() if v is not None}
    assert text.endswith("\n}\n")
    assert dumps(loads(text)) == text


# ------------------------------------------------------------------ side files


BIG = bytes(range(256)) * (SIDE_FILE_BYTES // 256) + b"\xff"


def test_a_large_binary_request_goes_to_a_side_file() -> None:
    smaller, files = externalise(document(BIG))
    name = hashlib.sha256(BIG).hexdigest() + ".bin"
    assert files == {name: BIG}
    assert smaller["request"]["body_file"] == name
    assert "body_base64" not in smaller["request"]
    assert to_exchange(loads(dumps(smaller)), files.__getitem__).request.body == BIG


def test_large_binary_chunks_go_to_side_files_and_keep_their_times() -> None:
    stream = Response(200, (), (Chunk(BIG, 0.5), Chunk(b"\xff", 0.6), Chunk(BIG, 0.7)), True)
    smaller, files = externalise(document(response=stream))
    assert smaller["response"]["body"] == [
        {"file": side_file_name(BIG), "at": 0.5},
        {"base64": "/w==", "at": 0.6},
        {"file": side_file_name(BIG), "at": 0.7},
    ]
    assert to_exchange(loads(dumps(smaller)), files.__getitem__).response == stream


def test_a_large_binary_answer_goes_to_a_side_file() -> None:
    whole = Response(200, (), (Chunk(BIG, 0.5),))
    smaller, files = externalise(document(response=whole))
    assert smaller["response"]["body"] == {"file": side_file_name(BIG), "at": 0.5}
    assert files == {side_file_name(BIG): BIG}


@pytest.mark.parametrize("size", [SIDE_FILE_BYTES - 2, SIDE_FILE_BYTES])
def test_a_binary_body_that_is_not_large_stays(size: int) -> None:
    recording = document(b"\xff" * size)
    assert externalise(recording) == (recording, {})


def test_large_text_stays_to_be_read() -> None:
    recording = document(b"x" * 100_000, Response(200, (), (Chunk(b"y" * 100_000),)))
    assert externalise(recording) == (recording, {})


def test_a_multipart_request_stays_to_be_compared_by_its_parts() -> None:
    recording = document(BIG, media="Multipart/form-data; boundary=x")
    assert externalise(recording) == (recording, {})


def test_moving_bodies_out_leaves_the_document_alone() -> None:
    recording = document(BIG)
    externalise(recording)
    assert base64.b64decode(recording["request"]["body_base64"]) == BIG


# ------------------------------------------------------------------ reading


@in_one_test(
    "text, message",
    [
        (b"", "the file is empty, expected a recording"),
        (b" \n\t", "the file is empty, expected a recording"),
        ("", "the file is empty, expected a recording"),
        (b'{"a": "\xff"}', "not UTF-8 text (byte 7), expected a recording"),
        (b"{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        (
            b'{\n  "wiretape": 1,\n<<<<<<< HEAD\n',
            "a git conflict is not resolved (line 3): take one side whole with `git checkout --ours"
            " FILE` or `git checkout --theirs FILE`, then `git add FILE`",
        ),
        (b"\xef\xbb\xbf{}", "has no request and response objects"),
        (b'{"a": NaN}', "not JSON: NaN is not JSON (RFC 8259, section 6)"),
        (b"[" * 100_000, "not JSON: JSON nested too deeply"),
        (b"[" * 300 + b"]" * 300, "not JSON: JSON nested deeper than 208 levels"),
        (b"9" * 5000, "not JSON: Exceeds the limit (4300 digits) for integer string conversion"),
        (b"[]", "holds a JSON list, expected a recording object"),
        (b"null", "holds a JSON NoneType, expected a recording object"),
        (b"{}", "has no request and response objects: not a recording"),
        (b'{"request": {}, "response": []}', "has no request and response objects"),
        (
            b'{"wiretape": "1", "request": {}, "response": {}}',
            "wiretape: expected the format's version 1, got '1'",
        ),
        (
            b'{"wiretape": null, "request": {}, "response": {}}',
            "wiretape: expected the format's version 1, got None",
        ),
        (
            b'{"wiretape": true, "request": {}, "response": {}}',
            "wiretape: expected the format's version 1, got True",
        ),
        (
            b'{"wiretape": 2, "request": {}, "response": {}}',
            "wiretape: format version 2 is not known to this wiretape (it reads 1 to 1):"
            " update wiretape",
        ),
        (b'{"wiretape": 0, "request": {}, "response": {}}', "wiretape: format version 0 is not"),
    ],
)
def test_a_text_that_is_no_recording_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        loads(text)
    assert str(caught.value).startswith(message)


def test_a_message_does_not_quote_the_file() -> None:
    with pytest.raises(FormatError) as caught:
        loads('{"key": sk-secret}')
    assert "secret" not in str(caught.value)


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary()))
def test_whatever_the_file_holds_only_a_format_error_escapes(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        loads(text)


STREAM = Response(200, EVENTS, (Chunk(b"data: {}\n\n"),), True)
WHOLE = dumps(document(b'{"a": [1, "x"]}', STREAM))


@settings(deadline=None)
@given(
    st.integers(0, len(WHOLE)),
    st.integers(0, len(WHOLE)),
    st.sampled_from(["", "\0", '"', "9" * 5000, "}"]),
)
def test_of_a_damaged_file_comes_a_recording_or_a_format_error(a: int, b: int, put: str) -> None:
    with contextlib.suppress(FormatError):
        to_exchange(loads(WHOLE[: min(a, b)] + put + WHOLE[max(a, b) :]))


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 3))
def test_a_half_written_file_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        loads(WHOLE[:size])


def test_llama_stacks_recordings_are_read() -> None:
    for path in (ROOT / "recordings").glob("*.json"):
        assert is_llamastack(loads(path.read_bytes()))


# ------------------------------------------------------------------ the schema and the page


PAGE = (ROOT / "docs" / "recording-format.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json (recording|chunk)\n(.*?)\n```", PAGE, re.DOTALL)


def streamed(chunk: Document) -> Response:
    """An event stream's answer of one chunk; a side file's content is its name."""
    stream = {"status": 200, "headers": dict(EVENTS), "is_streaming": True, "body": [chunk]}
    return to_response(stream, "/", str.encode)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_page_has_examples_of_both_kinds() -> None:
    kinds = [kind for kind, _ in EXAMPLES]
    assert (kinds.count("recording"), kinds.count("chunk")) == (3, 11)


@pytest.mark.parametrize("text", [text for kind, text in EXAMPLES if kind == "recording"])
def test_an_example_of_a_recording_is_one_and_is_written_as_it_stands(text: str) -> None:
    recording = loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(recording)
    assert dumps(from_exchange(to_exchange(recording))) == text + "\n"


@pytest.mark.parametrize("text", [text for kind, text in EXAMPLES if kind == "chunk"])
def test_an_example_of_a_chunk_is_one(text: str) -> None:
    chunk = json.loads(text)
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/chunk", "$defs": SCHEMA["$defs"]})
    validator.validate(chunk)
    assert len(streamed(chunk).chunks) == 1


def test_an_example_of_a_chunk_is_what_the_page_says_was_on_the_wire() -> None:
    wire = re.findall(r"^(`.+)\n\n```json chunk\n(.*?)\n```", PAGE, re.MULTILINE)
    for shown, text in wire:
        lines = re.findall(r"`([^`]+)`", shown)
        event = "\n".join(lines) + "\n\n"
        response = {
            "status": 200,
            "headers": dict(EVENTS),
            "is_streaming": True,
            "body": [json.loads(text)],
        }
        request = {"method": "GET", "url": "http://h/", "headers": {}}
        assert (
            to_exchange({"request": request, "response": response}).response.body == event.encode()
        )
    assert len(wire) == 5


def members(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(members, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(members, schema.values()))


def test_every_member_of_the_schema_is_on_the_page() -> None:
    assert {name for name in members(SCHEMA) if f"`{name}`" not in PAGE} == set()


BASE = {
    "wiretape": 1,
    "request": {"method": "POST", "url": "https://h/", "headers": {}},
    "response": {"status": 200, "headers": {}, "is_streaming": False, "body": None},
}


@in_one_test(
    "part, change",
    [
        ("", {"wiretape": 2}),
        ("", {"unknown": 1}),
        ("", {"recorded_at": "yesterday"}),
        ("request", {"method": "GET /"}),
        ("request", {"url": "ftp://h/"}),
        ("request", {"headers": {"a b": "c"}}),
        ("request", {"headers": {"a": "b\r\nc"}}),
        ("request", {"headers": {"a": "b\n"}}),
        ("request", {"body": {}, "body_text": ""}),
        ("request", {"body_json": "spaced"}),
        ("request", {"body": {}, "body_json": "tabs"}),
        ("request", {"body_base64": "?"}),
        ("request", {"body_file": "../x.bin"}),
        ("response", {"status": 99}),
        ("response", {"is_streaming": True}),
        ("response", {"body": []}),
        ("response", {"end": "done"}),
        ("response", {"end_at": -1}),
        ("response", {"coding": ""}),
        ("response", {"coding": "gzip;br"}),
        ("response", {"framing": "whole"}),
        ("response", {"trailers": {"a": "b\r\nc"}}),
        ("request", {"ids": {"resp_1": "3f2a"}}),
        ("request", {"ids": {"resp_1": 1}}),
        ("response", {"line_end": "\n\n"}),
        ("response", {"is_streaming": True, "body": [{"at": 1}]}),
        ("response", {"is_streaming": True, "body": [{"text": "", "base64": ""}]}),
        ("response", {"is_streaming": True, "body": [{"event": "a\nb"}]}),
        ("response", {"is_streaming": True, "body": [{"text": "", "charset": "utf-8"}]}),
        ("response", {"is_streaming": True, "body": [{"base64": "", "charset": "utf-16-le"}]}),
        ("response", {"is_streaming": True, "body": [{"headers": {}}]}),
        ("response", {"is_streaming": True, "body": [{"from": "proxy", "text": ""}]}),
        ("response", {"is_streaming": True, "body": [{"from": "client"}]}),
        ("response", {"close": {"from": "client", "code": 1006}}),
        ("response", {"close": {"from": "client", "reason": "x"}}),
        ("response", {"is_streaming": True, "body": [{"headers": {"a": 1}, "text": ""}]}),
        ("response", {"is_streaming": True, "body": [{"headers": {"a": {}}, "text": ""}]}),
        (
            "response",
            {"is_streaming": True, "body": [{"headers": {"a": {"byte": 128}}, "text": ""}]},
        ),
        ("response", {"is_streaming": True, "body": [{"__data__": [], "pad": 1}]}),
    ],
)
def test_the_schema_refuses(part: str, change: Document) -> None:
    recording: Document = json.loads(json.dumps(BASE))
    jsonschema.Draft202012Validator(SCHEMA).validate(recording)
    (recording[part] if part else recording).update(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(recording)


def test_a_byte_order_mark_at_the_start_is_read() -> None:
    text = '{"request": {}, "response": {}}'
    assert loads("\ufeff" + text) == loads(text)
    assert loads(b"\xef\xbb\xbf" + text.encode()) == loads(text)
    with pytest.raises(FormatError, match="the file is empty"):
        loads("\ufeff\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "marks",
    [
        ["<<<<<<< HEAD", "=======", ">>>>>>> topic"],
        ["<<<<<<< ours", "||||||| base", "=======", ">>>>>>> theirs"],
        ["<<<<<<<", "=======", ">>>>>>>"],
        [">>>>>>> a commit (its subject)"],
    ],
)
def test_the_marks_of_a_git_conflict_are_named(marks: list[str], end: str) -> None:
    text = end.join(['{"request": {},', *marks, '"response": {}}'])
    with pytest.raises(
        FormatError, match=r"\(line 2\): take one side .* `git checkout --ours FILE`"
    ):
        loads(text.encode())


def test_text_that_resembles_a_mark_is_not_one() -> None:
    text = '{"request": {"a": "<<<<<<< HEAD"}, "response": {}}'
    assert loads(text)["request"] == {"a": "<<<<<<< HEAD"}
    with pytest.raises(FormatError, match="not JSON"):
        loads('{"a": "<<<<<<< HEAD",\n=======\n}')
