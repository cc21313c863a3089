"""The known values of one request: what it carried as credentials, and how each may be spelled.

A header or parameter names its value as secret; the value is then looked for everywhere else, in
each of the forms that bodies give it (`encodings.py`).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_plus

from .placeholder import digest_of, is_strong, label

type KnownValue = tuple[str, str]
"""A value's label ("authorization", "query-key", "together-api-key") and the value."""

_SCHEMES: Final = frozenset(("basic", "bearer", "token", "apikey", "api-key", "key"))
_PARAMETER: Final = re.compile(r'([\w-]+)=("(?:[^"\\]|\\.)*"|[^,\s]*)')
# What the parameters of Digest (RFC 7616), AWS's and HTTP signatures' schemes say in public.
_PUBLIC_PARAMETERS: Final = frozenset(
    ("algorithm", "headers", "nc", "opaque", "qop", "realm", "signedheaders", "uri", "version")
)


class Secrets:
    """The known values that may be replaced wherever they stand (see `placeholder.is_strong`).

    `values` are those that a request carries as credentials, and configured ones; `remembered` are
    those that were found elsewhere. Where one value has two labels the first counts. Immutable; its
    `repr` holds no value.
    """

    __slots__ = ("_carried", "_forms", "_needles", "_plain", "carried", "shortest", "values")

    def __init__(
        self, values: Iterable[KnownValue] = (), remembered: Iterable[KnownValue] = ()
    ) -> None:
        self.carried: Final = tuple(values)
        """What the request carries, and configured values, however weak."""
        self._carried: frozenset[str] | None = None
        strong: dict[str, str] = {}
        for name, value in (*self.carried, *remembered):
            if is_strong(value.strip()):
                strong.setdefault(value.strip(), label(name))
        self.values: Final = tuple((name, value) for value, name in strong.items())
        self._forms: Final = {
            form: known for known in reversed(self.values) for form in _forms(known[1])
        }
        # The longest first: a value that contains another is one placeholder.
        forms = sorted(self._forms, key=len, reverse=True)
        self._plain: Final = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._needles: Final = tuple(forms if len(forms) > _MANY else _without_longer(forms))
        self.shortest: Final = min(
            (len(value.encode("utf-8", "surrogatepass")) for value in strong), default=0
        )
        """The length of the shortest value in bytes; 0 where there is none."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(name for name, _ in self.values)})"

    def __len__(self) -> int:
        return len(self.values)

    def without(self, public: Iterable[str]) -> "Secrets":
        """The same without values that the request makes public, as its model's name."""
        public = frozenset(public)
        if not any(value in public for _, value in self.values):
            return self
        carried = [known for known in self.carried if known[1].strip() not in public]
        return Secrets(carried, [known for known in self.values if known[1] not in public])

    @property
    def carried_digests(self) -> frozenset[str]:
        """The digests in the placeholders of what the request carries, be it a placeholder."""
        if self._carried is None:
            digests = (digest_of(value.strip()) for _, value in self.carried)
            self._carried = frozenset(digest for digest in digests if digest)
        return self._carried

    def may_stand_in(self, text: str) -> bool:
        """Whether values stand in `text` as they are."""
        return any(needle in text for needle in self._needles)

    def begins_at_end(self, text: str) -> tuple[int, str, str] | None:
        """The start of a value at the end of a text that was cut off: where it begins, label and
        value; None where there is none of `LEAST_START` characters.
        """
        for form, (name, value) in self._forms.items():
            first = text.find(form[:LEAST_START], max(0, len(text) - len(form) + 1))
            while first >= 0:
                if form.startswith(text[first:]):
                    return first, name, value
                first = text.find(form[:LEAST_START], first + 1)
        return None

    def stand_in(self, text: str) -> Iterator[tuple[int, int, str, str]]:
        """Where values stand in `text` as they are: start, end, label and value, in order."""
        if self._plain is not None:
            for match in self._plain.finditer(text):
                yield (*match.span(), *self._forms[match[0]])


LEAST_START: Final = 8
"""As many characters of a value at the end of what was cut off are no chance."""

_MANY: Final = 64


def _without_longer(forms: list[str]) -> Iterator[str]:
    """The forms that hold no other one."""
    for form in forms:
        if not any(other in form for other in forms if other != form):
            yield form


def _forms(value: str) -> Iterator[str]:
    """A value as JSON and forms spell it without escaping a character by its number."""
    for plain in dict.fromkeys((value, value.replace(" ", "+"))):
        yield plain
        yield json.dumps(plain, ensure_ascii=False)[1:-1]


def of_header(name: str, value: str) -> Iterator[KnownValue]:
    """The values of a header that holds credentials; `name` is lower-case.

    A scheme is no part of a value (RFC 9110, section 11.4). Basic gives its user and its password
    too (RFC 7617), AWS's signature the access key's id, Cookie each cookie's value.
    """
    value = value.strip()
    if name == "set-cookie":
        value = value.partition(";")[0]
    if name in ("cookie", "set-cookie"):
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
                text = quoted.strip('"')
                yield name, text.partition("/")[0] if key.lower() == "credential" else text


def _basic(name: str, rest: str) -> Iterator[KnownValue]:
    try:
        pair = base64.b64decode(rest, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return
    user, colon, password = pair.partition(":")
    yield name, pair
    if colon:
        yield f"{name}-password", password
        yield f"{name}-user", user


def of_query(query: str, names: frozenset[str]) -> Iterator[KnownValue]:
    """The values of the query parameters that hold credentials; `names` are lower-case."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        plain = unquote_plus(name).lower()
        if plain in names and value:
            text = unquote_plus(value)
            yield f"query-{plain}", text
            if plain.endswith("-credential") and "/" in text:
                yield f"query-{plain}", text.partition("/")[0]  # the id of an access key


class RememberedValues:
    """What any rule has found in a run: a value that was named once is secret everywhere.

    At most `MOST_REMEMBERED` values; of more the oldest are forgotten. It may be used in any
    thread, and its `repr` holds no value.
    """

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self.values: tuple[KnownValue, ...] = ()
        """Another tuple each time that something is added."""

    def __repr__(self) -> str:
        return f"RememberedValues({len(self.values)})"

    def add(self, values: Iterable[KnownValue]) -> bool:
        """Remember values that are strong; tells whether one of them is new."""
        new = {
            value: rule
            for rule, value in ((rule, value.strip()) for rule, value in values)
            if value not in self._rules and is_strong(value)
        }
        if not new:
            return False
        # Each step is one of the interpreter's: two threads lose nothing of one another's.
        for value, rule in new.items():
            self._rules.setdefault(value, rule)
        while len(self._rules) > MOST_REMEMBERED:
            self._rules.pop(next(iter(self._rules)), None)
        self.values = tuple((rule, value) for value, rule in tuple(self._rules.items()))
        return True


MOST_REMEMBERED: Final = 1000
