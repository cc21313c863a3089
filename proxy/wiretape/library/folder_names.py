"""What the name of a folder says: a host's, a session's, or one that is not followed."""

import re
from functools import lru_cache
from typing import Final

LINKED: Final = "a link to a folder, which is not followed: put the folder itself here"

_FOLDER_NAME: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
SESSION_NAME: Final = re.compile(f"{_FOLDER_NAME}(?:/{_FOLDER_NAME}){{0,9}}")
"""A session's folder, which may lie in others: "checkout", "tests/test_cart/test_pays"."""


def is_host_folder(name: str) -> bool:
    """Whether a folder is a host's, by its name; others are sessions' (`host_folder`).

    >>> is_host_folder("api.openai.com"), is_host_folder("localhost+8080"), is_host_folder("cart")
    (True, True, False)
    """
    return "." in name[1:] or "+" in name


def host_folder(url: str) -> str:
    """The folder of a recording's host, by its request's URL: "api.together.xyz", "localhost+8080".

    It always holds a dot or a plus, which no session's name does. ValueError as `split_url`.

    >>> host_folder("https://api.openai.com/v1/models"), host_folder("http://localhost:8080/")
    ('api.openai.com', 'localhost+8080')
    """
    from wiretape.core.model import split_url  # late: who lists folders has no use for it

    scheme, host, port, _ = split_url(url)
    host = re.sub(r"[^a-z0-9.-]+", "-", host.lower()).strip(".-")[:120] or "host"
    usual = port == (443 if scheme == "https" else 80)
    return host if usual and "." in host else f"{host}+{port}"


@lru_cache(maxsize=256)
def recording_folder(url: str) -> str:
    """The folder of a recording below that of its session, by its request's URL.

    >>> recording_folder("https://api.together.xyz/v1/models")
    'api.together.xyz/v1-models'
    """
    return f"{host_folder(url)}/{endpoint_slug(url)}"


def endpoint_slug(url: str) -> str:
    """The folder of a recording's endpoint, by its request's URL. ValueError as `split_url`.

    >>> endpoint_slug("https://api.together.xyz/v1/chat/completions?beta=true")
    'v1-chat-completions'
    """
    from wiretape.core.model import split_url

    path = split_url(url)[3].partition("?")[0]
    return re.sub(r"[^A-Za-z0-9._]+", "-", path).strip("-.")[:80] or "root"
