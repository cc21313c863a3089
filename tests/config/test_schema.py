"""config.yaml as it is written: problems have a line, a key and what was expected.

tests/config/test_load.py reads each key in a file.
"""

import pytest

from wiretape.config.schema import File, PatternEntry, check, check_as
from wiretape.core.text.located_yaml import parse


def problems(text: str) -> list[str]:
    return [f"{problem.line}: {problem}" for problem in check(parse(text.encode()))[1]]


def test_a_file_without_problems_is_read() -> None:
    file, found = check(parse(b"pace: recorded\nreplay: {miss_status: 404}\n"))
    assert (file.replay.miss_status, found) == (404, [])


def test_all_problems_are_told_at_once_and_the_defaults_are_given() -> None:
    text = "pace: fast\nreplay:\n  repeat: often\n  statsu: 1\n"
    file, found = check(parse(text.encode()))
    assert file == File()
    assert [problem.line for problem in found] == [1, 3, 4]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("recrod: {}", "1: recrod: unknown key, expected one of: drift, "),
        ("http2: 3", "1: http2: expected true or false"),
        ("record: [1]", "1: record: expected keys with values, got a list"),
        ("match: {rules: {a: 1}}", "1: match.rules: expected a list, in brackets or with a dash"),
        ("listen: {names: [1]}", "1: listen.names[0]: expected text, got a number; put it in quo"),
        ("match:\n  rules:\n  - ignore: [$.x]", "3: match.rules[0].name: missing"),
        ("listen: {port: 8, base_url_port: 8}", "1: listen: expected two different ports"),
        ("version: 2", "1: version: unknown version 2, this wiretape knows 1"),
        ("drift: {rules: [{verdict: benign, change: membr-came}]}", "1: drift.rules[0].change: "),
    ],
)
def test_a_problem_has_its_line_key_and_what_was_expected(text: str, problem: str) -> None:
    (found,) = problems(text)
    assert found.startswith(problem)


def test_of_another_version_nothing_else_is_judged() -> None:
    assert len(problems("version: 2\nnonsense: 1\n")) == 1


def test_a_key_that_is_there_twice_is_one_problem() -> None:
    assert len(problems("pace: recorded\npace: instant\n")) == 1


def test_any_section_can_be_checked_by_itself() -> None:
    tree = parse(b"name: a\nregex: '['\n")
    section, found = check_as(PatternEntry, tree)
    assert section is None
    assert [problem.location for problem in found] == [("regex",)]
    section, found = check_as(PatternEntry, parse(b"name: a\nregex: 'ZZ[0-9]+'\n"))
    assert (section and section.name, found) == ("a", [])
