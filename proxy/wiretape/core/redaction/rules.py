"""The rules of redaction, with the lists that wiretape comes with."""

import json
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from wiretape.core.text.jsonpath import Finder
from wiretape.core.wire.jsonrpc import SESSION_HEADER
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
"""Headers whose values are secret; they are never recorded."""

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
"""Further fields that are secret in forms (RFC 6749, 7521, 7523, 7636, 8628, 8693); `code` only
with a `grant_type`, or if it looks like a secret.
"""

KEEP_REQUEST_HEADERS: Final = frozenset(
    (
        *("accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta"),
        SESSION_HEADER,  # names the answer that began its session
        "sec-websocket-protocol",  # without the keys that some clients send in it
        *SELECTING,
    )
)
"""The headers of a request that are recorded, besides those that the answer's Vary names."""

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
"""The names of environment variables that hold keys; the asterisk stands for any text."""

LARGE: Final = "large"
"""The name in `unsearched` of bodies too large to be searched; others have their coding's."""

type Gate = Literal["refuse", "warn"]
"""What to do with a recording that still holds a secret."""


@dataclass(frozen=True, slots=True)
class JsonRule:
    """A JSONPath to secret strings in a body (a request's, an answer's, each chunk's)."""

    name: str
    find: Finder


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What is secret; without arguments, the rules that wiretape comes with.

    Header and parameter names are in lower case. A header to keep that ends in * is a prefix. All
    headers of an answer are kept but the dropped and the secret ones.

    `values` are (label, value), of environment variables; the `repr` leaves them out.
    `unsearched` names what may be recorded although it cannot be searched.
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
"""A path in a document: ("request", "body", "messages", 0, "content")."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret that was found: the rule and the path ("request.body.messages[0].content"), never
    the value.
    """

    rule: str
    where: str


def finding(rule: str, where: Where) -> Finding:
    """A finding, with its path written for a reader.

    >>> finding("query-key", ("request", "body", "a b", 0))
    Finding(rule='query-key', where='request.body["a b"][0]')
    """
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f".{step}"
        if re.fullmatch(r"[\w-]+", step)
        else f"[{json.dumps(step)}]"
        for step in where
    )
    return Finding(label(rule), "".join(steps).removeprefix("."))
