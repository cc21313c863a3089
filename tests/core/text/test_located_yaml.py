import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import in_one_test

from wiretape.core.text import located_yaml
from wiretape.core.text.located import MAX_BYTES, NotYaml, Problem, Tree
from wiretape.core.text.located_yaml import MAX_DEPTH, MAX_NODES, parse

ODD_NUMBER = (
    "YAML reads this as a number in an unusual form (octal, with underscores, infinite);"
    " write plain decimals, or put it in quotes if it is text"
)
UNKNOWN_TAG = "unknown tag (!): write the value without it"


def not_yaml(text: str | bytes) -> tuple[int, int, str]:
    with pytest.raises(NotYaml) as caught:
        parse(text.encode() if isinstance(text, str) else text)
    return caught.value.line, caught.value.column, str(caught.value)


def only_fault(text: str) -> Problem:
    (fault,) = parse(text.encode()).problems
    return fault


# values and their places


def test_values_have_lines() -> None:
    text = b"# a file\nport: 80\nhosts:\n  - a\n  - b: {c: true}\n"
    assert parse(text) == Tree(
        {"port": 80, "hosts": ["a", {"b": {"c": True}}]},
        {
            (): 2,
            ("port",): 2,
            ("hosts",): 3,
            ("hosts", 0): 4,
            ("hosts", 1): 5,
            ("hosts", 1, "b"): 5,
            ("hosts", 1, "b", "c"): 5,
        },
        (),
    )


@in_one_test(
    "text, value",
    [
        ("80", 80),
        ("-1", -1),
        ("0", 0),
        ("1.5", 1.5),
        ("true", True),
        ("True", True),
        ("off", "off"),
        ("on", "on"),
        ("YES", "YES"),
        ("12:30", "12:30"),
        ("1:30.5", "1:30.5"),
        ("2026-11-20", "2026-11-20"),
        ("2026-11-20 17:30:00", "2026-11-20 17:30:00"),
        ("1.10.2", "1.10.2"),
        ("~", None),
        ("null", None),
        ("", None),
        ("2x", "2x"),
        ("'80'", "80"),
        ('"12:30"', "12:30"),
        ("!!str 80", "80"),
        ("1e3", 1000.0),
        ("=", "="),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalar_is_read(text: str, value: Any) -> None:
    tree = parse(f"a: {text}".encode())
    assert (tree.value, tree.problems) == ({"a": value}, ())
    assert type(tree.value["a"]) is type(value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "---\n", "\ufeff"])
def test_document_of_nothing_is_none(text: str) -> None:
    tree = parse(text.encode())
    assert (tree.value, tree.problems) == (None, ())


def test_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse("\ufeffa: 1".encode()).value == {"a": 1}


def test_alias_is_its_anchors_value() -> None:
    tree = parse(b"a: &x [1, 2]\nb: *x\n")
    assert tree.value == {"a": [1, 2], "b": [1, 2]}
    assert tree.line(("b", 1)) == 1


# faults that leave the rest readable


@pytest.mark.parametrize(
    "text", ["010", "0o10", "0x1F", "1_000", "0b1", "9" * 19, ".inf", ".nan", "1_0.5", "1e400"]
)
def test_number_in_an_unusual_form_is_a_fault(text: str) -> None:
    tree = parse(f"a: 1\nb: {text}\n".encode())
    assert tree.value == {"a": 1, "b": None}
    assert tree.problems == (Problem(2, ("b",), ODD_NUMBER),)


def test_a_document_that_asks_for_yaml_1_1_gets_its_numbers_refused_and_its_words_as_text() -> None:
    tree = parse(b"%YAML 1.1\n---\non: yes\ntime: 12:30\n")
    assert tree.value == {"on": "yes", "time": None}
    assert tree.problems == (Problem(4, ("time",), ODD_NUMBER),)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [ls]", "!mine x", "!!set {a}", "!!binary YQ=="]
)
def test_tag_is_a_fault(text: str) -> None:
    assert only_fault(f"a: {text}") == Problem(1, ("a",), UNKNOWN_TAG)


def test_key_given_twice_is_a_fault_and_the_first_counts() -> None:
    tree = parse(b"a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert tree.value == {"a": {"b": 1, "c": 2}}
    assert tree.problems == (Problem(4, ("a", "b"), "is here twice, first in line 2; keep one"),)


@pytest.mark.parametrize("key", ["on", "yes", "Off", "12:30", "2026-11-20"])
def test_a_word_that_yaml_1_1_took_for_a_value_is_a_key(key: str) -> None:
    tree = parse(f"{key}: 1".encode())
    assert (tree.value, tree.problems) == ({key: 1}, ())


@pytest.mark.parametrize("key", ["1", "true", "1.5", "~", "[a]"])
def test_key_that_is_no_text_is_a_fault(key: str) -> None:
    tree = parse(f"x:\n  {key}: 1\n  a: 2\n".encode())
    assert tree.value == {"x": {"a": 2}}
    assert tree.problems == (Problem(2, ("x",), "expected text as a key; put it in quotes"),)


def test_merge_key_is_a_fault() -> None:
    assert only_fault("a: &x {b: 1}\nc:\n  <<: *x\n") == Problem(
        3, ("c",), "merge keys (<<) are not known here; write the keys out"
    )


# what is no YAML at all


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 'x", 1),
        ("a: 1\nb: c: d\n", 2),
        ("a:\n\tb: 1\n", 2),
        ("a: [1,\n  b: }", 2),
        ("- a\nb: 1\n", 2),
        ("%YAML 3.0\n---\na: 1", 1),
        ("a: 1\nb: @x", 2),
    ],
)
def test_broken_yaml_names_the_line(text: str, line: int) -> None:
    assert not_yaml(text)[0] == line


def test_broken_yaml_says_what_is_wrong_and_in_what() -> None:
    assert not_yaml("a:\n  - b\n  c: d\n") == (
        3,
        3,
        "expected <block end>, but found '?'"
        " (while parsing a block collection that begins in line 2)",
    )
    assert not_yaml("a: b: c\n") == (1, 5, "mapping values are not allowed here")


@pytest.mark.parametrize(
    "text",
    [
        *("a: *s3cret-key", "a: 's3cret-key", "a: &s3cret-key", "a: %s3cret-key"),
        *("a: !<s3cret-key", "a: !s3cret-key!x 1", "s3cret-key: [", "a: b: s3cret-key"),
        'a: "\\s3cret-key"',
    ],
)
def test_message_holds_nothing_of_the_text(text: str) -> None:
    try:
        messages = [str(fault) for fault in parse(text.encode()).problems]
    except NotYaml as error:
        messages = [str(error)]
    assert "s3cr" not in "".join(messages)


def test_alias_of_nothing_is_refused() -> None:
    assert not_yaml("a: 1\nb: *x") == (
        2,
        4,
        "an alias (*) of nothing; text that begins so needs quotes",
    )


def test_second_document_is_refused() -> None:
    assert not_yaml("a: 1\n---\nb: 1\n") == (2, 1, "a second document begins here, expected one")


def test_text_that_is_no_utf8_is_refused() -> None:
    assert not_yaml(b"a: 1\nb: \xff\n") == (2, 1, "expected UTF-8, got the byte 0xff")


def test_control_character_is_refused() -> None:
    assert not_yaml("a: 1\nb: é\x07\n") == (2, 5, "the character U+0007 is not allowed here")


# limits


def test_longest_document_is_1_mib() -> None:
    assert parse(b"#" * MAX_BYTES).value is None
    assert not_yaml(b"#" * (MAX_BYTES + 1)) == (1, 1, "longer than 1 MiB")


def test_deepest_document_is_read() -> None:
    tree = parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    depth = 0
    while tree.value:
        tree = Tree(tree.value[0], {}, ())
        depth += 1
    assert depth == MAX_DEPTH - 1


@pytest.mark.parametrize(
    "text", ["[" * 51 + "1" + "]" * 51, "- " * 10_000 + "a", "&a [*a]", "x: &a {b: {c: *a}}"]
)
def test_deeper_document_is_refused(text: str) -> None:
    assert not_yaml(text)[2] == "nested deeper than 50 levels"


def test_nesting_that_recursion_cannot_follow_is_refused() -> None:
    text = "[" * 100_000 + "]" * 100_000
    assert not_yaml(text)[2] == "nested deeper than 50 levels"


def test_list_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(located_yaml, "MAX_NODES", 100)
    assert len(parse(b"- 1\n" * 99).value) == 99
    assert not_yaml(b"- 1\n" * 100)[2] == f"more than {MAX_NODES} values, aliases (*) expanded"


def test_list_without_end_is_refused_before_it_is_read() -> None:
    assert not_yaml(b"- 1\n" * 200_000)[0] == 2 * MAX_NODES


def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert not_yaml("\n".join(lines))[2] == f"more than {MAX_NODES} values, aliases (*) expanded"


KEYS = st.text(max_size=100)
yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(KEYS, values, max_size=4),
    max_leaves=12,
)


def _escaped(character: re.Match[str]) -> str:
    return f"\\U{ord(character[0]):08x}"


@given(yaml_values)
def test_json_is_read_as_it_is(value: Any) -> None:
    # YAML's escapes are of code points: JSON's surrogate pairs are not.
    text = re.sub(r"[^ -~]", _escaped, json.dumps(value, ensure_ascii=False))
    tree = parse(text.encode())
    assert (tree.value, tree.problems) == (value, ())


@given(st.binary() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0").map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_line(data: bytes) -> None:
    try:
        tree = parse(data)
        lines = [tree.lines[problem.location] for problem in tree.problems] + [1]
    except NotYaml as error:
        lines = [error.line]
    assert 1 <= min(lines) <= max(lines) <= len(data) + 1
