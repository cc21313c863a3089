import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wiretape.tls.certificate import Issuer, new_authority

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def certificate_of(data: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(data)


def common_name(data: bytes) -> str:
    (attribute,) = certificate_of(data).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def user_authority(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """An authority that wiretape did not make: no key identifier, an issuer of another kind."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Corp")])
    certificate = (
        x509.CertificateBuilder()
        .serial_number(1)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 10 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None)
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def test_authority_is_valid_for_ten_years_from_two_days_ago() -> None:
    authority = certificate_of(new_authority("alice@laptop", NOW))
    assert authority.not_valid_before_utc == NOW - 2 * DAY
    assert authority.not_valid_after_utc == NOW + 3650 * DAY


def test_authority_may_sign_server_certificates_and_nothing_else() -> None:
    extensions = certificate_of(new_authority("alice@laptop", NOW)).extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_authority_is_named_after_its_owner_and_its_key() -> None:
    data = new_authority("alice@laptop", NOW)
    digest = x509.SubjectKeyIdentifier.from_public_key(
        certificate_of(data).public_key()
    ).digest.hex()
    assert common_name(data) == f"wiretape {digest[:6]} alice@laptop"


def test_owner_too_long_for_a_name_is_cut_between_letters() -> None:
    name = common_name(new_authority("é" * 100, NOW))
    assert name.endswith(" " + "é" * 24)
    assert len(name.encode()) == 64


def test_owner_that_is_not_printable_or_not_unicode_still_gives_an_authority() -> None:
    assert common_name(new_authority("al\x00ice\n@\udcff", NOW)).endswith(" alice@")


def test_leaf_names_its_dns_host() -> None:
    leaf = certificate_of(Issuer(new_authority("a", NOW)).leaf("api.together.xyz", NOW))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert list(names.value) == [x509.DNSName("api.together.xyz")]
    assert not names.critical
    assert leaf.subject.rfc4514_string() == "CN=api.together.xyz"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_leaf_names_its_address(host: str) -> None:
    leaf = certificate_of(Issuer(new_authority("a", NOW)).leaf(host, NOW))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.IPAddress(ipaddress.ip_address(host))]


def test_leaf_of_a_long_host_has_no_common_name_and_a_critical_alternative_name() -> None:
    host = "a" * 60 + ".example"
    leaf = certificate_of(Issuer(new_authority("a", NOW)).leaf(host, NOW))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert list(names.value) == [x509.DNSName(host)]
    assert leaf.subject.rfc4514_string() == ""


def test_leaf_is_valid_for_ninety_days_from_two_days_ago() -> None:
    leaf = certificate_of(Issuer(new_authority("a", NOW - 30 * DAY)).leaf("h.example", NOW))
    assert leaf.not_valid_before_utc == NOW - 2 * DAY
    assert leaf.not_valid_after_utc == NOW + 88 * DAY


def test_leaf_is_not_valid_longer_than_its_authority() -> None:
    issuer = Issuer(user_authority(rsa.generate_private_key(65537, 2048)))
    leaf = certificate_of(issuer.leaf("h.example", NOW))
    assert leaf.not_valid_before_utc == NOW - DAY
    assert leaf.not_valid_after_utc == NOW + 10 * DAY


def test_leaf_points_to_the_key_identifier_its_authority_states() -> None:
    data = new_authority("a", NOW)
    stated = certificate_of(data).extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    leaf = certificate_of(Issuer(data).leaf("h.example", NOW))
    pointer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert pointer.value.key_identifier == stated.value.digest


def test_leaf_of_an_rsa_authority_without_key_identifier_is_signed_by_it() -> None:
    data = user_authority(rsa.generate_private_key(65537, 2048))
    leaf = certificate_of(Issuer(data).leaf("h.example", NOW))
    leaf.verify_directly_issued_by(certificate_of(data))


def test_leaf_does_not_have_its_authoritys_key() -> None:
    data = new_authority("a", NOW)
    leaf = Issuer(data).leaf("h.example", NOW)
    assert certificate_of(leaf).public_key() != certificate_of(data).public_key()
    key = serialization.load_pem_private_key(leaf, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate_of(leaf).public_key()


def test_key_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^neither an EC nor an RSA key$"):
        Issuer(user_authority(ed25519.Ed25519PrivateKey.generate()))


def test_key_with_a_password_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    with pytest.raises(ValueError, match="encrypted"):
        Issuer(key)
