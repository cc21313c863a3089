"""Take the secrets out of documents, so that a recording can be shown to anybody.

Three things are secret, and looked for in this order:

1. What stands in a named place: a header, a query parameter or form field, a JSON path. A
   request's headers are left out unless they are to be kept, an answer's are kept unless they are
   to be left out (`answer_headers.py`).
2. Known values: what the request carried as credentials, the configured ones, and what any rule
   found in the document, or, with `remember`, in an earlier one. They are replaced wherever they
   stand and however they are spelled (`known_values.py`), unless they are so short or plain that
   other texts hold them by chance (`placeholder.is_strong`), or public: equal to the request's own
   model or host.
3. Patterns: texts shaped as keys are (`key_patterns.py`), and the user's own.

Only strings change, and members' names that hold a value. Numbers, structure, how a body is spelled
and what frames it stay, so a document stays one. Redacting twice is redacting once.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from wiretape.core.model import Request
from wiretape.core.recording.document import Document
from wiretape.core.wire.header_names import HeaderNames
from wiretape.core.wire.selecting_headers import document_vary

from . import streams
from .answer_headers import AnswerHeaders
from .key_patterns import PATTERNS, Pattern
from .known_values import KnownValue, RememberedValues, Secrets, of_header, of_query
from .named_places import Places
from .placeholder import (
    PLACEHOLDER,
    WITH_DIGEST,
    digest_of,
    is_encoded_in,
    is_strong,
    label,
    looks_like_secret,
    may_be_in,
    placeholder,
)
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

_RUN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{16,}")
_MOST_RUNS: Final = 200
"""As many texts of a request are tried at most, at two milliseconds each."""
_SHIPPED: Final = frozenset(label(pattern.name) for pattern in PATTERNS)
_serialise: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
_USER_IN_TEXT: Final = re.compile(r"()()(?<=://)([^\s/?#@\"'<>]+)(?=@)")
_COOKIE_IN_TEXT: Final = re.compile(r"\b(cookie)([\"']?: *b?[\"']?)([^\r\n\"']+)", re.IGNORECASE)
_SCHEME_IN_TEXT: Final = re.compile(r"\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _secrets(values: tuple[KnownValue, ...], remembered: tuple[KnownValue, ...]) -> Secrets:
    # Compiling the search takes longer than replaying a request, and the same keys come again.
    return Secrets(values, remembered)


class Redactor:
    """Applies redaction rules to documents and texts; nothing it is given is changed.

    With `remember` a value that any rule has found in one document is secret in all that follow:
    for a run, or for a folder. Without, each document is looked at by itself.
    """

    def __init__(
        self, rules: RedactionRules, paths: RunPaths = NO_PATHS, *, remember: bool = False
    ) -> None:
        self.rules: Final = rules
        self.paths: Final = paths
        """The folders of the run: no secrets, but they too stand in no recording as they are."""
        self.no_secrets: Final = Secrets(rules.values)
        """The configured values alone: for what belongs to no request."""
        self._remembered = RememberedValues() if remember else None
        self._shapes = Shapes(rules.patterns, rules.secret_query)
        self._kept_request = _Kept(rules.keep_request_headers, rules.secret_headers)
        self._answer_headers = AnswerHeaders(
            rules.drop_response_headers, rules.keep_response_headers, rules.secret_headers
        )
        self._secret_parameter = re.compile(
            rf"(?<=[?&])(?:{'|'.join(map(re.escape, sorted(rules.secret_query)))})=[^&#]*",
            re.IGNORECASE,
        )
        self._query_in_text = _names_in_text(r"(?<=[?&])", rules.secret_query, "=")
        self._header_in_text = _names_in_text(
            r"(?<![\w-])", rules.secret_headers, r"[\"']?\s*[:=,]\s*b?[\"']?"
        )

    def secrets(self, request: Request) -> Secrets:
        """The known values of a request: its credentials, the configured ones, then what is
        remembered.
        """
        found = [
            known
            for name, value in request.headers
            if (lower := name.lower()) in self.rules.secret_headers
            for known in of_header(lower, value)
        ]
        if "?" in request.target:
            found += of_query(request.query, self.rules.secret_query)
        if found:
            self.remember(found)
        elif not self._values:
            return self.no_secrets
        return _secrets((*found, *self.rules.values), self._values)

    def remember(self, values: Iterable[KnownValue]) -> None:
        """Look for values in all documents from now on, if this redactor remembers any."""
        if self._remembered is not None:
            self._remembered.add(values)

    @property
    def remembers(self) -> bool:
        """Whether there is a value to be looked for that no rule of today names."""
        return bool(self._values)

    def recognise(self, request: Document, digests: Collection[str]) -> bool:
        """Remember the values in a request whose placeholders have one of some digests."""
        if not digests or self._remembered is None:
            return False
        text = unquote(_serialise(request))
        runs = dict.fromkeys(
            part
            for run in _RUN.findall(text)
            for part in (run, run.strip("./=+~-"), *re.split("[/=]", run))
            if looks_like_secret(part)
        )
        values = [("recorded", run) for run in list(runs)[:_MOST_RUNS] if digest_of(run) in digests]
        return self._remembered.add(values)

    @property
    def _values(self) -> tuple[KnownValue, ...]:
        return () if self._remembered is None else self._remembered.values

    def request(
        self, request: Document, secrets: Secrets | None = None, *, remembered: bool = True
    ) -> Document:
        """A redacted copy of a document's `request` part, or the part itself where nothing has to
        change. Without what is `remembered` it is as earlier versions have it.
        """
        places = Places(self.rules, [], self._shapes.placeholder)
        part = places.request(self._kept_request(request))
        if not remembered:
            carried = _secrets(secrets.carried if secrets else self.rules.values, ())
            known = carried.without(public_values(request))
            part = Search(self._shapes, known, []).request(part)
            return self.paths.request(self._with_carried(part, known, places))
        found = [*places.carried, *places.named]
        known = self._known(secrets, request, found)
        search = Search(self._shapes, known, [])
        part = search.request(part)
        self.remember((*found, *search.found))
        return self.paths.request(self._with_carried(part, known, places))

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
        of_request = Places(self.rules, findings, self._shapes.placeholder)
        of_response = Places(self.rules, findings, self._shapes.placeholder)
        kept = self._answer_headers(response, request.get("method"))
        named = {
            **document,
            "request": of_request.request(self._kept_request(request, document_vary(response))),
            "response": of_response.response(kept),
        }
        values = [
            *self._given_headers(response),
            *(known for places in (of_request, of_response) for known in places.carried),
            *(known for places in (of_request, of_response) for known in places.named),
        ]
        known = self._known(secrets, request, values)
        redacted, search, changes = self._searched(named, known)
        # What a pattern found in one place may stand in another where it cannot see it.
        if len(more := self._known(secrets, request, [*values, *search.found])) > len(known):
            known = more
            redacted, search, changes = self._searched(named, known)
        findings += changes
        self.remember((*values, *search.found))
        redacted["request"] = self._with_carried(redacted["request"], known, of_request)
        # A place may lead through a member that is named as a secret.
        names = Search(self._shapes, known, [])
        whole = {key: redacted.get(key, value) for key, value in document.items()}
        return self.paths.document(whole), tuple(
            Finding(found.rule, names.text(found.where, ())) for found in findings
        )

    def _searched(
        self, document: Document, known: Secrets
    ) -> tuple[Document, Search, list[Finding]]:
        """The parts of a document without known values and patterns, and what was found."""
        findings: list[Finding] = []
        search = Search(self._shapes, known, findings)
        redacted = {
            "request": search.request(document["request"]),
            # First what is cut up over the chunks: its pieces say nothing by themselves.
            "response": search.response(streams.redact(document["response"], search, findings)),
        }
        for key, value in document.items():
            if key not in ("request", "response", "wiretape", "recorded_at"):
                redacted[key] = search.values(value, (key,))
        return redacted, search, findings

    def _given_headers(self, response: Document) -> Iterator[KnownValue]:
        """The values of an answer's secret headers."""
        for key in ("headers", "trailers"):
            for name, value in response.get(key, {}).items():
                if (lower := name.lower()) in self.rules.secret_headers:
                    for text in value if isinstance(value, list) else [value]:
                        if isinstance(text, str):
                            yield from of_header(lower, text)

    def _with_carried(self, part: Document, known: Secrets, places: Places) -> Document:
        """A redacted `request` part that names the placeholders of what it carried as credentials:
        to a matcher any other credential is as good there.
        """
        url = self._secret_parameter.sub("", part["url"]) if "REDACTED-" in part["url"] else ""
        text = url + _serialise({**part, "url": "", "carried": None})
        if not may_be_in(text):
            return part
        digests = {digest_of(value) for _, value in places.carried}
        digests |= known.carried_digests | set(part.get("carried", ()))
        digests -= {digest_of(value) for _, value in places.named}
        if not is_encoded_in(text):
            # Of a key that a shipped pattern fits no digest counts.
            digests &= {d for name, d in WITH_DIGEST.findall(text) if name not in _SHIPPED}
        carried = sorted(digest for digest in digests if digest)
        if not carried or carried == part.get("carried"):
            return part
        return {**part, "carried": carried}

    def _known(
        self, secrets: Secrets | None, request: Document | None, found: Iterable[KnownValue] = ()
    ) -> Secrets:
        secrets = self.no_secrets if secrets is None else secrets
        if more := (*found, *self._values):
            secrets = _secrets(secrets.carried, (*secrets.values, *more))
        return secrets.without(public_values(request)) if request and len(secrets) else secrets

    def text(self, text: str, secrets: Secrets | None = None) -> str:
        """A log line or a message without its secrets, those it names included ("?key=…",
        "Bearer …", "https://user:password@…").
        """
        text = self._query_in_text.sub(self._instead(), text)
        text = _COOKIE_IN_TEXT.sub(self._instead(), text)
        text = self._header_in_text.sub(self._instead(is_strong), text)
        text = _USER_IN_TEXT.sub(self._instead(), text)
        text = _SCHEME_IN_TEXT.sub(self._instead(is_strong), text)
        return Search(self._shapes, self._known(secrets, None), []).text(text, ())

    def _instead(
        self, worth: Callable[[str], bool] = lambda value: True
    ) -> Callable[[re.Match[str]], str]:
        """What `re.sub` puts for a name, what parts it from a value, and a value `worth` hiding."""

        def instead(found: re.Match[str]) -> str:
            named, between, value = found.groups()
            if PLACEHOLDER.fullmatch(value) or not worth(value):
                return found[0]
            return named + between + self._shapes.placeholder(value)

        return instead

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
        self._names = HeaderNames(names)
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
            if (lower := name.lower()) not in self._never
            and (lower in self._names or lower in more)
        }


def _names_in_text(before: str, names: Iterable[str], after: str) -> re.Pattern[str]:
    some = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
    value = r"[^&#\s\"'<>\\]*[^&#\s\"'<>\\,;.:)]"
    return re.compile(rf"{before}({some})({after})({value})", re.IGNORECASE)
