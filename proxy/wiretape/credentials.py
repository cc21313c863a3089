"""The known values of one request: what it carried as credentials, and how each may be spelled.

A header or parameter names its value as secret; the value is then looked for everywhere else, plain
and in the spellings that bodies give it: escaped for JSON or a URL, character by character or all
of it, once or more than once; as base64 of the whole.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import unquote_plus

from .placeholder import is_strong, label, placeholder

type Known = tuple[str, str]
"""A value's label ("authorization", "query-key", "together-api-key") and the value."""

_SCHEMES: Final = frozenset(("basic", "bearer", "token", "apikey", "api-key", "key"))
_PARAMETER: Final = re.compile(r'([\w-]+)=("(?:[^"\\]|\\.)*"|[^,\s]*)')
# What the parameters of Digest (RFC 7616), AWS's and HTTP signatures' schemes say in public.
_PUBLIC_PARAMETERS: Final = frozenset(
    ("algorithm", "headers", "nc", "opaque", "qop", "realm", "signedheaders", "uri", "version")
)
_ESCAPES: Final = re.compile(r"""%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|["/\\])""")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")


class Secrets:
    """The known values that may be replaced wherever they stand (see `placeholder.is_strong`).

    Where one value has two labels the first counts. Immutable; its `repr` holds no value.
    """

    __slots__ = ("_escaped", "_forms", "_plain", "needles", "values")

    def __init__(self, values: Iterable[Known] = ()) -> None:
        strong: dict[str, str] = {}
        for name, value in values:
            if is_strong(value.strip()):
                strong.setdefault(value.strip(), label(name))
        self.values: Final = tuple((name, value) for value, name in strong.items())
        self._forms: Final = {
            form: known for known in reversed(self.values) for form in _forms(known[1])
        }
        # The longest first: a value that contains another is one placeholder.
        forms = sorted(self._forms, key=len, reverse=True)
        self._plain: Final = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._escaped: tuple[re.Pattern[str], tuple[Known, ...]] | None = None
        spelled = [json.dumps(form, ensure_ascii=False)[1:-1] for form in forms]
        self.needles: Final = tuple(
            needle
            for needle in spelled
            if not any(other in needle for other in spelled if other != needle)
        )
        """Texts of which one stands in the JSON of whatever holds a value in an unescaped form."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(name for name, _ in self.values)})"

    def __len__(self) -> int:
        return len(self.values)

    def without(self, public: Iterable[str]) -> "Secrets":
        """The same without values that the request makes public, as its model's name."""
        public = frozenset(public)
        if not any(value in public for _, value in self.values):
            return self
        return Secrets(known for known in self.values if known[1] not in public)

    def may_stand_in(self, json_text: str) -> bool:
        """Whether a string in a JSON text could hold a value; False is certain."""
        if self._plain is None:
            return False
        return (
            any(needle in json_text for needle in self.needles)
            # A backslash in a string is two in JSON; with one, \\u00 is another writer's ASCII.
            or "\\\\" in json_text
            or "\\u00" in json_text
            or ("%" in json_text and _PERCENT.search(json_text) is not None)
        )

    def replace(self, text: str, found: Callable[[str], None]) -> str:
        """Put placeholders for the values in `text`; `found` is told the label of each."""
        if self._plain is None:
            return text

        def instead(match: re.Match[str]) -> str:
            name, value = self._forms[match[0]]
            found(name)
            return placeholder(name, value)

        text = self._plain.sub(instead, text)
        if not _ESCAPES.search(text):
            return text
        regex, order = self._escaped or self._compile_escaped()

        def unescaped(match: re.Match[str]) -> str:
            name, value = order[(match.lastindex or 1) - 1]
            found(name)
            return placeholder(name, value)

        return regex.sub(unescaped, text)

    def _compile_escaped(self) -> tuple[re.Pattern[str], tuple[Known, ...]]:
        order = tuple(sorted(self.values, key=lambda known: len(known[1]), reverse=True))
        regex = re.compile("|".join(f"({''.join(map(_any_escape, value))})" for _, value in order))
        self._escaped = regex, order
        return self._escaped


def _forms(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    data = value.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        form = encode(data).decode()
        yield form
        yield form.rstrip("=")


def _any_escape(character: str) -> str:
    """A pattern for one character as it is, and as JSON and URLs escape it, also more than once:
    %2D, %252D, \\u002d, \\\\u002d.
    """
    octets = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    spellings = [
        re.escape(character),
        "".join(rf"%(?:25)*{_any_case(f'{octet:02x}')}" for octet in octets),
        "".join(rf"\\+u{_any_case(units[at : at + 4])}" for at in range(0, len(units), 4)),
    ]
    if character in '"/\\':
        spellings.append(rf"\\+{re.escape(character)}")
    if character == " ":
        spellings.append(r"\+")
    return f"(?:{'|'.join(spellings)})"


def _any_case(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


def of_header(name: str, value: str) -> Iterator[Known]:
    """The values of a header that holds credentials; `name` is lower-case.

    A scheme is no part of a value (RFC 9110, section 11.4). Basic gives its user and its password
    too (RFC 7617), AWS's signature the access key's id, Cookie each cookie's value.
    """
    value = value.strip()
    if name == "cookie":
        for pair in value.split(";"):
            yield name, pair.partition("=")[2].strip().strip('"')
        return
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    if not rest or not (name.endswith("authorization") or scheme.lower() in _SCHEMES):
        yield name, value
        return
    yield name, rest
    if scheme.lower() == "basic":
        yield from _basic(name, rest)
    elif scheme.lower() != "bearer" and _PARAMETER.match(rest):
        for key, quoted in _PARAMETER.findall(rest):
            if key.lower() not in _PUBLIC_PARAMETERS:
                one = quoted.strip('"')
                yield name, one.partition("/")[0] if key.lower() == "credential" else one


def _basic(name: str, rest: str) -> Iterator[Known]:
    try:
        pair = base64.b64decode(rest, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return
    user, colon, password = pair.partition(":")
    yield name, pair
    if colon:
        yield f"{name}-password", password
        yield f"{name}-user", user


def of_query(query: str, names: frozenset[str]) -> Iterator[Known]:
    """The values of the query parameters that hold credentials; `names` are lower-case."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        plain = unquote_plus(name).lower()
        if plain in names and value:
            yield f"query-{plain}", unquote_plus(value)
