import logging
import os
import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from wiretape.core.errors import WiretapeError
from wiretape.tls import trust_roots
from wiretape.tls.trust_roots import certificates, extra_roots, is_certificate, pem, user_roots

EXPECTED = "expected a PEM file of CA certificates (-----BEGIN CERTIFICATE-----)"
NOT_DER = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NOT_BASE64 = b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"


def new_root() -> bytes:
    (der,) = certificates(trustme.CA().cert_pem.bytes())
    return der


def saved(path: Path, *ders: bytes) -> str:
    path.write_bytes(pem(ders))
    return str(path)


def test_certificates_are_equal_however_they_are_wrapped_and_commented() -> None:
    root = new_root()
    text = pem([root])
    body = text.split(b"\n", 1)[1].rsplit(b"-----END", 1)[0].replace(b"\n", b"")
    other = (
        b"# a comment\r\n-----BEGIN CERTIFICATE-----\r\n" + body + b"\r\n-----END CERTIFICATE-----"
    )
    assert certificates(text) == certificates(other) == [root]


def test_private_key_in_the_file_is_left_out() -> None:
    ca = trustme.CA()
    text = ca.private_key_pem.bytes() + ca.cert_pem.bytes()
    assert certificates(text) == certificates(ca.cert_pem.bytes())


def test_block_that_is_not_base64_is_an_empty_certificate() -> None:
    root = new_root()
    assert certificates(NOT_BASE64 + pem([root])) == [b"", root]


def test_certificate_is_what_openssl_can_read() -> None:
    root = new_root()
    assert is_certificate(root)
    assert not is_certificate(root[:-1])
    assert not is_certificate(b"")


def test_pem_holds_each_certificate_once_in_order() -> None:
    a, b = new_root(), new_root()
    assert certificates(pem([b, a, b])) == [b, a]
    assert pem([]) == b""


def test_ssl_cert_file_is_what_the_user_trusts(tmp_path: Path) -> None:
    a, b = new_root(), new_root()
    assert user_roots({"SSL_CERT_FILE": saved(tmp_path / "a.pem", a, b)}) == [a, b]


def test_system_is_trusted_where_nothing_is_set() -> None:
    assert len(user_roots({})) > 50


def test_variable_of_this_process_does_not_stand_for_the_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = new_root()
    monkeypatch.setenv("SSL_CERT_FILE", saved(tmp_path / "a.pem", root))
    assert root not in user_roots({})


@pytest.mark.parametrize("content", [None, b"", b"no certificate here", NOT_BASE64])
def test_system_is_trusted_where_ssl_cert_file_holds_nothing(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    assert user_roots({"SSL_CERT_FILE": str(path)}) == user_roots({})


def test_certifi_is_trusted_where_the_system_has_no_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust_roots, "_SYSTEM_FILES", ())
    nowhere = ssl.DefaultVerifyPaths("", "", "", str(tmp_path / "none"), "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert user_roots({}) == certificates(Path(certifi.where()).read_bytes())


@pytest.mark.parametrize(
    "name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "HTTPLIB2_CA_CERTS"]
)
def test_root_told_to_one_client_only_is_added(tmp_path: Path, name: str) -> None:
    a, b = new_root(), new_root()
    environ = {
        "SSL_CERT_FILE": saved(tmp_path / "a.pem", a),
        name: saved(tmp_path / "b.pem", b, a),
    }
    assert user_roots(environ) == [a, b]


def test_folders_of_certificates_are_added_by_their_hashed_names(tmp_path: Path) -> None:
    a, b, c, unhashed = new_root(), new_root(), new_root(), new_root()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    saved(tmp_path / "one" / "0123abcd.0", b)
    saved(tmp_path / "one" / "readme.pem", unhashed)
    saved(tmp_path / "two" / "0123abcd.1", c)
    environ = {
        "SSL_CERT_FILE": saved(tmp_path / "a.pem", a),
        "SSL_CERT_DIR": os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two"), ""]),
    }
    assert user_roots(environ) == [a, b, c]


def test_broken_root_of_one_client_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = new_root(), new_root()
    other = tmp_path / "b.pem"
    other.write_bytes(NOT_DER + pem([b]))
    environ = {"SSL_CERT_FILE": saved(tmp_path / "a.pem", a), "CURL_CA_BUNDLE": str(other)}
    assert user_roots(environ) == [a, b]
    assert caplog.record_tuples == [
        (
            "wiretape.tls.trust_roots",
            logging.WARNING,
            f"{other}: holds a certificate that cannot be read; left out",
        )
    ]


def test_missing_file_of_one_client_is_left_out(tmp_path: Path) -> None:
    root = new_root()
    environ = {
        "SSL_CERT_FILE": saved(tmp_path / "a.pem", root),
        "CURL_CA_BUNDLE": str(tmp_path / "missing.pem"),
        "SSL_CERT_DIR": str(tmp_path / "missing"),
    }
    assert user_roots(environ) == [root]


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    root = new_root()
    environ = {"SSL_CERT_FILE": saved(tmp_path / "a.pem", root), "CURL_CA_BUNDLE": str(pipe)}
    assert user_roots(environ) == [root]


def test_extra_roots_are_those_of_all_files_in_order(tmp_path: Path) -> None:
    a, b, c = new_root(), new_root(), new_root()
    saved(tmp_path / "x.pem", c, a)
    saved(tmp_path / "y.pem", b)
    assert extra_roots([tmp_path / "x.pem", tmp_path / "y.pem"]) == [c, a, b]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "holds no certificate"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no certificate"),
        (NOT_DER, "certificate 1 of 1 cannot be read"),
        (NOT_BASE64, "certificate 1 of 1 cannot be read"),
        (pem([new_root()]) + NOT_DER, "certificate 2 of 2 cannot be read"),
    ],
)
def test_extra_file_without_good_certificates_is_refused(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "extra.pem"
    path.write_bytes(content)
    with pytest.raises(WiretapeError) as caught:
        extra_roots([path])
    assert str(caught.value) == f"{path}: {fault}; {EXPECTED}"


def test_extra_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "extra.pem"
    with pytest.raises(WiretapeError) as caught:
        extra_roots([path])
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory; {EXPECTED}"
