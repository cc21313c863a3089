"""JSON text comes back byte for byte, or `read` gives None."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import check_each, in_one_test

from wiretape.core.text import exact_json
from wiretape.core.text.exact_json import (
    MAX_DEPTH,
    Number,
    dumps,
    dumps_each,
    is_style,
    parse,
    read,
    read_compact,
    sorted_dumps,
    style_of,
    unique_keys,
)

LAYOUTS = ["compact", "spaced", "colons", *(f"indent{width}" for width in range(1, 9))]
STYLES = [
    layout + ascii_only + html + newline
    for layout in LAYOUTS
    for ascii_only in ("", "+ascii")
    for html in ("", "+html")
    for newline in ("", "+newline")
]


def is_as_parsed(text: str) -> bool:
    """Whether JSON can hold a text: a high and a low surrogate side by side are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


# Lone surrogates, line separators and what HTML must not hold, more often than by chance.
CHARACTERS = st.one_of(
    st.characters(), st.sampled_from('\ud800\udc00\u2028\u2029<>&\\u003c"\u007f\x00\x08é😀')
)
TEXTS = st.text(CHARACTERS, max_size=8).filter(is_as_parsed)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"-?(0|[1-9][0-9]{0,4})\.[0-9]{1,25}([eE][+-]?[0-9]{1,3})?", fullmatch=True).map(
        Number
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def depth(levels: int) -> str:
    return "[" * levels + "]" * levels


@settings(deadline=None)
@given(VALUES, st.sampled_from(STYLES))
def test_json_in_any_style_is_read_and_written_back_exactly(value: Any, style: str) -> None:
    text = dumps(value, style)
    result = read(text)
    assert result is not None
    assert dumps(*result) == text


@settings(deadline=None)
@given(VALUES, st.sampled_from(STYLES), st.sampled_from(STYLES))
def test_a_hint_never_changes_what_comes_back(value: Any, style: str, hint: str) -> None:
    text = dumps(value, style)
    result = read(text, hint)
    assert result is not None
    assert dumps(*result) == text


@settings(deadline=None)
@given(VALUES, st.sampled_from(STYLES))
def test_every_style_is_json_of_the_same_value(value: Any, style: str) -> None:
    assert json.loads(dumps(value, style)) == json.loads(dumps(value))


@settings(deadline=None)
@given(VALUES, st.sampled_from(STYLES))
def test_every_style_can_be_written_as_utf_8(value: Any, style: str) -> None:
    assert dumps(value, style).encode().decode() == dumps(value, style)


WORDS = [
    "-0",
    "1e5",
    "1E+05",
    "0.10",
    "true",
    "null",
    "NaN",
    '"a"',
    '"\\u00e9"',
    '"\\u00E9"',
    '"\\/"',
]
TOKENS = st.one_of(st.sampled_from("{}[],:1 \n\t\ufeff"), st.sampled_from(WORDS))


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(TOKENS, max_size=12).map("".join)))
def test_any_text_comes_back_exactly_or_is_left_alone(text: str) -> None:
    result = read(text)
    if result is None:
        return
    json.loads(text)
    assert dumps(*result) == text


@settings(deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_json_spaced_at_random_comes_back_exactly_or_is_left_alone(
    value: Any, chance: random.Random
) -> None:
    tokens = "".join(chance.choice(("", "", " ", "\n", "\t")) + c for c in dumps(value, "spaced"))
    result = read(tokens)
    assert result is None or dumps(*result) == tokens


@in_one_test(
    "text, style",
    [
        ('{"a":1,"b":[2,{"c":null}]}', "compact"),
        ('{"a": 1, "b": [2, {"c": null}]}', "spaced"),
        ('{"a": 1,"b": [2,{"c": null}]}', "colons"),
        ('{\n  "a": [\n    1,\n    {}\n  ]\n}', "indent2"),
        ('{\n    "a": []\n}', "indent4"),
        ('{\n  "a": 1\n}\n', "indent2+newline"),
        ('{"a":"\\u00e9"}', "compact+ascii"),
        ('{"a":"é\\u003cb\\u003e\\u0026"}\n', "compact+html+newline"),
        ('{"a":"é\\u2028"}', "compact+html"),
        ('{"a":"\\u00e9\\u003c"}', "compact+ascii+html"),
        ('{"a":"\\u00e9<\\\\u003c"}', "compact+ascii"),
        ('{"a":"\\ud83d\\ude00"}', "compact+ascii"),
        ('{"a":"\\u007f"}', "compact+ascii"),
        ('{"a":"\\ud800é"}', "compact"),
        ('{"a":"\u2028"}', "compact"),
        ('{"seed":10296991816860367000}', "compact"),
        ("[1e0,0.10,1E+2,-0.0,1e400,0.000001,1.0]", "compact"),
        ('{"a":[[[],{}],""]}', "compact"),
        ("null", "compact"),
        ('"text"\n', "compact+newline"),
        ("1", "compact"),
    ],
)
def test_the_style_of(text: str, style: str) -> None:
    assert style_of(text) == style


@in_one_test(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="half"),
        pytest.param("{} {}", id="two texts"),
        pytest.param("\ufeff{}", id="BOM"),
        pytest.param(" {}", id="space before"),
        pytest.param("{}\r\n", id="CRLF after"),
        pytest.param("{}\n\n", id="two line ends after"),
        pytest.param('{"a":1,"a":1}', id="a member twice"),
        pytest.param('{"a":"\\u00E9"}', id="escape in capitals"),
        pytest.param('{"a":"\\/"}', id="escaped slash"),
        pytest.param('{"a":-0}', id="minus zero without a fraction"),
        pytest.param('{"a":1 ,"b":2}', id="space before a comma"),
        pytest.param('{"a":  1}', id="two spaces"),
        pytest.param("NaN", id="NaN"),
        pytest.param("[Infinity]", id="Infinity"),
        pytest.param('["\n"]', id="control character"),
        pytest.param("[01]", id="leading zero"),
        pytest.param("9" * 5000, id="an integer of 5,000 digits"),
        pytest.param(depth(10_000), id="10,000 levels"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="10,000 objects"),
        pytest.param(depth(MAX_DEPTH + 1), id="one level too deep"),
    ],
)
def test_what_no_style_gives_back_is_left_alone(text: str) -> None:
    assert read(text) is None


def test_as_deep_as_json_may_be_it_comes_back_exactly() -> None:
    assert style_of(depth(MAX_DEPTH)) == "compact"


def test_more_brackets_than_levels_are_allowed_are_no_depth() -> None:
    assert style_of("[" + ",".join(["[]"] * 1000) + "]") == "compact"


def test_an_integer_of_4000_digits_comes_back_exactly() -> None:
    text = "9" * 4000
    assert read(text) == (int(text), "compact")


@pytest.mark.parametrize("text", ["1e0", "0.10", "1E+2", "1.50", "1e400", "0.1000000000000000055"])
def test_a_number_keeps_its_spelling_in_every_layout(text: str) -> None:
    for layout in LAYOUTS:
        written = dumps({"a": [parse(text), {"b": parse(text)}], "c": {}}, layout)
        assert written.count(text) == 2
        assert style_of(written) == layout


def test_a_number_is_the_float_that_its_text_says() -> None:
    number = parse("1.50")
    assert (type(number), number, number.text) == (Number, 1.5, "1.50")


def test_a_float_as_python_spells_it_without_an_exponent_is_a_plain_float() -> None:
    assert [type(parse(text)) for text in ("0.5", "0.0001", "1.0", "-0.0")] == [float] * 4


# ------------------------------------------------------------------ msgspec and Python


def outcome(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a function gives, spelled so that each type and each number's text counts; or raises."""
    try:
        return spelled(function(*args, **options))
    except ValueError as error:
        return type(error), str(error)


def spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, spelled(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [spelled(item) for item in value]
    return type(value), value.text if isinstance(value, Number) else repr(value)


def by_python(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The outcome without msgspec."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_json, "_native", lambda: None)
        return outcome(function, *args, **options)


FRAGMENTS = [
    *WORDS,
    "1e16",
    "0.00001",
    "9" * 30,
    '"\\ud800"',
    '"\ud800"',
    '"\\u0000"',
    '"\x01"',
    '":"',
]


@settings(deadline=None)
@given(
    st.one_of(
        VALUES.map(dumps),
        st.tuples(VALUES, st.sampled_from(STYLES)).map(lambda pair: dumps(*pair)),
        st.lists(TOKENS | st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    )
)
def test_msgspec_and_python_read_the_same(text: str) -> None:
    assert outcome(parse, text) == by_python(parse, text)
    assert outcome(read, text) == by_python(read, text)


@settings(deadline=None)
@given(VALUES, st.sampled_from(STYLES))
def test_msgspec_and_python_write_the_same(value: Any, style: str) -> None:
    value = parse(dumps(value))
    assert dumps(value, style, parsed=True) == dumps(value, style)
    assert outcome(dumps, value, style, parsed=True) == by_python(dumps, value, style, parsed=True)


@settings(deadline=None)
@given(VALUES)
def test_members_by_name_are_written_as_python_does(value: Any) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert sorted_dumps(value) == expected
    assert outcome(sorted_dumps, value) == by_python(sorted_dumps, value)


def test_every_character_is_written_as_python_does_where_members_are_by_name() -> None:
    for character in map(chr, range(0x300)):
        value = {f"k{character}": f"a{character}b", "": [0.1, 1e-5, 12e15 + 0.5, 10**30]}
        expected = json.dumps(value, sort_keys=True, separators=(",", ":"))
        assert sorted_dumps(value) == expected
        assert sorted_dumps([character]) == json.dumps([character])


EACH = VALUES | st.sampled_from(["\0\0", ["\0\0", {}], {"\0\0": ",", "a": '", "'}])


@settings(deadline=None)
@given(st.lists(EACH, max_size=4), st.sampled_from((", ", ",\n  ", "é", "")))
def test_many_values_are_written_as_each_is(values: list[Any], between: str) -> None:
    values = [parse(dumps(value)) for value in values]
    expected = between.join(dumps(value, "spaced", parsed=True) for value in values)
    assert dumps_each(values, between) == expected
    assert outcome(dumps_each, values, between) == by_python(dumps_each, values, between)


LINES = st.one_of(
    VALUES.map(dumps),
    st.sampled_from(
        ("", "[1, 2]", "1,2", "[1\n,2]", "[1", "2]", "{}\n", "1.50", "\ud800", depth(MAX_DEPTH + 1))
    ),
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=3) | st.lists(VALUES.map(dumps), max_size=3))
def test_compact_texts_are_read_together_as_each_is(texts: list[str]) -> None:
    each = [read(text) for text in texts]
    values = read_compact(texts)
    if values is None:
        # A surrogate that JSON spells as an escape is for Python alone.
        assert any(
            result is None or result[1] != "compact" or "\\ud" in text
            for result, text in zip(each, texts, strict=True)
        )
    else:
        assert spelled([(value, "compact") for value in values]) == spelled(each)


def test_more_values_than_go_together_are_read_and_written_in_order() -> None:
    texts = [f'{{"a":{number}}}' for number in range(2 * exact_json._TOGETHER + 1)]
    values = read_compact(texts)
    assert values == [{"a": number} for number in range(len(texts))]
    assert dumps_each(values, "\n") == "\n".join(texts).replace(":", ": ")
    assert read_compact([*texts, "[1, 2]"]) is None
    assert read_compact([]) == []
    assert dumps_each([], ", ") == ""


def test_many_values_are_laid_out_at_once() -> None:
    values = [{"a": [1, 2.5], "b": "é"}] * 3
    assert exact_json._each_by_msgspec(values, ", ") == dumps(values, "spaced")[1:-1]
    assert exact_json._each_by_msgspec([*values, "\0\0"], ", ") is None


def test_msgspec_and_python_escape_the_same_characters() -> None:
    characters = [*map(chr, [*range(0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600])]

    def check_escapes(style: str) -> None:
        for character in characters:
            assert dumps(character, style, parsed=True) == dumps(character, style)

    check_each(check_escapes, {style: style for style in STYLES})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_without_an_exponent_is_spelled_alike(value: float) -> None:
    assert dumps(parse(repr(value)), parsed=True) == repr(value)


def test_msgspec_is_used() -> None:
    assert exact_json._native() is not None
    for text in ('{"a":[1,2.5,"é"]}', "[1e0]", "9" * 30):
        assert exact_json._by_msgspec(parse(text), "compact") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "NaN is not JSON (RFC 8259, section 6)"),
        ("[-Infinity]", "-Infinity is not JSON (RFC 8259, section 6)"),
        (depth(10_000), "JSON nested too deeply"),
        (depth(201), "JSON nested deeper than 200 levels"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ],
)
def test_what_is_not_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        parse(text)
    assert str(caught.value) == message


def test_the_depth_that_is_allowed_can_be_set() -> None:
    assert parse("[[[]]]", max_depth=3) == [[[]]]
    with pytest.raises(ValueError, match="deeper than 2 levels"):
        parse("[[[]]]", max_depth=2)


def test_bytes_that_are_not_utf_8_are_not_json() -> None:
    with pytest.raises(UnicodeDecodeError):
        parse(b'"\xff"')


@pytest.mark.parametrize(
    ("text", "unique"),
    [
        ('{"a":1,"b":{"a":1}}', True),
        ('[{"a":1},{"a":1}]', True),
        ('{"a":1,"a":1}', False),
        ('[{"b":{"a":1,"\\u0061":2}}]', False),
        ("1", True),
    ],
)
def test_duplicate_members_are_noticed(text: str, unique: bool) -> None:
    assert unique_keys(text) is unique


@pytest.mark.parametrize("text", ["{", depth(10_000)])
def test_members_are_not_looked_for_in_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|nested"):
        unique_keys(text)


def test_the_name_of_a_style_is_one() -> None:
    assert [style for style in STYLES if not is_style(style)] == []


@pytest.mark.parametrize(
    "style", ["", "Compact", "indent9", "indent", "compact+html+ascii", "spaced ", None, 1, ["a"]]
)
def test_other_names_are_no_styles(style: object) -> None:
    assert not is_style(style)


def test_writing_in_an_unknown_style_is_an_error() -> None:
    with pytest.raises(ValueError, match="'tabs' is not a JSON style"):
        dumps({}, "tabs")


@pytest.mark.parametrize("style", ["compact", "spaced+ascii", "indent2"])
def test_a_float_that_json_does_not_have_is_not_written(style: str) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps([float("inf")], style)
