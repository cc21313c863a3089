"""A client's context without roots yet is the default one once it is used."""

import ssl
import sys

from wiretape.engine.late_roots import client_context, import_aiohttp


def test_a_context_gets_its_roots_with_its_first_connection() -> None:
    context, default = client_context(), ssl.create_default_context()
    names = ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version")
    assert [getattr(context, name) for name in names] == [getattr(default, name) for name in names]
    assert context.cert_store_stats()["x509"] == 0
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
    assert context.cert_store_stats() == default.cert_store_stats()


def test_ssl_is_as_it_was_after_the_import() -> None:
    import_aiohttp()
    assert "aiohttp" in sys.modules
    assert ssl.create_default_context.__module__ == "ssl"
    assert "set_default_verify_paths" not in vars(ssl.SSLContext)
