"""The proxy that stands between us and the world, as an environment or the user names it.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY have no standard; what curl and Go agree on holds:
the lower-case spelling first, NO_PROXY's names cover their subdomains, addresses may be ranges,
`*` is every host. Loopback is never reached through a proxy of the environment.
"""

import base64
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from wiretape.core.errors import ConfigError

_LOOPBACK: Final = ("localhost", "127.0.0.0/8", "::1")
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class OuterProxy:
    """Where an outer proxy is; its credentials show in no repr."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """The value of Proxy-Authorization (RFC 7617), where the URL has a user."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


@dataclass(frozen=True)
class Outer:
    """Which proxy, if any, a destination is reached through."""

    https: OuterProxy | None = None
    http: OuterProxy | None = None
    direct: tuple[str, ...] = ()
    """Hosts, suffixes, addresses, ranges, each with a port or without; "*" for all."""

    def proxy(self, scheme: str, host: str, port: int) -> OuterProxy | None:
        """The proxy for a destination; None where it is reached directly."""
        chosen = self.https if scheme == "https" else self.http
        if chosen is None or any(_covers(entry, host, port) for entry in self.direct):
            return None
        return chosen


def ways_out(url: str | None, environ: Mapping[str, str]) -> Outer:
    """The proxy that the user set, else the environment's; ConfigError as `parse` has it."""
    return given(url, no_proxy(environ)) if url else of_environment(environ)


def given(url: str, no_proxy: str = "") -> Outer:
    """One proxy for everything, as the user's setting names it; ConfigError as `parse` has it."""
    proxy = parse(url, "upstream_proxy")
    return Outer(proxy, proxy, _entries(no_proxy))


def of_environment(environ: Mapping[str, str]) -> Outer:
    """The proxies an environment names; ConfigError as `parse` has it."""

    def proxy(name: str) -> OuterProxy | None:
        text, spelled = _value(environ, name)
        if not text:
            text, spelled = _value(environ, "ALL_PROXY")
        return parse(text, spelled) if text else None

    direct = (*_LOOPBACK, *_entries(no_proxy(environ)))
    return Outer(proxy("HTTPS_PROXY"), proxy("HTTP_PROXY"), direct)


def no_proxy(environ: Mapping[str, str]) -> str:
    """What an environment says is reached directly; empty where it says nothing."""
    return _value(environ, "NO_PROXY")[0]


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """A variable's value and the spelling it has."""
    for variable in (name.lower(), name):
        if value := environ.get(variable, "").strip():
            return value, variable
    return "", name


def parse(url: str, name: str) -> OuterProxy:
    """Read a proxy's URL, "http://user:password@host:port" or "host:port".

    Raises ConfigError that says `name` and never the URL: it may hold a password.
    """
    expected = f"{name}: expected http://[USER:PASSWORD@]HOST[:PORT] or https://…"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{expected}; its value is not a URL") from None
    if scheme not in _PORTS:
        raise ConfigError(
            f"{expected}, got a {scheme}:// proxy, which is not supported; unset it, or put the"
            " providers' hosts into NO_PROXY"
        )
    if not host:
        raise ConfigError(f"{expected}; what it is set to names no host")
    authorization = None
    if parts.username is not None:
        user = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
        authorization = "Basic " + base64.b64encode(b":".join(user)).decode("ascii")
    secure: Literal["http", "https"] = "https" if scheme == "https" else "http"
    return OuterProxy(secure, host, port or _PORTS[scheme], authorization)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(text.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    # An IPv6 address has colons of its own: only a bracketed one, or a name, has a port.
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry, host = entry.strip("[]"), host.lower().strip("[]").removesuffix(".")
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        with suppress(ValueError):
            network = ipaddress.ip_network(entry, strict=False)
            return address.version == network.version and address in network
        return False
    suffix = entry.removeprefix("*").removeprefix(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
