"""What changes from run to run becomes a numbered name, and nothing else changes."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.config.rule_entry import finder, normaliser
from wiretape.core.matching.normalise import (
    Names,
    edited,
    is_id_name,
    is_id_place,
    leaves,
    normalised,
    nulls,
    others,
    path_with_tokens,
    shown,
    without,
)

UUIDS = [f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc"]


def changed(value: Any, *entries: Any) -> Any:
    """A value after changes, with names as a reader sees them."""
    names = Names()
    value = deepcopy(value)
    for entry in entries:
        value = normalised(value, normaliser(entry), names, lambda _place, _raw: None)

    def readable(item: Any) -> Any:
        if isinstance(item, dict):
            return {name: readable(one) for name, one in item.items()}
        if isinstance(item, list):
            return [readable(one) for one in item]
        return shown(item) if isinstance(item, str) else item

    return readable(value)


def test_a_uuid_is_named_by_its_first_appearance_in_any_case() -> None:
    a, b, _ = UUIDS
    assert changed({"z": f"{b} {a.upper()}", "a": [f"call_{a}", b]}, "uuids") == {
        "a": ["call_<uuid-1>", "<uuid-2>"],
        "z": "<uuid-2> <uuid-1>",
    }


def test_names_do_not_depend_on_the_order_of_members() -> None:
    one = {"b": UUIDS[0], "a": UUIDS[1], "c": UUIDS[0]}
    assert changed(one, "uuids") == changed(dict(sorted(one.items())), "uuids")


@pytest.mark.parametrize(
    "text",
    [
        "aaaaaaaa-1111-4111-8111-11111111111",
        "aaaaaaaa-1111-4111-8111-1111111111111",
        "xaaaaaaaa-1111-4111-8111-111111111111",
        "aaaaaaaa1111411181111111111111111",
        "",
    ],
)
def test_what_resembles_a_uuid_stays(text: str) -> None:
    assert changed([text], "uuids") == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Today is 2026-11-20.", "Today is <date-1>."),
        ("2026-11-20T17:30:00Z", "<date-1>"),
        ("2026-11-20T17:30:00.123456+01:00", "<date-1>"),
        ("at 2026-11-20 17:30:00 +0100, then", "at <date-1>, then"),
        ("20261120T173000Z", "<date-1>"),
        ("2026-11-20 2026-11-21 2026-11-20", "<date-1> <date-2> <date-1>"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("2026-13-20", "2026-13-20"),
        ("2026-11-32", "2026-11-32"),
        ("12026-11-20", "12026-11-20"),
        ("20261120", "20261120"),
        ("17:30", "17:30"),
    ],
)
def test_dates_of_iso_8601_are_named_and_models_are_not(text: str, expected: str) -> None:
    assert changed(text, "dates") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cd /tmp/tmpk2f9_x/repo && ls", "cd <path-1>/repo && ls"),
        ("See /tmp/abc.", "See <path-1>."),
        ("/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/tmp1/a", "<path-1>/a"),
        ("/private/var/folders/zz/zyx/T/tmp1", "<path-1>"),
        ("/tmp/pytest-of-me/pytest-12/test_a0/f", "<path-1>/test_a0/f"),
        (r"C:\Users\me\AppData\Local\Temp\tmp1\f", r"<path-1>\f"),
        ("file:///tmp/a1/f", "file://<path-1>/f"),
        ("/data/tmp/x", "/data/tmp/x"),
        ("/tmp", "/tmp"),
        ("/tmpfs/x", "/tmpfs/x"),
    ],
)
def test_a_temporary_folder_is_named_and_what_is_in_it_is_not(text: str, expected: str) -> None:
    assert changed(text, "temporary-paths") == expected


def test_ids_are_numbered_at_their_places_and_the_second_is_not_the_first() -> None:
    entry = {"with": "ids", "at": ["$.calls[*].id", "$.answer"]}
    body = {"calls": [{"id": "x"}, {"id": "y"}], "answer": "y", "other": "x"}
    assert changed(body, entry) == {
        "calls": [{"id": "<id-2>"}, {"id": "<id-1>"}],
        "answer": "<id-1>",
        "other": "x",
    }


def test_ids_without_places_are_what_members_call_so() -> None:
    body = {"id": "a", "file_ids": ["b", "a"], "userId": "c", "name": "a", "count_id": 5}
    assert changed(body, "ids") == {
        "id": "<id-2>",
        "file_ids": ["<id-1>", "<id-2>"],
        "userId": "<id-3>",
        "name": "a",
        "count_id": 5,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("id", "ids", "call_id", "file_ids", "toolUseId", "fileIds")),
        *((name, False) for name in ("grid", "ID", "idea", "identity", "Id", "kids", "")),
    ],
)
def test_members_that_hold_ids_are_named_so(name: str, expected: bool) -> None:
    assert is_id_name(name) is expected


def test_an_item_is_in_the_place_of_its_list() -> None:
    assert is_id_place(("file_ids", 0))
    assert is_id_place(("container",), frozenset({"container"}))
    assert not is_id_place((0,))
    assert not is_id_place(("ids", "text"))


def test_a_find_becomes_another_text() -> None:
    entry = {"regex": "run [0-9]+", "replace": "run N", "at": ["$.a"]}
    assert changed({"a": ["run 1, run 22", 5], "b": "run 3"}, entry) == {
        "a": ["run N, run N", 5],
        "b": "run 3",
    }


@pytest.mark.parametrize(
    ("number", "digits", "expected"),
    [
        (0.7001, 2, 0.7),
        (1.999, 2, 2),
        (1.5, 0, 2),
        (12, 1, 12),
        (True, 0, True),
        ("0.7001", 2, "0.7001"),
    ],
)
def test_numbers_with_a_fraction_are_rounded(number: Any, digits: int, expected: Any) -> None:
    rounded = changed({"a": number}, {"round": digits, "at": ["$.a"]})["a"]
    assert (rounded, type(rounded)) == (expected, type(expected))


def test_a_set_has_no_order_but_counts_what_is_there_twice() -> None:
    entry = {"sorted": ["$.a"]}
    assert changed({"a": ["b", 1, "a", True, "b"], "c": [2, 1]}, entry) == {
        "a": ["a", "b", "b", 1, True],
        "c": [2, 1],
    }


def test_true_and_one_in_a_set_have_an_order_of_their_own() -> None:
    entry = {"sorted": ["$.a"]}
    assert str(changed({"a": [True, 1]}, entry)) == str(changed({"a": [1, True]}, entry))


def test_sets_in_a_set_are_sorted_first() -> None:
    entry = {"sorted": ["$.a", "$.a[*].b"]}
    one = {"a": [{"b": [2, 1]}, {"b": [1, 1]}]}
    other = {"a": [{"b": [1, 1]}, {"b": [1, 2]}]}
    assert changed(one, entry) == changed(other, entry)


def test_a_place_that_is_there_twice_is_changed_once() -> None:
    entry = {"with": "uuids", "at": ["$.a", "$.a.b"]}
    assert changed({"a": {"b": UUIDS[0]}}, entry) == {"a": {"b": "<uuid-1>"}}


def test_what_was_touched_is_told_with_what_was_there() -> None:
    told: list[Any] = []
    value = {"a": [f"x {UUIDS[0]}", "y"]}
    normalised(value, normaliser("uuids"), Names(), lambda *seen: told.append(seen))
    assert told == [(("a", 0), f"x {UUIDS[0]}")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/responses/resp_1", ("/v1/responses/\0K#0\0", "/v1/responses/*")),
        ("/v1/resp_1/input_items", ("/v1/\0K#0\0/input_items", "/v1/*/input_items")),
        ("/v1beta/files/abc:download", ("/v1beta/\0K#1\0:download", "/v1beta/*:download")),
        ("/v1/responses/resp_12", ("/v1/responses/resp_12",) * 2),
        ("/v1/xresp_1", ("/v1/xresp_1",) * 2),
    ],
)  # fmt: skip
def test_an_id_in_a_path_is_a_segment_of_it(path: str, expected: tuple[str, str]) -> None:
    assert path_with_tokens(path, {"resp_1": "K#0", "files/abc": "K#1", "abc": "K#2"}) == expected


def test_what_no_place_leads_to_is_told_from_the_outside() -> None:
    value = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    assert sorted(others(value, [("a", "b")])) == [("a", "c"), ("e",)]
    assert others(value, []) == [()]
    assert others({}, []) == []
    assert others(value, [()]) == []


def test_nulls_are_members_and_never_items() -> None:
    value = {"a": None, "b": [None, {"c": None}], "d": {"e": None}}
    assert nulls(value, ()) == {("a",), ("b", 1, "c"), ("d", "e")}
    assert nulls(value, [finder("$.d"), finder("$.a")]) == {("d", "e"), ("a",)}


VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["x", *UUIDS, "2026-11-20", "/tmp/a/b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_without_anything_volatile_nothing_changes(value: Any) -> None:
    once = changed(value, "uuids", "dates", "temporary-paths")
    assert changed(once, "uuids", "dates", "temporary-paths") == once


@given(VALUES)
def test_leaving_out_all_that_is_other_leaves_what_was_wanted(value: Any) -> None:
    wanted = [place for place, leaf in leaves(value) if leaf == "x"]
    left = without(value, others(value, wanted))
    assert [leaf for _, leaf in leaves(left)] == ["x"] * len(wanted)


def test_an_edit_of_the_whole_gives_the_other_value() -> None:
    assert edited("a", {(): "b"}) == "b"
