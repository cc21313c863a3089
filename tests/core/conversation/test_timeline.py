"""When an answer came, as numbers and as a drawing."""

from tests.support.page_recordings import recording

from wiretape.core.conversation.conversation import conversation
from wiretape.core.conversation.timeline import (
    Moment,
    Timeline,
    at_once,
    facts,
    lengths,
    plot,
    points,
    thinned,
    timeline,
)
from wiretape.core.cost.usage import Usage
from wiretape.core.recording.document import to_exchange


def line_of(words: list[str]) -> Timeline:
    document = recording(words)
    exchange = to_exchange(document)
    line = timeline(document, exchange.response, conversation(document).usage)
    assert line is not None
    return line


def test_each_chunk_has_its_time_its_bytes_and_its_text() -> None:
    line = line_of(["Hel", "lo"])
    assert [(moment.at, moment.text) for moment in line.moments] == [
        (0.2, "Hel"),
        (0.3, "lo"),
        (0.4, ""),
    ]
    assert all(moment.size > 40 for moment in line.moments)
    assert lengths(line.moments) == [3, 5, 5]
    assert (line.first, line.end, line.tokens) == (0.2, 0.4, 2)


def test_thoughts_and_the_arguments_of_calls_are_text_too() -> None:
    document = recording([])
    call = {"index": 0, "function": {"name": "now", "arguments": '{"a":1}'}}
    document["response"]["body"] = [
        {"__data__": {"choices": [{"index": 0, "delta": {"reasoning": "Hm"}}]}, "at": 0.1},
        {"__data__": {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}, "at": 0.2},
    ]
    line = timeline(document, to_exchange(document).response, Usage())
    assert line is not None
    assert [moment.text for moment in line.moments] == ["Hm", '{"a":1}']


def test_an_answer_without_times_has_no_timeline() -> None:
    document = recording(["a", "b"])
    for item in document["response"]["body"]:
        del item["at"]
    assert timeline(document, to_exchange(document).response, Usage()) is None


def test_the_longest_gap_names_the_chunk_that_ended_it() -> None:
    moments = tuple(Moment(at, 1, "x") for at in (0.1, 0.2, 0.9, 1.0))
    line = Timeline(moments=moments, end=1.5, tokens=9)
    assert line.longest is not None
    assert (round(line.longest[0], 3), line.longest[1]) == (0.7, 2)
    assert line.tokens_per_second == 10.0
    assert facts(line) == (
        "first chunk 0.100s, longest gap 0.700s before chunk 3, 10.0 tokens/s, end 1.500s"
    )


def test_one_chunk_has_no_gap_and_no_speed() -> None:
    line = Timeline(moments=(Moment(0.5, 3, "abc"),), end=0.5, tokens=9)
    assert (line.longest, line.tokens_per_second) == (None, None)
    assert facts(line) == "first chunk 0.500s, end 0.500s"


def test_chunks_of_one_read_are_one_moment() -> None:
    moments = [Moment(0.1, 1, "a"), Moment(0.1, 2, "b"), Moment(0.2, 3, "c")]
    assert at_once(moments) == [Moment(0.1, 3, "ab"), Moment(0.2, 3, "c")]


def test_thinning_loses_no_text_and_no_byte() -> None:
    moments = [Moment(number / 10, 2, f"{number},") for number in range(1_001)]
    thin = thinned(moments, 100)
    assert len(thin) <= 100
    assert "".join(m.text for m in thin) == "".join(m.text for m in moments)
    assert sum(m.size for m in thin) == 2_002
    assert thinned(moments[:50], 100) == moments[:50]


def test_a_curve_goes_up_in_steps() -> None:
    assert points([0.5, 1.0], [0.25, 1.0], (100, 40)) == "0,40 50,40 50,30 100,30 100,0"


def test_a_drawing_fits_its_width_and_marks_each_chunk() -> None:
    lines = list(plot(line_of(["ab", "cd", "ef"]), width=20))
    assert max(map(len, lines[:12])) <= 29
    assert lines[0].startswith("      6 ┤")
    marks = lines[10].removeprefix(" chunks │")
    assert marks.count("|") == 4
    assert marks.index("|") == 8  # 0.2 of 0.5 seconds
    assert lines[-1].strip().startswith("first chunk 0.200s")


def test_an_answer_of_no_text_in_no_time_is_drawn_too() -> None:
    assert list(plot(Timeline(moments=(Moment(0.0, 0, ""),), end=0.0), width=10))
