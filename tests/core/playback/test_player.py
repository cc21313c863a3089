"""Equal requests are answered in the order recorded; `repeat` says what comes after the last."""

import pytest

from wiretape.core.playback.player import Player, Repeat, Turn

TAKES = ["first", "second"]


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ("last", [Turn(0, False), Turn(1, False), Turn(1, True), Turn(1, True)]),
        ("cycle", [Turn(0, False), Turn(1, False), Turn(0, True), Turn(1, True)]),
        ("miss", [Turn(0, False), Turn(1, False), None, None]),
    ],
)
def test_takes_are_given_in_order_and_then_as_repeat_says(
    repeat: Repeat, expected: list[Turn | None]
) -> None:
    player = Player(repeat)
    assert [player.next("key", TAKES) for _ in expected] == expected


def test_keys_have_cursors_of_their_own() -> None:
    player = Player()
    assert player.next("a", TAKES) == Turn(0, False)
    assert player.next("b", TAKES) == Turn(0, False)
    assert player.next("a", TAKES) == Turn(1, False)


def test_a_key_without_takes_has_no_turn() -> None:
    assert Player().next("a", []) is None


def test_reset_starts_every_key_over() -> None:
    player = Player("miss")
    player.next("a", ["only"])
    player.reset()
    assert player.next("a", ["only"]) == Turn(0, False)
