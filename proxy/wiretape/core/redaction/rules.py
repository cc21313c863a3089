"""What is secret: the rules of redaction, and the lists wiretape comes with."""

import json
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from wiretape.core.text.jsonpath import Finder
from wiretape.core.wire.selecting_headers import SELECTING

from .answer_headers import DROP_RESPONSE_HEADERS
from .key_patterns import PATTERNS, Pattern
from .known_values import KnownValue
from .placeholder import label

SECRET_HEADERS: Final = frozenset(
    (
        "api-key",  # Azure
        "apikey",
        "authorization",
        "cf-access-client-secret",
        "cf-aig-authorization",
        "cookie",
        "helicone-auth",
        "ocp-apim-subscription-key",
        "openai-organization",  # an account's name, which error messages repeat
        "openai-project",
        "private-token",
        "proxy-authorization",
        "set-cookie",
        "x-access-token",
        "x-amz-security-token",
        "x-api-key",  # Anthropic
        "x-auth-token",
        "x-csrf-token",
        "x-functions-key",
        "x-groq-organization",
        "x-goog-api-key",
        "x-litellm-api-key",
        "x-portkey-api-key",
    )
)
"""Headers whose values are known values; they are never kept."""

SECRET_QUERY: Final = frozenset(
    (
        "access_token",
        "anthropic-organization-id",
        "api-key",
        "api_key",
        "apikey",
        "auth_token",
        "client_secret",
        "id_token",
        "key",  # Gemini
        "password",
        "refresh_token",
        "secret",
        "sig",  # Azure's shared access signatures
        "signature",
        "subscription-key",
        "token",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
        "x-goog-credential",
        "x-goog-signature",
    )
)
"""Query parameters and form fields whose values are secret."""

SECRET_FORM: Final = frozenset(
    (
        *("actor_token", "assertion", "auth_req_id", "client_assertion", "code", "code_verifier"),
        *("device_code", "jwt", "hmac", "password", "samlresponse", "subject_token"),
    )
)
"""Fields that are secret in forms besides (RFC 6749, 7521, 7523, 7636, 8628, 8693). `code` is so
where there is a `grant_type`, or where it looks like a secret.
"""

KEEP_REQUEST_HEADERS: Final = frozenset(
    (
        *("accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta"),
        "sec-websocket-protocol",  # without the keys that some clients put there
        *SELECTING,
    )
)
"""The headers of a request that are recorded; of others those that the answer's Vary names."""

SECRET_ENV: Final = (
    "*_ACCESS_KEY",
    "*_ACCESS_KEY_ID",
    "*_API_KEY",
    "*_APIKEY",
    "*_AUTH_KEY",
    "*_PASSWORD",
    "*_PRIVATE_KEY",
    "*_SECRET",
    "*_SECRET_KEY",
    "*_TOKEN",
)
"""What environment variables are called that hold keys; the asterisk stands for any text."""

LARGE: Final = "large"
"""What `unsearched` calls bodies too large to be searched; others it calls by their coding."""

type Gate = Literal["refuse", "warn"]
"""What becomes of a recording that still holds a secret."""


@dataclass(frozen=True, slots=True)
class JsonRule:
    """Places in a JSON body (a request's, an answer's, each chunk's) whose strings are secret."""

    name: str
    find: Finder


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What is secret; without arguments, what wiretape comes with.

    Header and parameter names are lower-case. A kept header that ends in * stands for all that
    begin so. Of an answer all headers are kept but the dropped and the secret ones.

    `values` are (label, value), of environment variables; the `repr` leaves them out.
    `unsearched` names what may be recorded though it cannot be searched.
    """

    keep_request_headers: frozenset[str] = KEEP_REQUEST_HEADERS
    keep_response_headers: frozenset[str] = frozenset()
    drop_response_headers: frozenset[str] = DROP_RESPONSE_HEADERS
    secret_headers: frozenset[str] = SECRET_HEADERS
    secret_query: frozenset[str] = SECRET_QUERY
    json: tuple[JsonRule, ...] = ()
    patterns: tuple[Pattern, ...] = PATTERNS
    values: tuple[KnownValue, ...] = field(default=(), repr=False)
    gate: Gate = "refuse"
    unsearched: frozenset[str] = frozenset()


type Where = tuple[str | int, ...]
"""A place in a document: ("request", "body", "messages", 0, "content")."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret was found: by which rule, and where ("request.body.messages[0].content"); never the
    value.
    """

    rule: str
    where: str


def finding(rule: str, where: Where) -> Finding:
    """A finding, its place spelled for a reader."""
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f".{step}"
        if re.fullmatch(r"[\w-]+", step)
        else f"[{json.dumps(step)}]"
        for step in where
    )
    return Finding(label(rule), "".join(steps).removeprefix("."))
