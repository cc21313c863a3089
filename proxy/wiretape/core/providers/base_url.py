"""Base URLs: name a provider in the path of a URL at wiretape's own port, and translate back.

A client that is given "http://127.0.0.1:8899/api.together.xyz/v1" as its base URL asks wiretape for
"/api.together.xyz/v1/models" and means "https://api.together.xyz/v1/models". If an answer sends it
elsewhere (Location, Link, x-goog-upload-url, …), it has to come back to wiretape and must not go to
the provider with its key: `links_to_door` rewrites such headers.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin

from wiretape.core.model import Headers, split_url

from .registry import Providers

_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "0.0.0.0", "::1"))
_PORT: Final = re.compile(r":[0-9]+\Z")


class Destination(NamedTuple):
    """The provider that a request is for; `target` is path and query in origin form."""

    scheme: str
    host: str
    port: int
    target: str


def destination_of(target: str) -> Destination:
    """Read the target of a base-URL request; raises ValueError if it does not name a host.

    A host of this machine with a port means http, any other host https.

    >>> destination_of("/api.together.xyz/v1/models")
    Destination(scheme='https', host='api.together.xyz', port=443, target='/v1/models')
    >>> destination_of("/[::1]:8001/v1/models")
    Destination(scheme='http', host='::1', port=8001, target='/v1/models')
    """
    authority, _, rest = target[1:].partition("/")
    # Some clients encode the brackets of an IPv6 address.
    authority = unquote(authority)
    if not authority or "?" in authority:
        raise ValueError("expected /HOST/PATH, such as /api.together.xyz/v1/chat/completions")
    destination = Destination(*split_url(f"https://{authority}/{rest}"))
    is_plain = destination.host in _LOCAL and _PORT.search(authority) is not None
    return destination._replace(scheme="http") if is_plain else destination


# ------------------------------------------------------------------ answers that lead elsewhere

_RELATIVE: Final = frozenset(
    ("azure-asyncoperation", "content-location", "link", "location", "operation-location")
) | {"refresh"}
"""Headers that may hold a relative reference (RFC 3986, section 4.2)."""

_COMPARED: Final = frozenset(
    ("access-control-allow-origin", "content-security-policy", "timing-allow-origin")
) | {"content-security-policy-report-only"}
"""Headers whose URLs a client compares but does not follow."""

# A reference is the whole value, or is in <…> (Link), in quotes (WWW-Authenticate), or after url=
# (Refresh).
_START: Final = r"(\A\s*|[<\"']\s*|\burl\s*=\s*[\"']?)"
_ABSOLUTE: Final = re.compile(_START + r"(?:(https?):)?//([^/?#\\\s<>\"']+)/?", re.IGNORECASE)
_PATH: Final = re.compile(_START + r"((?:\.\.?(?=[/?#]|\Z)|/(?!/))[^\s<>\"']*)", re.IGNORECASE)


def may_lead(headers: Headers) -> bool:
    """Whether `links_to_door` may change an answer's headers; False is certain.

    >>> may_lead((("content-type", "text/plain"),)), may_lead((("location", "/v1/files/1"),))
    (False, True)
    """
    return any(
        _ABSOLUTE.search(value) or (name.lower() in _RELATIVE and _PATH.search(value))
        for name, value in headers
    )


def links_to_door(headers: Headers, url: str, door: str, providers: Providers) -> Headers:
    """Rewrite the headers of the answer to `url`: links to a provider lead to `door`, the URL of a
    base-URL port. Links to other hosts stay.

    >>> from .registry import Provider
    >>> providers = Providers([Provider("openai", ("api.openai.com",))])
    >>> url, headers = "https://api.openai.com/v1/files", (("location", "/v1/files/1"),)
    >>> links_to_door(headers, url, "http://127.0.0.1:8899", providers)
    (('location', 'http://127.0.0.1:8899/api.openai.com/v1/files/1'),)
    """
    scheme, _, door_authority = door.partition("://")

    def to_door(match: re.Match[str]) -> str:
        before, old_scheme, authority = match.groups()
        user, at, host_port = authority.rpartition("@")
        try:
            _, host, port, _ = split_url(f"https://{host_port}/")
        except ValueError:
            return match[0]
        if providers.find(host, port) is None:
            return match[0]
        usual = ":80" if (old_scheme or "").lower() == "http" else ":443"
        return f"{before}{scheme}://{user}{at}{door_authority}/{host_port.removesuffix(usual)}/"

    def absolute(match: re.Match[str]) -> str:
        # "/v1/x" would be a path of wiretape's own, and ".." could leave the provider's.
        return f"{match[1]}{urljoin(url, match[2])}"

    def rewrite(name: str, value: str) -> str:
        name = name.lower()
        if name in _COMPARED or not ("/" in value or "." in value):
            return value
        if name in _RELATIVE:
            value = _PATH.sub(absolute, value)
        return _ABSOLUTE.sub(to_door, value)

    return tuple((name, rewrite(name, value)) for name, value in headers)
