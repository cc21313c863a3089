"""Equal requests are answered in the order recorded; `repeat` says what comes after the last."""

from dataclasses import dataclass

import pytest

from wiretape.core.playback.player import Pick, Player, Repeat, TakeOrder


@dataclass(frozen=True)
class Taken:
    """A take, by its name."""

    name: str


def takes(*names: str) -> list[Taken]:
    return [Taken(name) for name in names]


TAKES = takes("first", "second")


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ("last", [Pick(0, False), Pick(1, False), Pick(1, True), Pick(1, True)]),
        ("cycle", [Pick(0, False), Pick(1, False), Pick(0, True), Pick(1, True), Pick(0, True)]),
        ("miss", [Pick(0, False), Pick(1, False), None, None]),
    ],
)
def test_takes_are_given_in_order_and_then_as_repeat_says(
    repeat: Repeat, expected: list[Pick | None]
) -> None:
    player = Player(repeat)
    assert [player.next("key", TAKES) for _ in expected] == expected


def test_keys_have_cursors_of_their_own() -> None:
    player, other = Player(), takes("third", "fourth")
    assert player.next("a", TAKES) == Pick(0, False)
    assert player.next("b", other) == Pick(0, False)
    assert player.next("a", TAKES) == Pick(1, False)


def test_a_recording_is_given_once_however_it_is_found() -> None:
    player, more = Player(), takes("first", "second", "third")
    assert player.next("a", more) == Pick(0, False)
    assert player.next("b", TAKES) == Pick(1, False)
    assert player.next("a", more) == Pick(2, False)
    assert player.next("b", TAKES) == Pick(1, True)
    assert player.upcoming("a", more) == 3


def test_what_was_recorded_earlier_is_not_given_later() -> None:
    player, more = Player(), takes("first", "second", "third", "fourth")
    assert player.next("late", more[2:3]) == Pick(0, False)
    assert player.next("all", more) == Pick(3, False)


def test_takes_that_came_or_went_leave_the_cursor_where_it_is() -> None:
    player = Player("miss")
    player.next("a", TAKES)
    assert player.next("a", takes("zeroth", "first", "second", "third")) == Pick(2, False)
    assert player.next("a", takes("second", "third")) == Pick(1, False)
    assert player.next("a", takes("second", "third")) is None
    assert player.next("a", takes("second", "third", "fourth")) == Pick(2, False)


def test_an_outage_is_not_given_for_ever() -> None:
    player = Player()
    bad = frozenset((1,))
    picks = [player.next("a", TAKES, lambda take: take not in bad) for _ in range(4)]
    assert picks == [Pick(0, False), Pick(1, False), Pick(0, True), Pick(0, True)]


def test_a_key_without_takes_has_no_pick() -> None:
    assert Player().next("a", []) is None
    assert Player().upcoming("a", []) == 0


def test_reset_starts_every_key_over() -> None:
    player = Player("miss")
    player.next("a", takes("only"))
    player.reset()
    assert player.next("a", takes("only")) == Pick(0, False)


def test_many_takes_are_given_in_linear_time() -> None:
    """Each take is looked at once when the takes come, not at each request."""
    looked = 0

    class Counted:
        def __init__(self, name: str) -> None:
            self._name = name

        @property
        def name(self) -> str:
            nonlocal looked
            looked += 1
            return self._name

    player, many = Player(), [Counted(f"{number}") for number in range(1500)]
    odd = many[::2]
    for _ in range(1500):
        player.next("all", many)
        player.next("odd", odd)
    assert looked < 20 * len(many)


def test_the_takes_that_answered_least_often_come_first() -> None:
    order = TakeOrder()
    assert order.order(["a", "b", "c"], 1) == ["b", "c", "a"]
    order.used("b")
    assert order.order(["a", "b", "c"], 1) == ["c", "a", "b"]
    order.reset()
    assert order.order(["a", "b", "c"]) == ["a", "b", "c"]
