"""How much a search looks at: work that grows with a text, never with its square."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from wiretape.core.redaction import encodings
from wiretape.core.redaction.credential_names import CredentialNames
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules

LOOKS = ("Unescaped", "readings", "runs", "wide_texts", "may_be_packed", "packed")


def looked_at(text: str) -> int:
    """The characters and bytes that the search for encodings is given for one string."""
    total = 0

    def counting(look: Callable[..., Any]) -> Callable[..., Any]:
        def counted(given: str | bytes, *more: Any) -> Any:
            nonlocal total
            total += len(given)
            return look(given, *more)

        return counted

    redactor = Redactor(RedactionRules())
    search = redactor.search(redactor.no_secrets)
    with pytest.MonkeyPatch.context() as patch:
        for name in LOOKS:
            patch.setattr(encodings, name, counting(getattr(encodings, name)))
        search.may_hold(json.dumps(text))
        search.text(text, ())
    return total


PARTS = ["a", "0", "Ab3", "a b", "%41", "\\n", "\\u0041", "a\0", "QUJD" * 16 + "\n", "\\\\"]
PARTS += ["H4sI", "x\x9c\n\n", "token=a&", "abcdefghijklmnopqrst ", "%2541", "a" * 300 + " "]


@pytest.mark.parametrize("part", PARTS)
def test_twice_the_text_is_about_twice_the_work(part: str) -> None:
    once, twice = (looked_at(part * (size // len(part))) for size in (20_000, 40_000))
    assert 0 < twice < 3 * once


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"x\x9c", b"--\n\nx\x01", b"--\n\r\nx\xda"]
)
def test_a_beginning_of_compressed_data_is_seen(data: bytes) -> None:
    assert encodings.may_be_packed(data)


@pytest.mark.parametrize("data", [b"", b"x", b"xa", b"\nx\x9c", b"a\n\nxa", b"ax\x9c"])
def test_what_begins_otherwise_is_not_taken_for_compressed(data: bytes) -> None:
    assert not encodings.may_be_packed(data)


def test_a_name_is_found_behind_letters_that_are_longer_in_lower_case() -> None:
    """They are one letter only, which is why one replacement keeps all places as they are."""
    letters = [chr(code) for code in range(0x110000) if len(chr(code).lower()) != 1]
    assert letters == ["\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"]
    text = f"{letters[0] * 50}?sig=kV8w2Qz-T5rXn1Lp&a=1"
    (named,) = CredentialNames().occurrences(text)
    assert text[named.start : named.end] == named.value == "kV8w2Qz-T5rXn1Lp"
