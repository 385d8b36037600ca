"""The TLS identity of a gRPC server: from files, and read anew when they change.

Owns reading, checking and renewing. What a peer's certificate entitles to is not its business.
"""

from pathlib import Path
from typing import Any, NamedTuple

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

log = structlog.get_logger()


class TlsFilesUnusable(Exception):
    """A file of the TLS settings cannot be used; the sentence names it. Never quotes a key."""


class _Contents(NamedTuple):
    certificate: bytes
    key: bytes
    client_ca: bytes | None


class ServerTls:
    """What a server shows, and whom it demands a certificate of. `client_ca_file`: None for a server open to all."""

    def __init__(self, cert_file: Path, key_file: Path, client_ca_file: Path | None) -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._client_ca_file = client_ca_file
        self._served: _Contents | None = None
        self._refused: _Contents | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that take up changed files with the next connection. Raises TlsFilesUnusable."""
        self._served = self._read()
        check(self._served.certificate, self._served.key, cert_file=self._cert_file, key_file=self._key_file)
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._served), self._renewed, self._client_ca_file is not None
        )

    def _renewed(self) -> Any:
        """What gRPC asks before each handshake, in a thread of its own: a new configuration, or None for the old one.

        Files that do not fit, as in the middle of a change, leave the old one in force.
        """
        found: _Contents | None = None
        try:
            found = self._read()
            if found in (self._served, self._refused):
                return None
            check(found.certificate, found.key, cert_file=self._cert_file, key_file=self._key_file)
        except TlsFilesUnusable as unusable:
            log.warning("tls.not_renewed", problem=str(unusable))
            self._refused = found
            return None
        self._served = found
        log.info("tls.renewed", file=str(self._cert_file))
        return _configuration(found)

    def _read(self) -> _Contents:
        return _Contents(
            read(self._cert_file),
            read(self._key_file),
            None if self._client_ca_file is None else read_authorities(self._client_ca_file),
        )


def read(path: Path) -> bytes:
    """A file's bytes. Raises TlsFilesUnusable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFilesUnusable(f"{path}: cannot be read: {error.strerror}") from None


def read_authorities(path: Path) -> bytes:
    """The certificates of a file, at least one. Raises TlsFilesUnusable."""
    pem = read(path)
    _certificates(pem, path)
    return pem


def check(certificate: bytes, key: bytes, *, cert_file: Path, key_file: Path) -> None:
    """Raise TlsFilesUnusable unless the key is that of the first certificate."""
    chain = _certificates(certificate, cert_file)
    try:
        private_key = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise TlsFilesUnusable(f"{key_file}: holds no private key in PEM that needs no password") from None
    if private_key.public_key() != chain[0].public_key():
        raise TlsFilesUnusable(f"{key_file}: is not the key of the certificate in {cert_file}")


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TlsFilesUnusable(f"{path}: holds no certificate in PEM") from None


def _configuration(contents: _Contents) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(contents.key, contents.certificate)], contents.client_ca
    )
