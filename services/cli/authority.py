"""The authority of a region: it vouches for the servers of the region, and for nobody else."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_HOLDS: Final = timedelta(days=3_650)
CERTIFICATE_HOLDS: Final = timedelta(days=825)
"""More than this, phones do not take."""

CLOCKS_DIFFER: Final = timedelta(hours=1)
"""A certificate holds from a little before it is made, for servers whose clock is behind."""

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH


class Issued(NamedTuple):
    """A certificate and its key, in PEM; the key is not encrypted."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate that vouches for others, and its key."""

    def __init__(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        """Use a certificate and its key."""
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Make a new one."""
        key = generate_private_key(SECP256R1())
        name = _named("OnTrack")
        made = (
            _begun(name, name, key, now, AUTHORITY_HOLDS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        return cls(made.sign(key, SHA256()), key)

    @classmethod
    def read(cls, certificate: bytes, key: bytes) -> Self:
        """Read one. Raises ValueError."""
        loaded = load_pem_private_key(key, None)
        if not isinstance(loaded, EllipticCurvePrivateKey):
            raise ValueError("another kind of key")  # noqa: TRY004 - whoever calls asks whether the file is right
        return cls(x509.load_pem_x509_certificate(certificate), loaded)

    @property
    def files(self) -> Issued:
        """Give it as it is kept."""
        return Issued(self._certificate.public_bytes(Encoding.PEM), _pem(self._key))

    def issue(self, name: str, hosts: Sequence[str], uses: Sequence[x509.ObjectIdentifier], now: datetime) -> Issued:
        """Vouch for somebody.

        hosts: names and addresses of a server; uses: SERVER, CLIENT or both
        """
        key = generate_private_key(SECP256R1())
        made = (
            _begun(_named(name), self._certificate.subject, key, now, CERTIFICATE_HOLDS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            made = made.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
        return Issued(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM), _pem(key))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, holds: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + holds)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
