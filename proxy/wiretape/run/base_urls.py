"""Point the base-URL variables of SDKs at the base-URL port: `--base-url`."""

from collections.abc import Mapping

from wiretape.config.packs import base_urls
from wiretape.core.providers.base_url import destination_of


def through_base_url(environ: Mapping[str, str], proxy_url: str) -> dict[str, str]:
    """Give every base-URL variable of a known SDK, leading to its provider through `proxy_url`.

    A variable that the user has set leads to the same URL as before, also if it leads there through
    an earlier proxy (WIRETAPE_BASE_URL), as after `wiretape env` in the same shell. A value that
    the port cannot serve is left out: one that is not a URL, or plain http at another machine.

    >>> environ = {"OPENAI_BASE_URL": "https://llm.example.com/v1"}
    >>> through_base_url(environ, "http://127.0.0.1:8081")["OPENAI_BASE_URL"]
    'http://127.0.0.1:8081/llm.example.com/v1'
    """
    urls = {name: environ.get(name) or default for name, default in base_urls().items()}
    earlier = environ.get("WIRETAPE_BASE_URL")
    paths = {name: _path_below(url, earlier) for name, url in urls.items()}
    return {name: f"{proxy_url}/{path}" for name, path in paths.items() if path}


def _path_below(url: str, earlier: str | None) -> str | None:
    """The path below the port's URL that leads to a base URL; None if the port cannot serve it."""
    if earlier and url.startswith(f"{earlier}/"):
        return url.removeprefix(f"{earlier}/")
    scheme, _, path = url.partition("://")
    try:
        expected_scheme = destination_of(f"/{path}/").scheme
    except ValueError:
        return None
    return path if expected_scheme == scheme else None
