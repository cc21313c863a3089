"""Turn a recorded request into one for another model, or another base URL of the same dialect."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wiretape.config.packs import packs
from wiretape.core.model import Request, models_in_path, split_url
from wiretape.core.providers.registry import Provider, Providers
from wiretape.core.text import exact_json

_API: Final = re.compile(r"/(?:openai/)?v\d+(?:beta)?(?=/)")


def for_model(request: Request, model: str) -> Request:
    """The same request for another model, in its body and its path.

    >>> request = Request("POST", "https", "h", 443, "/v1/x", body=b'{"model": "a", "n": 1}')
    >>> for_model(request, "b").body
    b'{"model": "b", "n": 1}'
    """
    target = request.target
    for name in models_in_path(request.path):
        target = target.replace(f"/{name}", f"/{model}", 1)
    parsed = exact_json.read(request.body.decode("utf-8", "replace"))
    if parsed is None or not isinstance(parsed[0], dict) or "model" not in parsed[0]:
        return replace(request, target=target)
    body = exact_json.dumps({**parsed[0], "model": model}, parsed[1]).encode()
    return replace(request, target=target, body=body)


def for_base_url(request: Request, base_url: str, provider: Provider | None) -> Request:
    """The same request below another base URL, in place of its provider's own.

    >>> request = Request("POST", "https", "api.openai.com", 443, "/v1/embeddings")
    >>> for_base_url(request, "http://localhost:8000/api/v1", None).url
    'http://localhost:8000/api/v1/embeddings'
    """
    scheme, host, port, prefix = split_url(base_url)
    pack = packs().get(provider.name) if provider else None
    bases = sorted(
        {split_url(url)[3].rstrip("/") for url in pack.base_urls.values()} if pack else ()
    )
    api = _API.match(request.target)
    base = next((base for base in bases if base and request.target.startswith(base + "/")), None)
    rest = request.target.removeprefix(base if base is not None else api[0] if api else "")
    if prefix.rstrip("/") == "":  # a base URL without a path takes the provider's place alone
        rest = request.target
    return replace(request, scheme=scheme, host=host, port=port, target=prefix.rstrip("/") + rest)


def changing(
    providers: Providers, model: str | None, base_url: str | None
) -> Callable[[Request], Request]:
    """What makes of a recorded request the one to be sent: itself, where neither is named."""

    def changed(request: Request) -> Request:
        if model:
            request = for_model(request, model)
        if base_url:
            provider = providers.find(request.host, request.port)
            request = for_base_url(request, base_url, provider)
            if providers.find(request.host, request.port) is None:
                providers.add_host(request.authority)
        return request

    return changed
