"""X.509 certificates: an authority of one's own, what it issues, and whether files can be used.

Owns lifetimes, extensions and the check of files. Knows neither where the gateway keeps its files nor who shows
which. The authority is meant for one installation or a desk; a company's own PKI takes its place (docs/tls.md).
"""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3_650
LEAF_DAYS = 397
RENEW_DAYS = 30
"""A certificate that ends sooner is made anew when somebody asks for it."""
CLOCK_SLACK = datetime.timedelta(minutes=5)
"""How far another machine's clock may be behind."""

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

AUTHORITY_NAME = "Infini Reach development authority"
_KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class CertificateFilesUnusable(Exception):
    """A certificate's or key's file cannot be used; the sentence names it. Never quotes a key."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a certificate says of whoever shows it."""

    name: str
    names: tuple[x509.GeneralName, ...]
    uses: tuple[x509.ObjectIdentifier, ...]
    """SERVER, CLIENT or both."""


class Authority:
    """Issues certificates. `new` makes one, `read` takes one over from its files."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def new(cls, now: datetime.datetime) -> "Authority":
        """An authority with a key that nobody had before."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(AUTHORITY_NAME)
        builder = _builder(name, key.public_key(), now, now + datetime.timedelta(days=AUTHORITY_DAYS))
        certificate = (
            builder
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def read(cls, cert_file: Path, key_file: Path, now: datetime.datetime) -> "Authority":
        """The authority of these files. Raises CertificateFilesUnusable, also if it has expired."""
        certificate, key = read(cert_file), read(key_file)
        check_pair(certificate, key, cert_file=cert_file, key_file=key_file)
        [first, *_] = certificates(certificate, cert_file)
        private_key = load_pem_private_key(key, password=None)
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise CertificateFilesUnusable(f"{key_file}: is not a key of an elliptic curve")
        if first.not_valid_after_utc <= now:
            raise CertificateFilesUnusable(f"{cert_file}: has expired")
        return cls(first, private_key)

    def pair(self) -> Pair:
        """Its own certificate and key."""
        return _pair(self.certificate, self._key)

    def issue(self, subject: Subject, now: datetime.datetime) -> Pair:
        """A certificate with a new key, valid for LEAF_DAYS but never longer than the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(
            now - CLOCK_SLACK + datetime.timedelta(days=LEAF_DAYS), self.certificate.not_valid_after_utc
        )
        issuer_key = self._key.public_key()
        certificate = (
            _builder(_name(subject.name), key.public_key(), now, until)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage(subject.uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(subject.names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pair(certificate, key)

    def is_current(self, cert_file: Path, key_file: Path, subject: Subject, now: datetime.datetime) -> bool:
        """Whether the files hold what `issue` would make, with RENEW_DAYS left."""
        try:
            pem = read(cert_file)
            check_pair(pem, read(key_file), cert_file=cert_file, key_file=key_file)
            [first, *_] = certificates(pem, cert_file)
        except CertificateFilesUnusable:
            return False
        ends_late = first.not_valid_after_utc > now + datetime.timedelta(days=RENEW_DAYS)
        has_names = set(alternative_names(first)) == set(subject.names)
        return ends_late and has_names and _is_issued_by(first, self.certificate)


def issued(cert_file: Path, key_file: Path, issuers: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The certificate in the file; None if neither of the two is there.

    Raises CertificateFilesUnusable if none of these authorities issued it, or if the key is not its own: then the files
    are somebody else's, who may have no other copy.
    """
    if not os.path.lexists(cert_file) and not os.path.lexists(key_file):
        return None
    pem = read(cert_file)
    [first, *_] = certificates(pem, cert_file)
    if not any(_is_issued_by(first, issuer) for issuer in issuers):
        raise CertificateFilesUnusable(f"{cert_file}: was issued by another authority")
    if os.path.lexists(key_file):
        check_pair(pem, read(key_file), cert_file=cert_file, key_file=key_file)
    return first


def read(path: Path) -> bytes:
    """A file's bytes. Raises CertificateFilesUnusable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateFilesUnusable(f"{path}: cannot be read: {error.strerror}") from None


def certificates(pem: bytes, path: Path) -> Sequence[x509.Certificate]:
    """The certificates in `pem`, which stands in `path`; at least one. Raises CertificateFilesUnusable."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateFilesUnusable(f"{path}: holds no certificate in PEM") from None


def check_pair(certificate: bytes, key: bytes, *, cert_file: Path, key_file: Path) -> None:
    """Raise CertificateFilesUnusable unless the key is that of the first certificate."""
    [first, *_] = certificates(certificate, cert_file)
    try:
        private_key = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise CertificateFilesUnusable(
            f"{key_file}: holds no private key in PEM that needs no password"
        ) from None
    if private_key.public_key() != first.public_key():
        raise CertificateFilesUnusable(f"{key_file}: is not the key of the certificate in {cert_file}")


def alternative_names(certificate: x509.Certificate) -> Sequence[x509.GeneralName]:
    """A certificate's SAN entries."""
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCK_SLACK).not_valid_after(until)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*uses: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in uses for use in _KEY_USES})


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
