"""How a Kafka cluster is reached and what the topics there are called.

Owns the arguments of every client. Everything that a client waits for ends by REQUEST_S.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUEST_S = 15.0
"""Longer than the group's SESSION_S: joining a group is one request that may take as long."""

BACKOFF_S = 0.25
"""Between two tries of a client at the same thing."""

SESSION_S = 6.0
"""How soon the partitions of a worker that died go to the others; after an outage new members of the group wait as long
for the old ones. Brokers take no less by themselves."""

HEARTBEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; no `ca_file`: the authorities of the system. `certificate_file` and `key_file` go together."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError for files that cannot be used."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@dataclass(frozen=True, slots=True)
class Sasl:
    """PLAIN or SCRAM-SHA-256 or -512, and who we are."""

    mechanism: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Sasl({self.mechanism}, {self.username})"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, and our topics in it. `replication_factor` 0: as the cluster does by itself."""

    servers: Sequence[str]
    prefix: str
    partitions: int
    replication_factor: int
    retention_hours: int
    tls: Tls | None = None
    sasl: Sasl | None = None

    @property
    def events(self) -> str:
        """The topic that events travel on."""
        return f"{self.prefix}.events"

    @property
    def rejected(self) -> str:
        """The topic of records that could not be read."""
        return f"{self.prefix}.events.rejected"

    @property
    def group(self) -> str:
        """The group of the workers that fan out."""
        return f"{self.prefix}-deliver"

    def client(self, purpose: str) -> dict[str, Any]:
        """The arguments that every client takes."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "client_id": f"{self.prefix}-{purpose}",
            "request_timeout_ms": round(REQUEST_S * 1000),
            "retry_backoff_ms": round(BACKOFF_S * 1000),
            "security_protocol": f"{'SASL_' if self.sasl else ''}{'SSL' if self.tls else 'PLAINTEXT'}",
        }
        if self.tls:
            arguments["ssl_context"] = self.tls.context()
        if self.sasl:
            arguments["sasl_mechanism"] = self.sasl.mechanism
            arguments["sasl_plain_username"] = self.sasl.username
            arguments["sasl_plain_password"] = self.sasl.password
        return arguments
