"""What the keys of providers look like: each made up by its rule, and texts that only resemble."""

import base64
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.core.redaction.key_patterns import LITERALS, PATTERNS, SIGNS

LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits


def made_up(length: int, alphabet: str = ALNUM) -> str:
    """Random characters; the second is a digit, as some shapes ask for one."""
    draw = random.Random(length * 1000 + len(alphabet))
    text = "".join(draw.choices(alphabet, k=length))
    return text[0] + "7" + text[2:] if "7" in alphabet else text


def pem(kind: str) -> str:
    lines = "\n".join(made_up(64, ALNUM + "+/") for _ in range(8))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"


# Put together here, so that no scanner takes this file for a leak.
KEYS = [
    ("openai-key", "sk-" + made_up(20) + "T3Blbk" + "FJ" + made_up(20)),
    ("openai-key", "sk-proj-" + made_up(58, URLSAFE) + "T3Blbk" + "FJ" + made_up(58, URLSAFE)),
    ("openai-key", "sk-svcacct-" + made_up(74, URLSAFE)),
    ("openai-key", "sk-admin-" + made_up(58, URLSAFE)),
    ("openai-key", "sk-" + made_up(32, HEX)),
    ("openai-key", "sess-" + made_up(40)),
    ("openai-organization", "org-" + made_up(24)),
    ("openai-project", "proj_" + made_up(24)),
    ("anthropic-key", "sk-ant-api03-" + made_up(93, URLSAFE) + "AA"),
    ("anthropic-key", "sk-ant-admin01-" + made_up(93, URLSAFE) + "AA"),
    ("anthropic-key", "sk-ant-oat01-" + made_up(86, URLSAFE) + "AA"),
    ("openrouter-key", "sk-or-v1-" + made_up(64, HEX)),
    ("together-key", "tgp_v1_" + made_up(43, URLSAFE)),
    ("google-key", "AIza" + made_up(34, URLSAFE) + "Q"),
    ("google-token", "ya29.a0" + made_up(120, URLSAFE)),
    ("groq-key", "gsk_" + made_up(52)),
    ("huggingface-key", "hf_" + made_up(34, LETTERS)),
    ("xai-key", "xai-" + made_up(80)),
    ("perplexity-key", "pplx-" + made_up(48)),
    ("replicate-key", "r8_" + made_up(37)),
    ("cerebras-key", "csk-" + made_up(48, string.ascii_lowercase + string.digits)),
    ("fireworks-key", "fw_" + made_up(24)),
    ("nvidia-key", "nvapi-" + made_up(64, URLSAFE)),
    ("langsmith-key", "lsv2_pt_" + made_up(32, HEX) + "_" + made_up(10, HEX)),
    ("azure-key", made_up(52) + "JQQJ" + "99" + made_up(26)),
    ("aws-access-key", "AKIA" + made_up(16, UPPER)),
    ("aws-access-key", "ASIA" + made_up(16, UPPER)),
    ("aws-session-token", "IQoJb3JpZ2luX2Vj" + made_up(400, ALNUM + "+/")),
    ("aws-session-token", "FwoGZXIvYXdz" + made_up(300, ALNUM + "+/")),
    ("bedrock-key", "ABSK" + made_up(128, ALNUM + "+/") + "="),
    (
        "bedrock-key",
        "bedrock-api-key-" + "YmVkcm9jay5hbWF6b25hd3MuY29t" + made_up(200, ALNUM + "+/"),
    ),
    ("github-token", "ghp_" + made_up(36)),
    ("github-token", "ghs_" + made_up(36)),
    ("github-token", "github_pat_" + made_up(22) + "_" + made_up(59)),
    ("slack-token", "xoxb-" + "123456789012-1234567890123-" + made_up(24)),
    (
        "jwt",
        "eyJ" + made_up(33, URLSAFE) + ".eyJ" + made_up(60, URLSAFE) + "." + made_up(43, URLSAFE),
    ),
    ("private-key", pem("RSA PRIVATE KEY")),
    ("private-key", pem("PRIVATE KEY")),
    ("private-key", pem("EC PRIVATE KEY").replace("\n", "\\n")),
    ("private-key", pem("PGP PRIVATE KEY BLOCK")),
]


def found(text: str) -> list[tuple[str, str]]:
    return [(p.name, text[slice(*m.span())]) for p in PATTERNS for m in p.regex.finditer(text)]


@pytest.mark.parametrize(
    ("name", "key"), KEYS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(KEYS)]
)
@pytest.mark.parametrize("around", ["{}", "key={}&", 'Bearer {}"', "<{}>", "(see {}).", "a {}\nb"])
def test_a_key_is_found_whole(name: str, key: str, around: str) -> None:
    text = around.format(key)
    assert found(text) == [(name, key)]
    assert SIGNS.search(text)
    assert any(p.name == name and LITERALS[p] in text for p in PATTERNS)


def test_each_shape_is_tried() -> None:
    assert {name for name, _ in KEYS} == {pattern.name for pattern in PATTERNS}


@pytest.mark.parametrize(
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
    assert found(text) == []


@given(st.binary(min_size=600, max_size=3000))
def test_base64_of_bytes_holds_no_key(data: bytes) -> None:
    assert found(base64.b64encode(data).decode()) == []


def test_no_shape_is_met_in_nothing_or_in_a_placeholder() -> None:
    assert found("") == []
    assert found("REDACTED-together-key-0a1b2c3d REDACTED-sk-proj") == []


def test_a_search_for_keys_is_linear_in_what_almost_is_one() -> None:
    # Quadratic, this would take minutes; the time limit of the test run is the assertion.
    for start in dict.fromkeys(LITERALS.values()):
        for text in (f"{start}-" * 150_000, f"{start}--a.a_a " * 10_000):
            found(text)
    assert found("-----BEGIN PRIVATE KEY-----\n" * 20_000) == []
