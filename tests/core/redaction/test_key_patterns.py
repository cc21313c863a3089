"""What the keys of providers look like: each made up by its rule, and texts that only resemble."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from tests.support.cases import check_each, in_one_test
from tests.support.keys import ALNUM, HEX, KEYS, made_up

from wiretape.core.redaction.key_patterns import LITERALS, PATTERNS, SIGNS


def matches(text: str) -> list[tuple[str, str]]:
    return [(p.name, text[slice(*m.span())]) for p in PATTERNS for m in p.regex.finditer(text)]


@in_one_test("name, key", KEYS)
def test_a_key_is_found_whole(name: str, key: str) -> None:
    def check_found(around: str) -> None:
        text = around.format(key)
        assert matches(text) == [(name, key)]
        assert SIGNS.search(text)
        assert any(p.name == name and LITERALS[p] in text for p in PATTERNS)

    around = ("{}", "key={}&", 'Bearer {}"', "<{}>", "(see {}).", "a {}\nb")
    check_each(check_found, {text: text for text in around})


def test_each_shape_is_tried() -> None:
    assert {name for name, _ in KEYS} == {pattern.name for pattern in PATTERNS}


@in_one_test(
    "text",
    [
        "risk-assessment-v2 and disk-" + "a1" * 20 + ", task-" + "b2" * 20,
        "pip install sk-learn sk-learn-contrib-py3",
        "sk-proj-your-key-goes-here-and-nowhere-else-please-thank-you",
        "export OPENAI_API_KEY=sk-...",
        "chatcmpl-" + made_up(29),
        "resp_" + made_up(48, HEX),
        "msg_" + made_up(24),
        "toolu_" + made_up(24),
        "call_" + made_up(24),
        "req_" + made_up(24),
        "file-" + made_up(24),
        "oCfxg3w-4Yz4kd-984c2d684c778f6d",
        "gen-1763660000-" + made_up(20),
        "3f2b8c1e-9d47-4a6b-8e05-c7d1f0a29b36",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:" + made_up(64, HEX),
        "2026-11-20T17:30:00.123456Z",
        "/self-hosted/org-internationalization-team/xai-grok-2-vision-1212",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "It begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + made_up(64, ALNUM) * 8 + "\n-----END CERTIFICATE-----",
        "hf_hub_download_with_progress_and_more_words",
        "fw_update_in_progress_for_device gsk_test ya29.example.words.only.and.no.more.of.it",
        "the proj_ prefix, the org- prefix, a tgp_v1_ key, an AIza key, an xai- key",
        "ghp_ and github_pat_ tokens, xoxb-your-token-goes-right-here-please",
    ],
)
def test_what_only_resembles_a_key_is_none(text: str) -> None:
    assert matches(text) == []


@given(st.binary(min_size=600, max_size=3000))
def test_base64_of_bytes_holds_no_key(data: bytes) -> None:
    assert matches(base64.b64encode(data).decode()) == []


def test_no_shape_is_met_in_nothing_or_in_a_placeholder() -> None:
    assert matches("") == []
    assert matches("REDACTED-together-key-0a1b2c3d REDACTED-sk-proj") == []


def test_a_search_for_keys_is_linear_in_what_almost_is_one() -> None:
    # Quadratic, this would take minutes; the time limit of the test run is the assertion.
    for start in dict.fromkeys(LITERALS.values()):
        for text in (f"{start}-" * 150_000, f"{start}--a.a_a " * 10_000):
            matches(text)
    assert matches("-----BEGIN PRIVATE KEY-----\n" * 20_000) == []
