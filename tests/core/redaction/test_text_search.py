"""The search of texts: every form a secret may stand in, and spans for who replaces himself."""

import base64
import gzip
import json
import random
import re
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.support.keys import KEYS
from tests.support.limits import part_of

from wiretape.core.redaction import encodings
from wiretape.core.redaction.encodings import text_of_json
from wiretape.core.redaction.key_patterns import PATTERNS, SIGNS, STARTS, Pattern
from wiretape.core.redaction.known_values import Secrets
from wiretape.core.redaction.placeholder import placeholder
from wiretape.core.redaction.rules import Finding
from wiretape.core.redaction.secret_shapes import Shapes
from wiretape.core.redaction.text_search import TextSearch
from wiretape.core.text.regex import Linear, linear
from wiretape.core.text.spans import Span

KNOWN = "a/known+value-5f2e?8d1c~"
SHAPED = "tgp_v1_" + "aB3dEfG9hIjK2mNoP4qRsT6uVwX8yZ0-_cD5eF7g"


SEARCH = TextSearch(Shapes(PATTERNS), Secrets([("env", KNOWN)]), [])
"""What keeps no finding; making one for each look would take longer than all looks."""


def search(findings: list[Finding] | None = None) -> TextSearch:
    if findings is None:
        return SEARCH
    return TextSearch(Shapes(PATTERNS), Secrets([("env", KNOWN)]), findings)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded wholly": lambda text: "".join(f"%{ord(c):02x}" for c in text),
    "escaped for JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "after a line end in JSON": lambda text: json.dumps(f"a\n{text}"),
    "base64": b64,
    "base64 one later": lambda text: b64(f".{text}."),
    "base64 two later": lambda text: b64(f"..{text}."),
    "base64 three later": lambda text: b64(f"...{text}."),
    "base64 without padding": lambda text: b64(text).rstrip("="),
    "base64url": lambda text: base64.urlsafe_b64encode(f"??>{text}".encode()).decode(),
    "base64 after a path": lambda text: f"/files/{b64(text)}",
    "base64 in a query": lambda text: f"?v={quote(b64(f'??>{text}'), safe='')}",
    "base64 in a data URL": lambda text: f"data:text/plain;base64,{b64(f'key: {text}')}",
    "base64 in lines": lambda text: base64.encodebytes(f"{'.' * 50}{text}".encode()).decode(),
    "base64 of base64": lambda text: b64(b64(f"key: {text}")),
    "base64 of JSON": lambda text: b64(json.dumps({"key": f'"{text}"'})),
    "base64 of a form": lambda text: b64(f"key={quote(text, safe='')}&a=b"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: text.encode().hex().upper(),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "zstd in base64": lambda text: base64.b64encode(zstandard.compress(text.encode())).decode(),
}


@pytest.mark.parametrize("secret", [KNOWN, SHAPED], ids=["known", "shaped"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_found_in_every_form(form: Callable[[str], str], secret: str) -> None:
    text = f"see <{form(secret)}>, please"
    assert search().may_hold(json.dumps(text, ensure_ascii=False))
    redacted = search().text(text, ())
    assert redacted != text
    assert redacted.startswith("see <")
    assert redacted.endswith(">, please")
    assert search().text(redacted, ()) == redacted
    assert form("-" * len(secret)) != redacted
    assert form(secret)[4:-4] not in redacted


# ------------------------------------------------------------------ the look before the search

AROUND = [
    *(chr(code) for code in range(0x20)),
    *'"/\\%+&=<>{}',
    "\x7f",
    "\x85",
    "\u2028",
    "é",
    "😀",
]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as json.dumps spells it": json.dumps,
    "in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "every slash escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "every mark escaped": lambda text: re.sub(
        r"(?<!\\\\)[-_.+=/]", lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False)
    ),
    "every letter escaped": lambda text: (
        '"' + re.sub("(....)", r"\\u\1", text.encode("utf-16-be").hex().upper()) + '"'
    ),
}


@pytest.mark.parametrize(("number", "before"), [*enumerate(AROUND)], ids=ascii)
def test_no_escape_beside_a_key_hides_it(number: int, before: str) -> None:
    keys = part_of([*KEYS, ("env", KNOWN)], number)
    with_a_key = [
        (name, text)
        for name, key in keys
        for text in (f"my key is{before}{key}", f"{key}{before}", f"a{before}{key}{before}z")
        if search().spans(text)
    ]
    missed = [
        (spelling, name, text)
        for name, text in with_a_key
        for spelling, spell in SPELLINGS.items()
        for spelt in [spell(text)]
        if not search().may_hold(spelt) or not search().may_hold(f'{{"a": [{spelt}]}}')
    ]
    assert missed == []
    after_it = {
        (name, f"my key is{before}{key}")
        for name, key in keys
        if name != "env" and before not in "é😀"
    }
    assert after_it <= set(with_a_key)


PASSWORD = "kV8w2Qz/T5rXn1Lp"
NAMED = [
    "password: ",
    "?sig=",
    "&client%5Fsecret=",
    '{"api_key": "',
    "--api-key ",
    "Bearer ",
    "<pwd>",
    "https://u:",
    "@h",
    "KEY='",
    "x.",
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([key for _, key in KEYS] + [KNOWN, b64(SHAPED), SHAPED.encode().hex()]),
        st.sampled_from([*NAMED, PASSWORD, quote(PASSWORD, safe="")]),
        st.sampled_from([*AROUND, "\\n", "\\u0041", "%41", "%0a", "a"]),
        st.text(max_size=5),
    ),
    max_size=6,
).map("".join)


@given(TEXTS, st.sampled_from(list(SPELLINGS.values())), st.sampled_from(list(FORMS.values())))
def test_the_look_before_the_search_only_errs_towards_searching(
    text: str, spell: Callable[[str], str], form: Callable[[str], str]
) -> None:
    try:
        texts = [text, form(text), f"x {form(form(text))}"]
    except UnicodeEncodeError:
        texts = [text]
    for text in texts:
        if search().spans(text):
            assert search().may_hold(spell(text))
            assert search().may_hold(json.dumps({"a": [1, {text: None}]}))
            assert search().text_may_hold(text)


@given(TEXTS | st.text(st.sampled_from("sk-AIza_eyJ:A9K/hooks.lcm0123")))
def test_the_look_for_everything_sees_what_each_look_sees(text: str) -> None:
    shapes = Shapes(PATTERNS)
    if SIGNS.search(text):
        assert linear(STARTS).occurs_in(text)
    if any(True for _ in shapes.names.occurrences(text)):
        assert linear(shapes.names.signs).occurs_in(text)
    if encodings.is_escaped(text) or ("\\" not in text and encodings.Unescaped(text)):
        assert linear(encodings.ESCAPES).occurs_in(text)
    for shortest in (16, 27):
        runs = list(encodings.runs(text, shortest))
        assert linear(encodings.run_of(shortest)).occurs_in(text) == bool(runs)


@given(st.binary(max_size=20), TEXTS, st.binary(max_size=20))
def test_nor_does_it_miss_what_stands_in_bytes(before: bytes, text: str, after: bytes) -> None:
    data = before + text.encode("utf-8", "surrogatepass") + after
    encoded = base64.b64encode(data).decode()
    assert not search().spans(encoded) or search().may_hold(json.dumps(encoded))


@given(st.text())
def test_what_a_json_text_says_is_read_as_a_parser_reads_it(text: str) -> None:
    for spell in SPELLINGS.values():
        unescaped = text_of_json(spell(text))
        assert unescaped == (None if "\\" in text else f'"{text}"')


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith("base64")])
def test_base64_without_its_secret_still_decodes(name: str) -> None:
    text = FORMS[name](SHAPED)
    assert search().text(text, ()) == FORMS[name](placeholder("together-key", SHAPED))


def test_compressed_data_without_its_secret_still_decodes() -> None:
    text = base64.b64encode(gzip.compress(f"key: {KNOWN}".encode() + b"\xff")).decode()
    plain = gzip.decompress(base64.b64decode(search().text(text, ())))
    assert plain == b"key: REDACTED-secret\xff"


def test_the_users_patterns_are_found_in_base64_of_texts_only() -> None:
    shapes = Shapes((Pattern("badge", Linear("EMP-[0-9]{6}|[^ -~]{3}")),))
    by = TextSearch(shapes, Secrets(), [])
    assert by.text(b64("I am EMP-123456."), ()) == b64("I am REDACTED-badge.")
    image = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    assert by.text(image, ()) == image


def test_spans_tell_places_placeholders_and_rules() -> None:
    percent = quote(KNOWN, safe="")
    text = f"{SHAPED} and {percent} and {KNOWN}"
    at = len(SHAPED) + 5
    assert search().spans(text) == [
        Span(0, len(SHAPED), placeholder("together-key", SHAPED), "together-key"),
        Span(at, at + len(percent), placeholder("secret", KNOWN), "env"),
        Span(len(text) - len(KNOWN), len(text), placeholder("secret", KNOWN), "env"),
    ]


@given(st.lists(st.sampled_from([KNOWN, SHAPED, " ", "é", "\\n", "%41", b64(SHAPED), "x."])))
def test_spans_are_in_order_apart_and_make_the_text(parts: list[str]) -> None:
    text = " ".join(parts)
    spans = search().spans(text)
    assert all(span.end <= following.start for span, following in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    for span in reversed(spans):
        text = text[: span.start] + span.placeholder + text[span.end :]
    assert text == search().text(" ".join(parts), ())
    assert KNOWN not in text
    assert SHAPED not in text


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-v2 and sk-learn",
        "550e8400-e29b-41d4-a716-446655440000",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709" * 3,
        base64.b64encode(bytes(range(256)) * 20).decode(),
        base64.b64encode(b"set TOGETHER_API_KEY=tgp_v1_... in your shell, then go on").decode(),
        "C:\\users\\new\\table%20name\\u0041",
        "H4sIAAAAAAAA_not_gzip_at_all_but_it_begins_so",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert search().text(text, ()) == text


@pytest.mark.parametrize("unit", ["sk-", "%41", "\\u0041", "QUJD", "eyJ", "tgp_v1_ ", "H4sI", "a"])
def test_time_is_in_proportion_to_the_text(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        began = time.thread_time()
        search().text(text, ())
        return time.thread_time() - began

    assert seconds(400_000) < 30 * max(min(seconds(50_000) for _ in range(3)), 0.001)


def test_a_run_that_holds_nothing_is_looked_at_again_for_other_values() -> None:
    shapes, value = Shapes(PATTERNS), "Tq7-vanilla-Xk29"
    text = f'{{"input": "{b64("a note on " + value)}"}}'
    none, known = Secrets(), Secrets([("configured", value)])
    looks = [TextSearch(shapes, secrets, []).may_hold(text) for secrets in (none, none, known)]
    assert looks == [False, False, True]
