"""Patterns of the providers' keys, as rows of a table: a new kind of key is a new row.

Only keys that a prefix (or a part inside) makes unmistakable are here; keys that are plain hex or
letters (Mistral, Cohere, Azure's old ones) are recognised by where a request carries them. Lengths
are those of the detectors gitleaks and kingfisher, with room above if a provider has changed them.
"""

import re
from dataclasses import dataclass
from typing import Final

from wiretape.core.text.regex import Regex


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text that is replaced wherever it occurs: by a placeholder with `name` or, if there is a
    `stand_in`, by that. Then it is not a secret and not searched for in encodings.
    """

    name: str
    regex: Regex
    stand_in: str = ""


_MIXED: Final = r"(?=[A-Za-z_-]{0,60}[0-9])"
_END: Final = r"(?![A-Za-z0-9])"

# Name, start, rest. Where a phrase could follow ("sk-proj-your-key-goes-here") a digit is required.
# Look-aheads are bounded, so that a text full of starts takes linear time.
_SHAPES: Final = (
    ("openai-key", "sk-", rf"(?:proj|svcacct|admin|None)-{_MIXED}[A-Za-z0-9_-]{{40,}}"),
    # OpenAI's first keys (T3BlbkFJ in the middle), DeepSeek, Moonshot, DashScope, LiteLLM
    ("openai-key", "sk-", rf"{_MIXED}[A-Za-z0-9]{{32,}}"),
    ("openai-key", "sess-", rf"{_MIXED}[A-Za-z0-9]{{40}}"),
    # A client secret, valid for minutes: {"value": "ek_…"}
    ("openai-client-secret", "ek_", rf"{_MIXED}[A-Za-z0-9]{{20,}}"),
    ("openai-organization", "org-", rf"{_MIXED}[A-Za-z0-9]{{24}}{_END}"),
    ("openai-project", "proj_", rf"{_MIXED}[A-Za-z0-9]{{24}}{_END}"),
    ("anthropic-key", "sk-ant-", r"[a-z]{2,8}[0-9]{2}-[A-Za-z0-9_-]{40,}"),
    ("openrouter-key", "sk-or-v1-", r"[0-9a-f]{64}"),
    ("together-key", "tgp_v1_", r"[A-Za-z0-9_-]{40,}"),
    ("google-key", "AIza", rf"[A-Za-z0-9_-]{{35}}{_END}"),
    ("google-token", "ya29.", r"(?=[A-Za-z_.-]{0,60}[0-9])[A-Za-z0-9_.-]{30,}"),
    ("groq-key", "gsk_", r"[A-Za-z0-9]{48,}"),
    ("huggingface-key", "hf_", r"[A-Za-z0-9]{34,}"),
    ("xai-key", "xai-", r"[A-Za-z0-9]{70,}"),
    ("perplexity-key", "pplx-", r"[A-Za-z0-9]{48,}"),
    ("replicate-key", "r8_", rf"[A-Za-z0-9]{{37}}{_END}"),
    ("cerebras-key", "csk-", rf"{_MIXED}[a-z0-9]{{48}}{_END}"),
    ("fireworks-key", "fw_", rf"{_MIXED}[A-Za-z0-9]{{22,24}}(?![A-Za-z0-9_])"),
    ("nvidia-key", "nvapi-", r"[A-Za-z0-9_-]{60,}"),
    ("langsmith-key", "lsv2_", r"[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}"),
    # AWS writes its documentation with ids that end in EXAMPLE.
    ("aws-access-key", "AKIA", rf"(?![A-Z0-9]{{9}}EXAMPLE)[A-Z0-9]{{16}}{_END}"),
    ("aws-access-key", "ASIA", rf"(?![A-Z0-9]{{9}}EXAMPLE)[A-Z0-9]{{16}}{_END}"),
    ("aws-session-token", "IQoJb3JpZ2luX2Vj", r"[A-Za-z0-9+/=%_-]{100,}"),
    ("aws-session-token", "FwoGZXIvYXdz", r"[A-Za-z0-9+/=%_-]{100,}"),
    ("bedrock-key", "ABSK", r"(?=[A-Za-z+/]{0,60}[0-9])[A-Za-z0-9+/]{100,}={0,2}"),
    ("bedrock-key", "bedrock-api-key-", r"[A-Za-z0-9+/=]{60,}"),
    ("github-token", "gh", r"[pousr]_[A-Za-z0-9]{36,}"),
    ("github-token", "github_pat_", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{50,}"),
    ("slack-token", "xox", r"[a-z]-[0-9]{8,}-[A-Za-z0-9-]{20,}"),
    # URLs whose path is the secret
    ("slack-webhook", "hooks.slack.com/", r"services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}"),
    ("slack-webhook", "hooks.slack.com/", r"workflows/T[A-Z0-9]{6,}/[A-Za-z0-9/]{20,}"),
    ("discord-webhook", "discord.com/api/webhooks/", r"[0-9]{17,20}/[A-Za-z0-9_-]{60,}"),
    ("discord-webhook", "discordapp.com/api/webhooks/", r"[0-9]{17,20}/[A-Za-z0-9_-]{60,}"),
    (
        "teams-webhook",
        "webhook.office.com/webhookb2/",
        r"[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[A-Za-z0-9_/-]{36,}",
    ),
    ("jwt", "eyJ", r"[A-Za-z0-9_-]{10,1000}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{16,}"),
    # PEM (RFC 7468) and PGP; the look-ahead requires a line of base64, which prose does not have.
    (
        "private-key",
        "-----BEGIN ",
        r"(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?=(?:[^-]|-(?!-)){0,400}?[A-Za-z0-9+/]{40})(?:[^-]|-(?!-)){64,20000}+"
        r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
)


def _compiled(start: str, rest: str) -> re.Pattern[str]:
    # A key does not begin within a word: "task-" is not "sk-". The border is checked after the
    # start, since `re` is ten times as quick if a pattern starts with a text.
    return re.compile(rf"{re.escape(start)}(?<![A-Za-z0-9]{re.escape(start)}){rest}")


_AZURE: Final = Pattern(
    "azure-key",
    re.compile(rf"(?<![A-Za-z0-9])[A-Za-z0-9]{{50,54}}JQQJ99[A-Za-z0-9]{{24,28}}{_END}"),
)

_TELEGRAM: Final = Pattern(
    "telegram-token",
    re.compile(
        rf"(?:(?<=bot)|(?<![A-Za-z0-9]))[0-9]{{8,12}}(?<=[0-9]):AA[A-Za-z0-9_-]{{32,34}}{_END}"
    ),
)

LITERALS: Final[dict[Pattern, str]] = {
    _AZURE: "JQQJ99",
    _TELEGRAM: ":AA",
    **{Pattern(name, _compiled(start, rest)): start for name, start, rest in _SHAPES},
}
"""A text that every match of a shipped pattern contains, by pattern."""

PATTERNS: Final = tuple(LITERALS)

# One pass over a body with this shows that no pattern matches, as is usual. Each alternative begins
# at the rarest character of a start and looks back for the rest.
SIGNS: Final = re.compile(
    r"-(?:(?<=sk-)(?=[A-Za-z0-9_-]{24})(?<![A-Za-z0-9]sk-)|(?<=sess-)|(?<=org-)|(?<=xai-)|(?<=pplx-)"
    r"|(?<=csk-)|(?<=nvapi-)|(?<=bedrock-api-key-)|(?<=xox[a-z]-)|(?<=-----)BEGIN )"
    r"|_(?:(?<=ek_)|(?<=proj_)|(?<=tgp_v1_)|(?<=gsk_)|(?<=hf_)|(?<=r8_)|(?<=fw_)|(?<=lsv2_)|(?<=gh[pousr]_)"
    r"|(?<=github_pat_))"
    r"|I(?:(?<=AI)za|(?<=ASI)A)|K(?:(?<=ABSK)|(?<=AK)IA)|J(?:(?<=eyJ)|(?<=IQoJ)b3JpZ2lu)"
    r"|9(?<=ya29)\.|Q(?<=JQ)QJ99|X(?<=FwoGZXIvYX)dz|:(?=AA[A-Za-z0-9_-]{32})"
    r"|/(?:(?<=hooks\.slack\.com/)|(?<=/api/webhooks/)|(?<=office\.com/webhookb2/))"
)
"""Matches in every text in which any of `PATTERNS` matches, and in few others."""

STARTS: Final = (
    r"sk-[A-Za-z0-9_-]{24}|(?:sess|org|xai|pplx|csk|nvapi|bedrock-api-key|xox[a-z])-|-----BEGIN "
    r"|(?:ek|proj|tgp_v1|gsk|hf|r8|fw|lsv2|gh[pousr]|github_pat)_"
    r"|AIza|ASIA|ABSK|AKIA|eyJ|IQoJb3JpZ2lu|ya29\.|JQQJ99|FwoGZXIvYXdz|:AA[A-Za-z0-9_-]{32}"
    r"|hooks\.slack\.com/|/api/webhooks/|office\.com/webhookb2/"
)
"""What `SIGNS` matches, and more, without looking back: for RE2."""
