"""What a request's body says, whatever its spelling."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest

from wiretape.core.matching.body import body_of

JSON = ("Content-Type: application/json", b'{"name":"a.wav"}')
WAV = ("Content-Type: audio/wav", b"\x00\x01\xff")


def built(boundary: str, parts: Sequence[tuple[str, bytes]], end: bytes = b"\r\n") -> bytes:
    opened = f"--{boundary}".encode()
    body = b"".join(
        opened + end + head.encode() + end + end + content + end for head, content in parts
    )
    return body + opened + b"--" + end


def said(body: bytes, kind: str) -> tuple[str, Any]:
    request = {"body_base64": base64.b64encode(body).decode()}
    return body_of(request, {"content-type": kind})


@pytest.mark.parametrize("kind", ["related", "mixed", "alternative", "form-data", "x-batch"])
def test_a_multipart_body_is_compared_by_its_parts_and_never_by_its_boundary(kind: str) -> None:
    first = said(built("aaa", [JSON, WAV]), f"multipart/{kind}; boundary=aaa")
    second = said(built("bbb", [JSON, WAV]), f'multipart/{kind}; boundary="bbb"')
    assert first == second
    assert first[0] == "multipart"
    assert said(built("aaa", [WAV, JSON]), f"multipart/{kind}; boundary=aaa") != first
    other = [JSON, (WAV[0], b"\x00\x02\xff")]
    assert said(built("aaa", other), f"multipart/{kind}; boundary=aaa") != first


def test_parts_within_a_part_are_compared_by_parts_too() -> None:
    def nested(outer: str, inner: str) -> tuple[str, Any]:
        part = (f"Content-Type: multipart/mixed; boundary={inner}", built(inner, [JSON, WAV]))
        return said(built(outer, [JSON, part]), f"multipart/related; boundary={outer}")

    assert nested("a1", "b1") == nested("a2", "b2")
    assert nested("a1", "b1") != said(built("a1", [JSON, JSON]), "multipart/related; boundary=a1")


def test_form_data_with_bare_line_feeds_is_compared_by_parts() -> None:
    part = ('Content-Disposition: form-data; name="f"', b"x")
    bodies = [
        said(built(b, [part], b"\n"), f"multipart/form-data; boundary={b}") for b in ("q1", "q2")
    ]
    assert bodies[0] == bodies[1]
    assert bodies[0][0] == "multipart"


def test_what_only_names_a_boundary_is_compared_by_its_bytes() -> None:
    assert said(b"\x00no parts\xff", "multipart/related; boundary=x")[0] == "sha256"
