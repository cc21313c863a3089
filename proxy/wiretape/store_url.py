"""The URL of an object store, as the configuration and the command line have it."""

from pathlib import Path
from typing import Final

SCHEMES: Final = ("s3", "gs", "az", "file", "memory")
ADVICE: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION or ~/.aws",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""Where each kind of store has its credentials from."""


def is_store(text: str) -> bool:
    """Whether a text names a store and not a folder.

    >>> is_store("s3://bucket/prefix"), is_store("tests/recordings")
    (True, False)
    """
    return "://" in text and text.partition("://")[0] in SCHEMES


def why_unfit(url: str) -> str | None:
    """Say what is wrong with the URL of a store, without what it may hold of a secret."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        where = ADVICE.get(parts.scheme, "the environment")
        return (
            "a store's URL is SCHEME://BUCKET/PREFIX, with no credentials or parameters: those are"
            f" read from {where}"
        )
    if parts.scheme in ADVICE and not parts.netloc:
        return f"expected {parts.scheme}://BUCKET/PREFIX"
    return None


def cache_of(url: str) -> Path:
    """The folder of this machine with what was fetched on demand from a store."""
    return mirror_of(url).with_suffix(".cache")


def mirror_of(url: str) -> Path:
    """The folder of this machine in which a store's recordings are used."""
    import hashlib  # with what it needs the longest import of this module

    return _mirrors() / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:24]


def is_mirror(folder: Path) -> bool:
    """Whether a folder is one in which a store's recordings are used."""
    return folder.parent == _mirrors()


def _mirrors() -> Path:
    from .state_dir import state_dir

    return state_dir() / "stores"
