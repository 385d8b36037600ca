"""The TLS identity of a gRPC server: from files, and read anew when they change.

Owns reading and renewing. What a peer's certificate entitles to is not its business.
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import structlog

from core.certificates import CertificateFilesUnusable, certificates, check_pair, read

log = structlog.get_logger()

WARN_EVERY_S = 60.0
"""Handshakes are asked for by strangers too: they must not fill the log with what is wrong with the files."""


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
        self._warned_of = ""
        self._warned_s = 0.0

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that take up changed files with the next connection. Raises CertificateFilesUnusable."""
        self._served = self._read()
        self._check(self._served)
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
            self._check(found)
        except CertificateFilesUnusable as unusable:
            self._warn(str(unusable))
            self._refused = found
            return None
        self._served = found
        log.info("tls.renewed", file=str(self._cert_file))
        return _configuration(found)

    def _warn(self, problem: str) -> None:
        now_s = time.monotonic()
        if problem != self._warned_of or now_s - self._warned_s >= WARN_EVERY_S:
            log.warning("tls.not_renewed", problem=problem)
            self._warned_of, self._warned_s = problem, now_s

    def _read(self) -> _Contents:
        client_ca = None if self._client_ca_file is None else read(self._client_ca_file)
        return _Contents(read(self._cert_file), read(self._key_file), client_ca)

    def _check(self, contents: _Contents) -> None:
        """Raise CertificateFilesUnusable unless the files can be served."""
        check_pair(contents.certificate, contents.key, cert_file=self._cert_file, key_file=self._key_file)
        if self._client_ca_file is not None and contents.client_ca is not None:
            certificates(contents.client_ca, self._client_ca_file)


def _configuration(contents: _Contents) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(contents.key, contents.certificate)], contents.client_ca
    )
