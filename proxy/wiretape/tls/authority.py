"""The certificate authority that lets the proxy answer for a provider, and what clients trust.

One directory per user holds the authority in the two files that mitmproxy expects in its confdir,
so that both fronts (ours in replay, mitmproxy while recording) show certificates of one issuer:

    mitmproxy-ca.pem        private key and certificate, mode 0600: the truth
    mitmproxy-ca-cert.pem   the certificate alone, for clients
    mitmproxy-dhparam.pem   a public constant that mitmproxy would otherwise write itself, and not
                            atomically: a second process could read it half written
    bundle-DIGEST.pem       the user's trust roots and our certificate, for CMD
    upstream-DIGEST.pem     the user's trust roots without it, to verify providers by

A start that finds an authority reads it with `ssl` alone: `cryptography` is imported when the
first certificate is made, `filelock` when an authority is; each takes longer than all the rest.
"""

import datetime
import getpass
import hashlib
import ipaddress
import os
import platform
import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final, Self

from wiretape.core.errors import WiretapeError, reason_of
from wiretape.files import write_whole

from .trust_roots import certificates, extra_roots, pem, user_roots

if TYPE_CHECKING:
    from .certificate import Issuer

_CA_FILE: Final = "mitmproxy-ca.pem"
_CERT_FILE: Final = "mitmproxy-ca-cert.pem"
_DHPARAM_FILE: Final = "mitmproxy-dhparam.pem"
_LOCK_FILE: Final = "mitmproxy-ca.lock"
_LOCK_SECONDS: Final = 60

_RENEWED_DAYS: Final = 1  # an authority must outlive the run it serves
_CONTEXTS: Final = 256  # kept at most: host names come from clients
_DAY: Final = 86400.0

# ffdhe2048, RFC 7919 appendix A.1.
_DHPARAM: Final = b"""\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
# RFC 1123, section 2.1, and the underscore that container names have.
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")


class Authority:
    """A certificate authority on disk: forges certificates of hosts and says what clients trust.

    Safe to use from several threads.
    """

    directory: Path
    """Fit to be mitmproxy's confdir."""

    notice: str | None
    """A message to print once: that an expired authority was replaced."""

    def __init__(self, directory: Path, stored: "_Stored", notice: str | None = None) -> None:
        self.directory = directory
        self.notice = notice
        self._stored = stored
        self._issuer = lru_cache(1)(self._new_issuer)
        self._contexts = lru_cache(_CONTEXTS)(self._new_context)

    @classmethod
    def load_or_create(cls, directory: Path) -> Self:
        """Load the authority in `directory`, or make one there; several processes get the same.

        One that has expired is replaced (`notice` says so); the key's mode is tightened to 0600.

        Raises WiretapeError for files that cannot be read, written or understood: they are never
        overwritten.
        """
        stored = _read(directory)
        if stored and not stored.expired and _published(directory, stored):
            return cls(directory, stored)
        notice = None
        with _locked(directory):
            stored = _read(directory)  # another process may have been here first
            if stored is None:
                stored = _create(directory)
            elif stored.expired:
                notice = (
                    f"{directory / _CA_FILE}: the certificate authority expired on "
                    f"{stored.expires:%Y-%m-%d} and was replaced; where {_CERT_FILE} was given to "
                    "a client by hand, give it again"
                )
                stored = _create(directory)
            _publish(directory, stored)
        return cls(directory, stored, notice)

    @property
    def cert_path(self) -> Path:
        """The authority's certificate, PEM, for clients that add it to their own roots."""
        return self.directory / _CERT_FILE

    def context(self, host: str) -> ssl.SSLContext:
        """Give a server's TLS context with a certificate for `host`; made once, then kept.

        host is a DNS name as it stands on the wire (xn-- for international ones), an IPv4 address
        or an IPv6 address, with brackets or without. Offers HTTP/1.1 over TLS 1.2 or later.

        Raises WiretapeError for any other text.
        """
        # The week is part of the key, so that a proxy that runs for months renews its certificates.
        return self._contexts(_host(host), int(time.time() // (7 * _DAY)))

    def _new_issuer(self) -> "Issuer":
        from .certificate import Issuer

        try:
            return Issuer(self._stored.data)
        except ValueError as error:
            raise _damaged(self.directory / _CA_FILE) from error

    def _new_context(self, host: str, week: int) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # Clients open few connections and resume none; each ticket is encrypted and sent.
        context.num_tickets = 0
        # The ssl module takes certificates from files only.
        leaf = self._issuer().leaf(host, datetime.datetime.now(datetime.UTC))
        try:
            with NamedTemporaryFile(dir=self.directory, delete_on_close=False) as file:
                file.write(leaf)
                file.close()
                context.load_cert_chain(file.name)
        except OSError as error:
            raise WiretapeError(
                f"{self.directory}: cannot be written: {reason_of(error)}"
            ) from error
        return context

    def bundle(self, extra: Sequence[Path] = (), environ: Mapping[str, str] = os.environ) -> Path:
        """Give a PEM file of all that CMD is to trust: the user's roots, ours, and `extra`.

        What the user trusts is `roots.user_roots`'s to say. The file's name is a digest of its
        content: parallel runs do not disturb one another, and a wiretape inside a wiretape, whose
        roots are the outer one's bundle, gets that same file.

        Raises WiretapeError for a file in `extra` that cannot be read or holds no certificate.
        """
        trusted = [*user_roots(environ), self._stored.certificate, *extra_roots(extra)]
        return self._saved("bundle", trusted)

    def upstream_bundle(
        self, extra: Sequence[Path] = (), environ: Mapping[str, str] = os.environ
    ) -> Path:
        """Give a PEM file of what to verify providers by: as `bundle`, without our certificate.

        Only roots lose it; a file in `extra` that holds it is taken at its word.
        """
        trusted = [root for root in user_roots(environ) if root != self._stored.certificate]
        return self._saved("upstream", [*trusted, *extra_roots(extra)])

    def _saved(self, name: str, trusted: list[bytes]) -> Path:
        data = pem(trusted)
        path = self.directory / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.pem"
        if not _holds(path, data):
            _write(path, data, 0o644)
        return path


@dataclass(frozen=True)
class _Stored:
    """An authority as its file holds it."""

    certificate: bytes  # DER
    expires: datetime.datetime
    data: bytes = field(repr=False)  # PEM; holds the private key

    @property
    def expired(self) -> bool:
        now = datetime.datetime.now(datetime.UTC)
        return self.expires < now + datetime.timedelta(days=_RENEWED_DAYS)


def _read(directory: Path) -> _Stored | None:
    """Read the authority's file with `ssl` alone; None if the file is missing."""
    path = directory / _CA_FILE
    try:
        data = path.read_bytes()
        if os.name == "posix" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WiretapeError(
            f"{path}: the certificate authority cannot be read: {reason_of(error)}; make it a file "
            "that you own with mode 0600, or set WIRETAPE_HOME to another directory"
        ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        certificate = certificates(data)[0]
        # Checks that the key is the certificate's. A password, so that OpenSSL asks for none.
        context.load_cert_chain(path, password="")
        context.load_verify_locations(cadata=certificate)
        certificate_info = context.get_ca_certs()[0]  # lists only what may sign certificates
    except (OSError, ValueError, IndexError) as error:
        raise _damaged(path) from error
    begins, expires = _time(certificate_info["notBefore"]), _time(certificate_info["notAfter"])
    if (now := datetime.datetime.now(datetime.UTC)) < begins:
        raise WiretapeError(
            f"{path}: valid from {begins:%Y-%m-%d} on, but the clock says {now:%Y-%m-%d}; set the "
            "clock, or delete the file and a new authority is made"
        )
    return _Stored(certificate, expires, data)


def _time(text: object) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(str(text)), datetime.UTC)


def _damaged(path: Path) -> WiretapeError:
    return WiretapeError(
        f"{path}: not a certificate authority: expected a PEM private key (EC or RSA, without "
        "password) and its CA certificate; delete the file and a new authority is made, or "
        "restore it"
    )


def _published(directory: Path, stored: _Stored) -> bool:
    cert_file, dhparam_file = directory / _CERT_FILE, directory / _DHPARAM_FILE
    return _holds(cert_file, pem([stored.certificate])) and dhparam_file.exists()


def _publish(directory: Path, stored: _Stored) -> None:
    """Write the files that go with the authority's."""
    _write(directory / _CERT_FILE, pem([stored.certificate]), 0o644)
    if not (directory / _DHPARAM_FILE).exists():
        _write(directory / _DHPARAM_FILE, _DHPARAM, 0o644)


def _create(directory: Path) -> _Stored:
    from .certificate import new_authority

    data = new_authority(_owner(), datetime.datetime.now(datetime.UTC))
    _write(directory / _CA_FILE, data, 0o600)
    stored = _read(directory)
    if stored is None:
        raise WiretapeError(f"{directory / _CA_FILE}: was removed while it was being made")
    return stored


def _owner() -> str:
    """Say whose authority it is: "alice@laptop"."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user that has no name
        user = "unknown"
    return f"{user}@{platform.node()}"


@lru_cache(_CONTEXTS)
def _host(host: str) -> str:
    """Give the one spelling of a host's name: lower case, no final dot, no brackets."""
    text = host.lower() if host.isascii() and len(host) <= 255 else ""
    with suppress(ValueError):
        return str(ipaddress.IPv4Address(text))
    with suppress(ValueError):
        bracketed = text.startswith("[") and text.endswith("]")
        address = ipaddress.IPv6Address(text[1:-1] if bracketed else text)
        if address.scope_id is None:  # a certificate cannot carry one
            return str(address)
    name = text.removesuffix(".")
    labels = name.split(".")
    # A name whose last label is a number is a misspelt IPv4 address (WHATWG URL, section 3.5).
    if len(name) <= 253 and all(map(_LABEL.match, labels)) and not labels[-1].isdecimal():
        return name
    raise WiretapeError(
        f"host {host[:80]!a}: expected a DNS name (an international one in its xn-- form) "
        "or an IP address"
    )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = directory / _LOCK_FILE
    lock = FileLock(path, timeout=_LOCK_SECONDS)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise WiretapeError(
            f"{path}: another process has held this lock for {_LOCK_SECONDS} s; end it, then "
            "try again"
        ) from error
    except OSError as error:
        raise WiretapeError(
            f"{directory}: {reason_of(error)}; set WIRETAPE_HOME to a directory you can write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        write_whole(path, data, mode)
    except OSError as error:
        raise WiretapeError(f"{path}: cannot be written: {reason_of(error)}") from error
