"""What moves where when keys change: takes in their order, tokens after their recordings."""

from collections.abc import Mapping, Sequence

import pytest

from wiretape.core.errors import FormatError
from wiretape.core.recording.given_ids import AnswerId
from wiretape.maintenance.rekey import Move, Standing, plan

A, B, C, D = (letter * 12 for letter in "abcd")


def one(
    stem: str,
    key: str,
    at: int = 0,
    ids: Mapping[str, str] | None = None,
    folder: str = "h/e",
    answer_ids: Sequence[AnswerId] = (),
) -> Standing:
    start, _, take = stem.partition(".")
    named = len(start) == 12
    return Standing(
        name=f"{folder}/{stem}.json",
        key=key,
        take=int(take) if named and take else 1,
        token=stem if named else key[:12],
        recorded=at,
        ids=ids or {},
        answer_ids=tuple(answer_ids),
    )


def unasked(name: str, ids: Mapping[str, str]) -> str:
    raise AssertionError(f"{name} has no ids that changed")


def moved(*recordings: Standing, taken: tuple[str, ...] = ()) -> dict[str, str]:
    return {m.old: m.new for m in plan(recordings, unasked, taken)}


def test_what_is_named_by_its_key_stays() -> None:
    assert moved(one(A, A), one(f"{A}.2", A), one(B, B)) == {}


def test_a_recording_whose_key_changed_is_named_by_the_new_one() -> None:
    assert moved(one(A, B)) == {f"h/e/{A}.json": f"h/e/{B}.json"}


def test_takes_keep_their_numbers() -> None:
    assert moved(one(A, B), one(f"{A}.2", B), one(f"{A}.10", B)) == {
        f"h/e/{A}.json": f"h/e/{B}.json",
        f"h/e/{A}.2.json": f"h/e/{B}.2.json",
        f"h/e/{A}.10.json": f"h/e/{B}.10.json",
    }


def test_two_recordings_may_change_places() -> None:
    assert moved(one(A, B), one(B, A)) == {
        f"h/e/{A}.json": f"h/e/{B}.json",
        f"h/e/{B}.json": f"h/e/{A}.json",
    }


def test_takes_of_keys_that_became_one_are_numbered_by_the_time_of_recording() -> None:
    assert moved(one(A, C, 3), one(B, C, 1), one(f"{B}.2", C, 4)) == {
        f"h/e/{B}.json": f"h/e/{C}.json",
        f"h/e/{A}.json": f"h/e/{C}.2.json",
        f"h/e/{B}.2.json": f"h/e/{C}.3.json",
    }


def test_takes_of_one_time_are_numbered_by_their_old_names() -> None:
    assert moved(one(B, C, 2026), one(A, C, 2026)) == {
        f"h/e/{A}.json": f"h/e/{C}.json",
        f"h/e/{B}.json": f"h/e/{C}.2.json",
    }


def test_takes_of_one_old_key_keep_their_order_whatever_they_say_of_their_time() -> None:
    found = moved(one(A, C, 5), one(f"{A}.2", C, 1), one(B, C, 3))
    assert found == {
        f"h/e/{B}.json": f"h/e/{C}.json",
        f"h/e/{A}.json": f"h/e/{C}.2.json",
        f"h/e/{A}.2.json": f"h/e/{C}.3.json",
    }


def test_a_recording_that_joins_a_key_goes_behind_what_is_older() -> None:
    assert moved(one(C, C, 1), one(A, C, 2)) == {f"h/e/{A}.json": f"h/e/{C}.2.json"}


def test_one_take_in_two_folders_becomes_two() -> None:
    here, there = one(A, A, 2), one(A, A, 1, folder="alias/e")
    assert moved(here, there) == {f"h/e/{A}.json": f"h/e/{A}.2.json"}


def test_a_file_named_by_hand_is_named_by_its_key() -> None:
    assert moved(one("weather", A)) == {"h/e/weather.json": f"h/e/{A}.json"}


def test_no_other_file_is_written_over() -> None:
    assert moved(one(A, B), taken=(f"h/e/{B}.json",)) == {f"h/e/{A}.json": f"h/e/{B}.2.json"}


def test_tokens_follow_the_recordings_they_name() -> None:
    later = one(C, C, ids={"resp_1": f"{A}.2#3", "resp_2": f"{B}#0"})
    found = plan((one(f"{A}.2", D), one(B, B), later), lambda name, ids: C)
    assert found == (
        Move(f"h/e/{A}.2.json", f"h/e/{D}.2.json"),
        Move(f"h/e/{C}.json", f"h/e/{C}.json", {"resp_1": f"{D}.2#3", "resp_2": f"{B}#0"}),
    )


def test_a_key_that_depends_on_a_token_changes_with_it_all_along_a_conversation() -> None:
    said = {f"{D}#0": "e" * 12, f"{'e' * 12}#0": "f" * 12}
    second, third = one(B, B, ids={"r1": f"{A}#0"}), one(C, C, ids={"r2": f"{B}#0"})
    found = plan((one(A, D), second, third), lambda name, ids: said[next(iter(ids.values()))])
    assert found == (
        Move(f"h/e/{A}.json", f"h/e/{D}.json"),
        Move(f"h/e/{B}.json", f"h/e/{'e' * 12}.json", {"r1": f"{D}#0"}),
        Move(f"h/e/{C}.json", f"h/e/{'f' * 12}.json", {"r2": f"{'e' * 12}#0"}),
    )


def test_a_token_of_a_recording_that_is_not_there_stays() -> None:
    assert plan((one(A, A, ids={"r": f"{B}#0"}),), unasked) == ()


def test_of_two_recordings_with_one_token_the_one_that_gave_the_id_is_followed() -> None:
    here, there = one(A, A, 2), one(A, A, 1, folder="alias/e")
    later = one(C, C, ids={"r": f"{A}#0"})
    asked = plan(
        (here, there, later), lambda name, ids: C, has_id=lambda name, spelled: name == here.name
    )
    assert asked[-1] == Move(later.name, later.name, {"r": f"{A}.2#0"})


def test_recordings_that_name_one_another_in_a_circle_are_refused() -> None:
    keys = iter(f"{number:012x}" for number in range(100))
    circle = (one(A, D, ids={"x": f"{B}#0"}), one(B, C, ids={"y": f"{A}#0"}))
    with pytest.raises(FormatError, match="in a circle"):
        plan(circle, lambda name, ids: next(keys))


def test_polls_that_name_one_another_become_takes_of_one_key() -> None:
    """As df62e2d recorded them, all within one second."""
    polled = [AnswerId("b", "repeated")]
    polls = [
        one(stem, stem, ids={"b": f"{before}#0"}, answer_ids=polled)
        for stem, before in ((C, B), (B, D), (D, A))
    ]
    created = one(A, A, answer_ids=[AnswerId("b", "created")])
    assert plan((*polls, created), lambda name, ids: D) == (
        Move(f"h/e/{C}.json", f"h/e/{D}.3.json", {"b": f"{A}#0"}),
        Move(f"h/e/{B}.json", f"h/e/{D}.2.json", {"b": f"{A}#0"}),
    )


def test_a_poll_before_the_id_was_given_gives_it_no_origin() -> None:
    polled = [AnswerId("b", "repeated")]
    first = one(A, A, 1, answer_ids=polled)
    second = one(B, B, 2, ids={"b": f"{A}#0"}, answer_ids=polled)
    assert plan((first, second), lambda name, ids: A if not ids else B) == (
        Move(second.name, f"h/e/{A}.2.json", {}),
    )
