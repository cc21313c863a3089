"""The gate: the last check of a file before it is written, and the only check of foreign files.

A text that is JSON (a recording, llama-stack's, HAR or any other) is searched string by string,
another text as it is. In addition to what redaction looks for, members named like credentials are
checked: a value there that cannot be guessed is a leak whatever it looks like.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from wiretape.core.model import Request, Response
from wiretape.core.recording.text import MAX_DEPTH
from wiretape.core.text import exact_json
from wiretape.core.text.spans import Span
from wiretape.core.wire.content_coding import codings, decoded

from . import encodings
from .clean_parts import CleanParts
from .credential_names import CREDENTIAL_FIELD, is_credential, leaves, secret_parts
from .known_values import Secrets
from .placeholder import label
from .redactor import Redactor
from .rules import LARGE, Finding, Where, finding
from .value_search import Search


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that is still in a text: the rule, the path ("response.body[3]…", or "" in a text
    that is not JSON), the line (from 1), the masked value, and the line of config.yaml that would
    redact it.
    """

    rule: str
    where: str
    line: int
    masked: str
    remedy: str


def inspect(
    text: str,
    redactor: Redactor,
    secrets: Secrets | None = None,
    clean: CleanParts | None = None,
) -> tuple[Leak, ...]:
    """Find what is still secret in a text, in order; `secrets` are known values in addition to the
    configured ones. What `clean` holds of a recording is not redacted again, which changes nothing
    but the time it takes.

    >>> from .rules import RedactionRules
    >>> key = "tgp_v1_3kD9fWq7RzX2mB5nTc8vLj4hGs6pYa1eUoZbNi0KwMx"
    >>> for leak in inspect(f'{{"prompt": "use {key}"}}', Redactor(RedactionRules())):
    ...     print(leak.where, leak.rule, leak.masked)
    prompt together-key tgp_v1_3kD…(50 characters)
    """
    document = clean.read(text) if clean is not None else None
    if document is not None:
        return tuple(_in_json(text, document, redactor, secrets, clean))
    document = _parsed(text)
    if isinstance(document, dict | list) and document:
        leaks = _in_json(text, document, redactor, secrets, clean)
        return (*leaks, *_in_overridden(text, redactor, secrets))
    return tuple(_in_text(text, redactor.search(redactor.known_in(None, secrets))))


def _in_overridden(text: str, redactor: Redactor, secrets: Secrets | None) -> Iterator[Leak]:
    """The leaks in what a file has and nobody reads: of members with one name all but the last."""
    if members := exact_json.overridden(text):
        for leak in _in_json(text, members, redactor, secrets, None):
            yield replace(leak, where=leak.where.partition("]")[2].removeprefix("."))


def _parsed(text: str) -> exact_json.Json:
    """The JSON value of a text; None if it is none."""
    with suppress(ValueError):
        if text.lstrip()[:1] in "{[":
            return exact_json.parse(text, max_depth=MAX_DEPTH)
    return None


def inspect_bytes(
    data: bytes, redactor: Redactor, secrets: Secrets | None = None
) -> tuple[Leak, ...]:
    """Find what is still secret in bytes such as a side file's, also in compressed data."""
    try:
        packed = list(encodings.packed(data))
    except OverflowError:
        return () if LARGE in redactor.rules.unsearched else (_unsearched(LARGE, ""),)
    leaks: tuple[Leak, ...] = ()
    rest: list[bytes] = []
    done = 0
    for inner in packed:
        leaks += inspect_bytes(inner.plain, redactor, secrets)
        rest.append(data[done : inner.start])
        done = inner.end
    text = b"".join((*rest, data[done:])).decode("utf-8", "surrogateescape")
    return inspect(text, redactor, secrets) + leaks


def unsearchable(request: Request, response: Response, redactor: Redactor) -> tuple[Leak, ...]:
    """Report as leaks the bodies of an exchange that cannot be searched, since they could hold
    anything.

    These are bodies in a content coding that cannot be decoded or of more than
    `encodings.MAX_DECODED` bytes, unless the rules allow them by name. `request` is as it was sent;
    `response` is decoded as far as possible.
    """
    bodies = [(name, "response.body") for name in codings(response.headers) if response.body]
    try:
        decoded(request.headers, request.body)
    except ValueError:
        bodies += [(name, "request.body") for name in codings(request.headers)]
    for part, body in (("request", request.body), ("response", response.body)):
        if len(body) > encodings.MAX_DECODED:
            bodies.append((LARGE, f"{part}.body"))
    allowed = redactor.rules.unsearched
    return tuple(_unsearched(name, where) for name, where in bodies if name not in allowed)


def _unsearched(name: str, where: str) -> Leak:
    reason = "too large to be searched" if name == LARGE else f"content coding {name} not decoded"
    return Leak("unsearched", where, 1, reason, f"redact: {{unsearched: [{name}]}}")


def masked(value: str) -> str:
    """The first characters of a value, so that its owner can recognise it."""
    shown = value[: min(10, len(value) // 4)]
    shown = "".join(c if c.isprintable() else "·" for c in shown)
    return f"{shown}…({len(value)} characters)"


# ------------------------------------------------------------------ JSON


def _in_json(
    text: str,
    document: Any,
    redactor: Redactor,
    secrets: Secrets | None,
    clean: CleanParts | None,
) -> Iterator[Leak]:
    """The leaks of a JSON text: in its strings, then what only a recording has (named places, and
    secrets divided among a stream's chunks), then outside of strings.
    """
    known = redactor.known_in(document, secrets)
    search = redactor.search(known)
    recorded = _in_recording(document, redactor, secrets, clean)
    may_hold = bool(recorded) or _may_hold(
        document, search, known, clean or CleanParts(), is_recording=recorded is not None
    )
    reported: set[tuple[str, str]] = set()
    if may_hold:
        lines = _LineFinder(text)
        for where, name, value in leaves(document):
            # In a recording, redaction decides which strings the user's patterns apply to.
            spans = search.spans(value, own=recorded is None)
            matches = [(label(span.rule), value[span.start : span.end]) for span in spans]
            if not matches and is_credential(name):
                parts = secret_parts(name, value)
                matches = [(CREDENTIAL_FIELD, value[slice(*part)]) for part in parts]
            if matches:
                line, path = lines.at(value), _shown_path(where, search)
                reported.update((rule, path) for rule, _ in matches)
                for rule, secret in matches:
                    remedy = _remedy(where, name if rule == CREDENTIAL_FIELD else rule)
                    yield Leak(rule, path, line, masked(secret), remedy)
    for leak in () if recorded is None else _in_chunks(document, redactor, secrets):
        reported.add((leak.rule, leak.where))
        yield leak
    unlocated = {
        (finding.where, finding.rule)
        for finding in recorded or ()
        if (finding.rule, finding.where) not in reported
    }
    if search.unsearched and LARGE not in redactor.rules.unsearched:
        reported.add(("unsearched", ""))
        yield _unsearched(LARGE, "")
    if unlocated:
        yield from _at_paths(text, document, search, unlocated)
    elif may_hold and not reported:
        # Not in a string, so in a number.
        for leak in _at_spans(text, search.literal_spans(text)):
            yield replace(leak, remedy=_NUMBER_REMEDY)


def _may_hold(
    document: Any, search: Search, known: Secrets, clean: CleanParts, *, is_recording: bool
) -> bool:
    """Whether a string or number of a JSON value could hold one of the `known` or another secret;
    False is certain.
    """
    if not is_recording:
        return search.may_hold(exact_json.dumps(document, parsed=True))
    # What is in an answer need not make a long request be searched.
    parts = [(name, document[name]) for name in _PARTS]
    parts = [part for part in parts if not clean.holds(*part, known, by_a_look=True)]
    rest = {name: value for name, value in document.items() if name not in _PARTS}
    return any(search.may_hold(exact_json.dumps(each, parsed=True)) for each in (rest, *parts))


_PARTS: Final = ("request", "response")


def _in_chunks(document: Any, redactor: Redactor, secrets: Secrets | None) -> Iterator[Leak]:
    """The leaks in compressed data that is divided among an answer's chunks."""
    body = document["response"].get("body")
    chunks = body if isinstance(body, list) else []
    encoded = [chunk.get("base64", "") for chunk in chunks if isinstance(chunk, dict)]
    if len(encoded) < 2 or not any(encoded):
        return
    try:
        data = b"".join(map(base64.b64decode, encoded))
    except (ValueError, TypeError):
        return  # written by hand
    if data and encodings.may_be_packed(data):
        for leak in inspect_bytes(data, redactor, secrets):
            yield replace(leak, where="response.body", line=1)


def _at_paths(
    text: str, document: Any, search: Search, unlocated: set[tuple[str, str]]
) -> Iterator[Leak]:
    """The leaks of findings, given by (path, rule)."""
    lines = _LineFinder(text)
    for where, _, value in leaves(document):
        path = _shown_path(where, search)
        for rule in sorted(rule for at, rule in unlocated if at == path):
            unlocated.discard((path, rule))
            yield Leak(rule, path, lines.at(value), masked(value), _remedy(where, rule))
    for path, rule in sorted(unlocated):
        yield Leak(rule, path, 1, "…", _remedy((), rule))


def _in_recording(
    document: Any, redactor: Redactor, secrets: Secrets | None, clean: CleanParts | None
) -> tuple[Finding, ...] | None:
    try:
        return redactor.document(document, secrets, clean)[1]
    except (KeyError, TypeError, AttributeError, ValueError):
        return None  # not a recording, but JSON all the same


def _shown_path(where: Where, search: Search) -> str:
    # The path may hold a member whose name is a secret.
    return search.text(finding("", where).where, ())


class _LineFinder:
    """Finds the lines of a JSON text's strings, which have to be asked for in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def at(self, value: str) -> int:
        head = value[:40]
        for ascii_only in (False, True):
            encoded = json.dumps(head, ensure_ascii=ascii_only)[:-1]
            at = self._text.find(encoded, self._at)
            if at >= 0:
                self._line += self._text.count("\n", self._at, at)
                self._at = at
                break
        return self._line


def _remedy(where: Where, rule: str) -> str:
    """The line of config.yaml that makes redaction replace what is at a path."""
    match where:
        case ("request" | "response", "headers", name, *_):
            return f"redact: {{headers: [{name}]}}"
        case ("request", "url" | "endpoint", *_):
            return f"redact: {{query: [{rule.removeprefix('query-')}]}}"
        case ("request", "body", *path):
            return _json_remedy(path)
        case ("response", "body", int(), "__data__", *path):
            return _json_remedy(path)
        case ("response", "body", "__data__", *path):
            return _json_remedy(path)
    return _pattern_remedy(rule)


_NUMBER_REMEDY: Final = "redact: {gate: warn} # redaction leaves numbers as they are"


def _pattern_remedy(rule: str) -> str:
    return f'redact: {{patterns: [{{name: {rule}, regex: "…"}}]}} # what it looks like'


def _json_remedy(path: Iterable[str | int]) -> str:
    steps = "".join(
        "[*]"
        if isinstance(step, int)
        else f".{step}"
        if re.fullmatch(r"[A-Za-z_]\w*", step)
        else f"[{json.dumps(step)}]"
        for step in path
    )
    return f"redact: {{json: [{json.dumps('$' + steps)}]}}"


# ------------------------------------------------------------------ other texts


def _in_text(text: str, search: Search) -> Iterator[Leak]:
    if search.text_may_hold(text):
        # The user's patterns are meant for strings, and might match a file's syntax.
        yield from _at_spans(text, search.spans(text, own=False))


def _at_spans(text: str, spans: Iterable[Span]) -> Iterator[Leak]:
    line, counted = 1, 0
    for span in spans:
        line += text.count("\n", counted, span.start)
        counted = span.start
        rule = label(span.rule)
        yield Leak(rule, "", line, masked(text[span.start : span.end]), _pattern_remedy(rule))
