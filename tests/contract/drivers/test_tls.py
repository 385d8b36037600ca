"""A driver comes in over TLS only if it trusts the core."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.contract.drivers.running import command, running, settled
from tests.fakes.core_stub import StubCore


@dataclass
class Certificate:
    """A certificate for localhost that is its own authority."""

    key: bytes
    certificate: bytes


def make_certificate() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509
        .CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return Certificate(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(encoding),
    )


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_driver_comes_in_over_tls_only_if_it_trusts_the_core(tmp_path: Path, is_trusted: bool) -> None:
    served, other = make_certificate(), make_certificate()
    core = StubCore()
    await core.start(grpc.ssl_server_credentials([(served.key, served.certificate)]))
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(served.certificate if is_trusted else other.certificate)
    async with running(core, tmp_path, ca_file=ca_file) as it:
        if is_trusted:
            core.offer([command("a")])
            assert await settled(core) == {"a": "submitted"}
        else:
            await it.client.failed.wait()
            assert core.hellos == []
    await core.stop()
