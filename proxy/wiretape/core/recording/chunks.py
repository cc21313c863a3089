"""An answer's chunks as they stand in a document, and back to the bytes they were.

JSON stands there as JSON, an event as its fields, a frame as its headers and payload, text as text
and the rest as base64; whatever its fields would not give back exactly is kept as the text it was.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from wiretape.core.model import Chunk, Framing
from wiretape.core.text import exact_json
from wiretape.core.wire import aws_eventstream, sse

from .fields import Members, SideFile

type Item = dict[str, Any]

MAX_PAD: Final = 1000
"""The most spaces before an object's last brace that are stored as their number."""


_ASCII_RUN: Final = re.compile(rb"[\x20-\x7e]{8}")


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer's chunks are written: its framing, its JSON style, its spelling of events."""

    framing: Framing
    style: str = "compact"
    spelling: sse.Spelling = field(default_factory=sse.Spelling)


CHARSETS: Final = (
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
    "utf-32-be",
    "iso-8859-1",
    "windows-1252",
)
"""What text that is not UTF-8 may be spelled in."""


def as_text(data: bytes, charset: str | None = None) -> Item:
    """Bytes as text, or as base64 where they are not UTF-8; `charset` is what else they may be."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        # In ASCII, UTF-16 is UTF-8 with a NUL beside each letter, where no secret would be found.
        if charset is None or "\0" not in text:
            return {"text": text}
    # In a charset whose letters are wider than a byte a run of ASCII would hide from a search.
    if charset is not None and not (charset.startswith("utf-") and _ASCII_RUN.search(data)):
        try:
            text = data.decode(charset)
            if text.encode(charset) == data:
                return {"text": text, "charset": charset}
        except UnicodeError:
            pass
    return {"base64": base64.b64encode(data).decode()}


def typed(type_name: str | None, value: exact_json.Json) -> Item:
    """A JSON value with the name of its type, as llama-stack has it."""
    return {"__type__": type_name, "__data__": value} if type_name else {"__data__": value}


# ------------------------------------------------------------------ to documents


class _ChunkJson(NamedTuple):
    """JSON in a chunk: its value and style, and how many spaces stand before its last brace."""

    value: exact_json.Json
    style: str
    text: str
    pad: int


def from_whole(
    data: bytes, type_name: str | None, *, json: bool, charset: str | None = None
) -> tuple[Manner, Item]:
    """The item of a body that is one chunk; `json` where it is to be read as JSON."""
    item = as_text(data, charset)
    found = exact_json.read(item["text"]) if json and "text" in item else None
    if found is None:
        return Manner("whole"), item
    rest = {"charset": item["charset"]} if "charset" in item else {}
    return Manner("whole", found[1]), typed(type_name, found[0]) | rest


def from_events(chunks: Sequence[Chunk], type_name: str | None) -> tuple[Manner, list[Item]]:
    """The items of an event stream's chunks, each with the fields of its event."""
    events = [sse.parse(chunk.data) for chunk in chunks]
    first = next((c.data for c, event in zip(chunks, events, strict=True) if event), None)
    spelling = sse.Spelling() if first is None else sse.spelling(first)
    exact = [
        event if event is not None and sse.encode(event, spelling) == chunk.data else None
        for event, chunk in zip(events, chunks, strict=True)
    ]
    found = _read(["" if event is None else event.data or "" for event in exact])
    common = _common_style(found)
    items: list[Item] = []
    for chunk, event, got in zip(chunks, exact, found, strict=True):
        if event is None:
            items.append(as_text(chunk.data))
            continue
        fields = (("event", event.event), ("id", event.id), ("retry", event.retry))
        item: Item = {name: value for name, value in fields if value is not None}
        if got is not None:
            item |= _json_item(got, common, type_name)
        elif event.data is not None:
            item["data"] = event.data
        items.append(item)
    return Manner("sse", common, spelling), items


def from_lines(chunks: Sequence[Chunk], type_name: str | None) -> tuple[Manner, list[Item]]:
    """The items of an NDJSON stream's chunks, a line each."""
    plain = [as_text(chunk.data) for chunk in chunks]
    texts = [item.get("text", "") for item in plain]
    found = _read([text[:-1] if text.endswith("\n") else "" for text in texts])
    common = _common_style(found)
    items = [
        item if got is None else _json_item(got, common, type_name)
        for item, got in zip(plain, found, strict=True)
    ]
    return Manner("ndjson", common), items


def from_frames(chunks: Sequence[Chunk], type_name: str | None) -> tuple[Manner, list[Item]]:
    """The items of an AWS event stream's chunks: a frame's headers beside its payload, or the bytes
    of what is no frame.
    """
    frames = [aws_eventstream.decode(chunk.data) for chunk in chunks]
    plain = [
        as_text(chunk.data if frame is None else frame.payload)
        for frame, chunk in zip(frames, chunks, strict=True)
    ]
    found = _read(
        [
            "" if frame is None else item.get("text", "")
            for frame, item in zip(frames, plain, strict=True)
        ]
    )
    common = _common_style(found)
    items: list[Item] = []
    for frame, payload, got in zip(frames, plain, found, strict=True):
        item = payload if got is None else _opened(_json_item(got, common, type_name))
        items.append(item if frame is None else {"headers": dict(frame.headers)} | item)
    return Manner("frames", common), items


def _opened(item: Item) -> Item:
    """An item whose JSON carries another's in base64, as all of Bedrock's InvokeModel do, with
    that in its place.
    """
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
    opened = item | {"__data__": value | {"bytes": inner[0]}, "bytes_json": inner[1]}
    return opened if _closed(opened["__data__"], inner[1]) == value else item


def _closed(value: dict[str, exact_json.Json], style: str) -> dict[str, exact_json.Json]:
    text = exact_json.dumps(value["bytes"], style).encode("utf-8", "surrogatepass")
    return value | {"bytes": base64.b64encode(text).decode()}


def _read(texts: Sequence[str]) -> list[_ChunkJson | None]:
    """The JSON of a stream's texts; None for one that is no object or list, or not exactly to be
    had.
    """
    hint = "compact"
    result: list[_ChunkJson | None] = []
    for text in texts:
        found = None
        if text[:1] in ("{", "["):
            # Anthropic puts spaces before the last brace of an event. No style does.
            plain = text[:-1].rstrip(" ") + "}" if text.endswith(" }") else text
            read = exact_json.read(plain, hint) if len(text) - len(plain) <= MAX_PAD else None
            if read is not None:
                found = _ChunkJson(*read, plain, len(text) - len(plain))
                hint = found.style
        result.append(found)
    return result


def _common_style(found: Sequence[_ChunkJson | None]) -> str:
    """The style that gives most of a stream's chunks back; the plainest where several do."""
    there = [item for item in found if item is not None]
    styles = sorted({item.style for item in there}, key=lambda style: (style != "compact", style))
    if len(styles) < 2:
        return styles[0] if styles else "compact"
    return max(styles, key=lambda style: sum(_fits(item, style) for item in there))


def _fits(found: _ChunkJson, style: str) -> bool:
    return found.style == style or exact_json.dumps(found.value, style) == found.text


def _json_item(found: _ChunkJson, common: str, type_name: str | None) -> Item:
    """The item of a chunk that is JSON, in the stream's common style or its own."""
    item = typed(type_name, found.value)
    if found.pad:
        item["pad"] = found.pad
    if not _fits(found, common):
        item["json"] = found.style
    return item


# ------------------------------------------------------------------ from documents


def to_bytes(item: Members, manner: Manner, read: SideFile | None = None) -> bytes:
    """The bytes of one item; FormatError names the member that is wrong."""
    if manner.framing == "frames" and "headers" in item:
        return _to_frame(item, manner, read)
    if "text" in item:
        charset = item.values.get("charset")
        return item.encoded("text") if charset is None else _in_charset(item, item.text("text"))
    if "base64" in item:
        return item.base64("base64")
    if "file" in item:
        return item.file("file", read)
    if manner.framing == "sse":
        return _to_event(item, manner)
    if "__data__" not in item or manner.framing in ("reads", "frames"):
        raise item.unlike(
            "one of text, base64, file"
            + (" (by its content type the answer has no JSON chunks)" if "__data__" in item else "")
        )
    end = "\n" if manner.framing == "ndjson" else ""
    text = _to_json(item, manner.style) + end
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


def _to_frame(item: Members, manner: Manner, read: SideFile | None) -> bytes:
    headers = item.object("headers").values
    if "__data__" in item:
        payload = _to_json(item, manner.style).encode()
    else:
        rest = {name: value for name, value in item.values.items() if name != "headers"}
        payload = to_bytes(Members(rest, item.where), manner, read)
    try:
        return aws_eventstream.encode(aws_eventstream.Frame(headers, payload))
    except ValueError:
        raise item.wrong(
            "headers", 'text, true, false or values such as {"integer": 1}, in a frame of 16 MiB'
        ) from None


def _to_json(item: Members, style: str) -> str:
    value = item.values["__data__"]
    if "bytes_json" in item:
        inner = item.style("bytes_json")
        if not isinstance(value, dict) or "bytes" not in value:
            raise item.wrong("__data__", "an object with the member bytes")
        value = _closed(value, inner)
    text = exact_json.dumps(value, item.style("json", style))
    if "pad" not in item:
        return text
    pad: int = item.get("pad", int, "a number of spaces")
    if not 1 <= pad <= MAX_PAD or not text.endswith("}"):
        raise item.wrong("pad", f"1 to {MAX_PAD} spaces before the last brace of an object")
    return text[:-1] + " " * pad + "}"


_ONE_LINE: Final = ("event", "id", "retry")


def _to_event(item: Members, manner: Manner) -> bytes:
    fields: dict[str, str | None] = {}
    for name in (*_ONE_LINE, "data"):
        if item.values.get(name) is None:
            continue
        value = item.text(name, "text of one line" if name in _ONE_LINE else "text")
        # A line end in a field would let it write fields of its own.
        if "\r" in value or ("\n" in value and name in _ONE_LINE):
            raise item.wrong(name, "text of one line" if name in _ONE_LINE else "text without CR")
        fields[name] = value
    if "__data__" in item:
        fields["data"] = _to_json(item, manner.style)
    if not fields:
        raise item.unlike("one of __data__, data, event, text, base64, file")
    return sse.encode(sse.Event(**fields), manner.spelling)


def spelling_of(document: Members) -> sse.Spelling:
    """How a document says that its events are spelled."""
    line_end = document.values.get("line_end", "\n")
    space = document.values.get("colon_space", True)
    if line_end not in ("\n", "\r", "\r\n"):
        raise document.wrong("line_end", "one of '\\n', '\\r', '\\r\\n'", show=True)
    if not isinstance(space, bool):
        raise document.wrong("colon_space", "true or false")
    return sse.Spelling(cast(str, line_end), space)
