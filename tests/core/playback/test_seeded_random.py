from wiretape.core.playback.seeded_random import draw


def test_a_chance_is_the_same_every_time() -> None:
    assert [draw("a", n) for n in range(3)] == [draw("a", n) for n in range(3)]
    assert draw("a", 0) != draw("b", 0)


def test_chances_are_spread_evenly() -> None:
    drawn = [draw("spread", number) for number in range(10_000)]
    assert min(drawn) >= 0
    assert max(drawn) < 1
    tenths = [sum(1 for n in drawn if int(n * 10) == tenth) for tenth in range(10)]
    assert all(850 < count < 1150 for count in tenths)
