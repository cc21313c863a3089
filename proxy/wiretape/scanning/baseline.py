"""Findings that are let pass, each with a reason: the YAML file that `wiretape scan` is given.

    version: 1
    allow:
      - file: recordings/old/*.json
        rule: openai-key
        where: request.body.messages[0].content    # optional
        masked: sk-proj-Ab…(164 characters)         # optional
        reason: revoked on 2026-03-01, the test is of the error that says so

An entry names a secret by file, rule, place and first characters, never by a digest: a digest would
let guesses at it be tried out.
"""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from wiretape.core.errors import ConfigError
from wiretape.core.text.located import Location, NotYaml, dotted
from wiretape.core.text.located_yaml import parse

from .scan import Hit

VERSION: Final = 1
_MEMBERS: Final = ("file", "rule", "where", "masked", "reason")
_NEEDED: Final = ("file", "rule", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """An entry: `file` is a glob whose * also stands for "/"; None where anything will do."""

    file: str
    rule: str
    where: str | None
    masked: str | None
    reason: str
    line: int

    def covers(self, hit: Hit) -> bool:
        """Whether the entry lets a hit pass."""
        return (
            self.rule == hit.rule
            and self.where in (None, hit.where)
            and self.masked in (None, hit.masked)
            and self.is_of(hit.file)
        )

    def is_of(self, file: str) -> bool:
        """Whether the entry is about a file."""
        return fnmatch.fnmatchcase(file, self.file)


@dataclass(frozen=True, slots=True)
class SortedHits:
    """Hits apart: those left, those let pass with their reasons, and entries that no hit needed."""

    left: tuple[Hit, ...]
    passed: tuple[tuple[Hit, str], ...]
    unused: tuple[Allowed, ...]


def read(source: str, data: bytes, *, reasons: bool = True) -> tuple[Allowed, ...]:
    """The entries of a baseline file; `source` names it in messages. `reasons=False` lets an empty
    reason be, for a baseline that is about to be written anew.

    Raises ConfigError with all faults, a line each.
    """
    try:
        tree = parse(data)
    except NotYaml as error:
        raise ConfigError(f"{source}:{error.line}:{error.column}: not YAML: {error}") from None
    faults = [(fault.line, str(fault)) for fault in tree.problems]

    def wrong(location: Location, text: str) -> None:
        where = dotted(location)
        faults.append((tree.line(location), f"{where}: {text}" if where else text))

    top = {} if tree.value is None else tree.value
    entries: list[Allowed] = []
    if not isinstance(top, dict):
        wrong((), "expected a mapping with version and allow")
    else:
        for key in top.keys() - {"version", "allow"}:
            wrong((key,), "unknown key, expected version or allow")
        if top and top.get("version") != VERSION:
            wrong(("version",), f"expected the baseline's version {VERSION}")
        allow = top.get("allow") or []
        if isinstance(allow, list):
            for at, item in enumerate(allow):
                location = ("allow", at)
                if fault := _fault(item, reasons=reasons):
                    wrong(location, fault)
                else:
                    entries.append(_entry(item, tree.line(location)))
        else:
            wrong(("allow",), "expected a list of entries")
    if faults:
        raise ConfigError(*(f"{source}:{line}: {text}" for line, text in sorted(faults)))
    return tuple(entries)


def _fault(item: Any, *, reasons: bool) -> str | None:
    if not isinstance(item, dict):
        return f"expected an entry with {', '.join(_NEEDED)}"
    unknown = sorted(item.keys() - set(_MEMBERS))
    if unknown:
        return f"{unknown[0][:40]}: unknown key, expected one of {', '.join(_MEMBERS)}"
    for name in _MEMBERS:
        value = item.get(name)
        if value is not None and not isinstance(value, str):
            return f"{name}: expected text; put it in quotes"
        if name in _NEEDED and not (value or "").strip():
            if name != "reason":
                return f"{name} is missing"
            if reasons:
                return "reason is missing: say why this may stay"
    return None


def _entry(item: dict[str, Any], line: int) -> Allowed:
    return Allowed(
        file=item["file"],
        rule=item["rule"],
        where=item.get("where"),
        masked=item.get("masked"),
        reason=(item.get("reason") or "").strip(),
        line=line,
    )


def sort(hits: Iterable[Hit], entries: Iterable[Allowed], files: Iterable[str]) -> SortedHits:
    """Sort hits by whether an entry covers them. An entry is unused only where one of the `files`
    scanned is its own: a run over some files says nothing of the others.
    """
    entries = tuple(entries)
    left: list[Hit] = []
    passed: list[tuple[Hit, str]] = []
    used: set[int] = set()
    for hit in hits:
        covering = [at for at, entry in enumerate(entries) if entry.covers(hit)]
        used.update(covering)
        if covering:
            passed.append((hit, entries[covering[0]].reason))
        else:
            left.append(hit)
    idle = [entry for at, entry in enumerate(entries) if at not in used]
    names = tuple(files) if idle else ()
    unused = tuple(entry for entry in idle if any(map(entry.is_of, names)))
    return SortedHits(tuple(left), tuple(passed), unused)


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HEAD: Final = """\
# What `wiretape scan --baseline` lets pass. An entry without a reason is a fault: say why a secret
# may stay, or revoke it and take it out.
"""


def dumps(hits: Iterable[Hit], entries: Iterable[Allowed]) -> str:
    """The text of a baseline that covers all `hits`: the `entries` that are needed, as they are,
    then one without a reason for each other hit.
    """
    hits = sorted(set(hits))
    needed = [entry for entry in entries if any(map(entry.covers, hits))]
    rows: list[dict[str, str]] = [
        {name: value for name in _MEMBERS if (value := getattr(entry, name)) is not None}
        for entry in needed
    ]
    for hit in hits:
        if not any(entry.covers(hit) for entry in needed):
            row = {
                # YAML has no lone surrogates: a byte of a name that is not UTF-8 is any character,
                "file": _SURROGATE.sub("?", re.sub(r"([*?[])", r"[\1]", hit.file)),
                "rule": hit.rule,
                "where": hit.where,
                "masked": hit.masked,
                "reason": "",
            }
            # and what else has one is not asked for.
            row = {name: value for name, value in row.items() if not _SURROGATE.search(value)}
            if row not in rows:
                rows.append(row)
    body = yaml.dump(
        {"version": VERSION, "allow": rows},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    return _HEAD + body


class _Dumper(yaml.SafeDumper):
    """Quotes what begins as a number: YAML 1.2 has numbers that are text to YAML 1.1, as 1e3."""


_Dumper.add_implicit_resolver("number", re.compile("[-+.0-9]"), list("-+.0123456789"))
