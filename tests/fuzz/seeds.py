"""Where fuzzing begins: one input for each thing that the core tells apart."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Final

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from wiretape.core.wire import aws_eventstream

_EVENTS: Final = (
    b'data: {"a":1}\n\n: ping\r\n\r\nevent: b\ndata: {"c": "\\u00e9"  }\n\ndata: [DONE]\n\n'
)
_FRAME: Final = aws_eventstream.encode(
    aws_eventstream.Frame(
        {":event-type": "chunk", "n": {"long": 7}, "t": {"timestamp": 1700000000000}},
        b'{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0=","p":"ab"}',
    )
)
_BODIES: Final = (
    _EVENTS,
    b'{"a":1}\n{"b":[1.50,1e0]}\n{"done":true}',
    _FRAME + _FRAME[:40],
    b'{\n  "a": "sk-ant-api03-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"\n}\n',
    '{"a":"é"}'.encode("utf-16-le"),
    b"\xff\xfb\x90\x44" * 4,
    b'data: {"error":{}}\n\n',
)
_CODED: Final = (
    gzip.compress(_EVENTS, mtime=0),
    zlib.compress(_EVENTS),
    brotli.compress(_EVENTS),
    zstandard.compress(_EVENTS),
)
_FILES: Final = (
    b'{"wiretape":1,"request":{"method":"POST","url":"https://h/v1/messages?a=b","headers":'
    b'{"content-type":"application/json"},"body":{"model":"m"},"ids":{"resp_1":"3f2a00112233#0"}},'
    b'"response":{"status":200,"headers":{"content-type":"text/event-stream"},"is_streaming":true,'
    b'"coding":"gzip","end":"reset","line_end":"\\r\\n","trailers":{"x-a":["1","2"]},"body":'
    b'[{"event":"a","__data__":{"b":1},"pad":3,"at":0.1},{"data":"[DONE]"},{"base64":"/w=="}]}}',
    b'{"wiretape":1,"request":{"method":"GET","url":"http://[::1]:80/","headers":{}},"response":'
    b'{"status":200,"headers":{},"is_streaming":true,"framing":"frames","json":"spaced","body":'
    b'[{"headers":{"a":"b","n":{"byte":-1},"u":{"uuid":"12345678-1234-5678-1234-567812345678"}},'
    b'"__data__":{"bytes":{"c":1}},"bytes_json":"compact"},{"headers":{},"base64":"AP8="}]}}',
    b'{"wiretape":1,"request":{"method":"GET","url":"http://h/","headers":{}},"response":{"status":'
    b'200,"headers":{},"is_streaming":false,"body":{"text":"\xc3\xa9","charset":"utf-16-be"}}}',
)


def seeds() -> Iterator[bytes]:
    """The inputs, each with the bytes before it that choose what is checked."""
    for kind, body in enumerate(_BODIES):
        yield bytes((0, kind, 7, 5)) + body
        yield bytes((0, 3, 7, 40)) + body
    for number, body in enumerate(_CODED):
        yield bytes((0, 0, number, 5)) + body
        yield bytes((1, number)) + body
    yield bytes((1, 128)) + gzip.compress(_CODED[0], mtime=0)
    yield bytes((2, 9)) + _FRAME + _FRAME
    for text in _FILES:
        yield bytes((3,)) + text
