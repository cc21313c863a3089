"""Providers, found by host, and the shape of their error answers; `config/packs.py` has the
known ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv6Address
from typing import Final, Literal

from wiretape.core.model import DEFAULT_PORTS
from wiretape.core.text.exact_json import Json, dumps

type ErrorShape = Literal["openai", "anthropic", "google", "ollama"]


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: its hosts are one place to a matcher, except those a pattern such as
    "*.example.com" covers.

    A host is "name" for any port, or "name:port"; an IPv6 address has brackets. `key_env`
    names the variables its SDKs read keys from, `ids` the members of its bodies that hold ids
    though their names do not say so ("container").
    """

    name: str
    hosts: tuple[str, ...]
    key_env: tuple[str, ...] = ()
    errors: ErrorShape | None = "openai"
    """None: as the path of a request tells."""
    ids: tuple[str, ...] = ()


class Providers:
    """The providers of a run, found by host and port; `config.packs.built_in()` gives all that
    wiretape knows.

    Hosts that are added are somebody's too, though no provider has named them: those of which a
    folder holds recordings, and those of `--host`. Each is a place of its own.
    """

    def __init__(self, providers: Iterable[Provider]) -> None:
        self.all: Final = tuple(providers)
        self._exact: dict[str, Provider] = {}
        self._patterns: list[tuple[str, Provider]] = []
        for provider in self.all:
            for host in map(str.lower, provider.hosts):
                if "*" in host:
                    self._patterns.append((host, provider))
                else:
                    self._exact[_plain(host)] = provider
        self._nameless: dict[str, Provider] = {}
        ids = tuple(dict.fromkeys(name for provider in self.all for name in provider.ids))
        self._nameless_ids: Final = ids

    def add_host(self, host: str) -> None:
        """Answer for a host, as `Provider` has them, that may be no provider's."""
        plain = _plain(host)
        self._nameless.setdefault(plain, self._provider_of(plain))

    def add_places(self, places: Iterable[str]) -> None:
        """Answer for the places of recordings (see `place`)."""
        names = {provider.name for provider in self.all}
        for place in {place for place in places if "*" not in place} - names:
            # A place without a port is at a usual one.
            usual = (_with_port(place, port) for port in DEFAULT_PORTS.values())
            for host in (place,) if _HAS_PORT.search(place) else usual:
                self._nameless.setdefault(host, self._provider_of(place))

    def _provider_of(self, host: str) -> Provider:
        return Provider(host, (host,), (), None, self._nameless_ids)

    def find(self, host: str, port: int | None = None) -> Provider | None:
        """The provider at a host (any case), or None: then its traffic is none of ours."""
        host = _plain(host)
        return self._named(host, port) or next(
            (
                provider
                for pattern, provider in self._patterns
                if fnmatchcase(host, pattern) or fnmatchcase(f"{host}:{port}", pattern)
            ),
            self._without_name(host, port),
        )

    def _without_name(self, host: str, port: int | None) -> Provider | None:
        if not self._nameless:
            return None
        with_port = _with_port(host, port)
        for known in (with_port, host):
            if known in self._nameless:
                return self._nameless[known]
        return next(
            (
                provider
                for pattern, provider in self._nameless.items()
                if "*" in pattern
                and (fnmatchcase(host, pattern) or fnmatchcase(with_port, pattern))
            ),
            None,
        )

    def _named(self, host: str, port: int | None) -> Provider | None:
        return self._exact.get(_with_port(host, port)) or self._exact.get(host)

    def place(self, host: str, port: int | None = None) -> str:
        """What a matcher compares for a host: the provider's name where hosts are aliases, else the
        host itself, with its port where that is not a usual one.
        """
        host = _plain(host)
        provider = self._named(host, port)
        if provider is not None:
            return provider.name
        return host if port in (None, *DEFAULT_PORTS.values()) else _with_port(host, port)

    def id_names(self, host: str, port: int | None = None) -> frozenset[str]:
        """The further members that hold ids at a host; of no provider's host any provider's."""
        provider = self.find(host, port)
        providers = self.all if provider is None else (provider,)
        return frozenset(name for provider in providers for name in provider.ids)

    @property
    def nameless_hosts(self) -> tuple[str, ...]:
        """The hosts that were added."""
        return tuple(dict.fromkeys(h for p in self._nameless.values() for h in p.hosts))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every provider's hosts and host patterns."""
        return tuple(host for provider in self.all for host in provider.hosts)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The environment variables that hold keys, all providers together."""
        return tuple(dict.fromkeys(name for provider in self.all for name in provider.key_env))


def _with_port(host: str, port: int | None) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_HAS_PORT: Final = re.compile(r"(?:\A[^:]*|\]):[0-9]+\Z")
_IPV6: Final = re.compile(r"\[?([0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*)\]?(:[0-9]+)?")


def _plain(host: str) -> str:
    """A host as it is looked up; an IPv6 address in its shortest form, in brackets with a port."""
    host = host.lower().rstrip(".")
    found = _IPV6.fullmatch(host) if ":" in host else None
    if found is None:
        return host
    try:
        address = str(IPv6Address(found[1]))
    except ValueError:
        return host
    return f"[{address}]{found[2]}" if found[2] else address


def error_shape(provider: Provider | None, path: str) -> ErrorShape:
    """The shape of an error answer to a request: the provider's, else what its path speaks.

    >>> error_shape(None, "/v1/messages"), error_shape(None, "/v1beta/models/m:generateContent")
    ('anthropic', 'google')
    """
    if provider is not None and provider.errors is not None:
        return provider.errors
    return next((shape for pattern, shape in _DIALECTS if pattern.search(path)), "openai")


_DIALECTS: Final[tuple[tuple[re.Pattern[str], ErrorShape], ...]] = (
    (re.compile(r"/v1/messages(?:/|\Z)"), "anthropic"),
    (
        re.compile(r":(?:[a-z]+Content|embedContents|countTokens|predict)\Z|/v1beta/", re.I),
        "google",
    ),
    (re.compile(r"/api/(?:chat|generate|embed|embeddings|tags|show|ps|version)\Z"), "ollama"),
)


def error_body(shape: ErrorShape, status: int, message: str, code: str) -> bytes:
    """An error answer's JSON body in the provider's own shape, so that its SDK raises with our
    message.
    """
    shapes: Mapping[ErrorShape, Json] = {
        "openai": {
            "error": {"message": message, "type": "wiretape_error", "param": None, "code": code}
        },
        "anthropic": {"type": "error", "error": {"type": code, "message": message}},
        "google": {"error": {"code": status, "message": message, "status": code.upper()}},
        "ollama": {"error": message},
    }
    return dumps(shapes[shape]).encode()
