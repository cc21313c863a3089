"""What an answer is, is seen where its content type does not say so."""

import pytest

from wiretape.core.model import Framing
from wiretape.core.wire.framing import sniffed

EVENTS = b'data: {"a":1}\n\ndata: [DONE]\n\n'
LINES = b'{"a":1}\n{"a":2}\n'


@pytest.mark.parametrize(
    ("told", "media", "body", "expected"),
    [
        pytest.param("whole", "application/json", EVENTS, "sse", id="events called JSON"),
        pytest.param("reads", "", EVENTS, "sse", id="events without a type"),
        pytest.param("whole", "text/plain", b": hi\n\nevent: a\ndata: b\n\n", "sse", id="comment"),
        pytest.param("reads", "", b"\xef\xbb\xbfid: 1\r\ndata:x\r\n\r\n", "sse", id="BOM and CRLF"),
        pytest.param("sse", "text/event-stream", b'{"error":{}}', "whole", id="JSON called events"),
        pytest.param("sse", "text/event-stream", b'{"error":', "sse", id="JSON that is cut"),
        pytest.param("sse", "text/event-stream", EVENTS, "sse", id="events"),
        pytest.param("sse", "text/event-stream", b"", "sse", id="no events"),
        pytest.param("reads", "", LINES, "ndjson", id="lines without a type"),
        pytest.param("whole", "application/json", LINES, "ndjson", id="lines called JSON"),
        pytest.param("whole", "application/stream+json", LINES, "ndjson", id="lines, +json"),
        pytest.param("whole", "application/json", b'{"a":1}\n', "whole", id="one line"),
        pytest.param("whole", "application/json", b'{\n "a": 1\n}\n', "whole", id="indented"),
        pytest.param("whole", "application/json", b'{"a":1}\nx\n', "whole", id="a line of text"),
        pytest.param("reads", "", b'{"a":1}\n{"a', "ndjson", id="lines that are cut"),
        pytest.param("whole", "application/json", b'{"a":1}\n\n{}', "ndjson", id="an empty line"),
        pytest.param("whole", "application/json", b"[\n[\n[\n", "whole", id="lists in lists"),
        pytest.param("whole", "text/html", EVENTS, "whole", id="HTML is believed"),
        pytest.param("reads", "audio/mpeg", EVENTS, "reads", id="audio is believed"),
        pytest.param("whole", "text/plain", b"database: x\n", "whole", id="no field's name"),
        pytest.param("whole", "text/plain", b"some data: x\n\n", "whole", id="a line of prose"),
        pytest.param("reads", "", b"", "reads", id="nothing"),
    ],
)
def test_what_an_answer_is(told: Framing, media: str, body: bytes, expected: Framing) -> None:
    assert sniffed(told, media, [(body, 0.0)]) == expected
    bytewise = [(body[at : at + 1], 0.0) for at in range(len(body))]
    assert sniffed(told, media, bytewise) == expected
