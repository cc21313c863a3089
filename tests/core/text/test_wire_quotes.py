"""What libraries quote of the wire is not repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.text.wire_quotes import failure_text, without_quotes


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "127.0.0.1:1: Bad HTTP request line: b'CONNECT u:S@x'",
            "127.0.0.1:1: Bad HTTP request line: …",
        ),
        ('Invalid header line: b"it\'s S"', "Invalid header line: …"),
        ("illegal chunk header: bytearray(b'S')", "illegal chunk header: …"),
        ("multiple: [b'1', b'S']", "multiple: […]"),
        ("Cannot parse ClientHello: 5345435245543132", "Cannot parse ClientHello: …"),
        ("the provider's answer is cut: 'S' as is", "the provider's answer is cut: … as is"),
        ("the provider's answer ended", "the provider's answer ended"),
        (
            "connect api.together.xyz:443 (1.2.3.4:443)",
            "connect api.together.xyz:443 (1.2.3.4:443)",
        ),
    ],
)
def test_what_is_quoted_goes(message: str, shown: str) -> None:
    assert without_quotes(message) == shown


@given(st.binary(min_size=1), st.sampled_from(["{!r}", "x: {!r}", "({!r}, 5)", "a {!r}: not b"]))
def test_no_byte_of_a_quotation_stays(data: bytes, form: str) -> None:
    assert without_quotes(form.format(data)) == form.format(b"").replace("b''", "…")


def test_a_failure_tells_no_value() -> None:
    try:
        raise ValueError("sk-secret")
    except ValueError as error:
        text = failure_text(error)
    assert "sk-secret" not in text.replace('raise ValueError("sk-secret")', "")
    assert text.endswith("ValueError")
