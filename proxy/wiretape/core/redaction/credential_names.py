"""Find values that are named as credentials, in a JSON value or in a text: one set of rules for
redaction, the gate and `wiretape scan`.

Both are needed: a name of credentials ("api_key", "X-Amz-Signature", "AccountKey") and a value that
cannot be guessed and is not a reference. A name may be

* a member of an object, or of an object around it: {"client_secret": {"value": "kV8w2Qz…"}};
* beside the value: {"name": "Authorization", "value": …}, ["authorization", "Bearer …"];
* in a text: a URL's or form's parameter (?sig=…&), a part of a connection string (AccountKey=…;),
  a line of a configuration (API_KEY=…, password: …), JSON in a string ("api_key": "…"). In a URL
  the position marks user and password.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from wiretape.core.text import exact_json
from wiretape.core.text.regex import is_short, linear, may_occur

from . import encodings, nested_json
from .known_values import USERINFO
from .placeholder import PLACEHOLDER, looks_like_secret
from .rules import SECRET_FORM, SECRET_QUERY, Where

CREDENTIAL_FIELD: Final = "credential-field"
"""The rule that replaces a value with a credential's name."""

# ------------------------------------------------------------------ names

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LAST_TEXT: Final = """
    apikey auth authorization bearer cookie cookies credential credentials jwt pass passphrase
    passwd password passwords pwd secret secrets token
"""
_LAST: Final = frozenset(_LAST_TEXT.split())
_BEFORE_KEY_TEXT: Final = """
    access account api auth encryption function functions licence license master private secret
    service session shared signing storage subscription
"""
_BEFORE_KEY: Final = frozenset(_BEFORE_KEY_TEXT.split())
# Words before "token" that make it something else: a model's, a position, the name of an attempt.
_TOKEN_TEXT: Final = """
    after backward before begin bos change client concurrency consistency continuation continue
    creation cursor dedup deduplication delta end eos first forward idempotency image input last
    list lock mask next nonce offset operation output pad page pagination paging position prev
    previous request resume retry scan scroll search seek skip special start starting stop stream
    sync unk until upload version watermark
"""
_BEFORE_TOKEN: Final = frozenset(_TOKEN_TEXT.split())


def is_credential(name: str) -> bool:
    """Whether the name of a member, field or header is one of credentials.

    >>> all(map(is_credential, ["apiKey", "client_secret", "GITHUB_TOKEN"]))
    True
    >>> any(map(is_credential, ["max_tokens", "nextPageToken", "keyboard"]))
    False
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    *before, last = words
    if last == "token":
        return not before or before[-1] not in _BEFORE_TOKEN
    return last in _LAST or (last in ("key", "keys") and bool(before) and before[-1] in _BEFORE_KEY)


# ------------------------------------------------------------------ values

# Where a secret is to be read from: an ARN, a URI, a file, a vault's entry, a variable.
_REFERENCE: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://.*"
    r"|(?:arn|aws-sm|azurekv|doppler|env|file|gcp|k8s|keychain|keyring|md5|op|ref|resolve|sha\d+|sm"
    r"|secret|secrets|secretsmanager|ssm|urn|vault):.*"
    r"|(?:~|\.{1,2})?/[a-z][a-z0-9_.-]{2,}/.*"
    r"|[A-Za-z]:[\\/].*"
    r"|[a-z][a-z_-]{2,}/[^+=]*"
    r"|@[A-Za-z.]+\(.*\)",
    re.DOTALL,
)
MASK: Final = re.compile(
    r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\$?\{\{[^{}]*\}\}|%[A-Za-z_]+%|\*+[^*]*\*+|\$\w+|\$\{[^{}]*\}"
    r"|(?:[A-Z]{1,14}[_-])*[A-Z]{1,14}"
)
"""What other tools put in place of a credential: <TOKEN>, [FILTERED], {{key}}, ***, $KEY."""
_PLACEHOLDER_RUN: Final = 12
"""The length of the start of every placeholder in base64."""
_COOKIE: Final = re.compile(r"(?:^|;)[^=;]*=\s*\"?([^;\"\s]+)")
# Passwords of examples, without digits.
_EXAMPLE_TEXT: Final = "admin guest pass passwd password postgres pwd root secret test token user"
_EXAMPLES: Final = frozenset(_EXAMPLE_TEXT.split())


def is_secret(value: str) -> bool:
    """Whether a value with a credential's name is a credential: hard to guess and not a reference.

    >>> is_secret("kV8w2Qz-T5rXn1Lp")
    True
    >>> any(map(is_secret, ["hunter2", "your-api-key-goes-here", "/run/secrets/db-7f3a"]))
    False
    """
    return (
        looks_like_secret(value)
        and PLACEHOLDER.search(value) is None
        and _REFERENCE.fullmatch(value) is None
        and MASK.fullmatch(value) is None
        and not any(
            b"REDACTED-" in reading.data
            for start, end in encodings.runs(value, _PLACEHOLDER_RUN)
            for reading in encodings.readings(value[start:end])
        )
    )


def secret_parts(name: str, value: str) -> list[tuple[int, int]]:
    """Where the secrets are in a value with a credential's name: all of it, what follows a scheme
    ("Bearer …"), or a cookie's values.
    """
    if name.lower() in ("cookie", "set-cookie"):
        parts = [match.span(1) for match in _COOKIE.finditer(value)]
    else:
        end = len(value.rstrip())
        parts = [(value.rfind(" ", 0, end) + 1, end)]
    return [part for part in parts if is_secret(value[slice(*part)])]


def _is_password(value: str) -> bool:
    """Whether a URL's password is a real one, not an example's."""
    if PLACEHOLDER.search(value) or MASK.fullmatch(value) or value[:1] in "$<{[":
        return False
    if value.rstrip("0123456789").lower() in _EXAMPLES:
        return False
    return is_secret(value) or (
        len(value) >= 6 and re.search("[0-9]", value) is not None and not value.isdecimal()
    )


# ------------------------------------------------------------------ in JSON

_NAMES: Final = ("name", "key", "header", "field", "parameter", "Name", "Key")
_VALUES: Final = ("value", "Value", "val")


def members(value: Any, name: str) -> Iterator[tuple[str | int, Any, str]]:
    """The members of an object or list that is called `name`: key, value, and the value's name.

    >>> list(members({"name": "Authorization", "value": "Bearer …"}, ""))
    [('name', 'Authorization', 'name'), ('value', 'Bearer …', 'Authorization')]
    """
    if isinstance(value, list):
        before = ""
        for at, item in enumerate(value):
            # ["authorization", "Bearer …"], alone or in a list of such pairs, or one flat list.
            yield at, item, before if is_credential(before) else name
            before = item if isinstance(item, str) else ""
        return
    beside = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    for key, item in value.items():
        if key == "logprobs" or (key == "token" and "logprob" in value):
            yield key, item, ""  # a token of a model
        elif key in _VALUES:
            yield key, item, name if beside is None or is_credential(name) else beside
        else:
            yield key, item, key


def leaves(document: Any) -> Iterator[tuple[Where, str, str]]:
    """Each string of a JSON value with its path and its name; a member's name is a string too."""
    stack: list[tuple[Any, Where, str]] = [(document, (), "")]
    while stack:
        value, where, name = stack.pop()
        if isinstance(value, str):
            yield where, name, value
        elif isinstance(value, list | dict):
            for key, item, named in reversed(list(members(value, name))):
                stack.append((item, (*where, key), named))
                if isinstance(key, str):
                    stack.append((key, where, ""))


# ------------------------------------------------------------------ in texts


class NamedValue(NamedTuple):
    """A value that a text names as a credential, and the rule for its placeholder."""

    start: int
    end: int
    rule: str
    value: str


_NAMING: Final = (
    *("apikey", "auth", "bearer", "cookie", "credential", "jwt", "key", "pass", "pwd", "secret"),
    *("signature", "token"),
)
"""Each name of credentials has one of these words in it."""
_POSITIONS: Final = r"earer|asic|BEARER|BASIC|alue=|curl|://(?s:.)*@"
"""Matches a text with what `CredentialNames._by_position` looks for: for RE2."""
_TWO_IN_LOWER_CASE: Final = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"
"""The only letter that is longer in lower case: places would not be the text's own."""
_LONGEST_NAME: Final = 60
_LONGEST_QUOTED: Final = 200
_NAME_BEFORE: Final = re.compile(r"[\w.$%-]*\Z")
_WORD_BEFORE: Final = re.compile(r"[A-Za-z]+(?=[ ]\Z)")
_SAID: Final = frozenset(("passphrase", "passwd", "password"))
"""Names that a value may follow with nothing between, as in .netrc."""
# What follows a naming word: the rest of the name, the separator, and the value.
_ASSIGNED: Final = re.compile(
    r"""([\w.$%-]{0,60})"""
    r"""(["'],[ \t]*b?["']"""  # ("api_key", "…")
    r"""|[*_]{0,2}[ \t]*\|[ \t]*`?|:?[*_]{1,2}:?[ \t]*`?"""  # | api_key | … |, **API key:** `…`
    r"""|:?[ \t]+(?:is|was):?[ \t]+["'`]?"""
    r"""|["']?\]?[ \t]*(?:=>|[:=>])(?:[ \t]*\n[ \t]*-)?[ \t]*(?:-[ \t]+)?(?:b?["']|`)?"""
    r"""|[ \t]+["']?)"""
    r"""(?:(?:bearer|basic|token)[ \t]+)?([^\s"'<>,;&#\\)}\]{|`(]{12,2048}+)""",
    re.IGNORECASE,
)
_VALUE_GOES_ON: Final = re.compile(r"""[^\s"'<>,;&#\\)}\]{|`(]*+""")
_SCHEME: Final = re.compile(r"\b(?:bearer|basic)[ \t]+([A-Za-z0-9._~+/=-]{16,}+)", re.IGNORECASE)
_ATTRIBUTES: Final = re.compile(
    r"""=["'](?:(?<=[Kk]ey=["'])|(?<=[Nn]ame=["']))([\w.:-]{1,60}+)["']"""
    r"""[^<>]{0,200}?\b[Vv]alue=["']([^"'<>]{12,2048})["']"""
)
"""<add key="ApiKey" value="…"/>, <input name="csrf_token" value="…">"""
_CURL_USER: Final = re.compile(
    r"""curl(?<!\wcurl)\b[^\n|;]{0,400}?\s(?:-u|--user)[ =]*["']?[^\s:"'/]{1,100}:([^\s"'\\]{6,})"""
)
_FURTHER_PARAMETERS: Final = frozenset(
    ("auth", "awsaccesskeyid", "bearer", "jsessionid", "ossaccesskeyid", "pass", "phpsessid", "pwd")
) | {"sign", "st", "x-amz-credential"}
_USER: Final = re.compile(r"://([^\s/?#@\"'<>\\]{1,2048}+)@")
_NAME_ENDS: Final = re.compile(
    r"(?:s|words?|wd|phrase|orization)?[^A-Za-z0-9\"']*+[\"']", re.IGNORECASE
)
_QUOTES: Final = ('"', "\"'")
_DEEPEST: Final = 3
"""How often JSON may be nested in a string of JSON."""
_IN_URL: Final = "?&#;"
# Without quotes it may be code: "token = tokens.next_token2", "key = get_key(…". A key has digits.
_EXPRESSION: Final = re.compile(
    r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+|[^0-9]*|[^A-Za-z]*"
    r"|(?:[A-Za-z]+|[0-9]+)(?:[-_.](?:[A-Za-z]+|[0-9]+))+"
)


def _between(quotes: str, text: str, at: int) -> str:
    """What stands around a place in a text up to the nearest of some quotes on each side."""
    lowest, highest = max(0, at - _LONGEST_QUOTED), at + _LONGEST_QUOTED
    first = max(text.rfind(quote, lowest, at) for quote in quotes) + 1
    ends = [end for quote in quotes if (end := text.find(quote, at, highest)) >= 0]
    return text[max(first, lowest) : min(ends, default=highest)]


class CredentialNames:
    """Finds values that a text names as credentials.

    `parameters` are names in lower case, in addition to the usual ones.

    >>> CredentialNames().may_occur_in('{"text": "hello"}')
    False
    """

    def __init__(self, parameters: Iterable[str] = ()) -> None:
        self._parameters: Final = frozenset().union(
            parameters, SECRET_QUERY, SECRET_FORM, _FURTHER_PARAMETERS
        )
        rare = {f"{name}=" for name in self._parameters if not any(w in name for w in _NAMING)}
        self._words: Final = (*_NAMING, *sorted(rare))
        words = "|".join(map(re.escape, self._words))
        self.signs: Final = rf"(?i:{words})|{_POSITIONS}"
        """Matches a text that could name a credential: for RE2."""
        self._in_lower_case: Final = words
        self._longest: Final = max(map(len, self._words))

    def occurrences(self, text: str) -> Iterator[NamedValue]:
        """The values that a text names as credentials, in order and without overlaps.

        >>> list(CredentialNames().occurrences("?sig=kV8w2Qz-T5rXn1Lp&a=1"))
        [NamedValue(start=5, end=21, rule='query-sig', value='kV8w2Qz-T5rXn1Lp')]
        """
        last = 0
        named = {*self._by_position(text), *self._assigned(text), *self._in_json(text)}
        for value in sorted(named):
            if value.start >= last:
                last = value.end
                yield value

    def may_occur_in(self, json_text: str) -> bool:
        """Whether a string of a JSON text could be or name a credential; False is certain."""
        # A quotation mark within a name does not end it.
        text = encodings.text_of_json(json_text.replace('\\"', "'"))
        if text is None:
            return True
        if not may_occur(self.signs, text):
            return False
        if any(True for _ in self._by_position(text)):
            return True
        seen = set[str]()
        for at, end in self._naming(text):
            # Nearly every recording mentions tokens: look at each short string that does.
            if _NAME_ENDS.match(text, end):
                # In a string within a string, quotation marks may end it or be part of it.
                for quotes in _QUOTES:
                    name = _between(quotes, text, at)
                    if name not in seen:
                        seen.add(name)
                        if is_credential(name):
                            return True
            if self._named(text, at, end) is not None:
                return True
        return False

    def _by_position(self, text: str) -> Iterator[NamedValue]:
        """What follows a scheme ("Bearer …"), values of XML's attributes, users and passwords of
        curl and in URLs.
        """
        if "earer" in text or "asic" in text or "BEARER" in text or "BASIC" in text:
            for match in _SCHEME.finditer(text):
                if is_secret(match[1]) and not _EXPRESSION.fullmatch(match[1]):
                    yield NamedValue(*match.span(1), CREDENTIAL_FIELD, match[1])
        if "alue=" in text:
            for match in _ATTRIBUTES.finditer(text):
                if is_credential(match[1]) and is_secret(match[2]):
                    yield NamedValue(*match.span(2), CREDENTIAL_FIELD, match[2])
        if "curl" in text:
            for match in _CURL_USER.finditer(text):
                if _is_password(match[1]):
                    yield NamedValue(*match.span(1), CREDENTIAL_FIELD, match[1])
        if "://" not in text or "@" not in text:
            return
        for match in _USER.finditer(text):
            user, colon, password = match[1].partition(":")
            if _is_password(unquote_plus(password)) if colon else is_secret(user):
                yield NamedValue(*match.span(1), USERINFO, match[1])

    def _assigned(self, text: str) -> Iterator[NamedValue]:
        for at, end in self._naming(text):
            if (value := self._named(text, at, end)) is not None:
                yield value

    def _in_json(self, text: str) -> Iterator[NamedValue]:
        """What the objects and lists of a text that is JSON name as credentials."""
        if not nested_json.opens(text) or not any(True for _ in self._naming(text)):
            return
        for part in sorted(self._in_value(text), key=len, reverse=True):
            at = text.find(part)
            while at >= 0:
                yield NamedValue(at, at + len(part), CREDENTIAL_FIELD, part)
                at = text.find(part, at + len(part))

    def _in_value(self, text: str, depth: int = 0) -> set[str]:
        """The secrets that the members of a JSON text name, with their escapes."""
        try:
            value = exact_json.parse(text)
        except ValueError:
            return set()
        secrets = set[str]()
        for _, name, leaf in leaves(value):
            if is_credential(name):
                secrets.update(
                    json.dumps(leaf[slice(*part)], ensure_ascii=False)[1:-1]
                    for part in secret_parts(name, leaf)
                )
            if depth < _DEEPEST and nested_json.opens(leaf):
                secrets |= self._in_value(leaf, depth + 1)
        return secrets

    def _naming(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the text has words that names of credentials contain."""
        lower = text.replace(_TWO_IN_LOWER_CASE, "\0").lower()
        for first, last in self._windows(lower):
            for word in self._words:
                at = lower.find(word, first, last)
                while at >= 0:
                    yield at, at + len(word) - word.endswith("=")
                    at = lower.find(word, at + len(word), last)

    def _windows(self, lower: str) -> Iterator[tuple[int, int]]:
        """Stretches of a text in lower case that hold all of its naming words, found in one look
        for any of them: each overlaps, or is, one that is found.
        """
        if is_short(lower):
            yield 0, len(lower)
            return
        first = last = 0
        for match in linear(self._in_lower_case).finditer(lower):
            start, end = match.span()
            if start - self._longest > last:
                if last:
                    yield first, last
                first = max(0, start - self._longest)
            last = end + self._longest
        if last:
            yield first, last

    def _named(self, text: str, at: int, end: int) -> NamedValue | None:
        """The value whose name has a naming word from `at` to `end`."""
        match = _ASSIGNED.match(text, end)
        if match is None:
            return None
        start, stop = match.span(3)
        if stop - start == 2048:
            stop = _VALUE_GOES_ON.match(text, stop).end()  # type: ignore[union-attr]  # it always matches
        before = _NAME_BEFORE.search(text, max(0, at - _LONGEST_NAME), at)
        first = before.start() if before else at
        name, between, value = text[first:end] + match[1], match[2], text[start:stop]
        if name.lower() == "key" and (
            word := _WORD_BEFORE.search(text, max(0, first - _LONGEST_NAME), first)
        ):
            name = f"{word[0]}_{name}"  # "API key: …"
        if rule := self._parameter(name) if between == "=" else "":
            value = unquote_plus(value)
        elif is_credential(name):
            rule = CREDENTIAL_FIELD
        if not rule or not is_secret(value):
            return None
        if not between.strip(" \t\"'") and not name.startswith("--") and name.lower() not in _SAID:
            return None  # an option of a command line, or prose
        is_url = between == "=" and (
            text[stop : stop + 1] == "&" or (first > 0 and text[first - 1] in _IN_URL)
        )
        if (
            not is_url
            and between[-1] not in "\"'"
            and (text[stop : stop + 1] in ("(", "[", "{") or _EXPRESSION.fullmatch(value))
        ):
            return None
        return NamedValue(start, stop, rule, value)

    def _parameter(self, name: str) -> str:
        """The rule of a parameter of a URL or form; "" if its name is not a credential's."""
        plain = unquote_plus(name).lower()
        if plain in self._parameters or plain.endswith(("signature", "-credential")):
            return f"query-{plain}"
        return ""
