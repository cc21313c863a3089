"""Take the secrets out of documents, so that a recording can be shown to anybody.

Three things are secret, and looked for in this order:

1. What stands in a named place: a header, a query parameter or form field, a JSON path. The place
   gives the placeholder its label, whatever the value, so that a request with another key, with a
   dummy key or with a placeholder says the same. A request's headers are left out unless they are
   to be kept, an answer's are kept unless they are to be left out (`answer_headers.py`).
2. Known values: what the request carried as credentials, and the configured ones. They are
   replaced wherever they stand and however they are spelled (`known_values.py`), unless they are so
   short or plain that other texts hold them by chance (`placeholder.is_strong`), or public: equal
   to the request's own model or host.
3. Patterns: texts shaped as keys are (`key_patterns.py`), and the user's own.

Only strings change, and members' names that hold a value. Numbers, structure, how a body is spelled
and what frames it stay, so a document stays one. Redacting twice is redacting once.
"""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, Final

from wiretape.core.model import Request
from wiretape.core.recording.document import Document
from wiretape.core.wire.selecting_headers import vary

from . import streams
from .answer_headers import AnswerHeaders
from .key_patterns import PATTERNS, Pattern
from .known_values import Known, Secrets, of_header, of_query
from .named_places import Places
from .placeholder import PLACEHOLDER, is_strong, placeholder
from .rules import (
    KEEP_REQUEST_HEADERS,
    SECRET_ENV,
    SECRET_HEADERS,
    SECRET_QUERY,
    Finding,
    JsonRule,
    RedactionRules,
    finding,
)
from .run_paths import NO_PATHS, RunPaths
from .value_search import Search, Shapes, public_values

__all__ = [
    "KEEP_REQUEST_HEADERS",
    "PATTERNS",
    "PLACEHOLDER",
    "SECRET_ENV",
    "SECRET_HEADERS",
    "SECRET_QUERY",
    "Finding",
    "JsonRule",
    "Pattern",
    "RedactionRules",
    "Redactor",
    "Secrets",
    "is_strong",
    "placeholder",
]

_USER_IN_TEXT: Final = re.compile(r"()()(?<=://)([^\s/?#@\"'<>]+)(?=@)")
_COOKIE_IN_TEXT: Final = re.compile(r"\b(cookie)([\"']?: *b?[\"']?)([^\r\n\"']+)", re.IGNORECASE)
_SCHEME_IN_TEXT: Final = re.compile(r"\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _secrets(values: tuple[Known, ...]) -> Secrets:
    # Compiling the search takes longer than replaying a request, and the same keys come again.
    return Secrets(values)


class Redactor:
    """Applies redaction rules to documents and texts; nothing it is given is changed."""

    def __init__(self, rules: RedactionRules, paths: RunPaths = NO_PATHS) -> None:
        self.rules: Final = rules
        self.paths: Final = paths
        """The folders of the run: no secrets, but they too stand in no recording as they are."""
        self.no_secrets: Final = Secrets(rules.values)
        """The configured values alone: for what belongs to no request."""
        self._shapes = Shapes(rules.patterns, rules.secret_query)
        self._kept_request = _Kept(rules.keep_request_headers, rules.secret_headers)
        self._answer_headers = AnswerHeaders(
            rules.drop_response_headers, rules.keep_response_headers, rules.secret_headers
        )
        self._query_in_text = _names_in_text(r"(?<=[?&])", rules.secret_query, "=")
        self._header_in_text = _names_in_text(
            r"(?<![\w-])", rules.secret_headers, r"[\"']?\s*[:=,]\s*b?[\"']?"
        )

    def secrets(self, request: Request) -> Secrets:
        """The known values of a request: its credentials, then the configured ones."""
        found = [
            known
            for name, value in request.headers
            if (lower := name.lower()) in self.rules.secret_headers
            for known in of_header(lower, value)
        ]
        if "?" in request.target:
            found += of_query(request.query, self.rules.secret_query)
        return _secrets((*found, *self.rules.values)) if found else self.no_secrets

    def request(self, request: Document, secrets: Secrets | None = None) -> Document:
        """A redacted copy of a document's `request` part, or the part itself where nothing has to
        change.
        """
        findings: list[Finding] = []
        known = self._known(secrets, request)
        named = Places(self.rules, findings).request(self._kept_request(request))
        return self.paths.request(Search(self._shapes, known, findings).request(named))

    def document(
        self, document: Document, secrets: Secrets | None = None
    ) -> tuple[Document, tuple[Finding, ...]]:
        """A redacted copy of a whole recording, and what was found in it."""
        request, response = document["request"], document["response"]
        findings = [
            finding(name, (part, key, name))
            for part in ("request", "response")
            for key in ("headers", "trailers")
            for name in document[part].get(key, ())
            if name.lower() in self.rules.secret_headers
        ]
        places = Places(self.rules, findings)
        kept = self._answer_headers(response, request.get("method"))
        known = self._known(secrets, request)
        search = Search(self._shapes, known, findings)
        redacted = {
            "request": search.request(places.request(self._kept_request(request, _vary(response)))),
            "response": search.response(
                # First what is cut up over the chunks: its pieces say nothing by themselves.
                streams.redact(places.response(kept), search, findings)
            ),
        }
        for key, value in document.items():
            if key not in ("request", "response", "wiretape", "recorded_at"):
                redacted[key] = search.values(value, (key,))
        # A place may lead through a member that is named as a secret.
        names = Search(self._shapes, known, [])
        whole = {key: redacted.get(key, value) for key, value in document.items()}
        return self.paths.document(whole), tuple(
            Finding(found.rule, names.text(found.where, ())) for found in findings
        )

    def _known(self, secrets: Secrets | None, request: Document | None) -> Secrets:
        secrets = self.no_secrets if secrets is None else secrets
        return secrets.without(public_values(request)) if request and len(secrets) else secrets

    def text(self, text: str, secrets: Secrets | None = None) -> str:
        """A log line or a message without its secrets, those it names included ("?key=…",
        "Bearer …", "https://user:password@…").
        """
        text = self._query_in_text.sub(_instead("query-{}"), text)
        text = _COOKIE_IN_TEXT.sub(_instead("cookie"), text)
        text = self._header_in_text.sub(_instead("{}", is_strong), text)
        text = _USER_IN_TEXT.sub(_instead("userinfo"), text)
        text = _SCHEME_IN_TEXT.sub(_instead("authorization", is_strong), text)
        return Search(self._shapes, self._known(secrets, None), []).text(text, ())

    def known_in(self, document: Any, secrets: Secrets | None = None) -> Secrets:
        """The known values to look for in a document; those that its request makes public are not
        among them.
        """
        request = document.get("request") if isinstance(document, dict) else None
        public = isinstance(request, dict) and isinstance(request.get("url"), str)
        return self._known(secrets, request if public else None)

    def search(self, known: Secrets, findings: list[Finding] | None = None) -> Search:
        """A search for known values and patterns."""
        return Search(self._shapes, known, [] if findings is None else findings)


class _Kept:
    """Leaves out of a part the headers that are not on the list, or are secret."""

    def __init__(self, names: Iterable[str], never: frozenset[str]) -> None:
        names = tuple(names)
        self._names = frozenset(name for name in names if not name.endswith("*")) - never
        self._starts = tuple(name[:-1] for name in names if name.endswith("*"))
        self._never = never

    def __call__(self, part: Document, more: Collection[str] = ()) -> Document:
        changed = {
            key: kept
            for key in ("headers", "trailers")
            if (kept := self._of(part.get(key, {}), more)) != part.get(key, {})
        }
        return {**part, **changed} if changed else part

    def _of(self, headers: Document, more: Collection[str]) -> Document:
        return {
            lower: value
            for name, value in headers.items()
            if (lower := name.lower()) in self._names
            or (lower in more and lower not in self._never)
            or (self._starts and lower.startswith(self._starts) and lower not in self._never)
        }


def _vary(response: Document) -> tuple[str, ...]:
    """The request headers that an answer's Vary names."""
    value = response.get("headers", {}).get("vary", [])
    return vary(("vary", line) for line in (value if isinstance(value, list) else [value]))


def _names_in_text(before: str, names: Iterable[str], after: str) -> re.Pattern[str]:
    some = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
    value = r"[^&#\s\"'<>\\]*[^&#\s\"'<>\\,;.:)]"
    return re.compile(rf"{before}({some})({after})({value})", re.IGNORECASE)


def _instead(
    name: str, worth: Callable[[str], bool] = lambda value: True
) -> Callable[[re.Match[str]], str]:
    """What `re.sub` puts for a name, what parts it from a value, and a value `worth` hiding."""

    def instead(found: re.Match[str]) -> str:
        named, between, value = found.groups()
        if PLACEHOLDER.fullmatch(value) or not worth(value):
            return found[0]
        return named + between + placeholder(name.format(named), value)

    return instead
