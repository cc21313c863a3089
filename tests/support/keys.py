"""A made-up key of each shape that wiretape knows."""

import random
import string

LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
GUID = "3f2b8c1e-9d47-4a6b-8e05-c7d1f0a29b36"


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
    (
        "slack-webhook",
        f"hooks.slack.com/services/T{made_up(9, UPPER)}/B{made_up(9, UPPER)}/{made_up(24)}",
    ),
    (
        "slack-webhook",
        f"hooks.slack.com/workflows/T{made_up(9, UPPER)}/A{made_up(9, UPPER)}/{made_up(24)}",
    ),
    ("discord-webhook", f"discord.com/api/webhooks/123456789012345678/{made_up(68, URLSAFE)}"),
    ("discord-webhook", f"discordapp.com/api/webhooks/123456789012345678/{made_up(68, URLSAFE)}"),
    (
        "teams-webhook",
        f"webhook.office.com/webhookb2/{GUID}@{GUID}/IncomingWebhook/{made_up(32, HEX)}/{GUID}",
    ),
    ("telegram-token", "1234567890:AA" + made_up(33, URLSAFE)),
    ("openai-key", "sk-" + made_up(20) + "T3Blbk" + "FJ" + made_up(20)),
    ("openai-key", "sk-proj-" + made_up(58, URLSAFE) + "T3Blbk" + "FJ" + made_up(58, URLSAFE)),
    ("openai-key", "sk-svcacct-" + made_up(74, URLSAFE)),
    ("openai-key", "sk-admin-" + made_up(58, URLSAFE)),
    ("openai-key", "sk-" + made_up(32, HEX)),
    ("openai-key", "sess-" + made_up(40)),
    ("openai-client-secret", "ek_" + made_up(32, HEX)),
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
