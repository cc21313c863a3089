"""Look up providers by host, and write error answers in their shape; `config/packs.py` has the
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

type ErrorShape = Literal["openai", "anthropic", "google", "ollama", "mcp"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider. A matcher does not distinguish its hosts, except those covered by a pattern such
    as "*.example.com".

    A host is "name" for any port, or "name:port"; an IPv6 address has brackets. `key_env`
    names the variables its SDKs read keys from, `ids` the members of its bodies that hold ids
    though their names do not show it ("container").
    """

    name: str
    hosts: tuple[str, ...]
    key_env: tuple[str, ...] = ()
    errors: ErrorShape | None = "openai"
    """None: decided by the path of a request."""
    ids: tuple[str, ...] = ()


class Providers:
    """The providers of a run, by host and port; `config.packs.built_in()` gives all that wiretape
    knows.

    Hosts can be added that belong to none of them: those that a folder has recordings of, and those
    of `--host`. Each is a provider of its own.

    >>> providers = Providers([Provider("openai", ("api.openai.com", "eu.api.openai.com"))])
    >>> providers.host_key("eu.api.openai.com"), providers.host_key("localhost", 8000)
    ('openai', 'localhost:8000')
    >>> providers.find("example.com") is None
    True
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
                    self._exact[_normalised(host)] = provider
        self._nameless: dict[str, Provider] = {}
        self.changes = 0
        """How often hosts were added."""
        ids = tuple(dict.fromkeys(name for provider in self.all for name in provider.ids))
        self._nameless_ids: Final = ids

    def add_host(self, host: str) -> None:
        """Add a host, written as in `Provider`."""
        host = _normalised(host)
        self.changes += 1
        self._nameless.setdefault(host, self._provider_of(host))

    def add_host_keys(self, host_keys: Iterable[str]) -> None:
        """Add the hosts of recordings, by their `host_key`."""
        names = {provider.name for provider in self.all}
        self.changes += 1
        for key in {key for key in host_keys if "*" not in key} - names:
            # A key without a port stands for the default ports.
            usual = (_with_port(key, port) for port in DEFAULT_PORTS.values())
            for host in (key,) if _HAS_PORT.search(key) else usual:
                self._nameless.setdefault(host, self._provider_of(key))

    def _provider_of(self, host: str) -> Provider:
        return Provider(host, (host,), (), None, self._nameless_ids)

    def find(self, host: str, port: int | None = None) -> Provider | None:
        """The provider at a host (any case), or None: then wiretape leaves the traffic alone."""
        host = _normalised(host)
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

    def host_key(self, host: str, port: int | None = None) -> str:
        """What a matcher compares for a host: its provider's name or, for a host of no provider or
        covered by a pattern, the host with its port if that is not a default one.
        """
        host = _normalised(host)
        provider = self._named(host, port)
        if provider is not None:
            return provider.name
        return host if port in (None, *DEFAULT_PORTS.values()) else _with_port(host, port)

    def id_names(self, host: str, port: int | None = None) -> frozenset[str]:
        """The further members that hold ids at a host; those of all providers if it is unknown."""
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


def _normalised(host: str) -> str:
    """Normalise a host: lower case, an IPv6 address in its shortest form."""
    host = host.lower().rstrip(".")
    match = _IPV6.fullmatch(host) if ":" in host else None
    if match is None:
        return host
    try:
        address = str(IPv6Address(match[1]))
    except ValueError:
        return host
    return f"[{address}]{match[2]}" if match[2] else address


def error_shape(provider: Provider | None, path: str) -> ErrorShape:
    """The shape of an error answer to a request: the provider's, else by the path.

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
    (re.compile(r"/mcp/?\Z"), "mcp"),
)


def error_body(shape: ErrorShape, status: int, message: str, code: str) -> bytes:
    """Write an error answer's JSON body in the provider's shape, so that its SDK raises it.

    >>> error_body("ollama", 404, "no such model", "not_found")
    b'{"error":"no such model"}'
    """
    shapes: Mapping[ErrorShape, Json] = {
        "openai": {
            "error": {"message": message, "type": "wiretape_error", "param": None, "code": code}
        },
        "anthropic": {"type": "error", "error": {"type": code, "message": message}},
        "google": {"error": {"code": status, "message": message, "status": code.upper()}},
        "ollama": {"error": message},
        # JSON-RPC 2.0, 5.1: null where the request's id is not known; -32000 is a server's own.
        "mcp": {
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": -32000, "message": message, "data": {"code": code}},
        },
    }
    return dumps(shapes[shape]).encode()
