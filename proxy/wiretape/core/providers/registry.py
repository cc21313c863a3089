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
ERROR_SHAPES: Final[tuple[ErrorShape, ...]] = ("openai", "anthropic", "google", "ollama")


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
    errors: ErrorShape = "openai"
    ids: tuple[str, ...] = ()


class Providers:
    """The providers of a run, found by host and port; `config.packs.built_in()` gives all that
    wiretape knows.
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

    def find(self, host: str, port: int | None = None) -> Provider | None:
        """The provider at a host (any case), or None: then its traffic is none of ours."""
        host = _plain(host)
        return self._named(host, port) or next(
            (
                provider
                for pattern, provider in self._patterns
                if fnmatchcase(host, pattern) or fnmatchcase(f"{host}:{port}", pattern)
            ),
            None,
        )

    def _named(self, host: str, port: int | None) -> Provider | None:
        with_port = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self._exact.get(with_port) or self._exact.get(host)

    def place(self, host: str, port: int | None = None) -> str:
        """What a matcher compares for a host: the provider's name where hosts are aliases, else the
        host itself, with its port where that is not a usual one.
        """
        host = _plain(host)
        provider = self._named(host, port)
        if provider is not None:
            return provider.name
        return host if port in (None, *DEFAULT_PORTS.values()) else f"{host}:{port}"

    def id_names(self, host: str, port: int | None = None) -> frozenset[str]:
        """The further members that hold ids at a host; of no provider's host any provider's."""
        provider = self.find(host, port)
        providers = self.all if provider is None else (provider,)
        return frozenset(name for provider in providers for name in provider.ids)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every provider's hosts and host patterns."""
        return tuple(host for provider in self.all for host in provider.hosts)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The environment variables that hold keys, all providers together."""
        return tuple(dict.fromkeys(name for provider in self.all for name in provider.key_env))


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
