"""The forms a text may stand in: undone, and put back."""

import base64
import gzip
import json
from urllib.parse import quote

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.redaction import encodings
from wiretape.core.redaction.encodings import Unescaped, readings, runs

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
    assert any(data in said for said in decoded(before + base64.b64encode(data).decode()))


@given(st.binary(min_size=12, max_size=80), st.binary(max_size=40))
def test_what_is_spelled_in_place_of_a_reading_says_it(data: bytes, other: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        run = encode(data).decode()
        spelled = next(r for r in readings(run) if r.data == data).spelled(other)
        spelled = spelled.replace("-", "+").replace("_", "/")
        assert base64.b64decode(spelled + "=" * (-len(spelled) % 4)) == other


@pytest.mark.parametrize("run", [b"some bytes".hex(), b"some bytes".hex().upper()])
def test_hexadecimal_digits_are_read_and_spelled_in_their_case(run: str) -> None:
    reading = next(r for r in readings("x" + run) if r.data == b"some bytes")
    assert reading.spelled(b"\xab\xcd") == ("xabcd" if run.islower() else "xABCD")


def test_lines_stay_lines() -> None:
    run = base64.encodebytes(bytes(range(100))).decode().strip()
    spelled = next(readings(run)).spelled(b"\1" * 100)
    assert spelled == base64.encodebytes(b"\1" * 100).decode().strip()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_data_is_undone_and_done_again(pack: object) -> None:
    assert callable(pack)
    data = pack(b"hello" * 100)
    assert encodings.is_compressed(data)
    assert encodings.decompressed(data) == b"hello" * 100
    again = encodings.compressed_like(data, b"bye")
    assert encodings.decompressed(again) == b"bye"
    assert again[:3] == data[:3]
    assert again == encodings.compressed_like(data, b"bye")


def test_broken_compressed_data_is_none() -> None:
    assert encodings.decompressed(b"\x1f\x8b\x08 no gzip") is None
    assert encodings.decompressed(b"\x28\xb5\x2f\xfd no zstd") is None


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_data_has_a_limit(pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    assert callable(pack)
    assert encodings.decompressed(pack(bytes(1000))) == bytes(1000)
    with pytest.raises(OverflowError):
        encodings.decompressed(pack(bytes(1001)))


def test_the_last_line_of_an_armour_is_no_base64() -> None:
    lines = "QUJD" * 16 + "\n" + "QUJD" * 16
    text = f"{lines}\n-----END PGP MESSAGE-----"
    assert list(runs(text, 24)) == [(0, len(lines))]
