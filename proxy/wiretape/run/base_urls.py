"""The base-URL variables of SDKs, pointed at the base-URL port: `--base-url`."""

from collections.abc import Mapping

from wiretape.config.packs import base_urls
from wiretape.core.providers.base_url import destination_of


def through_base_url(environ: Mapping[str, str], door: str) -> dict[str, str]:
    """Give every base-URL variable of a known SDK, leading to its place through `door`.

    One that the user has set keeps where it leads. A value that the port cannot lead to stays: no
    URL, or plain http at another machine.

    >>> environ = {"OPENAI_BASE_URL": "https://llm.example.com/v1"}
    >>> through_base_url(environ, "http://127.0.0.1:8081")["OPENAI_BASE_URL"]
    'http://127.0.0.1:8081/llm.example.com/v1'
    """
    urls = {name: environ.get(name) or usual for name, usual in base_urls().items()}
    return {name: f"{door}/{place}" for name, url in urls.items() if (place := _place(url))}


def _place(url: str) -> str | None:
    """What follows the port's URL to lead to a base URL; None where nothing does."""
    scheme, _, place = url.partition("://")
    try:
        meant = destination_of(f"/{place}/").scheme
    except ValueError:
        return None
    return place if meant == scheme else None
