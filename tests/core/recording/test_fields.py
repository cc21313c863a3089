"""Members of an untrusted object are checked, and what is wrong is said where it is."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from wiretape.core.errors import FormatError
from wiretape.core.recording.fields import MAX_SECONDS, Members


def message(ask: Callable[[Members], object], values: dict[str, Any], where: str = "at") -> str:
    with pytest.raises(FormatError) as caught:
        ask(Members(values, where))
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (True, "a boolean"),
        ([1], "a list"),
        ({"a": 1}, "an object"),
        (12, "12"),
        (10**100, "1" + 39 * "0"),
    ],
)
def test_a_wrong_type_is_named_by_its_kind(value: object, shown: str) -> None:
    assert message(lambda members: members.text("a"), {"a": value}) == (
        f"at.a: expected text, got {shown}"
    )


def test_a_text_is_not_shown_for_it_may_be_a_secret() -> None:
    assert message(lambda members: members.get("a", int, "a number"), {"a": "sk-secret"}) == (
        "at.a: expected a number, got text"
    )


def test_a_text_that_can_be_no_secret_is_shown_but_not_all_of_it() -> None:
    assert message(lambda members: members.style("a"), {"a": "x" * 50}) == (
        f"at.a: expected a JSON style such as 'compact' or 'spaced+ascii', got '{40 * 'x'}'"
    )


def test_a_member_of_the_document_itself_is_named_alone() -> None:
    assert message(lambda members: members.text("a"), {}, where="") == (
        "a: expected text, got nothing"
    )


def test_true_is_no_number() -> None:
    assert message(lambda members: members.get("a", int, "a number"), {"a": True}) == (
        "at.a: expected a number, got a boolean"
    )


def test_an_object_in_an_object_has_its_place() -> None:
    assert message(lambda members: members.object("b").text("c"), {"b": {"c": 1}}) == (
        "at.b.c: expected text, got 1"
    )


def test_an_item_of_a_list_has_its_place() -> None:
    def ask(members: Members) -> None:
        members.objects("a", "a list")[1].text("b")

    assert message(ask, {"a": [{}, {}]}) == "at.a[1].b: expected text, got nothing"
    assert message(ask, {"a": [{}, 7]}) == "at.a[1]: expected an object, got 7"
    assert message(ask, {"a": {}}) == "at.a: expected a list, got an object"


def test_an_object_without_what_it_needs_names_what_it_has() -> None:
    assert str(Members({"b": 1, "c": 2}, "at").unlike("a")) == (
        "at: expected a, got the members b, c"
    )
    assert str(Members({}, "at").unlike("a")) == "at: expected a, got the members none"


@pytest.mark.parametrize("value", [0, 0.25, 3, MAX_SECONDS])
def test_a_time_is_a_float_of_seconds(value: float) -> None:
    assert Members({"at": value}).seconds("at") == value
    assert type(Members({"at": value}).seconds("at")) is float


def test_a_time_that_is_not_there_is_none() -> None:
    assert Members({}).seconds("at") is None


@pytest.mark.parametrize("value", [-1, MAX_SECONDS + 1, 10**400, math.inf, math.nan])
def test_a_time_out_of_its_range_is_refused(value: float) -> None:
    assert message(lambda members: members.seconds("a"), {"a": value}).startswith(
        "at.a: expected seconds between 0 and a week, got "
    )


@pytest.mark.parametrize("value", [True, "1", []])
def test_a_time_that_is_no_number_is_refused(value: object) -> None:
    assert message(lambda members: members.seconds("a"), {"a": value}).startswith(
        "at.a: expected a number of seconds, got "
    )


def test_base64_is_decoded() -> None:
    assert Members({"a": "AP8="}).base64("a") == b"\x00\xff"


@pytest.mark.parametrize("text", ["A", "AP8", "AP8=\n", " AP8=", "é", "\ud800", "AP8=AP8="])
def test_what_is_not_base64_is_refused(text: str) -> None:
    assert message(lambda members: members.base64("a"), {"a": text}) == (
        "at.a: expected base64 text, got text"
    )


def test_a_side_file_is_read_by_its_name() -> None:
    assert Members({"file": "x.bin"}).file("file", {"x.bin": b"data"}.__getitem__) == b"data"


def test_where_there_are_no_side_files_their_names_are_refused() -> None:
    assert message(lambda members: members.file("file", None), {"file": "x.bin"}) == (
        "at.file: expected a body in the file itself, got text"
    )


def test_a_lone_surrogate_in_a_text_is_three_bytes() -> None:
    assert Members({"a": "é\ud800"}).encoded("a") == b"\xc3\xa9\xed\xa0\x80"
