"""Turn credentials among a WebSocket's subprotocols into the headers they stand for."""

from dataclasses import replace
from typing import Final

from wiretape.core.model import Request
from wiretape.core.wire.websocket import SUBPROTOCOL, is_opening

from .placeholder import looks_like_secret

# A browser cannot set headers, so its credential is among the subprotocols: after a name and a dot,
# or as what follows a scheme.
_CREDENTIALS: Final = {
    "openai-insecure-api-key.": "authorization",
    "openai-organization.": "openai-organization",
    "openai-project.": "openai-project",
}
_SCHEMES: Final = frozenset(("authorization", "bearer", "token"))


def credentials_as_headers(request: Request) -> Request:
    """Change an opening request as it is recorded and matched; any other stays itself.

    Credentials among its subprotocols become headers, which redaction recognises; their names
    stay.
    """
    offered = [value for name, value in request.headers if name.lower() == SUBPROTOCOL]
    if not offered or not is_opening(request):
        return request
    public: list[str] = []
    credentials: list[tuple[str, str]] = []
    for item in (item.strip() for value in offered for item in value.split(",")):
        name, credential = _split(item, public[-1] if public else "")
        if name:
            public.append(name)
        if credential is not None:
            credentials.append(credential)
    headers = [header for header in request.headers if header[0].lower() != SUBPROTOCOL]
    if public:
        headers.append((SUBPROTOCOL, ", ".join(public)))
    return replace(request, headers=(*headers, *credentials))


def _split(item: str, before: str) -> tuple[str, tuple[str, str] | None]:
    """A subprotocol's public part, and its credential as a header, if it has one."""
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
