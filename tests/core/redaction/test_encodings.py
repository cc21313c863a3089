"""The forms a text may stand in: undone, and put back."""

import base64
import gzip
import json
import random
import zlib
from collections.abc import Callable
from urllib.parse import quote

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.redaction import encodings
from wiretape.core.redaction.encodings import (
    Unescaped,
    may_be_packed,
    packed,
    readings,
    runs,
    wide_texts,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXT)
def test_one_layer_of_json_escapes_is_undone(text: str) -> None:
    escaped = json.dumps(text)[1:-1]
    assert Unescaped(escaped).text == text


@given(TEXT.filter(lambda text: "\\" not in text))
def test_one_layer_of_percent_escapes_is_undone(text: str) -> None:
    assert Unescaped(quote(text)).text == text


@given(TEXT.filter(lambda text: "\\" not in text and "%" not in text), TEXT, TEXT)
def test_a_part_is_found_again_in_the_source(part: str, before: str, after: str) -> None:
    source = json.dumps(before)[1:-1] + quote(part) + "." + json.dumps(after)[1:-1]
    view = Unescaped(source)
    at = len(before)
    if part and "%" not in before:
        start, end = view.source(at, at + len(part))
        assert Unescaped(source[start:end]).text == part


def test_a_text_without_escapes_is_none() -> None:
    assert not Unescaped("100% plain, C:\\dir")
    assert Unescaped("100%25")


def test_a_character_of_several_octets_is_one() -> None:
    view = Unescaped("<%F0%9F%94%91%ff\\ud83d\\udd11>")
    assert view.text == "<\U0001f511\udcff\U0001f511>"
    assert [view.source(at, at + 1) for at in range(5)] == [
        (0, 1),
        (1, 13),
        (13, 16),
        (16, 28),
        (28, 29),
    ]


def test_runs_are_of_at_least_the_length_asked_for() -> None:
    text = "short é AAAABBBBCCCC_-+/ \ud800 xyz AAAABBBBCCC=" + "d" * 12
    assert [text[a:b] for a, b in runs(text, 12)] == ["AAAABBBBCCCC_-+/", "d" * 12]


def test_lines_of_base64_are_one_run() -> None:
    lines = base64.encodebytes(bytes(range(200))).decode()
    text = f"see:\n{lines}"
    ((start, end),) = runs(text, 30)
    assert text[start:end] == lines.rstrip("=\n")


def decoded(run: str) -> list[bytes]:
    return [reading.data for reading in readings(run)]


@pytest.mark.parametrize("before", ["", "/", "a/", "key"])
@pytest.mark.parametrize("alone", [True, False])
def test_base64_is_read_wherever_it_begins(before: str, alone: bool) -> None:
    data = b"a text of some length" + b"?" * (not alone)
    assert any(data in reading for reading in decoded(before + base64.b64encode(data).decode()))


@given(st.binary(min_size=12, max_size=80), st.binary(max_size=40))
def test_what_is_spelled_in_place_of_a_reading_says_it(data: bytes, other: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        run = encode(data).decode()
        spelled = next(r for r in readings(run) if r.data == data).replaced_by(other)
        spelled = spelled.replace("-", "+").replace("_", "/")
        assert base64.b64decode(spelled + "=" * (-len(spelled) % 4)) == other


@pytest.mark.parametrize("run", [b"some bytes".hex(), b"some bytes".hex().upper()])
def test_hexadecimal_digits_are_read_and_spelled_in_their_case(run: str) -> None:
    reading = next(r for r in readings("x" + run) if r.data == b"some bytes")
    assert reading.replaced_by(b"\xab\xcd") == ("xabcd" if run.islower() else "xABCD")


def test_lines_stay_lines() -> None:
    run = base64.encodebytes(bytes(range(100))).decode().strip()
    spelled = next(readings(run)).replaced_by(b"\1" * 100)
    assert spelled == base64.encodebytes(b"\1" * 100).decode().strip()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "zlib": zlib.compress,
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("around", [(b"", b""), (b"a part\r\n\r\n", b"\r\n--b"), (b"x\n\n", b"")])
def test_compressed_data_is_found_and_packed_again(name: str, around: tuple[bytes, bytes]) -> None:
    before, after = around
    data = PACKERS[name](b"hello" * 100)
    (inner,) = packed(before + data + after)
    assert inner == (len(before), len(before) + len(data), b"hello" * 100, name)
    assert may_be_packed(before + data + after)
    again = inner.packed_again(b"bye")
    assert again == inner.packed_again(b"bye")
    assert list(packed(again)) == [(0, len(again), b"bye", name)]


def test_each_of_several_is_found_and_a_cut_one_up_to_its_end() -> None:
    whole, cut = gzip.compress(b"one"), gzip.compress(bytes(range(256)) * 9)[:-9]
    first, second, third = packed(b"\0" + whole + zstandard.compress(b"two") + cut)
    assert (first.plain, second.plain) == (b"one", b"two")
    assert bytes(range(256)).startswith(third.plain[:100])


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08 no gzip", b"\x28\xb5\x2f\xfd no zstd", b"x\x9cno"])
def test_what_only_begins_so_is_not_compressed(data: bytes) -> None:
    assert list(packed(data)) == []


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_compressed_data_has_a_limit(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    assert [inner.plain for inner in packed(pack(bytes(1000)))] == [bytes(1000)]
    with pytest.raises(OverflowError):
        list(packed(pack(bytes(1001))))


@pytest.mark.parametrize(
    "coding", [f"utf-{bits}{order}" for bits in (16, 32) for order in ("", "-le", "-be")]
)
def test_wide_characters_are_found_in_a_text(coding: str) -> None:
    text = f"ab{'Grüße, ihr dort'.encode(coding).decode('utf-8', 'surrogateescape')}"
    ((start, plain, width),) = wide_texts(text)
    assert "Grüße, ihr dor" in plain
    assert text[start + width * plain.index("G")] == "G"


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("\x1b[1;32mkey\x1b[0m", "\x1bkey\x1b"),
        (r"\033[32mkey \e[0m", "\x1bkey \x1b"),
        (r"b'\x0akey\x00'", "b'\nkey\0'"),
        ("a=3Dke=\r\ny=20=C3", "a=key \xc3"),
        ("quoted-printable k=\ney", "quoted-printable key"),
        ("k=\ney=20", "k=\ney=20"),  # nothing says that it is
    ],
)
def test_escapes_of_terminals_programs_and_mail_are_undone(source: str, plain: str) -> None:
    unescaped = Unescaped(source)
    assert unescaped.text == plain
    at = plain.index("k")
    start, end = unescaped.source(at, plain.index("y") + 1)
    assert (source[start], source[end - 1]) == ("k", "y")


@pytest.mark.parametrize("around", [b"", b"\r\n--", b"\r\n--b--\r\n"])
def test_brotli_is_found_in_a_part_that_says_so(around: bytes) -> None:
    plain = random.Random(7).randbytes(300) + around + b"my text" * 9
    head = b"--b\r\nContent-Encoding: br\r\nx-a: b\r\n\r\n"
    data = head + brotli.compress(plain) + b"\r\n--b--\r\n"
    assert may_be_packed(data)
    (inner,) = packed(data)
    assert (inner.start, inner.plain, inner.format) == (len(head), plain, "brotli")
    assert data[inner.end :] == b"\r\n--b--\r\n"
    assert brotli.decompress(inner.packed_again(b"other")) == b"other"


def test_a_part_that_is_no_brotli_is_searched_as_it_is() -> None:
    head = b"--b\r\ncontent-encoding: br\r\n\r\n"
    assert list(packed(head + b"plain text\r\n--b--\r\n")) == []


def test_the_last_line_of_an_armour_is_no_base64() -> None:
    lines = "QUJD" * 16 + "\n" + "QUJD" * 16
    text = f"{lines}\n-----END PGP MESSAGE-----"
    assert list(runs(text, 24)) == [(0, len(lines))]
