"""Clients that ignore HTTPS_PROXY or the variables of trust, and what leads each of them in.

  Node before 22.21  a preload by NODE_OPTIONS (`preload/node.cjs`): fetch, node:https, node:http
  Python             a sitecustomize by PYTHONPATH (`preload/python`): urllib3, http.client, aiohttp
  the JVM            system properties by JDK_JAVA_OPTIONS, and a PKCS#12 trust store
  wget               a wgetrc by WGETRC that says what to trust: GnuTLS reads no variable

What the user has set in these variables stays and ours is added to it. WIRETAPE_NO_PRELOAD=1 leaves
all of it out. Go, Rust (reqwest) and .NET honour HTTPS_PROXY and SSL_CERT_FILE and need none.
"""

import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wiretape.files import write_whole
from wiretape.tls.trust_roots import certificates

OPT_OUT: Final = "WIRETAPE_NO_PRELOAD"

_PRELOAD: Final = Path(__file__).parent / "preload"
NODE_PRELOAD: Final = _PRELOAD / "node.cjs"
PYTHON_CLIENTS: Final = _PRELOAD / "python" / "wiretape_clients.py"
"""Leads clients in that are in a process already; any Python can load it by its path."""

_STORE_PASSWORD: Final = "changeit"
"""The JDK's own: a trust store holds no secret, but its format has a password."""


def stubborn_clients(
    environ: Mapping[str, str], *, proxy_url: str, bundle: Path, folder: Path
) -> dict[str, str]:
    """Give the variables that lead such clients through the proxy, with their new values.

    environ    what CMD would have
    proxy_url  "http://127.0.0.1:8899"
    bundle     the PEM file of all that CMD is to trust
    folder     where files for clients are kept between runs; each is named by its content

    {"NODE_OPTIONS": "--trace-warnings"} gives, among others,
    {"NODE_OPTIONS": '--trace-warnings --require "…/preload/node.cjs"'}.
    """
    if environ.get(OPT_OUT):
        return {}
    return dict(_variables(environ, proxy_url, bundle, folder))


def _variables(
    environ: Mapping[str, str], proxy_url: str, bundle: Path, folder: Path
) -> Iterator[tuple[str, str]]:
    node = str(NODE_PRELOAD).replace("\\", "\\\\").replace('"', '\\"')
    yield "NODE_OPTIONS", _added(environ.get("NODE_OPTIONS"), f'--require "{node}"')
    python = str(_PRELOAD / "python")
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if python not in paths:
        yield "PYTHONPATH", os.pathsep.join([python, *paths])
    if shutil.which("java", path=environ.get("PATH")):
        options = " ".join(_java(proxy_url, bundle, folder))
        yield "JDK_JAVA_OPTIONS", _added(environ.get("JDK_JAVA_OPTIONS"), options)
    yield "WGETRC", str(_wgetrc(environ, bundle, folder))


def _added(given: str | None, ours: str) -> str:
    if not given or ours in given:
        return given or ours
    return f"{given} {ours}"


def _java(proxy_url: str, bundle: Path, folder: Path) -> Iterator[str]:
    proxy = urlsplit(proxy_url)
    for scheme in ("http", "https"):
        yield f"-D{scheme}.proxyHost={proxy.hostname}"
        yield f"-D{scheme}.proxyPort={proxy.port}"
    # The launcher parts its words at blanks: a path that has some stands in quotes.
    yield f'"-Djavax.net.ssl.trustStore={_trust_store(bundle, folder)}"'
    yield "-Djavax.net.ssl.trustStoreType=PKCS12"
    yield f"-Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD}"


def _trust_store(bundle: Path, folder: Path) -> Path:
    pem = bundle.read_bytes()
    path = folder / f"trust-{hashlib.sha256(pem).hexdigest()[:16]}.p12"
    if not path.exists():
        # Imported late: only who has Java, and has it for the first time, pays for it.
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
        from cryptography.x509 import load_der_x509_certificate

        trusted = []
        for number, der in enumerate(dict.fromkeys(certificates(pem))):
            try:
                with warnings.catch_warnings():
                    # Public roots among them break rules that cryptography will hold them to.
                    warnings.simplefilter("ignore")
                    certificate = load_der_x509_certificate(der)
            except ValueError:
                continue  # what cryptography cannot read the JDK could not either
            name = f"root-{number}".encode()
            trusted.append(pkcs12.PKCS12Certificate(certificate, name))
        encryption = BestAvailableEncryption(_STORE_PASSWORD.encode())
        write_whole(path, pkcs12.serialize_java_truststore(trusted, encryption))
    return path


def _wgetrc(environ: Mapping[str, str], bundle: Path, folder: Path) -> Path:
    """The user's own wgetrc with one line added."""
    own = environ.get("WGETRC") or os.path.join(environ.get("HOME", ""), ".wgetrc")
    try:
        text = Path(own).read_bytes()
    except OSError:
        text = b""
    text = re.sub(rb"(?im)^[ \t]*ca_?certificate[ \t]*=.*\n?", b"", text)
    text += b"" if not text or text.endswith(b"\n") else b"\n"
    text += f"ca_certificate = {bundle}\n".encode("utf-8", "surrogateescape")
    path = folder / f"wgetrc-{hashlib.sha256(text).hexdigest()[:16]}"
    if not path.exists():
        # It may hold a password of the user's.
        write_whole(path, text, 0o600)
    return path
