from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text import located_yaml
from wiretape.core.text.located_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Fault,
    NotYaml,
    Tree,
    parse,
    spelled,
)

ODD_NUMBER = (
    "YAML reads this as a number in an unusual form (octal, base 60, with underscores, infinite);"
    " write plain decimals, or put it in quotes if it is text"
)
UNKNOWN_TAG = "unknown tag (!): write the value without it"


@pytest.fixture(params=["libyaml", "PyYAML"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loaders: PyYAML may have been built without libyaml."""
    if request.param == "PyYAML":
        monkeypatch.setattr(located_yaml, "_Loader", yaml.SafeLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


both_loaders = pytest.mark.usefixtures("loader")


def not_yaml(text: str | bytes) -> tuple[int, int, str]:
    with pytest.raises(NotYaml) as caught:
        parse(text.encode() if isinstance(text, str) else text)
    return caught.value.line, caught.value.column, str(caught.value)


def only_fault(text: str) -> Fault:
    (fault,) = parse(text.encode()).faults
    return fault


# values and their places


@both_loaders
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-1", -1),
        ("0", 0),
        ("1.5", 1.5),
        ("true", True),
        ("off", False),
        ("YES", True),
        ("~", None),
        ("null", None),
        ("", None),
        ("2x", "2x"),
        ("'80'", "80"),
        ('"12:30"', "12:30"),
        ("!!str 80", "80"),
        ("1e3", "1e3"),
        ("=", "="),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
@both_loaders
def test_scalar_is_read(text: str, value: Any) -> None:
    tree = parse(f"a: {text}".encode())
    assert (tree.value, tree.faults) == ({"a": value}, ())
    assert type(tree.value["a"]) is type(value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "---\n", "\ufeff"])
@both_loaders
def test_document_of_nothing_is_none(text: str) -> None:
    tree = parse(text.encode())
    assert (tree.value, tree.faults) == (None, ())


def test_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse("\ufeffa: 1".encode()).value == {"a": 1}


@both_loaders
def test_alias_is_its_anchors_value() -> None:
    tree = parse(b"a: &x [1, 2]\nb: *x\n")
    assert tree.value == {"a": [1, 2], "b": [1, 2]}
    assert tree.line(("b", 1)) == 1


def test_line_of_an_absent_place_is_that_of_the_nearest_one_around_it() -> None:
    tree = parse(b"a:\n  b: 1\n")
    assert [tree.line(place) for place in [("a", "b"), ("a", "c"), ("z",)]] == [2, 1, 1]
    assert tree.nearest(("a", "b", "c", 0)) == ("a", "b")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), ""),
        (("redact", "patterns", 0, "regex"), "redact.patterns[0].regex"),
        (("providers", "a b", "hosts"), 'providers."a b".hosts'),
        ((0, "a"), "[0].a"),
        (("a\n" + "b" * 100,), '"a\\n' + "b" * 38 + '"'),
    ],
)
def test_place_is_spelled(place: located_yaml.Place, text: str) -> None:
    assert spelled(place) == text


def test_fault_names_its_place() -> None:
    assert str(Fault(1, ("a",), "wrong")) == "a: wrong"
    assert str(Fault(1, (), "wrong")) == "wrong"


# faults that leave the rest readable


@pytest.mark.parametrize(
    "text", ["12:30", "010", "0x1F", "1_000", "0b1", "9" * 19, "1:30.5", ".inf", ".nan", "1_0.5"]
)
@both_loaders
def test_number_in_an_unusual_form_is_a_fault(text: str) -> None:
    tree = parse(f"a: 1\nb: {text}\n".encode())
    assert tree.value == {"a": 1, "b": None}
    assert tree.faults == (Fault(2, ("b",), ODD_NUMBER),)


@pytest.mark.parametrize("text", ["2026-11-20", "2026-11-20 17:30:00"])
def test_date_is_a_fault(text: str) -> None:
    fault = only_fault(f"a: {text}")
    assert fault == Fault(1, ("a",), "YAML reads this as a date; put it in quotes")


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [ls]", "!mine x", "!!set {a}", "!!binary YQ=="]
)
@both_loaders
def test_tag_is_a_fault(text: str) -> None:
    assert only_fault(f"a: {text}") == Fault(1, ("a",), UNKNOWN_TAG)


@both_loaders
def test_key_given_twice_is_a_fault_and_the_first_counts() -> None:
    tree = parse(b"a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert tree.value == {"a": {"b": 1, "c": 2}}
    assert tree.faults == (Fault(4, ("a", "b"), "is here twice, first in line 2; keep one"),)


def test_on_is_a_word_where_it_is_a_key() -> None:
    tree = parse(b"on: on")
    assert (tree.value, tree.faults) == ({"on": True}, ())


@pytest.mark.parametrize("key", ["1", "yes", "off", "~", "[a]"])
def test_key_that_is_no_text_is_a_fault(key: str) -> None:
    tree = parse(f"x:\n  {key}: 1\n  a: 2\n".encode())
    assert tree.value == {"x": {"a": 2}}
    assert tree.faults == (Fault(2, ("x",), "expected text as a key; put it in quotes"),)


def test_merge_key_is_a_fault() -> None:
    assert only_fault("a: &x {b: 1}\nc:\n  <<: *x\n") == Fault(
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
@both_loaders
def test_broken_yaml_names_the_line(text: str, line: int) -> None:
    assert not_yaml(text)[0] == line


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="the words are libyaml's")
def test_broken_yaml_says_what_is_wrong_and_in_what() -> None:
    assert not_yaml("a:\n  - b\n  c: d\n") == (
        3,
        3,
        "did not find expected '-' indicator"
        " (while parsing a block collection that begins in line 2)",
    )
    assert not_yaml("a: b: c\n") == (1, 5, "mapping values are not allowed in this context")


@pytest.mark.parametrize(
    "text",
    [
        *("a: *s3cret-key", "a: 's3cret-key", "a: &s3cret-key", "a: %s3cret-key"),
        *("a: !<s3cret-key", "a: !s3cret-key!x 1", "s3cret-key: [", "a: b: s3cret-key"),
        'a: "\\s3cret-key"',
    ],
)
@both_loaders
def test_message_holds_nothing_of_the_text(text: str) -> None:
    try:
        said = [str(fault) for fault in parse(text.encode()).faults]
    except NotYaml as error:
        said = [str(error)]
    assert "s3cr" not in "".join(said)


def test_alias_of_nothing_is_refused() -> None:
    assert not_yaml("a: 1\nb: *x") == (
        2,
        4,
        "an alias (*) of nothing; text that begins so needs quotes",
    )


@both_loaders
def test_second_document_is_refused() -> None:
    assert not_yaml("a: 1\n---\nb: 1\n") == (2, 1, "a second document begins here, expected one")


def test_text_that_is_no_utf8_is_refused() -> None:
    assert not_yaml(b"a: 1\nb: \xff\n") == (2, 1, "expected UTF-8, got the byte 0xff")


@both_loaders
def test_control_character_is_refused() -> None:
    assert not_yaml("a: 1\nb: é\x07\n") == (2, 5, "the character U+0007 is not allowed here")


# limits


def test_longest_document_is_1_mib() -> None:
    assert parse(b"#" * MAX_BYTES).value is None
    assert not_yaml(b"#" * (MAX_BYTES + 1)) == (1, 1, "longer than 1 MiB")


@both_loaders
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
@both_loaders
def test_deeper_document_is_refused(text: str) -> None:
    assert not_yaml(text)[2] == "nested deeper than 50 levels"


@both_loaders
def test_nesting_that_overflows_libyamls_composer_is_refused() -> None:
    # yaml.compose(text, yaml.CSafeLoader) ends the process here.
    text = "[" * 100_000 + "]" * 100_000
    assert not_yaml(text)[2] == "nested deeper than 50 levels"


@both_loaders
def test_list_that_is_too_long_is_refused() -> None:
    assert len(parse(b"- 1\n" * (MAX_NODES - 1)).value) == MAX_NODES - 1
    assert (
        not_yaml(b"- 1\n" * MAX_NODES)[2] == f"more than {MAX_NODES} values, aliases (*) expanded"
    )


@both_loaders
def test_list_without_end_is_refused_before_it_is_read() -> None:
    assert not_yaml(b"- 1\n" * 200_000)[0] == 2 * MAX_NODES


@both_loaders
def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert not_yaml("\n".join(lines))[2] == f"more than {MAX_NODES} values, aliases (*) expanded"


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)


@given(yaml_values)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    tree = parse(yaml.safe_dump(value).encode())
    assert (tree.value, tree.faults) == (value, ())


@given(st.binary() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0").map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_line(data: bytes) -> None:
    try:
        tree = parse(data)
        lines = [tree.lines[fault.place] for fault in tree.faults] + [1]
    except NotYaml as error:
        lines = [error.line]
    assert 1 <= min(lines) <= max(lines) <= len(data) + 1
