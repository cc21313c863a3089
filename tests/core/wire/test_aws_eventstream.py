"""AWS's event streams are cut at frames, and a frame that is read is written again the same."""

import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.wire.aws_eventstream import Frame, FrameSplitter, HeaderValue, decode, encode

EVENT = Frame(
    {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
    b'{"bytes":"e30="}',
)


def split(reads: Iterable[bytes]) -> list[bytes]:
    splitter = FrameSplitter()
    frames = [frame for data in reads for frame in splitter.feed(data)]
    return frames + splitter.close()


def framed(headers: bytes, payload: bytes = b"") -> bytes:
    """A frame put together by hand, as the specification has it."""
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


VALUES: st.SearchStrategy[HeaderValue] = st.one_of(
    st.text(max_size=8),
    st.booleans(),
    st.integers(-128, 127).map(lambda n: {"byte": n}),
    st.integers(-(2**15), 2**15 - 1).map(lambda n: {"short": n}),
    st.integers(-(2**31), 2**31 - 1).map(lambda n: {"integer": n}),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: {"long": n}),
    st.sampled_from(["", "AAE=", "/w=="]).map(lambda text: {"bytes": text}),
    st.uuids().map(lambda number: {"uuid": str(number)}),
)
FRAMES = st.builds(
    Frame, st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.binary(max_size=40)
)


@settings(deadline=None)
@given(FRAMES)
def test_a_frame_comes_back(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


def test_a_time_comes_back_to_the_millisecond() -> None:
    data = framed(b"\x01t\x08" + struct.pack("!q", 1733333333000))
    assert decode(data) == Frame({"t": {"timestamp": 1733333333000}})


def test_a_frame_is_written_as_the_specification_says() -> None:
    assert encode(Frame({"a": "b", "c": True}, b"xy")) == framed(
        b"\x01a\x07\x00\x01b\x01c\x00", b"xy"
    )


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 400), max_size=8))
def test_frames_are_cut_wherever_the_reads_were(frames: list[Frame], cuts: list[int]) -> None:
    wire = [encode(frame) for frame in frames]
    stream = b"".join(wire)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert split(stream[a:b] for a, b in pairwise(places)) == wire


@settings(deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_no_byte_of_a_stream_that_is_none_is_lost(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert b"".join(split(stream[a:b] for a, b in pairwise(places))) == stream


def test_a_frame_that_is_cut_is_given_at_the_end() -> None:
    wire = encode(EVENT)
    assert split([wire + wire[:-3]]) == [wire, wire[:-3]]


def test_after_lengths_that_are_wrong_each_read_is_given_as_it_came() -> None:
    wire = encode(EVENT)
    assert split([wire, b"\xff" * 12, b"more", wire]) == [wire, b"\xff" * 12, b"more", wire]


def test_a_length_that_no_frame_has_is_not_waited_for() -> None:
    lengths = struct.pack("!II", 2**31, 0)
    head = lengths + struct.pack("!I", zlib.crc32(lengths))
    assert FrameSplitter().feed(head) == [head]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode(EVENT)[:-1], id="cut"),
        pytest.param(encode(EVENT) + b"x", id="more than a frame"),
        pytest.param(encode(EVENT)[:-1] + b"\0", id="wrong checksum"),
        pytest.param(framed(b"\x01a\x00\x01a\x00"), id="a header twice"),
        pytest.param(framed(b"\x01a\x0f"), id="a type that is not known"),
        pytest.param(framed(b"\x01a\x07\xff\xff"), id="a value that is cut"),
        pytest.param(framed(b"\x01a"), id="a header without a value"),
        pytest.param(framed(b"\x01a\x08" + b"\x7f" * 8), id="a time beyond all years"),
        pytest.param(framed(b"\x01\xff\x00"), id="a name that is not UTF-8"),
        pytest.param(struct.pack("!III", 4, 0, zlib.crc32(struct.pack("!II", 4, 0))), id="short"),
    ],
)
def test_what_is_no_frame_is_told(data: bytes) -> None:
    assert decode(data) is None


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        [],
        {},
        {"byte": 128},
        {"byte": "1"},
        {"integer": 2**31},
        {"long": 2**64},
        {"bytes": "?"},
        {"uuid": "x"},
        {"timestamp": 10**30},
        {"byte": 1, "short": 1},
        "x" * 40_000,
        "\ud800",
    ],
)
def test_a_header_that_cannot_be_written_is_refused(value: HeaderValue) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode(Frame({"a": value}))


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="not a frame of an event stream"):
        encode(Frame({"a" * 256: True}))
