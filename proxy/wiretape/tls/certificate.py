"""Certificates made and signed: an authority's own and those it forges for hosts.

Values in, PEM out. Importing this imports `cryptography`, which is slow: import it when the first
certificate is needed.
"""

import datetime
import ipaddress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFE: Final = datetime.timedelta(days=3650)
_LEAF_LIFE: Final = datetime.timedelta(days=90)
_BACKDATED: Final = datetime.timedelta(days=2)  # clients' clocks may be behind ours
_NAME_LIMIT: Final = 64  # of a common name: RFC 5280, appendix A.1
_SERVER_AUTH: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def new_authority(owner: str, now: datetime.datetime) -> bytes:
    """Make an authority, valid for ten years: private key (EC P-256) and certificate, PEM.

    `owner` stands in its name, for whoever finds it in a list of certificates.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A part of the key's digest: authorities of one name and different keys confuse some clients.
    common_name = _shortened(f"wiretape {identifier.digest.hex()[:6]} {owner}")
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "wiretape"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(_SERVER_AUTH, critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


class Issuer:
    """Signs certificates for hosts, with an authority's key; all of them hold one key of their own.

    Raises ValueError if `data` is not a PEM private key (EC or RSA) and its certificate.
    """

    def __init__(self, data: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(data, None)
        except TypeError as error:  # it has a password
            raise ValueError(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("neither an EC nor an RSA key")
        self._authority = x509.load_pem_x509_certificate(data)
        self._authority_key = key
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())

    def leaf(self, host: str, now: datetime.datetime) -> bytes:
        """Give private key and certificate for a DNS name or an IP address, valid for 90 days; PEM.

        `host` is trusted to be a name: whoever takes it from a client checks it first.
        """
        authority = self._authority
        begins = now - _BACKDATED
        ends = begins + _LEAF_LIFE
        # Without a common name the subject is empty, and then the alternative name has to be
        # critical (RFC 5280, section 4.2.1.6).
        named = len(host) <= _NAME_LIMIT
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, host)] if named else []
        certificate = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .subject_name(x509.Name(subject))
            .issuer_name(authority.subject)
            .public_key(self._leaf_key.public_key())
            .not_valid_before(max(begins, authority.not_valid_before_utc))
            .not_valid_after(min(ends, authority.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=not named)
            .add_extension(_issuer_identifier(authority), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(_SERVER_AUTH, critical=False)
            .sign(self._authority_key, hashes.SHA256())
        )
        return _key_pem(self._leaf_key) + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _issuer_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    # Byte for byte what the authority says of itself, however that was computed: RFC 5280,
    # section 4.2.1.1. An authority of the user's own may say nothing.
    try:
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _shortened(name: str) -> str:
    printable = "".join(c for c in name if c.isprintable())
    return printable.encode()[:_NAME_LIMIT].decode(errors="ignore")
