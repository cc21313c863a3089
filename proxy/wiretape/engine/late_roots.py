"""Load the roots that a client trusts when a connection needs them, not when aiohttp is imported.

aiohttp makes the TLS context of its clients at its import, with all roots of the machine, which
takes as long as its modules. Replay is a server; only `local_servers.py` is ever a client.
"""

import importlib
import ssl
import sys
from typing import Any, Final


class LateContext(ssl.SSLContext):
    """A client's context that loads the system's roots before its first connection."""

    _has_roots = False

    def _load(self) -> None:
        if not self._has_roots:
            self._has_roots = True
            self.load_default_certs(ssl.Purpose.SERVER_AUTH)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext`."""
        self._load()
        return super().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """See `ssl.SSLContext`."""
        self._load()
        return super().wrap_socket(*args, **options)


_FLAGS: Final = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT


def client_context() -> ssl.SSLContext:
    """What `ssl.create_default_context` gives, without the roots yet."""
    context = LateContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= _FLAGS
    return context


def import_aiohttp() -> None:
    """Import aiohttp without loading any roots."""
    if "aiohttp" not in sys.modules:
        create = ssl.create_default_context
        ssl.create_default_context = client_context  # type: ignore[assignment]  # aiohttp gives it no arguments
        # Of its other context, which verifies nobody: a name that hides the base class's.
        ssl.SSLContext.set_default_verify_paths = lambda self: None  # type: ignore[method-assign]
        try:
            importlib.import_module("aiohttp")
        finally:
            ssl.create_default_context = create
            del ssl.SSLContext.set_default_verify_paths
