"""mitmproxy's own flow files are read, messages of WebSockets too."""

import io
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy import io as flow_io
from mitmproxy.test import tflow

from wiretape.core.errors import FormatError
from wiretape.exchange_formats.foreign import ForeignExchange, LeftOut
from wiretape_mitm import flow_file


def written(*flows: Any) -> io.BytesIO:
    file = io.BytesIO()
    writer = flow_io.FlowWriter(file)
    for flow in flows:
        writer.add(flow)
    file.seek(0)
    return file


def exchange(flow: http.HTTPFlow) -> ForeignExchange:
    (item,) = flow_file.read(written(flow))
    assert isinstance(item, ForeignExchange), item
    return item


def test_a_flow_with_its_times_and_the_bytes_as_they_came() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.headers["content-encoding"] = "gzip"
    flow.response.content = b"plain"
    flow.request.timestamp_start, flow.response.timestamp_start = 100.0, 100.25
    flow.response.timestamp_end = 100.5
    item = exchange(flow)
    assert item.request.url == flow.request.url
    assert item.body == flow.response.raw_content != b"plain"
    assert (item.headers_at, item.end_at, item.outcome) == (0.25, 0.5, "ended")


def test_the_messages_of_a_websocket() -> None:
    item = exchange(tflow.twebsocketflow())
    assert item.status == 101
    assert [(message.sender, message.binary) for message in item.messages] == [
        ("client", True),
        ("client", False),
        ("server", False),
    ]
    assert item.close is not None
    assert item.recorder().finish("ended", 1.0).response.status == 101


def test_what_has_no_answer_or_is_no_http_is_left_out() -> None:
    items = list(flow_file.read(written(tflow.tflow(), tflow.ttcpflow(), tflow.tflow(resp=True))))
    assert [type(item) for item in items] == [LeftOut, LeftOut, ForeignExchange]


@pytest.mark.parametrize("broken", [b"", b"garbage", b"10:12345"])
def test_a_file_that_breaks_is_a_fault_after_what_was_whole(broken: bytes) -> None:
    data = written(tflow.tflow(resp=True)).getvalue()
    items = flow_file.read(io.BytesIO(data + broken + b"5:"))
    assert isinstance(next(items), ForeignExchange)
    with pytest.raises(FormatError, match="after flow 1"):
        next(items)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"9:websocket;", b"9:websockex;"),
        (b"15:timestamp_start;", b"15:timestamp_stars;"),
        (b"946681200", b"9e+300000"),
        (b"11:status_code;", b"11:status_cOde;"),
    ],
)
def test_a_flow_with_a_broken_value_is_a_fault_and_no_traceback(was: bytes, becomes: bytes) -> None:
    data = written(tflow.tflow(resp=True)).getvalue()
    assert was in data
    with pytest.raises(FormatError, match="not mitmproxy's, or broken after flow 0"):
        list(flow_file.read(io.BytesIO(data.replace(was, becomes))))
