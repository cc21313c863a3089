"""Secrets in files that are there already: recordings of ours, llama-stack's, vcrpy's, HAR, any.

A file's bytes are made readable first: a packed file is unpacked, YAML becomes JSON that says the
same, and bytes that are not text are searched as they are. What the recorded requests carried as
credentials (headers, cookies, parameters) is known by then; `gate.inspect` looks for it, and for
all that the configuration names, in the whole file.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote_plus

import yaml

from wiretape.core.redaction.credential_names import CREDENTIAL_FIELD, MASK
from wiretape.core.redaction.encodings import packed
from wiretape.core.redaction.gate import Leak, inspect
from wiretape.core.redaction.known_values import (
    KnownValue,
    Secrets,
    credentials_in_header,
    credentials_in_query,
)
from wiretape.core.redaction.named_places import url_parts
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules, Where, finding
from wiretape.core.text import exact_json
from wiretape.core.wire.content_coding import codings, decoder

MAX_BYTES: Final = 64 << 20
"""Larger files are not searched, nor are packed ones that unpack to more."""

UNSEARCHED: Final = "unsearched"
"""The rule of a file that could not be searched: nobody knows what is in it."""

type Inspect = Callable[[str, Redactor, Secrets | None], tuple[Leak, ...]]


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Hit:
    """A secret in a file: its line, the rule, its place in the document, and its first characters;
    `remedy` is what would take it out.
    """

    file: str
    line: int
    rule: str
    where: str
    masked: str
    remedy: str = field(default="", compare=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of file, rule and place, which tell nothing of the secret."""
        text = "\0".join((self.file, self.rule, self.where))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.masked}"


def unsearched(file: str, reason: str, remedy: str = "") -> Hit:
    """The hit of a file that could not be searched."""
    return Hit(file=file, line=1, rule=UNSEARCHED, where="file", masked=reason, remedy=remedy)


def search(
    name: str, data: bytes, redactor: Redactor, inspect: Inspect = inspect
) -> tuple[Hit, ...]:
    """The secrets in a file, by line. `name` is its path with "/": it may hold a secret too, and
    then stands redacted in the hits.
    """
    shown = redactor.text(name)
    try:
        readings = list(_readings(data, is_yaml=name.lower().endswith((".yaml", ".yml"))))
    except OverflowError:
        remedy = "unpack it and scan what comes out, or leave it out of what is scanned"
        return (unsearched(shown, f"unpacks to more than {MAX_BYTES >> 20} MiB", remedy),)
    known = [pair for reading in readings for pair in credentials(reading.tree, redactor.rules)]
    secrets = Secrets((*known, *redactor.rules.values))
    hits = [
        _hit(shown, 1, replace(leak, where="file name", remedy="rename the file"))
        for leak in inspect(_OWN_NAME.sub("/", name), redactor, secrets)
    ]
    hits += [
        _coded(shown, name) for reading in readings for name in _codings(reading.tree, redactor)
    ]
    reported: dict[int, set[str]] = {}
    for reading in readings:
        lines_of = reading.line_finder()
        for leak in inspect(reading.text, redactor, secrets):
            first, last = lines_of(leak)
            if reading.lines is not None:
                for line in range(first, last + 1):
                    reported.setdefault(line, set()).add(leak.masked if first == last else _ANY)
            # A value of YAML is searched as what it says, then as it is spelled.
            elif (before := reported.get(first)) and (
                leak.masked in before or _ANY in before or leak.rule == CREDENTIAL_FIELD
            ):
                continue
            hits.append(_hit(shown, first, leak))
    return tuple(sorted(set(hits)))


def _hit(file: str, line: int, leak: Leak) -> Hit:
    return Hit(
        file=file,
        line=line,
        rule=leak.rule,
        where=leak.where,
        masked=leak.masked,
        remedy=leak.remedy,
    )


def _codings(tree: Any, redactor: Redactor) -> Iterator[str]:
    """The codings under which a recording of ours keeps its answer, since nobody could undo them:
    what the configuration allows by name is left out.
    """
    if not isinstance(tree, dict) or "wiretape" not in tree:
        return
    response = tree.get("response")
    headers = response.get("headers") if isinstance(response, dict) else None
    value = headers.get("content-encoding") if isinstance(headers, dict) else None
    for coding in value if isinstance(value, list) else [value]:
        for name in codings((("content-encoding", coding),)) if isinstance(coding, str) else ():
            if name not in redactor.rules.unsearched:
                yield name


def _coded(file: str, name: str) -> Hit:
    reason = f"content coding {name[:20]} not decoded"
    return replace(
        unsearched(file, reason, f"redact: {{unsearched: [{name[:20]}]}}"), where="response.body"
    )


# ------------------------------------------------------------------ bytes to texts


type Lines = tuple[int, int]
"""The first and the last line of a value, from 1."""

_ANY: Final = ""
"""Stands for whatever is found in a value of several lines."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text that a file's bytes say, and its JSON or YAML value; `lines` by place, where the
    text's own lines are not the file's.
    """

    text: str
    tree: Any = None
    lines: Mapping[Where, Lines] | None = None

    def line_finder(self) -> Callable[[Leak], Lines]:
        """What tells the lines of the file that the value stands in which a leak is in."""
        if self.lines is None:
            return lambda leak: (leak.line, leak.line)
        lines: dict[str, Lines] = {}

        def find(leak: Leak) -> Lines:
            if not lines:
                # Formats the path only if there is a leak.
                lines.update({finding("", at).where: n for at, n in (self.lines or {}).items()})
            where = leak.where
            while where and where not in lines:
                where = where[: max(0, where.rfind("."), where.rfind("["), where.rfind(" "))]
            return lines.get(where, (1, 1))

        return find


_MAGIC: Final = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_BOM_16: Final = (b"\xff\xfe", b"\xfe\xff")
_OWN_NAME: Final = re.compile(r"/(?:[0-9a-f]{12}(?:\.[0-9]{1,6})?\.json|[0-9a-f]{64}\.bin)\Z")
"""What the files of recordings are named: digests, of which a folder `…-api_key_id` makes a key."""
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffe\uffff]")
_CASSETTE: Final = re.compile(r"^(?:http_)?interactions:", re.MULTILINE)
_HEAD: Final = 64 * 1024
_STEP: Final = 64 * 1024


def _readings(data: bytes, *, is_yaml: bool) -> Iterator[_Reading]:
    coding = next((name for magic, name in _MAGIC if data.startswith(magic)), None)
    if coding is not None:
        with suppress(ValueError):  # it may only begin as a packed file does
            data = _unpacked(data, coding)
    text = _text(data)
    if text is not None:
        yield from _of_text(text, is_yaml=is_yaml)
        return
    yield _Reading(data.decode("utf-8", "surrogateescape"))
    for inner in packed(data):
        yield from _readings(inner.plain, is_yaml=False)


def _text(data: bytes) -> str | None:
    """The text that bytes are, in UTF-8, or in UTF-16 where they begin with its mark."""
    wide = data.startswith(_BOM_16)
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if wide and _NOT_TEXT.search(text) else text


def _of_text(text: str, *, is_yaml: bool) -> Iterator[_Reading]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield _Reading(text, exact_json.parse(text))
        except ValueError:
            yield _Reading(text)
        return
    if is_yaml or _CASSETTE.search(text[:_HEAD]):
        yield from _of_yaml(text)
    # Comments and invalid YAML are searched as well.
    yield _Reading(text)


def _unpacked(data: bytes, coding: str) -> bytes:
    """Packed bytes unpacked; ValueError where they are not, OverflowError where they are too many
    then.
    """
    machine = decoder((coding,))
    parts: list[bytes] = []
    size = 0
    for start in range(0, len(data), _STEP):
        parts.append(machine.decode(data[start : start + _STEP]))
        size += len(parts[-1])
        if size > MAX_BYTES:
            raise OverflowError
    parts.append(machine.flush())
    return b"".join(parts)


# ------------------------------------------------------------------ YAML

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BINARY: Final = "tag:yaml.org,2002:binary"


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read; `key` is the mapping's name that waits for a value."""

    value: list[Any] | dict[str, Any]
    path: Where
    key: str | None = None


def _of_yaml(text: str) -> Iterator[_Reading]:
    """A reading for each document of a YAML text; none from where on it is not YAML."""
    try:
        for tree, lines in _documents(text):
            yield _Reading(exact_json.dumps(tree), tree, lines)
    except (yaml.YAMLError, ValueError):
        return  # read as plain text all the same


def _documents(text: str) -> Iterator[tuple[Any, dict[Where, Lines]]]:
    """The documents' values, every scalar as text, with the lines of each path."""
    loader = _Loader(text)
    tree: Any = None
    lines: dict[Where, Lines] = {}
    unfinished: list[_Open] = []
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.NodeEvent):
                value = _value(event)
                path = _put(unfinished, value, lines, _lines(event))
                if path is None:
                    tree = value if not unfinished else tree
                    path = ()
                if not isinstance(value, str):
                    unfinished.append(_Open(value, path))
                    if len(unfinished) > exact_json.MAX_DEPTH:
                        raise ValueError("YAML nested too deeply")
            elif isinstance(event, yaml.CollectionEndEvent):
                unfinished.pop()
            elif isinstance(event, yaml.DocumentStartEvent):
                tree, lines = None, {}
            elif isinstance(event, yaml.DocumentEndEvent):
                yield tree, lines
    finally:
        loader.dispose()


def _lines(event: Any) -> Lines:
    first, end = event.start_mark.line, event.end_mark
    # What is written as a block ends where the next line begins.
    return first + 1, max(first, end.line - (end.column == 0)) + 1


def _put(unfinished: list[_Open], value: Any, lines: dict[Where, Lines], at: Lines) -> Where | None:
    """Put a value where it belongs and note its line; None for a document's own value and a
    mapping's name.
    """
    if not unfinished:
        return None
    parent = unfinished[-1]
    if isinstance(parent.value, list):
        path: Where = (*parent.path, len(parent.value))
        parent.value.append(value)
    elif parent.key is None:
        parent.key = value if isinstance(value, str) else ""
        return (*parent.path, parent.key)
    else:
        path = (*parent.path, parent.key)
        parent.value[parent.key] = value
        parent.key = None
    lines.setdefault(path, at)
    return path


def _value(event: Any) -> Any:
    if isinstance(event, yaml.ScalarEvent):
        return _binary(event.value) if event.tag == _BINARY else event.value
    if isinstance(event, yaml.CollectionStartEvent):
        return [] if isinstance(event, yaml.SequenceStartEvent) else {}
    return ""  # an alias: what it stands for is searched where it is written


def _binary(text: str) -> str:
    """What YAML's binary says: text, packed text, or else its base64 on one line."""
    try:
        data = base64.b64decode(text)
    except binascii.Error:
        return text
    coding = next((name for magic, name in _MAGIC if data.startswith(magic)), "br")
    with suppress(ValueError):
        return data.decode("utf-8")
    with suppress(ValueError, OverflowError):
        return _unpacked(data, coding).decode("utf-8")
    return base64.b64encode(data).decode()


# ------------------------------------------------------------------ credentials

_ACCOUNT_HEADERS: Final = frozenset(("anthropic-organization-id", "x-groq-organization"))


def credentials(tree: Any, rules: RedactionRules) -> Iterator[KnownValue]:
    """What the requests and answers in a JSON value carried as credentials.

    Wherever they stand: under "headers" as a mapping or, as in HAR, as objects with a name and a
    value; in cookies, query parameters, form fields and URLs. A value with a space in it is prose;
    what another tool put in place of a credential is skipped.
    """
    for name, value in _credentials(tree, rules):
        value = value.strip()
        if value and not re.search(r"\s", value) and not MASK.fullmatch(value):
            yield name, value


def _credentials(tree: Any, rules: RedactionRules) -> Iterator[KnownValue]:
    if isinstance(tree, dict) and "wiretape" in tree:
        # What the body of a recording of ours holds was no credential of its request.
        tree = {
            part: {key: value for key, value in tree[part].items() if key in ("headers", "url")}
            for part in ("request", "response")
            if isinstance(tree.get(part), dict)
        }
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        parent, value = stack.pop()
        if isinstance(value, list):
            stack += [(parent, item) for item in value]
            if len(value) == 2 and all(isinstance(item, str) for item in value):
                yield from _named("headers", value[0].lower(), value[1], rules)
        if not isinstance(value, dict):
            continue
        name, text = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(text, str):
            yield from _named(parent, name.lower(), text, rules)
        for key, item in value.items():
            lower = key.lower()
            if parent.endswith("headers"):
                for header in item if isinstance(item, list) else [item]:
                    if isinstance(header, str):
                        yield from _named(parent, lower, header, rules)
            if lower in ("url", "uri") and isinstance(item, str):
                yield from _of_url(item, rules)
            stack.append((lower, item))


def _named(parent: str, name: str, text: str, rules: RedactionRules) -> Iterator[KnownValue]:
    if parent.endswith("headers"):
        if name == "set-cookie":
            yield name, text.partition(";")[0].partition("=")[2].strip('" ')
        elif name in rules.secret_headers or name in _ACCOUNT_HEADERS:
            yield from credentials_in_header(name, text)
    elif parent == "cookies":
        yield "cookie", text
    elif parent in ("querystring", "params") and name in rules.secret_query:
        yield f"query-{name}", unquote_plus(text)


def _of_url(url: str, rules: RedactionRules) -> Iterator[KnownValue]:
    _, _, user, _, _, rest = url_parts(url)
    if user:
        yield "userinfo", user[:-1].partition(":")[2]
    if rest.startswith("?"):
        yield from credentials_in_query(rest[1:].partition("#")[0], rules.secret_query)
