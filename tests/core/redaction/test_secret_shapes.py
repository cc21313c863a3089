"""Secrets are known by the shape of a key or by a name beside them."""

from tests.support.keys import KEYS

from wiretape.core.redaction.key_patterns import PATTERNS, Pattern
from wiretape.core.redaction.placeholder import exact_placeholder, placeholder
from wiretape.core.redaction.secret_shapes import Shapes
from wiretape.core.text.regex import Linear

OWN = Pattern("ticket", Linear("TICKET-[0-9]+"))
SHAPED = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"


def test_a_placeholder_names_the_pattern_of_all_of_a_value() -> None:
    shapes = Shapes((*PATTERNS, OWN))
    assert shapes.placeholder(SHAPED) == placeholder("together-key", SHAPED)
    assert shapes.placeholder("TICKET-1") == placeholder("ticket", "TICKET-1")
    assert shapes.placeholder(f"{SHAPED} and more") == placeholder("secret", f"{SHAPED} and more")


def test_every_key_of_a_known_shape_has_a_pattern_to_be_searched_for() -> None:
    shapes = Shapes(PATTERNS)
    for name, key in KEYS:
        assert name in [pattern.name for pattern in shapes.for_text(key, own=False)]
    assert list(shapes.for_text("a plain text", own=False)) == []


def test_the_users_patterns_are_searched_for_only_where_that_is_wanted() -> None:
    shapes = Shapes((*PATTERNS, OWN))
    assert OWN in list(shapes.for_text("a plain text", own=True))
    assert OWN not in list(shapes.for_text("TICKET-1", own=False))


def test_the_users_patterns_make_shorter_runs_worth_a_look() -> None:
    assert Shapes((*PATTERNS, OWN)).shortest < Shapes(PATTERNS).shortest


def test_with_exact_a_value_that_could_be_guessed_is_told_from_any_other() -> None:
    shapes = Shapes((*PATTERNS, OWN), exact=True)
    assert shapes.placeholder("TICKET-1") == exact_placeholder("TICKET-1")
    assert shapes.named("TICKET-1") == exact_placeholder("TICKET-1")
    assert shapes.placeholder("hunter2") == placeholder("secret", "hunter2")
    assert shapes.named("hunter2") == exact_placeholder("hunter2")
    assert Shapes(PATTERNS).named("hunter2") == placeholder("secret", "hunter2")
