"""Collect the certificates a user trusts now, from wherever his clients look for them.

Certificates are DER bytes: two PEM files that wrap or comment the same certificate differently hold
equal values.
"""

import binascii
import logging
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from wiretape.core.errors import WiretapeError

_log = logging.getLogger(__name__)

# Replaces the client's trust: gets the bundle.
REPLACE_TRUST: Final = (
    # openai, anthropic, together, httpx, httpx2, aiohttp, urllib, Go, uv, Bun, codex, curl
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",  # requests, and pip
    "CURL_CA_BUNDLE",  # curl, and requests
    "GIT_SSL_CAINFO",  # git
    "PIP_CERT",  # pip
    "AWS_CA_BUNDLE",  # botocore (Bedrock), the AWS command line
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC's C core: the Google SDKs
    "CODEX_CA_CERTIFICATE",  # codex
)
# The same for rarer clients, which do well without it but not with a file that lacks our CA.
REPLACE_TRUST_IF_SET: Final = (
    "NIX_SSL_CERT_FILE",  # OpenSSL and curl as Nix builds them
    "HTTPLIB2_CA_CERTS",  # httplib2: google-api-python-client
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  # gcloud
    "CARGO_HTTP_CAINFO",  # cargo
)
# Adds to the client's trust: our certificate alone will do.
ADD_TRUST: Final = (
    "NODE_EXTRA_CA_CERTS",  # Node's fetch and https, axios, Bun, Claude Code, gemini-cli
    "DENO_CERT",  # Deno
)

TRUST_FILES: Final = (*REPLACE_TRUST, *REPLACE_TRUST_IF_SET, *ADD_TRUST)
"""Variables that name a PEM file of certificates; CMD's bundle holds what the user's files hold."""

# Where distributions keep their roots, if OpenSSL's own path is not it (as in crypto/x509 of Go).
_SYSTEM_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Gentoo, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # CentOS, newer Fedora
    "/etc/ssl/cert.pem",  # Alpine, macOS, BSD
)
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
# The names OpenSSL looks up in a folder of certificates; others there it does not read.
_HASHED_NAME: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+\Z")


def certificates(pem: bytes) -> list[bytes]:
    """Give the CERTIFICATE blocks of a PEM file as DER, in order; b"" for one that is not base64.

    Whatever else stands in the file (keys, comments) is left out.
    """
    return [_der(block) for block in _PEM.findall(pem)]


def is_certificate(der: bytes) -> bool:
    """Say whether OpenSSL, and so a client, can read this certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):  # ValueError: empty
        return False
    return True


def pem(certificates: Sequence[bytes]) -> bytes:
    """Write DER certificates as a PEM file, each once."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, dict.fromkeys(certificates))).encode("ascii")


def user_roots(environ: Mapping[str, str]) -> list[bytes]:
    """Give what the user trusts, by SSL_CERT_FILE, else by the system, else by certifi.

    The files named by SSL_CERT_DIR and the variables of other clients (`TRUST_FILES`) are added: a
    company's own root may be configured for one client only. A missing or broken file, or one that
    holds no certificate, is left out; the client itself would have complained.
    """
    roots = dict.fromkeys(next(filter(None, map(_certificates_at, _first_choices(environ))), []))
    named_files = {environ.get(name, "") for name in TRUST_FILES} - {
        environ.get("SSL_CERT_FILE"),
        "",
    }
    folders = environ.get("SSL_CERT_DIR", "").split(os.pathsep)
    for path in [*filter(None, folders), *sorted(named_files)]:
        for der in _certificates_at(path):
            if der in roots:
                continue
            if is_certificate(der):
                roots[der] = None
            else:
                _log.warning("%s: holds a certificate that cannot be read; left out", path)
    return list(roots)


def extra_roots(files: Sequence[Path]) -> list[bytes]:
    """Give the certificates of files the user named himself, as --upstream-ca does.

    Raises WiretapeError for a file that cannot be read, has none, or has a broken one.
    """
    expected = "expected a PEM file of CA certificates (-----BEGIN CERTIFICATE-----)"
    roots = []
    for file in files:
        try:
            blocks = certificates(file.read_bytes())
        except OSError as error:
            raise WiretapeError(f"{file}: cannot be read: {error.strerror}; {expected}") from error
        if not blocks:
            raise WiretapeError(f"{file}: holds no certificate; {expected}")
        for number, der in enumerate(blocks, 1):
            if not is_certificate(der):
                raise WiretapeError(
                    f"{file}: certificate {number} of {len(blocks)} cannot be read; {expected}"
                )
        roots += blocks
    return roots


def _der(block: bytes) -> bytes:
    try:
        return binascii.a2b_base64(block)
    except binascii.Error:
        return b""


def _first_choices(environ: Mapping[str, str]) -> Iterator[str]:
    yield environ.get("SSL_CERT_FILE", "")
    # Not `.cafile`, which is SSL_CERT_FILE of this process again.
    yield ssl.get_default_verify_paths().openssl_cafile
    yield from _SYSTEM_FILES
    import certifi  # here, since a machine with roots of its own needs none

    yield certifi.where()


def _certificates_at(path: str) -> list[bytes]:
    """Give the certificates of a file, or of a folder as c_rehash makes it; none if unreadable."""
    resolved = Path(path)
    try:
        if resolved.is_dir():
            files = sorted(file for file in resolved.iterdir() if _HASHED_NAME.match(file.name))
        else:
            files = [resolved]
        # A pipe or a device would block or never end.
        blocks = [certificates(file.read_bytes()) for file in files if file.is_file()]
    except OSError:
        return []
    return [der for block in blocks for der in block if der]
