import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import in_one_test

from wiretape.core.model import Chunk, Response
from wiretape.core.playback.pace import NOMINAL_DELAY, Pace, Schedule

TIMED = Response(
    200,
    chunks=(Chunk(b"a", 0.25), Chunk(b"b", 0.5), Chunk(b"c", 1.0)),
    streaming=True,
    headers_at=0.125,
    end_at=1.5,
)


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("instant", None),
        ("recorded", 1.0),
        ("1x", 1.0),
        ("2x", 2.0),
        ("2X", 2.0),
        ("0.5x", 0.5),
        (".5x", 0.5),
        ("0.01x", 0.01),
        ("1000x", 1000.0),
    ],
)
def test_pace_is_read(text: str, factor: float | None) -> None:
    assert Pace.parse(text) == Pace(factor)


@in_one_test(
    "text",
    [
        *("", "fast", "Instant", "x", "2", "2 x", " 2x", "2x\n"),
        *("-2x", "+2x", "1e2x", "1_0x", "nanx", "2.x", "²x", "٢x"),
    ],
)
def test_what_is_no_pace_is_told_what_is(text: str) -> None:
    message = (
        "expected instant, recorded, a factor such as 2x or a speed such as ttft=0.4,tps=60,"
        f" got {text!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Pace.parse(text)


def test_message_holds_no_more_than_the_start_of_a_long_text() -> None:
    with pytest.raises(ValueError, match=r"got 'a{39}…'$"):
        Pace.parse("a" * 10_000)


@pytest.mark.parametrize("text", ["0x", "0.009x", "1001x", "999999999x"])
def test_factor_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a factor from 0\.01x to 1000x, got "):
        Pace.parse(text)


@pytest.mark.parametrize("text", ["instant", "recorded", "2x", "0.5x", "0.01x", "1000x"])
def test_pace_is_spelled_as_it_was_read(text: str) -> None:
    assert str(Pace.parse(text)) == text


def test_only_instant_is_instant() -> None:
    assert [Pace.parse(text).is_instant for text in ("instant", "recorded", "1000x")] == [
        True,
        False,
        False,
    ]


def test_instant_is_due_at_once() -> None:
    assert Pace.parse("instant").schedule(TIMED) == Schedule(0.0, (0.0, 0.0, 0.0), 0.0)


def test_recorded_is_due_as_it_was_recorded() -> None:
    assert Pace.parse("recorded").schedule(TIMED) == Schedule(0.125, (0.25, 0.5, 1.0), 1.5)


def test_factor_divides_times() -> None:
    assert Pace.parse("2x").schedule(TIMED) == Schedule(0.0625, (0.125, 0.25, 0.5), 0.75)
    assert Pace.parse("0.5x").schedule(TIMED) == Schedule(0.25, (0.5, 1.0, 2.0), 3.0)


def test_chunks_without_times_come_one_nominal_delay_apart() -> None:
    timeless = Response(200, chunks=(Chunk(b"a"), Chunk(b"b")), streaming=True)
    assert Pace.parse("recorded").schedule(timeless) == Schedule(
        NOMINAL_DELAY, (NOMINAL_DELAY, 2 * NOMINAL_DELAY), 2 * NOMINAL_DELAY
    )


def test_nominal_delay_is_divided_too() -> None:
    timeless = Response(200, chunks=(Chunk(b"a"),))
    assert Pace.parse("4x").schedule(timeless) == Schedule(
        NOMINAL_DELAY / 4, (NOMINAL_DELAY / 4,), NOMINAL_DELAY / 4
    )


def test_chunk_without_a_time_comes_a_nominal_delay_after_the_one_before() -> None:
    chunks = (Chunk(b"a", 0.5), Chunk(b"b"), Chunk(b"c", 0.75))
    response = Response(200, chunks=chunks, streaming=True, headers_at=0.25, end_at=0.75)
    assert Pace(1.0).schedule(response) == Schedule(0.25, (0.5, 0.5 + NOMINAL_DELAY, 0.75), 0.75)


def test_headers_without_a_time_leave_with_the_first_chunk() -> None:
    response = Response(200, chunks=(Chunk(b"a", 0.5), Chunk(b"b", 0.75)), streaming=True)
    assert Pace(1.0).schedule(response) == Schedule(0.5, (0.5, 0.75), 0.75)


def test_answer_without_a_body_has_headers_and_an_end() -> None:
    assert Pace(1.0).schedule(Response(204, headers_at=0.5, end_at=0.625)) == Schedule(
        0.5, (), 0.625
    )
    assert Pace(1.0).schedule(Response(204)) == Schedule(0.0, (), 0.0)


def test_times_that_run_backwards_are_held() -> None:
    chunks = (Chunk(b"a", 0.5), Chunk(b"b", 0.25), Chunk(b"c", 1.0))
    response = Response(200, chunks=chunks, streaming=True, headers_at=0.75, end_at=0.125)
    assert Pace(1.0).schedule(response) == Schedule(0.75, (0.75, 0.75, 1.0), 1.0)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_time_counts_as_not_measured(at: float) -> None:
    response = Response(200, chunks=(Chunk(b"a", at),), headers_at=at, end_at=at)
    assert Pace(1.0).schedule(response) == Schedule(NOMINAL_DELAY, (NOMINAL_DELAY,), NOMINAL_DELAY)


times = st.none() | st.floats(min_value=-1e6, max_value=1e6)


@given(times, st.lists(times), times, st.none() | st.floats(min_value=0.01, max_value=1000))
def test_schedule_never_runs_backwards(
    headers_at: float | None, ats: list[float | None], end_at: float | None, factor: float | None
) -> None:
    chunks = tuple(Chunk(b"x", at) for at in ats)
    response = Response(200, chunks=chunks, headers_at=headers_at, end_at=end_at)
    due = Pace(factor).schedule(response)
    parts = [0.0, due.headers, *due.chunks, due.end]
    assert parts == sorted(parts)
    assert len(due.chunks) == len(chunks)


@pytest.mark.parametrize(
    ("text", "pace"),
    [
        ("ttft=0.4,tps=60", Pace(ttft=0.4, tps=60.0)),
        ("ttft=400ms", Pace(ttft=0.4)),
        ("ttft=1s, tps=.5", Pace(ttft=1.0, tps=0.5)),
        ("tps=60,jitter=0.2,seed=7", Pace(tps=60.0, jitter=0.2, seed=7)),
    ],
)
def test_a_models_speed_is_read(text: str, pace: Pace) -> None:
    assert Pace.parse(text) == pace
    assert Pace.parse(str(pace)) == pace
    assert not pace.is_instant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ttft=", "expected ttft=SECONDS"),
        ("ttft=1,ttft=2", "each once"),
        ("speed=3", "got 'speed=3'"),
        ("jitter=0.2", "expected ttft=SECONDS or tps=CHUNKS A SECOND"),
        ("tps=0", "expected tps from 0.01 to 100000"),
        ("tps=1,jitter=2", "expected jitter from 0 to 1"),
        ("ttft=9999", "expected ttft from 0 to 3600"),
        ("tps=-1", "got 'tps=-1'"),
    ],
)
def test_a_speed_that_is_none_is_told(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Pace.parse(text)


def test_chunks_leave_at_a_models_speed_whatever_was_recorded() -> None:
    schedule = Pace.parse("ttft=0.5,tps=10").schedule(TIMED)
    assert schedule.headers == 0.5
    assert schedule.chunks == pytest.approx((0.5, 0.6, 0.7))
    assert schedule.end == pytest.approx(0.7)


def test_without_a_speed_the_gaps_are_the_recorded_ones() -> None:
    schedule = Pace.parse("ttft=2").schedule(TIMED)
    assert schedule == Schedule(1.875, (2.0, 2.25, 2.75), 3.25)


def test_without_a_first_time_the_first_chunk_comes_as_recorded() -> None:
    assert Pace.parse("tps=4").schedule(TIMED).chunks == (0.25, 0.5, 0.75)


def test_jitter_is_the_same_every_time_and_another_by_another_seed() -> None:
    many = Response(200, chunks=tuple(Chunk(b"x", 0.0) for _ in range(100)), streaming=True)
    first = Pace.parse("tps=50,jitter=0.5,seed=1").schedule(many)
    assert first == Pace.parse("tps=50,jitter=0.5,seed=1").schedule(many)
    assert first != Pace.parse("tps=50,jitter=0.5,seed=2").schedule(many)
    gaps = [b - a for a, b in zip(first.chunks, first.chunks[1:], strict=False)]
    assert min(gaps) >= 0.01 - 1e-9
    assert max(gaps) <= 0.03 + 1e-9
    assert len(set(gaps)) > 90


@pytest.mark.parametrize("text", ["ttft=1", "tps=2", "ttft=0,tps=1,jitter=1"])
def test_an_answer_without_a_body_has_a_schedule_at_any_speed(text: str) -> None:
    schedule = Pace.parse(text).schedule(Response(204, headers_at=0.1, end_at=0.2))
    assert schedule.chunks == ()
    assert 0 <= schedule.headers <= schedule.end
