"""Give a recorded request the credential that redaction took out: from the environment.

A recording has no header with a key, and a placeholder for one in its query. The provider's pack
knows the header and the variables.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from wiretape.config.packs import dummy_keys, key_header
from wiretape.core.errors import WiretapeError
from wiretape.core.model import Request, header
from wiretape.core.redaction.placeholder import PLACEHOLDER, may_be_in

from .targets import Target


class NoKey(WiretapeError):
    """No variable holds a key for a provider; `str()` says which could."""


def with_credentials(
    target: Target, secret_query: frozenset[str], environ: Mapping[str, str]
) -> Request:
    """Give a target's request its key; NoKey if no variable holds one."""
    request, provider = target.request, target.provider
    where = key_header(provider) if provider is not None else None
    key = None
    for name in where.variables if where else ():
        value = environ.get(name, "").strip()
        dummies = {dummy.value for dummy in dummy_keys([name]) if dummy.name == name}
        if value and value not in dummies:
            key = value
            break
    if key is not None and request.scheme == "http" and not _is_local(request):
        raise NoKey(f"{request.authority} is asked without TLS: a key is not sent that way")
    query = _query(request.query, secret_query, key)
    if query is None or (where and where.variables and not key and not _is_local(request)):
        variables = " or ".join(where.variables) if where and where.variables else "its variable"
        raise NoKey(f"no key for {target.provider_name}: set {variables}")
    target_path = request.path + (f"?{query}" if "?" in request.target else "")
    headers = [(name, value) for name, value in request.headers if not may_be_in(value)]
    if header(request.headers, "content-type") is None and request.body:
        headers.append(("content-type", "application/json"))  # llama-stack kept no headers
    is_anthropic = provider is not None and provider.errors == "anthropic"
    if is_anthropic and header(request.headers, "anthropic-version") is None:
        headers.append(("anthropic-version", "2023-06-01"))
    if key is not None and where is not None and query == request.query:
        headers.append(_credential(where.name, key, request))
    return replace(request, target=target_path, headers=tuple(headers))


def _credential(name: str, key: str, request: Request) -> tuple[str, str]:
    # Google takes a bearer token where it speaks as OpenAI does.
    if name == "authorization" or "/openai/" in request.path:
        return "authorization", f"Bearer {key}"
    return name, key


def _query(query: str, secret: frozenset[str], key: str | None) -> str | None:
    """A query with the key in place of its placeholder; None where that is missing."""
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if name.lower() in secret and PLACEHOLDER.fullmatch(value):
            if key is None:
                return None
            value = quote(key, safe="")
        parts.append(name + equals + value)
    return "&".join(parts)


def _is_local(request: Request) -> bool:
    return request.host in ("localhost", "127.0.0.1", "::1")
