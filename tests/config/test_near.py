"""A hint names what was probably meant."""

from wiretape.config.near import near


def test_a_name_that_is_alike_is_named() -> None:
    assert near("Matc", ["match", "replay"]) == ' (did you mean "match"?)'


def test_nothing_is_said_where_no_name_is() -> None:
    assert near("zzz", ["match", "replay"]) == ""
    assert near("x", []) == ""
