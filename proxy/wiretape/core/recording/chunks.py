"""Turn an answer's chunks into the items of a document, and back into the same bytes.

JSON becomes JSON, an event its fields, a frame its headers and payload, text a string and the rest
base64; what these would not give back exactly stays text.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Final, NamedTuple, cast

from wiretape.core.model import Chunk, Framing
from wiretape.core.text import exact_json
from wiretape.core.wire import aws_eventstream, sse

from .fields import Members, SideFile

type Item = dict[str, Any]

MAX_PAD: Final = 1000
"""The most spaces before an object's last brace that are stored as a number."""


_ASCII_RUN: Final = re.compile(rb"[\x20-\x7e]{8}")


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """How an answer's chunks are written: framing, style of JSON, spelling of events."""

    framing: Framing
    style: str = "compact"
    spelling: sse.Spelling = field(default_factory=sse.Spelling)
    parsed: bool = False
    """Whether the document is as `exact_json.parse` gave it, which is written faster."""


CHARSETS: Final = (
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
    "utf-32-be",
    "iso-8859-1",
    "windows-1252",
)
"""The encodings of text that is not UTF-8."""


def as_text(data: bytes, charset: str | None = None) -> Item:
    """Bytes as text, in UTF-8 or else in `charset`, or as base64.

    >>> as_text(b"hi"), as_text(b"\\xff")
    ({'text': 'hi'}, {'base64': '/w=='})
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        # UTF-16 of ASCII is valid UTF-8 with a NUL beside each letter, which would hide a secret.
        if charset is None or "\0" not in text:
            return {"text": text}
    # A run of ASCII, read in a charset of wider characters, would be hidden from a search.
    if charset is not None and not (charset.startswith("utf-") and _ASCII_RUN.search(data)):
        try:
            text = data.decode(charset)
            if text.encode(charset) == data:
                return {"text": text, "charset": charset}
        except UnicodeError:
            pass
    return {"base64": base64.b64encode(data).decode()}


def typed(type_name: str | None, value: exact_json.Json) -> Item:
    """A JSON value with the name of its type, as llama-stack writes it."""
    return {"__type__": type_name, "__data__": value} if type_name else {"__data__": value}


# ------------------------------------------------------------------ to documents


class _ChunkJson(NamedTuple):
    """JSON in a chunk: its value, style and text, and how many spaces precede its last brace."""

    value: exact_json.Json
    style: str
    text: str
    pad: int


def from_whole(
    data: bytes, type_name: str | None, *, json: bool, charset: str | None = None
) -> tuple[BodyFormat, Item]:
    """The item of a body that is one chunk; `json` says whether to read it as JSON."""
    item = as_text(data, charset)
    parsed = exact_json.read(item["text"]) if json and "text" in item else None
    if parsed is None:
        return BodyFormat("whole"), item
    rest = {"charset": item["charset"]} if "charset" in item else {}
    return BodyFormat("whole", parsed[1]), typed(type_name, parsed[0]) | rest


def from_events(chunks: Sequence[Chunk], type_name: str | None) -> tuple[BodyFormat, list[Item]]:
    """The items of an event stream's chunks, each with the fields of its event."""
    data_of_each = sse.data_alone([chunk.data for chunk in chunks])
    if data_of_each is not None:
        common, in_json = _json_items(data_of_each, type_name)
        return BodyFormat("sse", common), [
            {"data": data} if item is None else item
            for data, item in zip(data_of_each, in_json, strict=True)
        ]
    plain = [sse.plain_fields(chunk.data) for chunk in chunks]
    spelling = sse.Spelling()
    if plain and plain[0] is None:
        first = next((chunk.data for chunk in chunks if sse.parse(chunk.data)), None)
        spelling = sse.Spelling() if first is None else sse.spelling(first)
    is_usual = spelling == sse.Spelling()
    exact = [
        fields if is_usual and fields is not None else _fields(chunk.data, spelling)
        for fields, chunk in zip(plain, chunks, strict=True)
    ]
    texts = ["" if fields is None else fields[3] or "" for fields in exact]
    common, in_json = _json_items(texts, type_name)
    items: list[Item] = []
    for chunk, fields, json in zip(chunks, exact, in_json, strict=True):
        if fields is None:
            items.append(as_text(chunk.data))
            continue
        event, id_, retry, data = fields
        named = (("event", event), ("id", id_), ("retry", retry))
        item: Item = {name: value for name, value in named if value is not None}
        if json is not None:
            item |= json
        elif data is not None:
            item["data"] = data
        items.append(item)
    return BodyFormat("sse", common, spelling), items


def _fields(block: bytes, spelling: sse.Spelling) -> sse.Fields | None:
    """The fields of an event that give it back in a spelling."""
    event = sse.parse(block)
    if event is None or sse.encode(event, spelling) != block:
        return None
    return event.event, event.id, event.retry, event.data


def from_lines(chunks: Sequence[Chunk], type_name: str | None) -> tuple[BodyFormat, list[Item]]:
    """The items of an NDJSON stream's chunks, one for each line."""
    plain = [as_text(chunk.data) for chunk in chunks]
    texts = [item.get("text", "") for item in plain]
    common, in_json = _json_items(
        [text[:-1] if text.endswith("\n") else "" for text in texts], type_name
    )
    items = [item if json is None else json for item, json in zip(plain, in_json, strict=True)]
    return BodyFormat("ndjson", common), items


def from_frames(chunks: Sequence[Chunk], type_name: str | None) -> tuple[BodyFormat, list[Item]]:
    """The items of an AWS event stream's chunks: a frame's headers and its payload, or the bytes of
    an invalid frame.
    """
    frames = [aws_eventstream.decode(chunk.data) for chunk in chunks]
    plain = [
        as_text(chunk.data if frame is None else frame.payload)
        for frame, chunk in zip(frames, chunks, strict=True)
    ]
    texts = [
        "" if frame is None else item.get("text", "")
        for frame, item in zip(frames, plain, strict=True)
    ]
    common, in_json = _json_items(texts, type_name)
    items: list[Item] = []
    for frame, payload, json in zip(frames, plain, in_json, strict=True):
        item = payload if json is None else _with_inner_json(json)
        items.append(item if frame is None else {"headers": dict(frame.headers)} | item)
    return BodyFormat("frames", common), items


def _with_inner_json(item: Item) -> Item:
    """Decode the JSON that an item's JSON carries in base64, as in all of Bedrock's InvokeModel."""
    value = item["__data__"]
    encoded = value.get("bytes") if isinstance(value, dict) else None
    if not isinstance(encoded, str):
        return item
    try:
        inner = exact_json.read(base64.b64decode(encoded.encode(), validate=True).decode())
    except ValueError:
        return item
    if inner is None or not isinstance(inner[0], (dict, list)):
        return item
    result = item | {"__data__": value | {"bytes": inner[0]}, "bytes_json": inner[1]}
    return result if _with_base64(result["__data__"], inner[1]) == value else item


def _with_base64(value: dict[str, exact_json.Json], style: str) -> dict[str, exact_json.Json]:
    text = exact_json.dumps(value["bytes"], style).encode("utf-8", "surrogatepass")
    return value | {"bytes": base64.b64encode(text).decode()}


def _json_items(texts: Sequence[str], type_name: str | None) -> tuple[str, list[Item | None]]:
    """The common style of a stream's JSON texts, and the item of each; None for one that is to be
    stored as it is.
    """
    # Anthropic puts spaces before the last brace of an event, which no style does.
    pads = {at: _pad(text) for at, text in enumerate(texts) if text.endswith(" }")}
    plain = (
        [_without_pad(text, pads.get(at, 0)) for at, text in enumerate(texts)] if pads else texts
    )
    in_json = [text[:1] in ("{", "[") and text != _DONE for text in plain]
    values = exact_json.read_compact([*compress(plain, in_json)])
    if values is None or max(pads.values(), default=0) > MAX_PAD:
        parsed = _read(texts)
        common = _common_style(parsed)
        return common, [
            None if json is None else _json_item(json, common, type_name) for json in parsed
        ]
    each = iter(values)
    items: list[Item | None]
    if type_name:
        items = [
            {"__type__": type_name, "__data__": next(each)} if is_json else None
            for is_json in in_json
        ]
    else:
        items = [{"__data__": next(each)} if is_json else None for is_json in in_json]
    for at, pad in pads.items():
        if (item := items[at]) is not None:
            item["pad"] = pad
    return "compact", items


_DONE: Final = "[DONE]"


def _pad(text: str) -> int:
    """How many spaces a JSON text has before its last brace."""
    return len(text) - 1 - len(text[:-1].rstrip(" "))


def _without_pad(text: str, pad: int) -> str:
    return text[: -1 - pad] + "}" if pad else text


def _read(texts: Sequence[str]) -> list[_ChunkJson | None]:
    """Parse a stream's texts; None for one that is not an object or list, or that no style gives
    back exactly.
    """
    hint = "compact"
    result: list[_ChunkJson | None] = []
    for text in texts:
        parsed = None
        if text[:1] in ("{", "["):
            pad = _pad(text) if text.endswith(" }") else 0
            plain = _without_pad(text, pad)
            read = exact_json.read(plain, hint) if pad <= MAX_PAD else None
            if read is not None:
                parsed = _ChunkJson(*read, plain, pad)
                hint = parsed.style
        result.append(parsed)
    return result


def _common_style(parsed: Sequence[_ChunkJson | None]) -> str:
    """The style that gives back most of a stream's chunks; the simplest of several."""
    present = [item for item in parsed if item is not None]
    styles = sorted({item.style for item in present}, key=lambda style: (style != "compact", style))
    if len(styles) < 2:
        return styles[0] if styles else "compact"
    return max(styles, key=lambda style: sum(_fits(item, style) for item in present))


def _fits(json: _ChunkJson, style: str) -> bool:
    return json.style == style or exact_json.dumps(json.value, style) == json.text


def _json_item(json: _ChunkJson, common: str, type_name: str | None) -> Item:
    """The item of a JSON chunk, with its style if that is not the stream's common one."""
    item = typed(type_name, json.value)
    if json.pad:
        item["pad"] = json.pad
    if not _fits(json, common):
        item["json"] = json.style
    return item


# ------------------------------------------------------------------ from documents


def to_bytes(item: Members, body_format: BodyFormat, read: SideFile | None = None) -> bytes:
    """The bytes of an item; FormatError names the wrong member."""
    if body_format.framing == "frames" and "headers" in item:
        return _to_frame(item, body_format, read)
    if "text" in item:
        charset = item.values.get("charset")
        return item.encoded("text") if charset is None else _in_charset(item, item.text("text"))
    if "base64" in item:
        return item.base64("base64")
    if "file" in item:
        return item.file("file", read)
    if body_format.framing == "sse":
        return _to_event(item, body_format)
    if "__data__" not in item or body_format.framing in ("reads", "frames"):
        raise item.unlike(
            "one of text, base64, file"
            + (" (by its content type the answer has no JSON chunks)" if "__data__" in item else "")
        )
    end = "\n" if body_format.framing == "ndjson" else ""
    text = _to_json(item, body_format) + end
    return text.encode() if item.values.get("charset") is None else _in_charset(item, text)


def _in_charset(item: Members, text: str) -> bytes:
    charset = item.values["charset"]
    if charset not in CHARSETS:
        raise item.wrong("charset", f"one of {', '.join(CHARSETS)}", show=True)
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        raise item.wrong(
            "charset", "a charset that has all the text's letters", show=True
        ) from None


def _to_frame(item: Members, body_format: BodyFormat, read: SideFile | None) -> bytes:
    headers = item.object("headers").values
    if "__data__" in item:
        payload = _to_json(item, body_format).encode()
    else:
        rest = {name: value for name, value in item.values.items() if name != "headers"}
        payload = to_bytes(Members(rest, item.where), body_format, read)
    try:
        return aws_eventstream.encode(aws_eventstream.Frame(headers, payload))
    except ValueError:
        raise item.wrong(
            "headers", 'text, true, false or values such as {"integer": 1}, in a frame of 16 MiB'
        ) from None


def _to_json(item: Members, body_format: BodyFormat) -> str:
    value = item.values["__data__"]
    if "bytes_json" in item:
        inner = item.style("bytes_json")
        if not isinstance(value, dict) or "bytes" not in value:
            raise item.wrong("__data__", "an object with the member bytes")
        value = _with_base64(value, inner)
    style = item.style("json", body_format.style)
    text = exact_json.dumps(value, style, parsed=body_format.parsed)
    if "pad" not in item:
        return text
    pad: int = item.get("pad", int, "a number of spaces")
    if not 1 <= pad <= MAX_PAD or not text.endswith("}"):
        raise item.wrong("pad", f"1 to {MAX_PAD} spaces before the last brace of an object")
    return text[:-1] + " " * pad + "}"


_ONE_LINE: Final = ("event", "id", "retry")


def _to_event(item: Members, body_format: BodyFormat) -> bytes:
    fields: dict[str, str | None] = {}
    for name in (*_ONE_LINE, "data"):
        if item.values.get(name) is None:
            continue
        value = item.text(name, "text of one line" if name in _ONE_LINE else "text")
        # A line end in a field would let it inject fields.
        if "\r" in value or ("\n" in value and name in _ONE_LINE):
            raise item.wrong(name, "text of one line" if name in _ONE_LINE else "text without CR")
        fields[name] = value
    if "__data__" in item:
        fields["data"] = _to_json(item, body_format)
    if not fields:
        raise item.unlike("one of __data__, data, event, text, base64, file")
    return sse.encode(sse.Event(**fields), body_format.spelling)


_USUAL: Final = sse.Spelling()


def spelling_of(document: Members) -> sse.Spelling:
    """The spelling of events that a document names."""
    if "line_end" not in document and "colon_space" not in document:
        return _USUAL
    line_end = document.values.get("line_end", "\n")
    space = document.values.get("colon_space", True)
    if line_end not in ("\n", "\r", "\r\n"):
        raise document.wrong("line_end", "one of '\\n', '\\r', '\\r\\n'", show=True)
    if not isinstance(space, bool):
        raise document.wrong("colon_space", "true or false")
    return sse.Spelling(cast(str, line_end), space)
