"""The known values of a request: its credentials, which are searched for everywhere.

A header or parameter marks its value as secret; the value is then searched for in all other places,
also in the encodings that bodies use (`encodings.py`).
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
# The public parameters of the schemes Digest (RFC 7616), AWS's and HTTP signatures.
_PUBLIC_PARAMETERS: Final = frozenset(
    ("algorithm", "headers", "nc", "opaque", "qop", "realm", "signedheaders", "uri", "version")
)


class Secrets:
    """The known values that may be replaced wherever they occur (see `placeholder.is_strong`).

    `values` are a request's credentials and the configured values; `remembered` were found
    elsewhere. If a value has two labels, the first counts. Immutable; its `repr` holds no value.

    >>> secrets = Secrets([("authorization", "sk-7fQ2mXw9RtB4")])
    >>> list(secrets.occurrences("my key is sk-7fQ2mXw9RtB4"))
    [(10, 25, 'authorization', 'sk-7fQ2mXw9RtB4')]
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
        # The longest first: a value that contains another becomes one placeholder.
        forms = sorted(self._forms, key=len, reverse=True)
        self._plain: Final = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._needles: Final = tuple(forms if len(forms) > _MANY else _without_longer(forms))
        self.shortest: Final = min(
            (len(value.encode("utf-8", "surrogatepass")) for value in strong), default=0
        )
        """The length of the shortest value in bytes; 0 without values."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(name for name, _ in self.values)})"

    def __len__(self) -> int:
        return len(self.values)

    def without(self, public: Iterable[str]) -> "Secrets":
        """The same without values that the request makes public, such as its model's name."""
        public = frozenset(public)
        if not any(value in public for _, value in self.values):
            return self
        carried = [known for known in self.carried if known[1].strip() not in public]
        return Secrets(carried, [known for known in self.values if known[1] not in public])

    @property
    def carried_digests(self) -> frozenset[str]:
        """The digests of what the request carries, also of a placeholder."""
        if self._carried is None:
            digests = (digest_of(value.strip()) for _, value in self.carried)
            self._carried = frozenset(digest for digest in digests if digest)
        return self._carried

    def may_occur_in(self, text: str) -> bool:
        """Whether `text` holds a value, not encoded."""
        return any(needle in text for needle in self._needles)

    def begins_at_end(self, text: str) -> tuple[int, str, str] | None:
        """The start of a value, of at least `LEAST_START` characters, at the end of a text that was
        cut off: index, label and value.
        """
        for form, (name, value) in self._forms.items():
            first = text.find(form[:LEAST_START], max(0, len(text) - len(form) + 1))
            while first >= 0:
                if form.startswith(text[first:]):
                    return first, name, value
                first = text.find(form[:LEAST_START], first + 1)
        return None

    def occurrences(self, text: str) -> Iterator[tuple[int, int, str, str]]:
        """Where `text` holds values, not encoded: start, end, label and value, in order."""
        if self._plain is not None:
            for match in self._plain.finditer(text):
                yield (*match.span(), *self._forms[match[0]])


LEAST_START: Final = 8
"""The fewest characters of a value at the end of a cut text that are not a coincidence."""

_MANY: Final = 64


def _without_longer(forms: list[str]) -> Iterator[str]:
    """The forms that do not contain another."""
    for form in forms:
        if not any(other in form for other in forms if other != form):
            yield form


def _forms(value: str) -> Iterator[str]:
    """A value as JSON and forms write it, apart from numeric escapes."""
    for plain in dict.fromkeys((value, value.replace(" ", "+"))):
        yield plain
        yield json.dumps(plain, ensure_ascii=False)[1:-1]


def credentials_in_header(name: str, value: str) -> Iterator[KnownValue]:
    """The credentials in a header that holds some; `name` is in lower case.

    The scheme does not belong to a value (RFC 9110, section 11.4). Basic also gives its user and
    password (RFC 7617), AWS's signature the access key's id, Cookie each cookie's value.

    >>> list(credentials_in_header("authorization", "Bearer sk-1"))
    [('authorization', 'sk-1')]
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


USERINFO: Final = "userinfo"
"""The rule of what stands before a URL's "@" (RFC 3986, section 3.2.1)."""


def credentials_in_userinfo(text: str) -> Iterator[KnownValue]:
    """The credentials in a URL's user and password: both together, and the password."""
    yield USERINFO, text
    if password := text.partition(":")[2]:
        yield USERINFO, password


def credentials_in_query(query: str, names: frozenset[str]) -> Iterator[KnownValue]:
    """The credentials in the query parameters of some names, in lower case."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        plain = unquote_plus(name).lower()
        if plain in names and value:
            text = unquote_plus(value)
            yield f"query-{plain}", text
            if plain.endswith("-credential") and "/" in text:
                yield f"query-{plain}", text.partition("/")[0]  # the id of an access key


class RememberedValues:
    """Values that any rule has found in a run: what is secret once is secret everywhere.

    Holds at most `most` values and forgets the oldest. Safe to use from any thread; its
    `repr` holds no value.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rules: dict[str, str] = {}
        self.values: tuple[KnownValue, ...] = ()
        """A new tuple each time that something is added."""
        self.added = 0
        """How many were ever added."""

    def __repr__(self) -> str:
        return f"RememberedValues({len(self.values)})"

    def add(self, values: Iterable[KnownValue]) -> bool:
        """Remember values that are strong; gives whether one is new."""
        new = {
            value: rule
            for rule, value in ((rule, value.strip()) for rule, value in values)
            if value not in self._rules and is_strong(value)
        }
        if not new:
            return False
        # Each step is atomic in the interpreter: threads do not lose each other's values.
        for value, rule in new.items():
            self._rules.setdefault(value, rule)
        self.added += len(new)
        while len(self._rules) > self._most:
            self._rules.pop(next(iter(self._rules)), None)
        self.values = tuple((rule, value) for value, rule in tuple(self._rules.items()))
        return True


MOST_REMEMBERED: Final = 1000
"""Of a run, which may last for weeks and never see the same key twice."""
