"""Base URLs: a provider's place in the path of a URL at wiretape's own port, and the way back.

A client that is given "http://127.0.0.1:8899/api.together.xyz/v1" as its base URL asks wiretape for
"/api.together.xyz/v1/models" and means "https://api.together.xyz/v1/models". Where an answer sends
it on (Location, Link, x-goog-upload-url, …) it has to come back to wiretape, and not to go to the
provider with its key: `links_to_door` rewrites such headers.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin

from wiretape.core.model import Headers, split_url

from .registry import Providers

_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "0.0.0.0", "::1"))
_PORT: Final = re.compile(r":[0-9]+\Z")


class Destination(NamedTuple):
    """Where a request is to go; `target` is path and query in origin form."""

    scheme: str
    host: str
    port: int
    target: str


def destination_of(target: str) -> Destination:
    """Read a base-URL request's target; ValueError where it names no host.

    With a port it is plain http on this machine, and https elsewhere.

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
    found = Destination(*split_url(f"https://{authority}/{rest}"))
    is_plain = found.host in _LOCAL and _PORT.search(authority) is not None
    return found._replace(scheme="http") if is_plain else found


# ------------------------------------------------------------------ answers that lead elsewhere

_RELATIVE: Final = frozenset(
    ("azure-asyncoperation", "content-location", "link", "location", "operation-location")
) | {"refresh"}
"""Headers that may hold a relative reference (RFC 3986, section 4.2)."""

_COMPARED: Final = frozenset(
    ("access-control-allow-origin", "content-security-policy", "timing-allow-origin")
) | {"content-security-policy-report-only"}
"""Headers whose URLs a client compares with others and does not follow."""

# A reference is the whole value, or stands in <…> (Link), in quotes (WWW-Authenticate), behind url=
# (Refresh).
_START: Final = r"(\A\s*|[<\"']\s*|\burl\s*=\s*[\"']?)"
_ABSOLUTE: Final = re.compile(_START + r"(?:(https?):)?//([^/?#\\\s<>\"']+)/?", re.IGNORECASE)
_PATH: Final = re.compile(_START + r"((?:\.\.?(?=[/?#]|\Z)|/(?!/))[^\s<>\"']*)", re.IGNORECASE)


def links_to_door(headers: Headers, url: str, door: str, providers: Providers) -> Headers:
    """Give the headers of the answer to `url` with each link to a provider leading to `door`, the
    URL of a base-URL port ("http://127.0.0.1:8899"). Links to other hosts stay.

    "https://api.openai.com/v1/files/1" becomes
    "http://127.0.0.1:8899/api.openai.com/v1/files/1".
    """
    scheme, _, here = door.partition("://")

    def to_door(found: re.Match[str]) -> str:
        before, old_scheme, authority = found.groups()
        user, at, place = authority.rpartition("@")
        try:
            _, host, port, _ = split_url(f"https://{place}/")
        except ValueError:
            return found[0]
        if providers.find(host, port) is None:
            return found[0]
        usual = ":80" if (old_scheme or "").lower() == "http" else ":443"
        return f"{before}{scheme}://{user}{at}{here}/{place.removesuffix(usual)}/"

    def absolute(found: re.Match[str]) -> str:
        # "/v1/x" would be a path of wiretape's own, and ".." could leave the provider's.
        return f"{found[1]}{urljoin(url, found[2])}"

    def rewrite(name: str, value: str) -> str:
        name = name.lower()
        if name in _COMPARED or not ("/" in value or "." in value):
            return value
        if name in _RELATIVE:
            value = _PATH.sub(absolute, value)
        return _ABSOLUTE.sub(to_door, value)

    return tuple((name, rewrite(name, value)) for name, value in headers)
