"""Where the cores are, and how a driver shows that it may come in.

Owns the choice between plain connections and TLS, token and certificate. Opens no connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(slots=True, frozen=True)
class CoreAddress:
    """Where the core is, or each of several, and how to show that one may come in.

    Files are read before each stream, so that they can be replaced while the driver runs.
    """

    targets: tuple[str, ...]
    """host:port of each; all serve the same gateway."""
    token: Callable[[], str]
    """Asked before each stream, so that a token can be replaced while the driver runs; empty: there is none."""
    is_tls: bool
    ca_file: Path | None
    """Certificates to trust in place of the system's."""
    cert_file: Path | None = None
    """The driver's own certificate, and what leads from it to an authority."""
    key_file: Path | None = None

    def is_on_this_machine(self) -> bool:
        """True if nobody else can listen in on the way there."""
        hosts = [target.rpartition(":")[0].strip("[]") for target in self.targets]
        return all(host == "localhost" or host.startswith("127.") or host == "::1" for host in hosts)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What to open a stream with. Raises OSError if the token's file cannot be read."""
        token = self.token()
        return (("authorization", f"Bearer {token}"),) if token else ()

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """What to connect with; None without TLS. Raises OSError if a file cannot be read."""
        if not self.is_tls:
            return None
        files = (self.ca_file, self.key_file, self.cert_file)
        trusted, key, chain = (None if file is None else file.read_bytes() for file in files)
        return grpc.ssl_channel_credentials(trusted, key, chain)
