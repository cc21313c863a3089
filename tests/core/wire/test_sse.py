"""Events are cut where they end, wherever the reads were, and no byte is lost."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.core.wire.sse import (
    BOM,
    Event,
    EventSplitter,
    Spelling,
    data_alone,
    encode,
    parse,
    plain_blocks,
    plain_fields,
    spelling,
)


def split(reads: Iterable[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    blocks = [block for data in reads for block in splitter.feed(data)]
    return blocks + splitter.close()


PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\n\n", b"data", b":", b" ", b"a", b": x", BOM, "é".encode()]
)
STREAMS = st.one_of(st.lists(PIECES, max_size=24).map(b"".join), st.binary(max_size=24))


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 60), max_size=8))
def test_blocks_are_the_same_wherever_a_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(stream)]
    reads = [stream[a:b] for a, b in pairwise(places)]
    assert split(reads) == split([stream])


@settings(deadline=None)
@given(STREAMS)
def test_blocks_byte_by_byte_are_those_of_the_whole(stream: bytes) -> None:
    assert split(stream[i : i + 1] for i in range(len(stream))) == split([stream])


READS = st.lists(STREAMS | st.sampled_from([b"a\n\n", b"b\n\n", b"\n", b"b", b""]), max_size=9)


@settings(deadline=None)
@given(READS)
def test_blocks_of_a_whole_stream_are_those_that_are_cut_one_by_one(reads: list[bytes]) -> None:
    blocks = plain_blocks(reads, 99)
    assert blocks is None or list(blocks) == split(reads)
    assert plain_blocks(reads, b"".join(reads).count(b"\n\n")) is None


@pytest.mark.parametrize("reads", [[b"a\n\n", b"\nb\n\n"], [b"\n", b"a\n\n"], [b"a\r\n\r\n"]])
def test_blank_lines_of_their_own_are_left_to_the_splitter(reads: list[bytes]) -> None:
    assert plain_blocks(reads, 99) is None


def test_reads_that_are_blocks_are_not_cut() -> None:
    reads = [b"data: 1\n\n", b": note\n\n"]
    assert plain_blocks(reads, 99) is reads


DATA = st.sampled_from(
    (
        *(b"data: a\n\n", b"data: \n\n", b"data: data: \n\n", b"data: ", b"\n\n", b"a\n\n", b""),
        *(b"data: a\ndata: b\n\n", b"data: a\r\n\n", b"data: a\n\n\n"),
        *(b"data: \xc3\n\n", b"data: \xc3\xa9\n\n"),
    )
)


@settings(deadline=None)
@given(st.lists(DATA | STREAMS, max_size=4))
def test_data_alone_is_what_the_fields_of_each_block_say(blocks: list[bytes]) -> None:
    fields = [plain_fields(block) for block in blocks]
    is_data = all(each is not None and each[:3] == (None, None, None) for each in fields)
    expected = [each[3] for each in fields if each] if is_data and blocks else None
    assert data_alone(blocks) == expected


@settings(deadline=None)
@given(STREAMS)
def test_blocks_joined_are_the_stream(stream: bytes) -> None:
    assert b"".join(split([stream])) == stream


@settings(deadline=None)
@given(STREAMS)
def test_no_block_is_empty_and_only_the_last_may_lack_its_end(stream: bytes) -> None:
    blocks = split([stream])
    assert b"" not in blocks
    ends = (b"\n\n", b"\r\r", b"\n\r", b"\n\r\n", b"\r\n\n", b"\r\n\r", b"\r\n\r\n", b"\r\r\n")
    for block in blocks[:-1]:
        assert block.endswith(ends) or block in (b"\n", b"\r", b"\r\n")


CASES = [
    pytest.param([b"data: a\n\n", b"data: b\n\n"], b"", id="LF"),
    pytest.param([b"data: a\r\n\r\n", b"data: b\r\n\r\n"], b"", id="CRLF"),
    pytest.param([b"data: a\r\r", b"data: b\r\r"], b"", id="CR"),
    pytest.param([b"a\n\r\n", b"b\r\n\n", b"c\r\n\r", b"d\n\r", b"e\r\r\n"], b"", id="mixed"),
    pytest.param([b"\n", b"\r\n", b"data: a\n\n", b"\n", b"\r", b"x\r\n\r\n"], b"", id="blank"),
    pytest.param([BOM + b"data: a\n\n"], b"", id="BOM"),
    pytest.param([b": comment\n\n", b":\n\n"], b"", id="comments"),
    pytest.param([b"event: a\nid: 1\nretry: 5\ndata: x\ndata: y\n\n"], b"", id="fields"),
    pytest.param([b"data: \xff\xfe\n\n"], b"", id="not UTF-8"),
    pytest.param([b"data: a\n\n"], b"data: b\n", id="no blank line at the end"),
    pytest.param([b"data: a\n\n"], b"data: b", id="no line end at the end"),
    pytest.param([], b"data: a\r\n", id="half an event"),
    pytest.param([], b"", id="nothing"),
]


@pytest.mark.parametrize(("blocks", "rest"), CASES)
def test_a_stream_in_one_read_gives_its_blocks(blocks: list[bytes], rest: bytes) -> None:
    splitter = EventSplitter()
    complete = splitter.feed(b"".join(blocks) + rest)
    assert complete + splitter.close() == blocks + [rest][: len(rest)]


@pytest.mark.parametrize(("blocks", "rest"), CASES)
def test_a_stream_byte_by_byte_gives_its_blocks(blocks: list[bytes], rest: bytes) -> None:
    stream = b"".join(blocks) + rest
    assert split(stream[i : i + 1] for i in range(len(stream))) == blocks + [rest][: len(rest)]


@pytest.mark.parametrize(("blocks", "rest"), CASES)
def test_what_follows_a_stream_in_one_read_is_left_over(blocks: list[bytes], rest: bytes) -> None:
    splitter = EventSplitter()
    # After a CR at the end an "x" decides that no LF follows.
    complete = splitter.feed(b"".join(blocks) + b"x")
    assert (complete, splitter.close()) == (blocks, [b"x"])


def test_an_event_is_given_by_the_read_that_completes_it() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n") == []
    assert splitter.feed(b"\ndata: b") == [b"data: a\n\n"]
    assert splitter.feed(b"\n\ndata: c\n\n") == [b"data: b\n\n", b"data: c\n\n"]
    assert splitter.close() == []


def test_a_cr_at_the_end_of_a_read_waits_for_its_lf() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\ndata: b") == [b"data: a\r\n\r\n"]


def test_a_cr_at_the_end_of_a_read_ends_the_event_where_no_lf_follows() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\r\r") == []
    assert splitter.feed(b"data: b\r") == [b"data: a\r\r"]
    assert splitter.feed(b"\r") == []
    assert splitter.close() == [b"data: b\r\r"]


def test_an_lf_at_the_end_of_a_read_ends_the_event_at_once() -> None:
    assert EventSplitter().feed(b"data: a\r\n\n") == [b"data: a\r\n\n"]


def test_an_empty_read_changes_nothing() -> None:
    splitter = EventSplitter()
    assert [splitter.feed(data) for data in (b"", b"data: a\n", b"", b"\n", b"")] == [
        [],
        [],
        [],
        [b"data: a\n\n"],
        [],
    ]


def test_a_closed_splitter_has_nothing_left() -> None:
    splitter = EventSplitter()
    splitter.feed(b"data: a")
    assert (splitter.close(), splitter.close()) == ([b"data: a"], [])


def events(stream: bytes) -> list[Event | None]:
    return [parse(block) for block in split([stream])]


def test_the_standards_first_example_is_three_lines_of_data() -> None:
    assert events(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [Event(data="YHOO\n+2\n10")]


def test_the_standards_second_example_has_four_blocks() -> None:
    stream = (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
    )
    assert events(stream + b"\n\n") == [
        None,
        Event(data="first event", id="1"),
        Event(data="second event", id=""),
        Event(data=" third event"),
    ]


def test_the_standards_third_example_ends_without_a_blank_line() -> None:
    assert split([b"data\n\ndata\ndata\n\ndata:"]) == [b"data\n\n", b"data\ndata\n\n", b"data:"]
    assert events(b"data\n\ndata\ndata\n\n") == [Event(data=""), Event(data="\n")]


def test_the_standards_fourth_example_is_twice_the_same_event() -> None:
    assert events(b"data:test\n\ndata: test\n\n") == [Event(data="test"), Event(data="test")]


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (b"event: ping\ndata: {}\n\n", Event(data="{}", event="ping")),
        (b"event:a\r\nid:2\r\nretry:10\r\ndata:x\r\n\r\n", Event("x", "a", "2", "10")),
        (b"data: a\rdata: b\n\r\n", Event(data="a\nb")),
        (BOM + b"data: a\n\n", Event(data="a")),
        (b"data: a: b\n\n", Event(data="a: b")),
        (b"data:   a \n\n", Event(data="  a ")),
        (b"event: a\nevent: b\ndata: x\n\n", Event(data="x", event="b")),
        (b": comment\ndata: x\nfoo: y\n\n", Event(data="x")),
        (b"Data: x\nid: 1\n\n", Event(id="1")),
        (b" data: x\nretry: 1\n\n", Event(retry="1")),
        ("data: é\u2028\x85\x0b\n\n".encode(), Event(data="é\u2028\x85\x0b")),
    ],
)
def test_the_fields_of(block: bytes, event: Event) -> None:
    assert parse(block) == event


@pytest.mark.parametrize("block", [b"\n", b": ping\n\n", b"foo: bar\n\n", b"data: \xff\n\n", b""])
def test_there_are_no_fields_in(block: bytes) -> None:
    assert parse(block) is None


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6)
FIELDS = st.one_of(st.none(), LINES)
DATA = st.one_of(st.none(), st.lists(LINES, min_size=1, max_size=3).map("\n".join))
EVENTS = st.builds(Event, DATA, FIELDS, FIELDS, FIELDS).filter(lambda event: event != Event())
SPELLINGS = st.builds(Spelling, st.sampled_from(["\n", "\r", "\r\n"]), st.just(True))


@settings(deadline=None)
@given(EVENTS, SPELLINGS)
def test_an_event_that_is_written_reads_the_same(event: Event, spelled: Spelling) -> None:
    assert parse(encode(event, spelled)) == event


@settings(deadline=None)
@given(EVENTS, SPELLINGS)
def test_an_event_that_is_written_is_one_block(event: Event, spelled: Spelling) -> None:
    assert split([encode(event, spelled)]) == [encode(event, spelled)]


@pytest.mark.parametrize(
    "block",
    [
        b"data: a\n\n",
        b"data:a\n\n",
        b"event: x\r\nid: 1\r\nretry: 2\r\ndata: a\r\ndata: b\r\n\r\n",
        b"event:x\rdata:a\r\r",
        b"data: \n\n",
        b"id: 1\n\n",
    ],
)
def test_a_block_spelled_throughout_as_it_begins_comes_back_exactly(block: bytes) -> None:
    event = parse(block)
    assert event is not None
    assert encode(event, spelling(block)) == block


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"data: a\n\n", Spelling("\n", True)),
        (b"data:a\r\n\r\n", Spelling("\r\n", False)),
        (b"data: a\r\r", Spelling("\r", True)),
        (b"data\n\n", Spelling("\n", True)),
        (b"data:", Spelling("\n", False)),
    ],
)
def test_the_spelling_of(block: bytes, expected: Spelling) -> None:
    assert spelling(block) == expected
