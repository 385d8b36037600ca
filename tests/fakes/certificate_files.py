"""Certificates as files, named as `infinireach certs` names them, from an authority of one test.

Owns what each of them may be used for: edge.pem serves, core.pem serves and calls, client.pem calls, and a driver's
certificate calls and carries the id of its token's row.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVES = ExtendedKeyUsageOID.SERVER_AUTH
CALLS = ExtendedKeyUsageOID.CLIENT_AUTH
DAY = datetime.timedelta(days=1)
DRIVER_URI = "urn:infinireach:driver-token:"
LOOPBACK = ("127.0.0.1", "::1")


class CertificateFiles:
    """A folder with ca.pem, edge.*, core.* and client.*; `driver` adds others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name("authority of one test")
        certificate = (
            _builder(self._subject, self._subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.authority = folder / "ca.pem"
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._issue("edge", usages=[SERVES], dns=["localhost"], addresses=LOOPBACK)
        self._issue("core", usages=[SERVES, CALLS], dns=["localhost", "core"], addresses=LOOPBACK)
        self._issue("client", usages=[CALLS], common_name="infinireach-internal")

    def driver(self, name: str, token_id: str) -> tuple[Path, Path]:
        """A certificate, and its key, that stands for a driver token's row."""
        return self._issue(name, usages=[CALLS], uris=[DRIVER_URI + token_id])

    def pair(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate and its key."""
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _issue(
        self,
        name: str,
        *,
        usages: Sequence[x509.ObjectIdentifier],
        common_name: str = "",
        dns: Sequence[str] = (),
        addresses: Sequence[str] = (),
        uris: Sequence[str] = (),
    ) -> tuple[Path, Path]:
        names: list[x509.GeneralName] = [x509.DNSName(value) for value in dns]
        names += [x509.IPAddress(ipaddress.ip_address(value)) for value in addresses]
        names += [x509.UniformResourceIdentifier(value) for value in uris]
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name or name), self._subject, key.public_key()).add_extension(
            x509.ExtendedKeyUsage(usages), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate_file, key_file = self.pair(name)
        signed = builder.sign(self._key, hashes.SHA256())
        certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509
        .CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )
