"""Credentials among the subprotocols of a WebSocket, which become the headers they stand for."""

from dataclasses import replace
from typing import Final

from wiretape.core.model import Request
from wiretape.core.wire.websocket import SUBPROTOCOL, is_opening

from .placeholder import looks_like_secret

# Where no header can be set, in a browser, a credential stands among the subprotocols: behind a
# name and a dot, or as what follows a scheme.
_CREDENTIALS: Final = {
    "openai-insecure-api-key.": "authorization",
    "openai-organization.": "openai-organization",
    "openai-project.": "openai-project",
}
_SCHEMES: Final = frozenset(("authorization", "bearer", "token"))


def credentials_as_headers(request: Request) -> Request:
    """An opening request as it is recorded and matched; any other request itself.

    Credentials among its subprotocols become headers, where redaction knows them as such; what
    named them stays.
    """
    offered = [value for name, value in request.headers if name.lower() == SUBPROTOCOL]
    if not offered or not is_opening(request):
        return request
    public: list[str] = []
    found: list[tuple[str, str]] = []
    for item in (item.strip() for value in offered for item in value.split(",")):
        name, credential = _split(item, public[-1] if public else "")
        if name:
            public.append(name)
        if credential is not None:
            found.append(credential)
    headers = [header for header in request.headers if header[0].lower() != SUBPROTOCOL]
    if public:
        headers.append((SUBPROTOCOL, ", ".join(public)))
    return replace(request, headers=(*headers, *found))


def _split(item: str, before: str) -> tuple[str, tuple[str, str] | None]:
    """A subprotocol's public part, and what of it is a credential, as the header it would be."""
    for prefix, header in _CREDENTIALS.items():
        if item.startswith(prefix):
            secret = item.removeprefix(prefix)
            return prefix[:-1], (header, f"Bearer {secret}" if "auth" in header else secret)
    if before.lower() in _SCHEMES:
        return "", ("authorization", f"Bearer {item}")
    parts = item.split(".")
    at = next((at for at, part in enumerate(parts) if looks_like_secret(part)), None)
    if at is None:
        return item, None
    return ".".join(parts[:at]), ("authorization", f"Bearer {'.'.join(parts[at:])}")
