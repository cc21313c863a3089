import pytest

from wiretape.core.text.located import Location, Problem, Tree, dotted


def test_line_of_an_absent_location_is_that_of_the_nearest_one_around_it() -> None:
    tree = Tree({"a": {"b": 1}}, {(): 1, ("a",): 1, ("a", "b"): 2}, ())
    assert [tree.line(location) for location in [("a", "b"), ("a", "c"), ("z",)]] == [2, 1, 1]
    assert tree.nearest(("a", "b", "c", 0)) == ("a", "b")


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), ""),
        (("redact", "patterns", 0, "regex"), "redact.patterns[0].regex"),
        (("providers", "a b", "hosts"), 'providers."a b".hosts'),
        ((0, "a"), "[0].a"),
        (("a\n" + "b" * 100,), '"a\\n' + "b" * 38 + '"'),
    ],
)
def test_location_is_written_with_dots(location: Location, text: str) -> None:
    assert dotted(location) == text


def test_problem_names_its_location() -> None:
    assert str(Problem(1, ("a",), "wrong")) == "a: wrong"
    assert str(Problem(1, (), "wrong")) == "wrong"
