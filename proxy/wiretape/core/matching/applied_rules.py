"""Take out of a request's parts what rules say does not count, and note what that was."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from wiretape.core.recording import given_ids
from wiretape.core.text.jsonpath import Path
from wiretape.core.wire.header_names import HeaderNames
from wiretape.core.wire.jsonrpc import SESSION_HEADER

from . import normalise
from .canonical import spelled
from .rule import Rule

NOT_COMPARED: Final = "*"
"""Stands for a method, provider or path that a rule leaves out."""

_header_names = lru_cache(maxsize=1000)(HeaderNames)
"""A rule's names are needed for each request."""


class AppliedRules:
    """What rules did to one request: `names` of those that found something, in order, and what the
    user's own took out, `ignored`: by its path, the rule's name and the value.

    `ids` are the tokens of ids that answers gave; they count in its place, where an id may stand.
    """

    def __init__(self, ids: Mapping[str, str], id_names: frozenset[str]) -> None:
        self.ignored: dict[str, tuple[str, Any]] = {}
        self.names: dict[str, None] = {}
        self._ids = ids
        self._id_names = id_names

    def ignore(self, rule: Rule, path: str, raw: Any) -> None:
        """Note that a rule took a value out of the request."""
        self.names[rule.name] = None
        # What a built-in rule takes out changes in every run: that is not worth a report.
        if rule.own:
            self.ignored.setdefault(path, (rule.name, raw))

    def query(self, query: dict[str, list[Any]], rules: Sequence[Rule]) -> dict[str, list[Any]]:
        """The query's parameters that count, by name; the mapping itself is changed."""
        for rule in rules:
            if rule.ignore_query:
                dropped = {name.lower() for name in rule.ignore_query}
                for name in [name for name in query if name.lower() in dropped]:
                    self.ignore(rule, f"query.{name}", query.pop(name))
        if self._ids:
            for name, values in query.items():
                query[name] = [
                    {normalise.TOKEN: self._ids[text]} if text in self._ids else text
                    for text in values
                ]
        return query

    def headers(
        self, headers: dict[str, Any], named: frozenset[str], rules: Sequence[Rule]
    ) -> dict[str, Any]:
        """The headers that count; a built-in rule takes out none of those `named` by the user. The
        mapping itself is changed.
        """
        if not headers:
            return headers
        for rule in rules:
            if not rule.ignore_headers:
                continue
            ignored = _header_names(rule.ignore_headers)
            for name in list(headers):
                if name in ignored and (rule.own or name not in named):
                    self.ignore(rule, f"headers.{name}", headers.pop(name))
        kind = headers.get("content-type")
        if isinstance(kind, str) and kind.lower().startswith("multipart/"):
            headers["content-type"] = kind.partition(";")[0]  # a boundary says nothing
        return headers

    def given(self, headers: Mapping[str, Any], compared: dict[str, Any]) -> dict[str, Any]:
        """The headers that are compared, with those that name an id which an answer gave as its
        token.
        """
        return compared | {
            name: {normalise.TOKEN: self._ids[value]}
            for name in given_ids.HEADERS
            if name in compared or name != SESSION_HEADER
            if isinstance(value := headers.get(name), str) and value in self._ids
        }

    def body(self, kind: str, value: Any, rules: Sequence[Rule]) -> Any:
        """A body as it counts; `kind` is what `body_of` found it to be. The value itself may be
        changed.
        """
        if kind == "json":
            value = self._without_ignored(value, rules)
        if kind == "sha256":
            return value
        names = normalise.Names()
        later: list[tuple[Rule, normalise.Normaliser]] = []
        for rule in rules:
            for normaliser in rule.normalise:
                if normaliser.at and kind != "json":
                    continue
                if normaliser.kind == "ids":
                    value = self._normalised(value, kind, rule, normaliser, names)
                else:
                    later.append((rule, normaliser))
        if self._ids:
            value = self._tokens(kind, value)
        for rule, normaliser in later:
            value = self._normalised(value, kind, rule, normaliser, names)
        return value

    def leave_out(self, value: dict[str, Any], rule: Rule, host: str, path_template: str) -> str:
        """Leave out the parts that do not count under `rule.on`; gives the endpoint's path."""
        on = rule.on or frozenset[str]()
        empty: dict[str, Any] = {
            "method": NOT_COMPARED,
            "path": NOT_COMPARED,
            "query": {},
            "headers": {},
            "body": None,
        }
        for part, nothing in empty.items():
            if part not in on and value[part] != nothing:
                raw = value[part]
                inner = raw if isinstance(raw, dict) else {}
                if part == "body":
                    self.ignore(rule, "body", next(iter(inner.values()), None))
                elif inner:
                    for name, item in inner.items():
                        self.ignore(rule, f"{part}.{name}", item)
                else:
                    self.ignore(rule, part, raw)
                value[part] = nothing
        if "host" in on:
            value["provider"] = host
            self.names[rule.name] = None
        elif "provider" not in on and value["provider"] != NOT_COMPARED:
            self.ignore(rule, "provider", value["provider"])
            value["provider"] = NOT_COMPARED
        return path_template if "path" in on else NOT_COMPARED

    def _without_ignored(self, value: Any, rules: Sequence[Rule]) -> Any:
        """A JSON body without what rules leave out of it. All paths are found before any value is
        removed, which would move the items after it.
        """
        doomed: set[Path] = set()
        wanted: set[Path] | None = None
        nulls: set[Path] = set()
        for rule in rules:
            if rule.only:
                wanted = wanted or set()
                wanted |= {tuple(path) for find in rule.only for path in find(value)}
            paths = {tuple(path) for find in rule.ignore for path in find(value)}
            doomed |= paths
            for path in sorted(paths):
                self.ignore(rule, spelled(path), normalise.at(value, path))
            if rule.null_is_absent is not None:
                null_paths = normalise.nulls(value, rule.null_is_absent)
                nulls |= null_paths
                if null_paths:
                    self.names[rule.name] = None
        if wanted is not None:
            rule = next(rule for rule in rules if rule.only)
            for path in sorted(left_out := normalise.others(value, wanted)):
                self.ignore(rule, spelled(path), normalise.at(value, path))
            doomed.update(left_out)
        return normalise.without(value, doomed | nulls)

    def _normalised(
        self,
        value: Any,
        kind: str,
        rule: Rule,
        normaliser: normalise.Normaliser,
        names: normalise.Names,
    ) -> Any:
        def touched(path: Path, raw: Any) -> None:
            if normaliser.kind in ("ids", "sorted"):
                self.names[rule.name] = None
            else:
                self.ignore(rule, spelled(path), raw)

        return normalise.normalised(value, normaliser, names, touched)

    def _tokens(self, kind: str, value: Any) -> Any:
        if kind in ("json", "form"):
            return normalise.with_tokens(value, self._ids, self._id_names)
        if kind != "multipart":
            return value
        edits: dict[Path, Any] = {
            (at, "text"): {normalise.TOKEN: self._ids[part["text"]]}
            for at, part in enumerate(value)
            if part.get("text") in self._ids
            and normalise.is_id_place((part.get("name", ""),), self._id_names)
        }
        return normalise.edited(value, edits)
