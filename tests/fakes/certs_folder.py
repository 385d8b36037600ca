"""The certificates of a gateway, as `infinireach certs` makes them, and what a test presents of them.

Owns the folder and the channels. Knows no assertion.
"""

import datetime
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509

from core.api.forwarded_certificate import driver_uri
from core.certificates import CLIENT, Authority, Pair, Subject
from core.cli.certs import SUBJECTS


def now() -> datetime.datetime:
    """The time of day."""
    return datetime.datetime.now(datetime.UTC)


@dataclass
class CertsFolder:
    """An authority and the pairs that it issued."""

    folder: Path
    authority: Authority

    @classmethod
    def make(cls, folder: Path) -> "CertsFolder":
        """A new authority with the certificates of a gateway."""
        folder.mkdir(exist_ok=True)
        made = cls(folder, Authority.new(now()))
        made.write("ca", made.authority.pair())
        for name, subject in SUBJECTS.items():
            made.write(name, made.authority.issue(subject, now()))
        return made

    def write(self, name: str, pair: Pair) -> None:
        """Write or replace a pair."""
        self.file(f"{name}.key").write_bytes(pair.key)
        self.file(f"{name}.pem").write_bytes(pair.certificate)

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.folder / name

    def driver(self, *token_ids: str) -> Pair:
        """A driver's certificate."""
        names = tuple(x509.UniformResourceIdentifier(driver_uri(token_id)) for token_id in token_ids)
        return self.authority.issue(Subject("driver", names, (CLIENT,)), now())

    def pair(self, name: str) -> Pair:
        """A pair of the folder."""
        return Pair(self.file(f"{name}.pem").read_bytes(), self.file(f"{name}.key").read_bytes())

    def trusting(self, pair: Pair | None = None) -> grpc.ChannelCredentials:
        """Credentials that trust this authority and show a certificate, if there is one."""
        trusted = self.file("ca.pem").read_bytes()
        if pair is None:
            return grpc.ssl_channel_credentials(trusted)
        return grpc.ssl_channel_credentials(trusted, pair.key, pair.certificate)

    def core_settings(self) -> dict[str, str]:
        """The TLS settings of a core by variable without the prefix."""
        return {
            "TLS_CERT_FILE": str(self.file("core.pem")),
            "TLS_KEY_FILE": str(self.file("core.key")),
            "TLS_CLIENT_CA_FILE": str(self.file("ca.pem")),
        }
