"""Multipart bodies come apart as servers take them apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.wire.multipart_body import MOST_PARTS, boundary_of, parts_of

RELATED = (
    b"preamble\r\n--b0\r\nContent-Type: application/json\r\n\r\n{}\r\n"
    b"--b0\r\ncontent-type: audio/wav\r\nContent-ID: <1>\r\n\r\n\x00\xff\r\n--b0--\r\nepilogue"
)


def contents(body: bytes, boundary: str = "b0") -> list[bytes]:
    return [part.content for part in parts_of(body, boundary) or ()]


def test_parts_have_headers_and_content() -> None:
    parts = parts_of(RELATED, "b0")
    assert parts is not None
    first, second = parts
    assert (first.headers, first.content) == ((("content-type", "application/json"),), b"{}")
    assert second.header("content-id") == "<1>"
    assert second.content == b"\x00\xff"


@pytest.mark.parametrize(
    "body",
    [
        RELATED.replace(b"\r\n", b"\n"),
        RELATED.replace(b"preamble\r\n", b"").replace(b"epilogue", b""),
        RELATED.replace(b"--b0\r\n", b"--b0 \t\r\n"),
        RELATED.replace(b"--b0--\r\nepilogue", b"--b0--"),
        RELATED.replace(b"Content-ID", b"Content-ID "),
        RELATED.replace(b"\r\nContent-ID: <1>", b"\r\nContent-ID:\r\n <1>"),
    ],
)
def test_spellings_that_servers_take_are_taken(body: bytes) -> None:
    assert contents(body) == [b"{}", b"\x00\xff"]


def test_a_part_may_lack_headers_or_content() -> None:
    assert contents(b"--b\r\n\r\nhi\r\n--b\r\nX: y\r\n\r\n\r\n--b--", "b") == [b"hi", b""]


def test_a_body_that_was_cut_ends_its_last_part() -> None:
    assert contents(b"--b\r\n\r\none\r\n--b\r\n\r\ntw", "b") == [b"one", b"tw"]


@pytest.mark.parametrize("body", [b"", b"no boundary", b"x--b0", b"--b01\r\n\r\nx"])
def test_a_body_without_its_boundary_is_not_one(body: bytes) -> None:
    assert parts_of(body, "b0") is None


def test_more_parts_than_anybody_sends_are_not_read() -> None:
    assert parts_of(b"--b\n\nx\n" * (MOST_PARTS + 3), "b") is None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed; boundary=abc", "abc"),
        ('multipart/related; type="a/b"; boundary="a b"; x=y', "a b"),
        ("Multipart/Mixed;BOUNDARY=x", "x"),
        ("multipart/mixed", None),
        ("application/json; boundary=x", None),
        ("", None),
    ],
)
def test_the_boundary_is_the_content_types(content_type: str, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_what_is_put_together_comes_apart(contents_in: list[bytes]) -> None:
    body = b"".join(b"--BoUnDaRy\r\nX: y\r\n\r\n" + data + b"\r\n" for data in contents_in)
    assert contents(body + b"--BoUnDaRy--\r\n", "BoUnDaRy") == contents_in
