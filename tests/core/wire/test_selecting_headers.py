"""Headers that decide an answer say the same however they are spelled, and nothing more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import in_one_test

from wiretape.core.wire.selecting_headers import (
    document_vary,
    may_answer,
    members,
    normal,
    normal_list,
    selects,
    vary,
)


@in_one_test(
    "name",
    [
        "range", "if-range", "last-event-id", "x-amz-target", "accept-language", "if-match",
        "if-none-match", "x-goog-fieldmask", "x-amzn-bedrock-guardrailidentifier",
        "if-modified-since", "if-unmodified-since", "content-range", "prefer", "upload-offset",
        "upload-complete", "upload-length", "upload-metadata", "x-goog-upload-offset",
        "x-goog-upload-command", "x-upload-content-length", "x-ms-range", "x-http-method-override",
        "soapaction", "api-version", "x-api-version", "azureml-model-deployment", "x-model",
        "x-amzn-sagemaker-target-model", "x-amzn-sagemaker-target-variant",
        "x-amzn-sagemaker-inference-component", "x-portkey-provider", "x-portkey-config",
        "x-portkey-custom-host", "helicone-target-url", "x-fal-target-url", "extra-parameters",
        "nvcf-input-asset-references",
    ],
)  # fmt: skip
def test_what_decides_an_answer_counts(name: str) -> None:
    assert selects(name)


@pytest.mark.parametrize(
    "name",
    [
        *("user-agent", "accept-encoding", "authorization", "host", "x-stainless-os", "date"),
        *("x-portkey-trace-id", "x-portkey-api-key", "helicone-session-id"),
    ],
)
def test_what_says_who_asks_does_not(name: str) -> None:
    assert not selects(name)


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("range", "bytes=0-99", "Bytes = 0-99"),
        ("range", "bytes=0-9,20-29", "bytes=0-9, 20-29"),
        ("content-range", "bytes 0-9/100", "bytes  0-9/100"),
        ("if-none-match", '"a", "b"', '"b","a"'),
        ("if-none-match", 'W/"a"', '"a"'),
        ("prefer", "respond-async, wait=10", "wait=10,Respond-Async"),
        ("accept", "text/event-stream", "TEXT/event-stream; q=1.0"),
        ("accept", "image/png;q=0.9, image/jpeg", "image/jpeg"),
        ("accept-language", "de, en;q=0.5", "en; q=0.5,de"),
        ("upload-metadata", "a b,c d", "a b, c d"),
    ],
)
def test_two_spellings_say_the_same(name: str, value: str, other: str) -> None:
    assert normal(name, value) == normal(name, other) != ""


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("range", "bytes=0-99", "bytes=100-199"),
        ("range", "bytes=0-9,20-29", "bytes=20-29,0-9"),  # the parts come in this order
        ("if-match", '"a"', 'W/"a"'),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"),
        ("accept", "text/event-stream", "image/png"),
        ("accept", "application/json", "text/event-stream"),
        ("accept", "application/xml", "application/json;q=0.5, application/xml;q=0.4"),
        ("accept-language", "de", "en"),
        ("x-goog-upload-offset", "0", "262144"),
        ("upload-metadata", "a b,c d", "c d,a b"),
    ],
)
def test_two_requests_that_ask_for_something_else_differ(name: str, value: str, other: str) -> None:
    assert normal(name, value) != normal(name, other)


@pytest.mark.parametrize(
    "value",
    [
        "*/*", "application/json", "application/json, */*", "application/json, text/event-stream",
        "application/json, text/plain, */*", "application/vnd.api+json", "", "image/png;q=0",
        "text/html;q=0.5, */*;q=0.8",
    ],
)  # fmt: skip
def test_an_accept_of_json_or_anything_says_nothing(value: str) -> None:
    assert normal("accept", value) == ""


def test_an_accept_of_a_stream_says_nothing_where_the_body_asks_for_one() -> None:
    assert normal("accept", "text/event-stream", asks_for_stream=True) == ""
    assert normal("accept", "text/event-stream", asks_for_stream=False) == "text/event-stream"


def test_several_lines_are_one_list() -> None:
    spelled: list[str | list[str]] = ["a,b", "a, b", ["a", "b"], "b,a", ["b", "a"], "a, ,b,"]
    assert {normal_list("anthropic-beta", value) for value in spelled} == {"a,b"}


def test_the_order_of_a_list_that_nobody_knows_counts() -> None:
    assert normal_list("x-steps", "a,b") != normal_list("x-steps", "b,a")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("Accept-Language", ("accept-language",)),
        ("Origin, X-Mode,Accept-Encoding", ("x-mode",)),
        ("*", ()),
        ("", ()),
        ("b, a, B", ("a", "b")),
    ],
)
def test_vary_names_the_headers_that_count_too(value: str, names: tuple[str, ...]) -> None:
    assert vary([("Vary", value), ("content-type", "x")]) == names
    assert document_vary({"headers": {"vary": value, "content-type": "x"}}) == names
    assert document_vary({"headers": {"vary": [value, value]}}) == names
    assert document_vary({}) == ()


@given(st.lists(st.from_regex(r'[a-z]{1,5}|"[a-z, ]{0,5}"', fullmatch=True), max_size=5))
def test_a_list_comes_apart_where_it_was_put_together(items: list[str]) -> None:
    assert members(", ".join(items)) == items
    assert members(",".join(f" {item}\t" for item in items)) == items


@given(st.text(), st.sampled_from(["accept", "accept-language", "range", "if-none-match", "x"]))
def test_whatever_comes_is_read(value: str, name: str) -> None:
    once = normal(name, value)
    assert normal(name, once) in (once, "") or name == "x"


@pytest.mark.parametrize(
    ("status", "selecting", "may"),
    [
        (200, [], True),
        (200, ["range"], True),
        (206, ["range"], True),
        (206, [], False),
        (416, ["if-match"], False),
        (304, ["if-none-match"], True),
        (304, [], False),
        (412, ["if-match"], True),
        (404, ["range"], True),
    ],
)
def test_a_status_tells_what_a_request_had(status: int, selecting: list[str], may: bool) -> None:
    assert may_answer(status, selecting) is may
