"""What to say of a client that went past the proxy or does not trust it, by what CMD is."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import urlsplit

from wiretape.tls.trust_roots import TRUST_FILES

_CA_OPTIONS: Final = (
    *("--cacert", "--capath", "--ca-certificate", "--ca-directory", "--ca-bundle"),
    *("--cafile", "--ca-file", "-CAfile", "--cert-authority"),
)
"""Options of curl, wget, the AWS command line, openssl and others: whom to trust."""

_IGNORES_PROXY: Final = (
    (
        r"(?:i?python|pypy)[0-9.]*|pytest|py\.test|uvx?|poetry|tox|nox|pdm|hatch|uvicorn|gunicorn",
        "httpx with a transport= or trust_env=False, requests with trust_env=False, aiohttp without"
        " trust_env=True, urllib3 and http.client alone, websockets before 15",
    ),
    (
        r"node|npm|npx|yarn|pnpm|tsx|ts-node|jest|vitest|bun|bunx|deno",
        "fetch with a dispatcher of its own, http and https with an agent of their own, axios with"
        " proxy: false, ws; all of them in Node before 22.21",
    ),
    (
        r"java|mvn|mvnw|gradle|gradlew|kotlin|sbt",
        "Apache HttpClient without useSystemProperties(), Netty and WebClient",
    ),
    (r"go", "an http.Transport without Proxy: http.ProxyFromEnvironment"),
    (r"cargo", "reqwest with no_proxy(), hyper alone"),
    (r"curl|wget", "--noproxy, --no-proxy, and a .curlrc or .wgetrc that says so"),
)
"""By CMD's program, which of its clients go past HTTPS_PROXY."""


def ca_option(command: Sequence[str]) -> str | None:
    """The option or variable by which CMD is given a CA file of its own; None without one.

    >>> ca_option(["sh", "-c", "curl --cacert corp.pem https://api.example.com/"])
    '--cacert corp.pem'
    >>> ca_option(["env", "SSL_CERT_FILE=corp.pem", "python", "ask.py"])
    'SSL_CERT_FILE=corp.pem'
    """
    words = list(_words(command))
    for word, following in pairwise((*words, "")):
        name, sign, _ = word.partition("=")
        if sign and name in (*_CA_OPTIONS, *TRUST_FILES):
            return word
        if word in _CA_OPTIONS and following:
            return f"{word} {following}"
    return None


def trust_remedy(command: Sequence[str], mode: str) -> str:
    """What to do about a client that does not trust wiretape; HOST stands for whom it asked."""
    if not command:
        return f"start it with `wiretape {mode} -- CMD`, or set what `wiretape env` prints"
    option = ca_option(command)
    if option is not None:
        return (
            f"CMD is given {option}, which lacks that certificate: leave it out, or give it"
            " $SSL_CERT_FILE, which has it and the public roots"
        )
    return (
        "it has a list of its own of whom to trust; give it $SSL_CERT_FILE, which has wiretape's"
        " certificate and the public roots, or in place of https://HOST the base URL"
        " $WIRETAPE_BASE_URL/HOST"
    )


def ignoring_clients(command: Sequence[str]) -> str:
    """Which clients that CMD may use ignore HTTPS_PROXY: of its language, or of each.

    >>> ignoring_clients(["go", "run", "."])
    'an http.Transport without Proxy: http.ProxyFromEnvironment'
    """
    programs = {PurePath(word).name for word in _words(command)}
    texts = [
        text
        for pattern, text in _IGNORES_PROXY
        if any(re.fullmatch(pattern, program) for program in programs)
    ]
    return "; ".join(texts or [text for _, text in _IGNORES_PROXY[:4]])


def base_url_example(recordings: Path, base_urls: Mapping[str, str]) -> str:
    """The base URL to give a client: of the host that most is recorded of, with its SDK's variable
    where that is known.
    """
    hosts = {urlsplit(url).hostname: (name, url) for name, url in reversed(list(base_urls.items()))}
    recorded = [path.name for path in _folders(recordings) if "." in path.name]
    host = next((name for name in recorded if name in hosts), None) or next(iter(recorded), None)
    if host is None:
        return "$WIRETAPE_BASE_URL/HOST/… (`--base-url` sets the variables of the known SDKs)"
    if host not in hosts:
        return f"$WIRETAPE_BASE_URL/{host}/…"
    name, url = hosts[host]
    return f"{name}=$WIRETAPE_BASE_URL/{url.partition('://')[2]} (`--base-url` sets it)"


def _folders(recordings: Path) -> list[Path]:
    """The folders of hosts, that with the most entries first."""
    try:
        folders = [path for path in recordings.iterdir() if path.is_dir()]
        return sorted(folders, key=lambda path: (-sum(1 for _ in path.iterdir()), path.name))
    except OSError:
        return []


def _words(command: Sequence[str]) -> Iterator[str]:
    """The words of a command line, those of a shell's script too."""
    for argument in command:
        try:
            words = shlex.split(argument, comments=False) if " " in argument else [argument]
        except ValueError:  # a quote that is not closed: not a shell's script
            words = [argument]
        yield from words
