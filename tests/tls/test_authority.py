import datetime
import ssl
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import certifi
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from mitmproxy.certs import CertStore
from mitmproxy.net import tls
from OpenSSL import SSL

from wiretape.core.errors import WiretapeError
from wiretape.run.client_environment import client_environment
from wiretape.tls.authority import Authority
from wiretape.tls.certificate import Issuer, new_authority
from wiretape.tls.trust_roots import TRUST_FILES, certificates

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
PUBLIC = {"SSL_CERT_FILE": certifi.where()}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.load_or_create(tmp_path / "state")


def trusting(cafile: Path) -> ssl.SSLContext:
    """A client that trusts a file and nothing else, as strict as Python 3.13 is by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cafile)
    return context


class Client:
    """A TLS client over buffers: `step` takes what the server sent and gives what to send it."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self.done = False

    def step(self, received: bytes) -> bytes:
        self._in.write(received)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            self.done = True
        return self._out.read()


def connected(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """Shake hands in memory and give the client's side; raises what the client raises."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = server.wrap_bio(incoming, outgoing, server_side=True)
    caller = Client(client, host)
    received = b""
    while not caller.done:
        incoming.write(caller.step(received))
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
        received = outgoing.read()
    return caller.tls


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# The authority's files


def test_new_authority_is_private(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path / "state")
    assert mode(tmp_path / "state") == 0o700
    assert mode(tmp_path / "state" / "mitmproxy-ca.pem") == 0o600
    assert authority.notice is None


def test_certificate_for_clients_is_the_authoritys_without_its_key(authority: Authority) -> None:
    assert authority.cert_path == authority.directory / "mitmproxy-ca-cert.pem"
    text = authority.cert_path.read_bytes()
    assert b"PRIVATE" not in text
    whole = (authority.directory / "mitmproxy-ca.pem").read_bytes()
    assert certificates(text) == certificates(whole)


def test_second_start_changes_no_file(authority: Authority) -> None:
    before = contents(authority.directory)
    again = Authority.load_or_create(authority.directory)
    assert contents(authority.directory) == before
    assert again.cert_path == authority.cert_path


def test_no_temporary_file_is_left(authority: Authority) -> None:
    authority.context("api.together.xyz")
    authority.bundle(environ=PUBLIC)
    assert [name for name in contents(authority.directory) if name.startswith(".")] == []


def test_key_that_others_could_read_is_made_private(authority: Authority) -> None:
    key = authority.directory / "mitmproxy-ca.pem"
    key.chmod(0o644)
    Authority.load_or_create(authority.directory)
    assert mode(key) == 0o600


@pytest.mark.parametrize("name", ["mitmproxy-ca-cert.pem", "mitmproxy-dhparam.pem"])
def test_missing_companion_is_restored(authority: Authority, name: str) -> None:
    before = contents(authority.directory)
    (authority.directory / name).unlink()
    Authority.load_or_create(authority.directory)
    assert contents(authority.directory) == before


def test_certificate_for_clients_of_another_authority_is_corrected(authority: Authority) -> None:
    before = authority.cert_path.read_bytes()
    authority.cert_path.write_bytes(trustme.CA().cert_pem.bytes())
    Authority.load_or_create(authority.directory)
    assert authority.cert_path.read_bytes() == before


@pytest.mark.parametrize("age", [3650 * DAY + DAY, 3650 * DAY - DAY / 2])
def test_authority_that_expires_within_a_day_is_replaced_with_a_notice(
    tmp_path: Path, age: datetime.timedelta
) -> None:
    key = tmp_path / "mitmproxy-ca.pem"
    key.write_bytes(new_authority("alice@laptop", NOW - age))
    authority = Authority.load_or_create(tmp_path)
    assert authority.notice == (
        f"{key}: the certificate authority expired on {NOW - age + 3650 * DAY:%Y-%m-%d} and was "
        "replaced; where mitmproxy-ca-cert.pem was given to a client by hand, give it again"
    )
    client = trusting(authority.cert_path)
    assert connected(authority.context("h.example"), client, "h.example").version()
    assert Authority.load_or_create(tmp_path).notice is None


def test_authority_from_the_future_is_a_matter_of_the_clock(tmp_path: Path) -> None:
    key = tmp_path / "mitmproxy-ca.pem"
    key.write_bytes(new_authority("alice@laptop", NOW + 30 * DAY))
    with pytest.raises(WiretapeError) as caught:
        Authority.load_or_create(tmp_path)
    assert str(caught.value).startswith(f"{key}: valid from {NOW + 28 * DAY:%Y-%m-%d} on, but the")


def key_pem(password: bytes | None = None) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


WHOLE = new_authority("alice@laptop", NOW)
CERTIFICATE = WHOLE[WHOLE.index(b"-----BEGIN CERTIFICATE") :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\xff" * 500, id="garbage"),
        pytest.param(key_pem(), id="key alone"),
        pytest.param(CERTIFICATE, id="certificate alone"),
        pytest.param(key_pem() + CERTIFICATE, id="another's key"),
        pytest.param(key_pem(b"pass") + CERTIFICATE, id="key with a password"),
        pytest.param(WHOLE[:-200], id="cut short"),
        pytest.param(Issuer(WHOLE).leaf("h.example", NOW), id="no authority"),
    ],
)
def test_damaged_authority_is_refused_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "mitmproxy-ca.pem"
    key.write_bytes(content)
    with pytest.raises(WiretapeError) as caught:
        Authority.load_or_create(tmp_path)
    assert str(caught.value) == (
        f"{key}: not a certificate authority: expected a PEM private key (EC or RSA, without "
        "password) and its CA certificate; delete the file and a new authority is made, or "
        "restore it"
    )
    assert contents(tmp_path) == {"mitmproxy-ca.pem": content}


def test_authority_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mitmproxy-ca.pem").mkdir()
    with pytest.raises(WiretapeError) as caught:
        Authority.load_or_create(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/mitmproxy-ca.pem: the certificate authority cannot be read: Is a directory; "
        "make it a file that you own with mode 0600, or set WIRETAPE_HOME to another directory"
    )


def test_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "missing" / "state")
    with pytest.raises(WiretapeError) as caught:
        Authority.load_or_create(tmp_path / "link")
    assert str(caught.value).endswith("; set WIRETAPE_HOME to a directory you can write to")
    assert str(caught.value).startswith(f"{tmp_path}/link: ")


def test_eight_processes_at_once_end_with_one_authority(tmp_path: Path) -> None:
    # Each is held at the line until all have started.
    program = (
        "import sys; from pathlib import Path\n"
        "from wiretape.tls.authority import Authority\n"
        "import wiretape.tls.certificate, filelock\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "authority = Authority.load_or_create(Path(sys.argv[1]))\n"
        "authority.context('h.example')\n"
        "sys.stdout.write(authority.bundle(environ={}).read_text())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "state")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0] * 8
    assert len(outputs) == 1
    assert (tmp_path / "state" / "mitmproxy-ca-cert.pem").read_text() in outputs.pop()
    assert len(list((tmp_path / "state").glob("bundle-*.pem"))) == 1


def test_start_with_an_authority_on_disk_imports_nothing_slow(authority: Authority) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from wiretape.tls.authority import Authority\n"
        "authority = Authority.load_or_create(Path(sys.argv[1]))\n"
        "authority.bundle(environ={}); authority.upstream_bundle(environ={})\n"
        "print(sorted({'cryptography', 'filelock', 'mitmproxy'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(authority.directory)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ran.stdout == "[]\n"


# mitmproxy


def test_mitmproxy_takes_the_authority_as_it_is(authority: Authority) -> None:
    before = contents(authority.directory)
    store = CertStore.from_store(authority.directory, "mitmproxy", 2048)
    assert contents(authority.directory) == before
    assert store.default_ca.keyinfo == ("EC (secp256r1)", 256)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_of_the_bundle_trusts_what_mitmproxy_forges(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    store = CertStore.from_store(authority.directory, "mitmproxy", 2048)
    entry = store.get_cert("api.together.xyz", [x509.DNSName("api.together.xyz")])
    context = tls.create_client_proxy_context(
        method=tls.Method.TLS_SERVER_METHOD,
        min_version=tls.Version.TLS1_2,
        max_version=tls.Version.UNBOUNDED,
        cipher_list=None,
        ecdh_curve=None,
        chain_file=entry.chain_file,
        alpn_select_callback=None,
        request_client_cert=False,
        extra_chain_certs=(),
        dhparams=store.dhparams,
    )
    context.use_privatekey(entry.privatekey)
    context.use_certificate(entry.cert.to_cryptography())
    server = SSL.Connection(context)
    server.set_accept_state()

    client = trusting(authority.bundle(environ=PUBLIC))
    client.maximum_version = client.minimum_version = version
    caller = Client(client, "api.together.xyz")
    received = b""
    while not caller.done:
        if sent := caller.step(received):
            server.bio_write(sent)
        received = b""
        with suppress(SSL.WantReadError):
            server.do_handshake()
        with suppress(SSL.WantReadError):  # nothing to send
            received = server.bio_read(1 << 16)
    assert caller.tls.version() == version.name.replace("_", ".")


# Contexts


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("api.together.xyz", "api.together.xyz"),
        ("API.Together.XYZ.", "api.together.xyz"),
        ("localhost", "localhost"),
        ("my_provider", "my_provider"),
        ("xn--bcher-kva.example", "b\xfccher.example"),
        ("a." * 120 + "example", "a." * 120 + "example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
    ],
)
def test_client_of_the_bundle_trusts_the_context_of_a_host(
    authority: Authority, host: str, dialled: str
) -> None:
    client = trusting(authority.bundle(environ=PUBLIC))
    assert connected(authority.context(host), client, dialled).version() == "TLSv1.3"


def test_client_of_the_certificate_alone_trusts_the_context(authority: Authority) -> None:
    client = trusting(authority.cert_path)
    assert connected(authority.context("h.example"), client, "h.example").version()


@pytest.mark.parametrize(
    ("host", "dialled"),
    [("h.example", "i.example"), ("h.example", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")],
)
def test_context_of_one_host_does_not_pass_for_another(
    authority: Authority, host: str, dialled: str
) -> None:
    client = trusting(authority.cert_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch, certificate is not valid"):
        connected(authority.context(host), client, dialled)


def test_client_without_our_certificate_does_not_trust_the_context(authority: Authority) -> None:
    client = trusting(authority.upstream_bundle(environ=PUBLIC))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        connected(authority.context("h.example"), client, "h.example")


def test_client_that_prefers_http_2_is_given_http_1(authority: Authority) -> None:
    client = trusting(authority.cert_path)
    client.set_alpn_protocols(["h2", "http/1.1"])
    tls_side = connected(authority.context("h.example"), client, "h.example")
    assert tls_side.selected_alpn_protocol() == "http/1.1"


def test_context_wants_tls_1_2(authority: Authority) -> None:
    assert authority.context("h.example").minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("spelling", ["h.example", "H.EXAMPLE", "h.example."])
def test_context_of_a_host_is_made_once(authority: Authority, spelling: str) -> None:
    assert authority.context(spelling) is authority.context("h.example")


def test_two_hosts_have_two_contexts(authority: Authority) -> None:
    assert authority.context("h.example") is not authority.context("i.example")


def test_contexts_kept_are_bounded(authority: Authority) -> None:
    first = authority.context("h.example")
    for number in range(255):
        authority.context(f"h{number}.example")
    assert authority.context("h.example") is first  # 256 of them, and this one used last
    for number in range(255, 255 + 256):
        authority.context(f"h{number}.example")
    assert authority.context("h.example") is not first


def test_context_is_renewed_in_a_proxy_that_runs_for_weeks(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = authority.context("h.example")
    later = time.time() + 8 * 86400
    monkeypatch.setattr("wiretape.tls.authority.time.time", lambda: later)
    assert authority.context("h.example") is not first


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..example",
        ".example",
        "-a.example",
        "a-.example",
        "a" * 64 + ".example",
        "a." * 125 + "example",
        "x" * 1000,
        "*.example",
        "a b.example",
        "a/../b",
        "a\x00.example",
        "a.example\n",
        "a.example:443",
        "user@a.example",
        "b\xfccher.example",
        "\u212aelvin.example",  # its lower case is ASCII
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "[127.0.0.1]",
        "[::1",
        "::g",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
    ],
)
def test_what_is_no_host_is_refused(authority: Authority, host: str) -> None:
    with pytest.raises(WiretapeError) as caught:
        authority.context(host)
    assert str(caught.value) == (
        f"host {host[:80]!a}: expected a DNS name (an international one in its xn-- form) or "
        "an IP address"
    )


def test_key_that_only_openssl_understands_is_refused(tmp_path: Path) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Corp")])
    secret = ed25519.Ed25519PrivateKey.generate()
    certificate = (
        x509.CertificateBuilder()
        .serial_number(1)
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 10 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, None)
    )
    key = tmp_path / "mitmproxy-ca.pem"
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    authority = Authority.load_or_create(tmp_path)
    with pytest.raises(WiretapeError, match=r"mitmproxy-ca.pem: not a certificate authority: exp"):
        authority.context("h.example")


# Bundles


def held(path: Path) -> list[bytes]:
    return certificates(path.read_bytes())


def own(authority: Authority) -> bytes:
    (certificate,) = held(authority.cert_path)
    return certificate


def test_bundle_is_the_public_roots_and_our_certificate(authority: Authority) -> None:
    bundle = authority.bundle(environ=PUBLIC)
    assert held(bundle) == [*held(Path(certifi.where())), own(authority)]
    assert bundle.parent == authority.directory
    assert mode(bundle) == 0o644


def test_every_certificate_of_the_bundle_is_loaded_by_openssl(authority: Authority) -> None:
    count = len(held(Path(certifi.where()))) + 1
    assert trusting(authority.bundle(environ=PUBLIC)).cert_store_stats()["x509"] == count


def test_bundle_without_a_given_environment_is_of_this_process(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in TRUST_FILES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    trustme.CA().cert_pem.write_to_path(tmp_path / "mine.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "mine.pem"))
    assert held(authority.bundle()) == [*held(tmp_path / "mine.pem"), own(authority)]


def test_bundle_holds_extra_certificates(authority: Authority, tmp_path: Path) -> None:
    provider = trustme.CA()
    provider.cert_pem.write_to_path(tmp_path / "provider.pem")
    bundle = authority.bundle([tmp_path / "provider.pem"], PUBLIC)
    assert held(bundle) == [
        *held(Path(certifi.where())),
        own(authority),
        *held(tmp_path / "provider.pem"),
    ]


def test_upstream_bundle_is_the_roots_and_the_extra_without_ours(
    authority: Authority, tmp_path: Path
) -> None:
    provider = trustme.CA()
    provider.cert_pem.write_to_path(tmp_path / "provider.pem")
    upstream = authority.upstream_bundle([tmp_path / "provider.pem"], PUBLIC)
    assert held(upstream) == [*held(Path(certifi.where())), *held(tmp_path / "provider.pem")]


def test_provider_of_an_extra_certificate_is_verified_by_the_upstream_bundle(
    authority: Authority, tmp_path: Path
) -> None:
    provider = trustme.CA()
    provider.cert_pem.write_to_path(tmp_path / "provider.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    provider.issue_cert("127.0.0.1").configure_cert(server)
    client = trusting(authority.upstream_bundle([tmp_path / "provider.pem"], PUBLIC))
    assert connected(server, client, "127.0.0.1").version()
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(server, trusting(authority.upstream_bundle(environ=PUBLIC)), "127.0.0.1")


@pytest.mark.parametrize("method", ["bundle", "upstream_bundle"])
def test_extra_file_without_certificates_is_refused(
    authority: Authority, tmp_path: Path, method: str
) -> None:
    (tmp_path / "extra.pem").write_text("nothing")
    with pytest.raises(WiretapeError) as caught:
        getattr(authority, method)([tmp_path / "extra.pem"], PUBLIC)
    assert str(caught.value) == (
        f"{tmp_path}/extra.pem: holds no certificate; expected a PEM file of CA certificates "
        "(-----BEGIN CERTIFICATE-----)"
    )


def test_equal_bundles_are_one_file_and_others_stay(authority: Authority, tmp_path: Path) -> None:
    first = authority.bundle(environ=PUBLIC)
    written = first.stat().st_mtime_ns
    trustme.CA().cert_pem.write_to_path(tmp_path / "provider.pem")
    second = authority.bundle([tmp_path / "provider.pem"], PUBLIC)
    assert first != second
    assert authority.bundle(environ=PUBLIC) == first
    assert first.stat().st_mtime_ns == written
    assert set(authority.directory.glob("bundle-*")) == {first, second}


def test_bundle_that_was_damaged_is_written_again(authority: Authority) -> None:
    bundle = authority.bundle(environ=PUBLIC)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:1000])
    assert authority.bundle(environ=PUBLIC) == bundle
    assert bundle.read_bytes() == whole


def test_wiretape_inside_a_wiretape_gets_the_same_bundle(
    authority: Authority, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "provider.pem")
    outer = authority.bundle([tmp_path / "provider.pem"], PUBLIC)
    environ = client_environment(
        PUBLIC, proxy_url="http://127.0.0.1:1", ca_cert=authority.cert_path, bundle=outer
    )
    again = Authority.load_or_create(authority.directory)
    assert again.bundle(environ=environ) == outer
    assert again.bundle([tmp_path / "provider.pem"], environ) == outer


def test_wiretape_inside_a_wiretape_does_not_trust_itself_upstream(authority: Authority) -> None:
    environ = client_environment(
        PUBLIC,
        proxy_url="http://127.0.0.1:1",
        ca_cert=authority.cert_path,
        bundle=authority.bundle(environ=PUBLIC),
    )
    inner = authority.upstream_bundle(environ=environ)
    assert inner == authority.upstream_bundle(environ=PUBLIC)
    assert own(authority) not in held(inner)


def test_bundle_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    with pytest.raises(WiretapeError) as caught:
        authority.bundle(environ=PUBLIC)
    assert str(caught.value).startswith(f"{tmp_path}/state/bundle-")
    assert str(caught.value).endswith(".pem: cannot be written: No such file or directory")
