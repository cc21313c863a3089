"""Take the secrets out of documents, so that a recording can be shown to anybody.

Three things are secret, and searched for in this order:

1. What is in a named place: a header, a query parameter or form field, a JSON path. Only listed
   headers of a request are recorded, and all but listed headers of an answer
   (`answer_headers.py`).
2. Known values: the request's credentials, the configured values, and what any rule found in the
   document or, with `remember`, in an earlier one. They are replaced wherever they occur and
   however they are encoded (`known_values.py`), unless they are so short or plain that other texts
   hold them by chance (`placeholder.is_strong`), or public: the request's model or host.
3. Matches of patterns: those of keys (`key_patterns.py`), and the user's own.

Only strings change, members' names that hold a value, and numbers that spell a changed text once
more (`token_lists.py`, `token_ids.py`). Structure, style and framing of a body stay, so a document
stays valid. Redacting twice gives the same as redacting once.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from wiretape.core.model import Request
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json
from wiretape.core.wire.header_names import HeaderNames
from wiretape.core.wire.selecting_headers import document_vary

from . import encodings, streams, token_ids
from .answer_headers import AnswerHeaders
from .clean_parts import CleanParts
from .credential_names import leaves
from .key_patterns import PATTERNS
from .known_values import (
    MOST_REMEMBERED,
    KnownValue,
    RememberedValues,
    Secrets,
    credentials_in_header,
    credentials_in_query,
)
from .named_places import NamedPlaces
from .placeholder import (
    PLACEHOLDER,
    WITH_DIGEST,
    digest_of,
    is_encoded_in,
    is_strong,
    label,
    looks_like_secret,
    may_be_in,
)
from .rules import (
    Finding,
    RedactionRules,
    finding,
)
from .run_paths import NO_PATHS, RunPaths
from .secret_shapes import Shapes
from .token_ids import KnownTokenIds
from .traces import KnownTraces
from .value_search import Search, public_values

_RUN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{16,}")
_LAYERS: Final = 3
_LEAST_ENCODED: Final = 22
"""As many letters of base64 as the shortest run takes."""
_MOST_RUNS: Final = 200
"""The most texts of a request that are tried, at two milliseconds each."""
_SHIPPED: Final = frozenset(label(pattern.name) for pattern in PATTERNS)
_USER_IN_TEXT: Final = re.compile(r"()()(?<=://)([^\s/?#@\"'<>]+)(?=@)")
_COOKIE_IN_TEXT: Final = re.compile(
    r"\b(cookie)([\"']?: *(?:b?[\"'])?)([^\r\n\"']+)", re.IGNORECASE
)
_SCHEME_IN_TEXT: Final = re.compile(r"\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _secrets(values: tuple[KnownValue, ...], remembered: tuple[KnownValue, ...]) -> Secrets:
    # Compiling the search takes longer than replaying a request, and the same keys recur.
    return Secrets(values, remembered)


class Redactor:
    """Applies redaction rules to documents and texts; gives copies and changes nothing in place.

    With `remember`, a value that any rule found in a document is secret in all later ones: for a
    run, or for a folder (the latest `most`). Without it, each document is redacted by itself.

    >>> redactor = Redactor(RedactionRules(values=(("db-password", "Tq7-vanilla-Xk29"),)))
    >>> redactor.text("login with Tq7-vanilla-Xk29 failed")
    'login with REDACTED-secret failed'
    """

    def __init__(
        self,
        rules: RedactionRules,
        paths: RunPaths = NO_PATHS,
        *,
        remember: bool = False,
        most: int = MOST_REMEMBERED,
    ) -> None:
        self.rules: Final = rules
        self.paths: Final = paths
        """The folders of the run, which are not secret but replaced in recordings, too."""
        self.no_secrets: Final = Secrets(rules.values)
        """The configured values alone, for what does not belong to a request."""
        self._remembered = RememberedValues(most) if remember else None
        self.token_ids: Final = KnownTokenIds(most)
        """The lists of token ids that became neutral, if this redactor remembers."""
        self._shapes = Shapes(rules.patterns, rules.secret_query)
        self._exact_shapes = Shapes(rules.patterns, rules.secret_query, exact=True)
        self._request_headers = _RequestHeaders(rules.keep_request_headers, rules.secret_headers)
        self._answer_headers = AnswerHeaders(
            rules.drop_response_headers, rules.keep_response_headers, rules.secret_headers
        )
        self._secret_parameter = re.compile(
            rf"(?<=[?&])(?:{'|'.join(map(re.escape, sorted(rules.secret_query)))})=[^&#]*",
            re.IGNORECASE,
        )
        self._query_in_text = _names_in_text(r"(?<=[?&])", rules.secret_query, "=")
        self._header_in_text = _names_in_text(
            r"(?<![\w-])", rules.secret_headers, r"[\"']?\s*[:=,]\s*(?:b?[\"'])?"
        )

    def keeps(self, name: str) -> bool:
        """Whether a request's header, named in lower case, is recorded whatever the answer."""
        return self._request_headers.keeps(name)

    def secrets(self, request: Request) -> Secrets:
        """The known values of a request: its credentials, the configured values, then those that
        are remembered.
        """
        credentials = [
            known
            for name, value in request.headers
            if (lower := name.lower()) in self.rules.secret_headers
            for known in credentials_in_header(lower, value)
        ]
        if "?" in request.target:
            credentials += credentials_in_query(request.query, self.rules.secret_query)
        if credentials:
            self.remember(credentials)
        elif not self.remembered:
            return self.no_secrets
        return _secrets((*credentials, *self.rules.values), self.remembered)

    def remember(self, values: Iterable[KnownValue]) -> None:
        """Search for values in all documents from now on, if this redactor remembers values."""
        if self._remembered is not None:
            self._remembered.add(values)

    @property
    def remembers(self) -> bool:
        """Whether there are remembered values."""
        return bool(self.remembered)

    def recognise(self, request: Document, recorded: KnownTraces) -> bool:
        """Remember what of a request recordings hold in redacted form: values, lists of token ids.
        Gives whether there is anything.
        """
        if self._remembered is None:
            return False
        is_known = bool(recorded.marks) and self.token_ids.recognise(request, recorded.marks)
        return self._recognise_values(request, recorded.digests) or is_known

    def _recognise_values(self, request: Document, digests: Collection[str]) -> bool:
        if not digests or self._remembered is None:
            return False
        runs = dict.fromkeys(
            part
            for text in _strings(request)
            for run in _RUN.findall(text)
            for part in (run, run.strip("./=+~-"), *re.split("[/=]", run))
            if looks_like_secret(part)
        )
        values = [("recorded", run) for run in list(runs)[:_MOST_RUNS] if digest_of(run) in digests]
        return self._remembered.add(values)

    @property
    def remembered(self) -> tuple[KnownValue, ...]:
        """What is remembered; the same tuple until something is added."""
        return () if self._remembered is None else self._remembered.values

    @property
    def remembered_ever(self) -> int:
        """How much was ever remembered, values and lists of token ids: where it has grown there is
        more to look for.
        """
        return self.token_ids.added + (self._remembered.added if self._remembered else 0)

    def exact(self, request: Document, secrets: Secrets | None = None) -> Document | None:
        """A redacted copy of a `request` part in which the values at the user's own places and
        patterns are told apart, too, where a placeholder has no digest since they could be guessed;
        None where there is none of these. For comparing in memory alone, never to be written.
        """
        if not self.rules.json and not self._shapes.own:
            return None
        exact = self._request(request, secrets, self._exact_shapes)
        return None if exact == self._request(request, secrets, self._shapes) else exact

    def request(
        self, request: Document, secrets: Secrets | None = None, *, remembered: bool = True
    ) -> Document:
        """A redacted copy of a document's `request` part, or the part itself if nothing changes.
        `remembered=False` gives the result of earlier versions, without remembered values.
        """
        return self._request(request, secrets, self._shapes, remembered=remembered)

    def _request(
        self,
        request: Document,
        secrets: Secrets | None,
        shapes: Shapes,
        *,
        remembered: bool = True,
    ) -> Document:
        places = NamedPlaces(self.rules, [], shapes.placeholder, shapes.named)
        part = places.request(self._request_headers(request))
        if not remembered:
            carried = _secrets(secrets.carried if secrets else self.rules.values, ())
            known = carried.without(public_values(request))
            part = Search(shapes, known, []).request(part)
            return self.paths.request(self._with_carried(part, known, places))
        values = [*places.carried, *places.named]
        known = self._known(secrets, request, values)
        search = Search(shapes, known, [])
        searched = search.request(part)
        # What a name or a pattern tells in one place may be in another, as in `document`.
        if len(more := self._known(secrets, request, [*values, *search.replaced])) > len(known):
            known, search = more, Search(shapes, more, [])
            searched = search.request(part)
        part = self.token_ids.request(searched)
        self.remember((*values, *search.replaced))
        return self.paths.request(self._with_carried(part, known, places))

    def document(
        self,
        document: Document,
        secrets: Secrets | None = None,
        clean: CleanParts | None = None,
    ) -> tuple[Document, tuple[Finding, ...]]:
        """A redacted copy of a recording, and the findings. A part that `clean` holds is not
        searched again; one in which nothing is found is noted there.
        """
        request, response = document["request"], document["response"]
        clean = CleanParts() if clean is None else clean
        findings = self._secret_headers(document)
        of_request = NamedPlaces(self.rules, findings, self._shapes.placeholder)
        of_response = NamedPlaces(self.rules, findings, self._shapes.placeholder)
        shown = self._answer_headers(response, request.get("method"))
        named = {
            **document,
            "request": of_request.request(self._request_headers(request, document_vary(response))),
            "response": of_response.response(shown),
        }
        values = [
            *self._answer_credentials(response),
            *(known for places in (of_request, of_response) for known in places.carried),
            *(known for places in (of_request, of_response) for known in places.named),
        ]
        known = self._known(secrets, request, values)
        redacted, search, changes = self._searched(named, known, clean)
        # What a pattern matched in one place may be in another where the pattern does not match.
        if len(more := self._known(secrets, request, [*values, *search.replaced])) > len(known):
            known = more
            redacted, search, changes = self._searched(named, known, clean)
        findings += changes
        self.remember((*values, *search.replaced))
        memory = None if self._remembered is None else self.token_ids
        # One look for a placeholder in a request, for both that ask.
        is_sent = clean.may_hold_placeholder("request", redacted["request"])
        redacted, lists = token_ids.redact(redacted, memory, clean)
        findings += lists
        if is_sent:
            redacted["request"] = self._with_carried(redacted["request"], known, of_request)
        # A path may hold a member whose name is a secret.
        names = Search(self._shapes, known, [])
        whole = {key: redacted.get(key, value) for key, value in document.items()}
        return self.paths.document(whole), tuple(
            Finding(item.rule, names.text(item.where, ())) for item in findings
        )

    def _secret_headers(self, document: Document) -> list[Finding]:
        return [
            finding(name, (part, key, name))
            for part in ("request", "response")
            for key in ("headers", "trailers")
            for name in document[part].get(key, ())
            if name.lower() in self.rules.secret_headers
        ]

    def _searched(
        self, document: Document, known: Secrets, clean: CleanParts
    ) -> tuple[Document, Search, list[Finding]]:
        """Replace known values and matches of patterns in the parts of a document."""
        findings: list[Finding] = []
        search = Search(self._shapes, known, findings)
        redacted = {
            "request": self._searched_request(document["request"], search, known, clean),
            "response": self._searched_response(document["response"], search, known, clean),
        }
        for key, value in document.items():
            if key not in ("request", "response", "wiretape", "recorded_at"):
                redacted[key] = search.values(value, (key,))
        return redacted, search, findings

    def _searched_request(
        self, part: Document, search: Search, known: Secrets, clean: CleanParts
    ) -> Document:
        if clean.holds("request", part, known):
            return part
        text = clean.texts.of("request", part)
        if search.request_may_hold(part, text):
            return search.in_request(part)
        clean.note("request", part, known, by_a_look=True, is_plain=search.plain is text)
        return part

    def _searched_response(
        self, part: Document, search: Search, known: Secrets, clean: CleanParts
    ) -> Document:
        if clean.holds("response", part, known):
            return part
        replaced = len(search.replaced)
        text = clean.texts.of("response", part)
        may_hold = search.response_may_hold(part, text)
        is_plain = search.plain is text
        # First secrets divided among the chunks: their pieces cannot be recognised singly.
        redacted = streams.redact(part, search, search.findings, is_searched=not may_hold)
        if may_hold or redacted is not part:
            redacted = search.in_response(redacted)
        if redacted is part and len(search.replaced) == replaced:
            clean.note("response", part, known, by_a_look=not may_hold, is_plain=is_plain)
        return redacted

    def _answer_credentials(self, response: Document) -> Iterator[KnownValue]:
        """The values of an answer's secret headers."""
        for key in ("headers", "trailers"):
            for name, value in response.get(key, {}).items():
                if (lower := name.lower()) in self.rules.secret_headers:
                    for text in value if isinstance(value, list) else [value]:
                        if isinstance(text, str):
                            yield from credentials_in_header(lower, text)

    def _with_carried(self, part: Document, known: Secrets, places: NamedPlaces) -> Document:
        """Add the digests of a redacted `request` part's credentials: a matcher accepts any other
        credential in their place.
        """
        url = self._secret_parameter.sub("", part["url"]) if "REDACTED-" in part["url"] else ""
        text = url + exact_json.dumps({**part, "url": "", "carried": None}, parsed=True)
        if not may_be_in(text):
            return part
        digests = {digest_of(value) for _, value in places.carried}
        digests |= known.carried_digests | set(part.get("carried", ()))
        digests -= {digest_of(value) for _, value in places.named}
        if not is_encoded_in(text):
            # The digest of a key that a shipped pattern matches does not count.
            digests &= {d for name, d in WITH_DIGEST.findall(text) if name not in _SHIPPED}
        carried = sorted(digest for digest in digests if digest)
        if not carried or carried == part.get("carried"):
            return part
        return {**part, "carried": carried}

    def _known(
        self, secrets: Secrets | None, request: Document | None, values: Iterable[KnownValue] = ()
    ) -> Secrets:
        secrets = self.no_secrets if secrets is None else secrets
        if more := (*values, *self.remembered):
            secrets = _secrets(secrets.carried, (*secrets.values, *more))
        return secrets.without(public_values(request)) if request and len(secrets) else secrets

    def text(self, text: str, secrets: Secrets | None = None) -> str:
        """Redact a log line or a message, including what it names as secret ("?key=…", "Bearer …",
        "https://user:password@…").
        """
        text = self._query_in_text.sub(self._instead(), text)
        text = _COOKIE_IN_TEXT.sub(self._instead(), text)
        text = self._header_in_text.sub(self._instead(is_strong), text)
        text = _USER_IN_TEXT.sub(self._instead(), text)
        text = _SCHEME_IN_TEXT.sub(self._instead(is_strong), text)
        return Search(self._shapes, self._known(secrets, None), []).text(text, ())

    def _instead(
        self, is_secret: Callable[[str], bool] = lambda value: True
    ) -> Callable[[re.Match[str]], str]:
        """For `re.sub`: replace the value of a match (name, separator, value) if it `is_secret`."""

        def instead(match: re.Match[str]) -> str:
            named, between, value = match.groups()
            if PLACEHOLDER.fullmatch(value) or not is_secret(value):
                return match[0]
            return named + between + self._shapes.placeholder(value)

        return instead

    def known_in(self, document: Any, secrets: Secrets | None = None) -> Secrets:
        """The known values to search for in a document, without those its request makes public."""
        request = document.get("request") if isinstance(document, dict) else None
        public = isinstance(request, dict) and isinstance(request.get("url"), str)
        return self._known(secrets, request if public else None)

    def search(self, known: Secrets, findings: list[Finding] | None = None) -> Search:
        """A search for known values and patterns."""
        return Search(self._shapes, known, [] if findings is None else findings)


def _strings(request: Document) -> Iterator[str]:
    """What the strings of a `request` part say: as they are, and with escapes or base64 undone."""
    for _, _, text in leaves({key: request[key] for key in request.keys() - {"carried", "ids"}}):
        layer = encodings.Unescaped(text)
        yield text
        for _ in range(_LAYERS):
            if not layer:
                break
            yield layer.text
            layer = encodings.Unescaped(layer.text)
        for start, end in encodings.runs(text, _LEAST_ENCODED):
            for reading in encodings.readings(text[start:end]):
                yield reading.data.decode("utf-8", "replace")


class _RequestHeaders:
    """Removes from a part the headers that are not on the list, or are secret."""

    def __init__(self, names: Iterable[str], never: frozenset[str]) -> None:
        self._names = HeaderNames(names)
        self._never = never
        self.keeps: Final = lru_cache(maxsize=1024)(self._keeps)
        """Whether a header, named in lower case, stays. Clients send the same ones each time."""

    def _keeps(self, name: str) -> bool:
        return name not in self._never and name in self._names

    def __call__(self, part: Document, more: Collection[str] = ()) -> Document:
        changed = {
            key: headers
            for key in ("headers", "trailers")
            if (headers := self._of(part.get(key, {}), more)) != part.get(key, {})
        }
        return {**part, **changed} if changed else part

    def _of(self, headers: Document, more: Collection[str]) -> Document:
        return {
            lower: value
            for name, value in headers.items()
            if self.keeps(lower := name.lower()) or (lower in more and lower not in self._never)
        }


def _names_in_text(before: str, names: Iterable[str], after: str) -> re.Pattern[str]:
    some = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
    value = r"[^&#\s\"'<>\\]*[^&#\s\"'<>\\,;.:)]"
    return re.compile(rf"{before}({some})({after})({value})", re.IGNORECASE)
