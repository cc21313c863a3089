"""Chunks stand in a document as what they are, and come back as the bytes they were."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import paths
from tests.support.cases import in_one_test

from wiretape.core.errors import FormatError
from wiretape.core.model import Chunk
from wiretape.core.recording import chunks
from wiretape.core.recording.chunks import (
    MAX_PAD,
    BodyFormat,
    Item,
    as_text,
    from_events,
    from_lines,
    from_whole,
    to_bytes,
)
from wiretape.core.recording.fields import Members
from wiretape.core.text import exact_json
from wiretape.core.text.exact_json import MAX_DEPTH
from wiretape.core.wire import sse

WIRE = paths.WIRE


def events(*blocks: bytes) -> tuple[BodyFormat, list[Item]]:
    """The manner and the items of an event stream, which must give the stream back."""
    manner, items = from_events([Chunk(block) for block in blocks], None)
    assert [to_bytes(Members(item), manner) for item in items] == list(blocks)
    return manner, items


def lines(*parts: bytes) -> tuple[BodyFormat, list[Item]]:
    """The same of an NDJSON stream."""
    manner, items = from_lines([Chunk(part) for part in parts], None)
    assert [to_bytes(Members(item), manner) for item in items] == list(parts)
    return manner, items


@in_one_test(
    "block, item",
    [
        (b'data: {"a":1}\n\n', {"__data__": {"a": 1}}),
        (b"data: [1]\n\n", {"__data__": [1]}),
        (b"data: [DONE]\n\n", {"data": "[DONE]"}),
        (b"data: \n\n", {"data": ""}),
        (b"data: 5\n\n", {"data": "5"}),
        (b'data: "a"\n\n', {"data": '"a"'}),
        (b'data: {"a":1,"a":1}\n\n', {"data": '{"a":1,"a":1}'}),
        (b"data: a\ndata: b\n\n", {"data": "a\nb"}),
        (b"event: ping\ndata: {}\n\n", {"event": "ping", "__data__": {}}),
        (
            b"event: a\nid: 1\nretry: 9\ndata: x\n\n",
            {"event": "a", "id": "1", "retry": "9", "data": "x"},
        ),
        (b"id: 1\n\n", {"id": "1"}),
        (b"event: \n\n", {"event": ""}),
        (b'data: {"type":"ping"    }\n\n', {"__data__": {"type": "ping"}, "pad": 4}),
        (b"data: { }\n\n", {"__data__": {}, "pad": 1}),
        (b": OPENROUTER PROCESSING\n\n", {"text": ": OPENROUTER PROCESSING\n\n"}),
        (b": a comment\ndata: {}\n\n", {"text": ": a comment\ndata: {}\n\n"}),
        (b"data: x\nevent: a\n\n", {"text": "data: x\nevent: a\n\n"}),
        (b"event: a\nevent: b\ndata: x\n\n", {"text": "event: a\nevent: b\ndata: x\n\n"}),
        (b"\xef\xbb\xbfdata: {}\n\n", {"text": "\ufeffdata: {}\n\n"}),
        (b"data: {}\n", {"text": "data: {}\n"}),
        (b"data", {"text": "data"}),
        (b"\n", {"text": "\n"}),
        (b"data: \xff\n\n", {"base64": "ZGF0YTog/woK"}),
    ],
)
def test_the_item_of_an_event(block: bytes, item: Item) -> None:
    assert events(block) == (BodyFormat("sse"), [item])


TEXTS = st.sampled_from(
    (
        *('{"a":1}', '{"a": 1}', "[]", "[1]", "[1, 2]", "[DONE]", "", "5", '{"a":1,"a":1}', "{"),
        *('{"a":1   }', "{ }", " }", "[ }", '{"a":1' + " " * (MAX_PAD + 1) + "}", '{"a":1e0}'),
        *(
            '{"a":"\\u00e9"}',
            '{"a":"é\u2028"}',
            '{"a":"<"}',
            '{"a":"\\u003c"}',
            '{"a":"\\/"}',
            "{}\n{}",
        ),
        *("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * MAX_DEPTH + "]" * MAX_DEPTH),
        *('{"a":1},{"b":2}', '{"a":[1', "2]}"),
    )
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: b"data: %b\n\n" % text.encode()),
    TEXTS.map(lambda text: b"event: x\ndata: %b\n\n" % text.encode()),
    st.sampled_from(
        (b": note\n\n", b"data: \xff\n\n", b"data: a\r\n\r\n", b"data: \n\n\n", b"data: a")
    ),
)
PLAIN_BLOCKS = st.sampled_from(("{}", '{"a":1}', '{"a":2 }', "[1]", "[DONE]", "x")).map(
    lambda text: b"data: %b\n\n" % text.encode()
)


@settings(deadline=None)
@given(
    st.one_of(st.lists(BLOCKS, max_size=4), st.lists(PLAIN_BLOCKS, max_size=4)),
    st.sampled_from((None, "T")),
)
def test_a_stream_read_at_once_has_the_items_of_events_read_singly(
    blocks: list[bytes], type_name: str | None
) -> None:
    stream = [Chunk(block) for block in blocks]
    lines = [Chunk(block.removeprefix(b"data: ").removesuffix(b"\n")) for block in blocks]
    at_once = spelled(from_events(stream, type_name)), spelled(from_lines(lines, type_name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "data_alone", lambda blocks: None)
        patch.setattr(exact_json, "read_compact", lambda texts: None)
        assert at_once == (
            spelled(from_events(stream, type_name)),
            spelled(from_lines(lines, type_name)),
        )


def spelled(result: tuple[BodyFormat, list[Item]]) -> tuple[BodyFormat, str]:
    """The order of members and how numbers are spelled count, too."""
    return result[0], exact_json.dumps(result[1], parsed=True)


def test_the_json_of_a_stream_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_read", lambda texts: pytest.fail("read singly"))
    events(b'data: {"a":1}\n\n', b'data: {"a":2  }\n\n', b"data: [DONE]\n\n")
    lines(b'{"a":1}\n', b"[]\n")


def test_json_of_several_data_lines_is_json() -> None:
    block = b'data: {\ndata:   "a": 1\ndata: }\n\n'
    assert events(block) == (BodyFormat("sse", "indent2"), [{"__data__": {"a": 1}}])


def test_the_stream_says_once_how_its_events_are_spelled() -> None:
    manner, items = events(b'data:{"a":1}\r\n\r\n', b"data:[DONE]\r\n\r\n")
    assert manner == BodyFormat("sse", "compact", sse.Spelling("\r\n", False))
    assert items == [{"__data__": {"a": 1}}, {"data": "[DONE]"}]


def test_an_event_spelled_unlike_the_first_is_text() -> None:
    assert events(b"data: a\n\n", b"data:b\n\n", b"data: c\r\n\r\n")[1] == [
        {"data": "a"},
        {"text": "data:b\n\n"},
        {"text": "data: c\r\n\r\n"},
    ]


def test_a_comment_does_not_say_how_events_are_spelled() -> None:
    manner, items = events(b":x\r\r", b"data: a\n\n")
    assert (manner.spelling, items[1]) == (sse.Spelling(), {"data": "a"})


def test_the_style_that_fits_the_most_chunks_is_the_streams() -> None:
    manner, items = events(
        b'data: {"type": "ping"}\n\n', b'data: {"a":1}\n\n', b'data: {"b":2}\n\n', b"data: {}\n\n"
    )
    assert manner == BodyFormat("sse")
    assert items == [
        {"__data__": {"type": "ping"}, "json": "spaced"},
        {"__data__": {"a": 1}},
        {"__data__": {"b": 2}},
        {"__data__": {}},
    ]


def test_a_style_that_only_some_chunks_show_is_the_streams_where_it_fits_all() -> None:
    manner, items = events(b'data: {"a": "b"}\n\n', b'data: {"a": "\\u00e9"}\n\n')
    assert manner == BodyFormat("sse", "spaced+ascii")
    assert items == [{"__data__": {"a": "b"}}, {"__data__": {"a": "é"}}]


def test_googles_events_are_json() -> None:
    manner, items = events(b'data: {"a": [{"b": "\xc3\xa9"}],"c": 1.0}\r\n\r\n')
    assert manner == BodyFormat("sse", "colons", sse.Spelling("\r\n"))
    assert items == [{"__data__": {"a": [{"b": "é"}], "c": 1.0}}]


def test_padding_beyond_measure_is_text() -> None:
    block = b"data: {" + b" " * (MAX_PAD + 1) + b"}\n\n"
    assert events(block)[1] == [{"data": block[6:-2].decode()}]


def test_numbers_keep_their_spelling() -> None:
    data = b'data: {"seed":10296991816860367000,"a":[1e0,0.10,-0.0,1e400]}\n\n'
    (item,) = events(data)[1]
    assert item["__data__"]["seed"] == 10296991816860367000
    assert item["__data__"]["a"][1].text == "0.10"


def test_items_have_the_name_of_their_type() -> None:
    assert from_events([Chunk(b"data: {}\n\n"), Chunk(b"data: [DONE]\n\n")], "a.B")[1] == [
        {"__type__": "a.B", "__data__": {}},
        {"data": "[DONE]"},
    ]
    assert from_lines([Chunk(b"{}\n")], "a.B")[1] == [{"__type__": "a.B", "__data__": {}}]
    assert from_whole(b"{}", "a.B", json=True)[1] == {"__type__": "a.B", "__data__": {}}


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (b'{"done":true}\n', {"__data__": {"done": True}}),
        (b'{"done":true }\n', {"__data__": {"done": True}, "pad": 1}),
        (b'{"done":true}', {"text": '{"done":true}'}),
        (b'{"done":true}\r\n', {"text": '{"done":true}\r\n'}),
        (b"\n", {"text": "\n"}),
        (b"5\n", {"text": "5\n"}),
        (b"\xff\n", {"base64": "/wo="}),
        (b"", {"text": ""}),
    ],
)
def test_the_item_of_a_line(line: bytes, item: Item) -> None:
    assert lines(line) == (BodyFormat("ndjson"), [item])


def test_the_stream_says_once_how_its_lines_are_spelled() -> None:
    assert lines(b'{"a": 1}\n', b'{"b": 2}\n', b'{"c":3}\n') == (
        BodyFormat("ndjson", "spaced"),
        [
            {"__data__": {"a": 1}},
            {"__data__": {"b": 2}},
            {"__data__": {"c": 3}, "json": "compact"},
        ],
    )


@pytest.mark.parametrize(
    ("data", "json", "manner", "item"),
    [
        (b'{"a":1}', True, BodyFormat("whole"), {"__data__": {"a": 1}}),
        (b"5\n", True, BodyFormat("whole", "compact+newline"), {"__data__": 5}),
        (b'{"a":1}', False, BodyFormat("whole"), {"text": '{"a":1}'}),
        (b"{", True, BodyFormat("whole"), {"text": "{"}),
        (b"\xff", True, BodyFormat("whole"), {"base64": "/w=="}),
    ],
)
def test_the_item_of_a_whole_body(data: bytes, json: bool, manner: BodyFormat, item: Item) -> None:
    assert from_whole(data, None, json=json) == (manner, item)
    assert to_bytes(Members(item), manner) == data


@pytest.mark.parametrize("pad", [0, -1, MAX_PAD + 1, True, "4", 1.0])
def test_only_a_number_of_spaces_is_a_pad(pad: Any) -> None:
    with pytest.raises(FormatError, match=r"at\.pad: expected"):
        to_bytes(Members({"__data__": {}, "pad": pad}, "at"), BodyFormat("sse"))


def test_only_an_object_has_a_pad() -> None:
    with pytest.raises(FormatError, match="before the last brace of an object"):
        to_bytes(Members({"__data__": [], "pad": 1}, "at"), BodyFormat("sse"))


# ------------------------------------------------------------------ what providers really sent


class _Loader(yaml.CSafeLoader):
    """YAML as Ruby writes it, too."""


def _binary(loader: _Loader, node: yaml.Node) -> object:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_yaml_binary(node)


yaml.add_constructor("!binary", _binary, _Loader)


def strings(value: Any) -> Iterator[bytes]:
    """Every text and byte string in a value, a gzipped one unpacked."""
    if isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from strings(child)
    elif isinstance(value, (str, bytes)):
        data = value.encode() if isinstance(value, str) else value
        yield gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def streams(path: Path) -> list[bytes]:
    """The event streams in a file of another recorder: one as it was, or YAML that holds some."""
    (data,) = strings(path.read_bytes())
    texts = [data]
    if {".yaml", ".yml"} & set(path.suffixes):
        texts = [text for document in yaml.load_all(data, _Loader) for text in strings(document)]
    begins = (b"data:", b"event:", b"id:", b"retry:", b":")
    return [text for text in texts if text.startswith(begins) and b"\n" in text]


def split(stream: bytes) -> list[bytes]:
    splitter = sse.EventSplitter()
    return splitter.feed(stream) + splitter.close()


RECORDED = [
    pytest.param(path, id=path.name[-60:])
    for path in sorted(WIRE.rglob("*"))
    if path.suffix in (".yaml", ".yml", ".gz", ".txt", ".sse")
]
needs_wire = pytest.mark.skipif(
    not RECORDED, reason="real exchanges (shared/data/wire) are not beside the project"
)


@needs_wire
@pytest.mark.parametrize("path", RECORDED)
def test_real_streams_come_back_to_the_byte(path: Path) -> None:
    for stream in streams(path):
        blocks = split(stream)
        assert b"".join(blocks) == stream
        manner, items = events(*blocks)
        written = exact_json.dumps(items, "spaced")
        again = [to_bytes(Members(item), manner) for item in exact_json.parse(written)]
        assert again == blocks


@needs_wire
def test_real_events_are_kept_as_json_and_not_as_text() -> None:
    kinds = {"__data__": 0, "data": 0, "text": 0, "base64": 0}
    hidden = 0
    for path in {case.values[0] for case in RECORDED}:
        assert isinstance(path, Path)
        for stream in streams(path):
            for item in events(*split(stream))[1]:
                kinds[next(kind for kind in kinds if kind in item)] += 1
                hidden += item.get("data", "").startswith("{")
    assert kinds["__data__"] > 4000
    assert (hidden, kinds["base64"]) == (0, 0)
    # Comments; a stream that was cut in its last event; watsonx, whose events begin with their id.
    assert kinds["text"] < 50


def test_bytes_are_text_where_they_are_utf_8() -> None:
    assert chunks.as_text("é".encode()) == {"text": "é"}
    assert chunks.as_text(b"\xe9") == {"base64": "6Q=="}


def test_ascii_that_is_called_utf_16_stays_bytes_that_are_searched() -> None:
    # As letters of two bytes the key would be other letters, which no search knows.
    hidden = b"\xfe\xff0000000000000000000012"
    assert "base64" in as_text(hidden, "utf-16")
    plain = "\ufeffhello".encode("utf-16-be")
    assert as_text(plain, "utf-16-be") == {"text": "\ufeffhello", "charset": "utf-16-be"}
