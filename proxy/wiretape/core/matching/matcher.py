"""Turn requests into canonical forms and keys.

A request is matched by a key: the SHA-256 of its canonical form, computed from its document *after
redaction*. Two requests have equal keys when method, provider, path, query, the chosen headers and
the body say the same, whatever their spelling: order of members, number spelling and white space do
not count; `stream` does. Rules take out what need not be the same; what they took out is kept
beside the form, so that a change of it can be reported.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from wiretape.core.model import DEFAULT_PORTS, Exchange, Request, header, split_url
from wiretape.core.providers.registry import Providers, error_shape
from wiretape.core.recording.document import Document
from wiretape.core.redaction.placeholder import WITH_DIGEST, is_encoded_in, may_be_in
from wiretape.core.text import exact_json
from wiretape.core.wire.header_names import HeaderNames
from wiretape.core.wire.jsonrpc import SESSION_HEADER
from wiretape.core.wire.selecting_headers import (
    accepts,
    asks_for_stream,
    by_header,
    normal,
    normal_list,
    selects,
    vary,
)

from . import normalise
from .applied_rules import AppliedRules
from .body import body_of, by_name
from .canonical import Canonical
from .placeholders import Placeholders, carried_by
from .rule import Condition, MemberCondition, Rule

COMPARED_HEADERS: Final = ("anthropic-version", "anthropic-beta", "openai-beta")
"""The headers that count by default, besides those that decide an answer."""


class Matcher:
    """Turns request documents into canonical forms.

    `headers` are the header names that count besides those that decide an answer
    (`wire/selecting_headers.py`), `without_headers` those that do not after all, `secret_query` the
    query parameters that never do; a name that ends in an asterisk is all that begin so. Of
    placeholders with a label in `distinct` (the user's own patterns and places, which may find more
    than keys: an e-mail address) the digest counts, as the values did.
    """

    def __init__(
        self,
        providers: Providers,
        headers: Iterable[str] = (),
        rules: Sequence[Rule] = (),
        secret_query: Iterable[str] = (),
        distinct: Iterable[str] = (),
        without_headers: Iterable[str] = (),
    ) -> None:
        self.headers: Final = tuple(sorted({name.lower() for name in headers}))
        self.rules: Final = tuple(rules)
        """All rules in effect."""
        self._counted = HeaderNames(self.headers)
        self._named = self._counted.in_full
        self._without_headers = tuple(without_headers)
        self._without = HeaderNames(self._without_headers)
        self._ignored = HeaderNames(name for rule in self.rules for name in rule.ignore_headers)
        self._providers = providers
        self._secret_query = frozenset(name.lower() for name in secret_query)
        self._distinct = frozenset(distinct)
        self._placeholders = Placeholders(self._distinct)
        self._chosen: dict[tuple[object, ...], _Choice] = {}

    def with_rules(self, rules: Iterable[Rule]) -> "Matcher":
        """The same matcher with further rules: after the user's and before the packs'."""
        own = [rule for rule in self.rules if rule.own]
        built_in = [rule for rule in self.rules if not rule.own]
        return Matcher(
            self._providers,
            self.headers,
            (*own, *rules, *built_in),
            self._secret_query,
            self._distinct,
            self._without_headers,
        )

    def canonical(self, request: Document) -> Canonical:
        """Make the canonical form of a document's `request` part, which has been redacted.

        Where it has "ids" (id as it is spelled: token), ids in id places are compared by token, and
        placeholders by what they say (`placeholders.py`).

        >>> def key(body):
        ...     document = {"method": "post", "url": "https://llm.example/v1", "body": body}
        ...     return Matcher(Providers(())).canonical(document).key
        >>> key({"model": "m", "top_p": 1.0}) == key({"top_p": 1, "model": "m"})
        True
        >>> key({"model": "m"}) == key({"model": "m", "stream": True})
        False
        """
        named, text = self._canonical(request)
        # Of a binary body the form has a digest.
        if not (may_be_in(text) or is_encoded_in(request.get("body_base64", ""))):
            return named
        neutral = self._placeholders.neutral(request)
        if neutral is None:
            return named
        return replace(self._canonical(neutral)[0], name_key=named.key)

    def _canonical(self, request: Document) -> tuple[Canonical, str]:
        _, host, port, target = split_url(request["url"])
        method = request["method"].upper()
        path, _, query = target.partition("?")
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        host_key = self._providers.host_key(host, port)
        kind, body = body_of(request, headers)
        rules = self._rules_for(
            host, port, host_key, method, path, body if kind == "json" else _NONE
        )
        ids: Any = request.get("ids")
        if not isinstance(ids, dict):  # a recording may have been edited by hand
            ids = {}
        applied = AppliedRules(ids, self._providers.id_names(host, port) if ids else frozenset())
        counting = self._counting(headers, body if kind == "json" else None)
        compared_path, path_template = normalise.path_with_tokens(path, ids)
        value: dict[str, Any] = {
            "method": method,
            "provider": host_key,
            "path": compared_path,
            "query": applied.query(by_name(query, self._secret_query), rules),
            "headers": applied.given(headers, applied.headers(counting, self._named, rules)),
            "body": {kind: applied.body(kind, body, rules)} if kind else None,
        }
        never = next((rule.name for rule in rules if rule.never_recorded), "")
        if never:
            applied.names[never] = None
        for rule in rules:
            if rule.on is not None:
                path_template = applied.leave_out(value, rule, _host(host, port), path_template)
        # ASCII, so a lone surrogate in a prompt can be hashed too.
        text = exact_json.sorted_dumps(value)
        if "REDACTED-" in text:
            named = self._placeholders.named(carried_by(request))
            text = WITH_DIGEST.sub(named, text)
            value = json.loads(text)
            path_template = WITH_DIGEST.sub(named, path_template)
        canonical = Canonical(
            endpoint=(value["provider"], value["method"], path_template),
            value=value,
            key=hashlib.sha256(text.encode()).hexdigest(),
            ignored=applied.ignored,
            rules=tuple(applied.names),
            never_recorded=never,
        )
        return canonical, text

    def _counting(self, headers: Mapping[str, Any], body: Any) -> dict[str, Any]:
        """The headers that are compared, normalised; those that decide the answer only where they
        say something.
        """
        counting = {}
        for name in sorted(headers):
            if name in self._without:
                continue
            if name in self._named or name == SESSION_HEADER:
                counting[name] = normal_list(name, headers[name])
            elif selects(name):
                if value := normal(name, headers[name], asks_for_stream=asks_for_stream(body)):
                    counting[name] = value
            elif name in self._counted:
                counting[name] = normal_list(name, headers[name])
        return counting

    def selecting(self, request: Document) -> frozenset[str]:
        """The names of the headers of a request that decide its answer and say something."""
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        counting = self._counting(headers, request.get("body"))
        return frozenset(name for name in counting if name not in self._named and selects(name))

    def apart(
        self, exchange: Exchange, live: Request, *, streams: bool
    ) -> dict[str, tuple[str, str]]:
        """The headers that make a recording of equal key the answer to another request: by name,
        the live value and the recorded one.

        They are those that the answer's Vary names, and Accept where the two ask for different
        forms, or the live client does not accept what was answered. `streams` is whether the body
        by itself asks for a stream.
        """
        recorded_headers, live_headers = (
            by_header(exchange.request.headers),
            by_header(live.headers),
        )
        differing = {}
        for name in vary(exchange.response.headers):
            pair = tuple(
                normal_list(name, each.get(name, [])) for each in (live_headers, recorded_headers)
            )
            if pair[0] != pair[1]:
                differing[name] = (pair[0], pair[1])
        if holds_accept(exchange):
            pair = tuple(
                ", ".join(each.get("accept", [])) for each in (live_headers, recorded_headers)
            )
            forms = [normal("accept", each, asks_for_stream=streams) for each in pair]
            kind = header(exchange.response.headers, "content-type") or ""
            is_taken = not kind or streams or accepts(pair[0], kind)
            if pair[0] != pair[1] and (forms[0] != forms[1] or not is_taken):
                differing["accept"] = (pair[0], pair[1])
        return {
            name: pair
            for name, pair in differing.items()
            if name not in self._without and name not in self._ignored
        }

    def _rules_for(
        self, host: str, port: int, host_key: str, method: str, path: str, body: Any
    ) -> Sequence[Rule]:
        if not self.rules:
            return ()
        names = tuple(body) if type(body) is dict and len(body) <= _MOST_NAMES else None
        target = (host, port, host_key, method, path, self._providers.changes, names)
        choice = self._chosen.get(target)
        if choice is None:
            if len(self._chosen) >= _MOST:
                self._chosen.clear()
            rules = self._rules_of(host, port, host_key, method, path)
            choice = self._chosen[target] = _choice(rules, names)
        rules, conditions = choice
        if not conditions:
            return rules
        # Several rules have one condition.
        holds = {each: body is not _NONE and each(body) for each in conditions}
        return [rule for rule in rules if rule.body is None or holds[rule.body]]

    def _rules_of(
        self, host: str, port: int, host_key: str, method: str, path: str
    ) -> tuple[Rule, ...]:
        """The rules of a request, whatever its body."""
        # A host that a pattern covers has a key of its own, but its provider's rules too. A host of
        # no provider has the rules of the provider whose dialect the request is in.
        provider = self._providers.find(host, port)
        is_named = provider is not None and provider.errors is not None
        dialect = host_key if is_named else error_shape(None, path)
        names = (None, host_key, provider.name if provider else host_key, dialect)
        return tuple(
            rule
            for rule in self.rules
            if rule.provider in names
            and rule.method in (None, method)
            and rule.fits_path(path)
            and rule.fits_host(host, port)
        )


def holds_accept(exchange: Exchange) -> bool:
    """Whether a recording holds the Accept of its request, or that it had none: earlier versions
    kept it too, other tools do not.
    """
    names = {name.lower() for name, _ in exchange.request.headers}
    return "accept" in names or tells(exchange)


def tells(exchange: Exchange) -> bool:
    """Whether a recording holds the headers that decide its answer, where its request had some.
    Versions that kept none of them wrote the time to the second.
    """
    return exchange.recorded_at is not None and "." in exchange.recorded_at


def without_session(request: Document) -> Document:
    """A document's `request` part without the id of an MCP server's session."""
    headers = request.get("headers", {})
    others = {name: value for name, value in headers.items() if name.lower() != SESSION_HEADER}
    return {**request, "headers": others}


def without_selecting(request: Document) -> Document:
    """A document's `request` part without the headers that decide an answer."""
    headers = request.get("headers", {})
    others = {name: value for name, value in headers.items() if not selects(name.lower())}
    return {**request, "headers": others}


type _Choice = tuple[tuple[Rule, ...], tuple[Condition, ...]]
"""The rules that a request may have, and their conditions."""


def _choice(rules: Iterable[Rule], names: Collection[str] | None) -> _Choice:
    """The rules among these that a body with members of those names may have; None for any body."""
    possible = tuple(
        rule
        for rule in rules
        if names is None
        or not isinstance(rule.body, MemberCondition)
        or rule.body.members <= frozenset(names)
    )
    conditions = dict.fromkeys(rule.body for rule in possible if rule.body is not None)
    return possible, tuple(conditions)


_MOST: Final = 1000
"""Targets that are remembered with their rules: a client may ask any host."""

_MOST_NAMES: Final = 64
"""The members of a body up to which its rules are remembered for their names."""

_NONE: Final = object()


def _host(host: str, port: int) -> str:
    name = host.lower().rstrip(".")
    return name if port in DEFAULT_PORTS.values() else f"{name}:{port}"
