"""run.json in the data folder: what runs there, for programs and for the command line's client.

Owns its keys and that a reader never sees half of it. It holds an API key, so only its owner can read it.
"""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "run.json"


@dataclass(slots=True)
class Running:
    """What `infinireach up` runs."""

    rest: str
    """Base URL of the REST API."""
    grpc: str
    """host:port of the core."""
    metrics: str
    """URL of the core's metrics."""
    api_key: str = field(repr=False)
    tenant: str = ""
    """Id of the tenant whose key it is."""
    devices: list[dict[str, Any]] = field(default_factory=list)
    """id, name, status, channels and number of each device, and its remedy if it needs one, as they were when
    everything was ready."""
    pids: dict[str, int] = field(default_factory=dict)
    """Process ids by role, with `up` for the supervisor."""
    rest_tls: str = ""
    """Base URL of the REST API at the edge, over TLS; empty where there is no edge."""
    ca: str = ""
    """File with the certificate to trust there."""

    def document(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "rest": self.rest,
            **({"restTls": self.rest_tls, "ca": self.ca} if self.rest_tls else {}),
            "grpc": self.grpc,
            "metrics": self.metrics,
            "apiKey": self.api_key,
            "tenant": self.tenant,
            "devices": self.devices,
            "pids": self.pids,
        }


def write(var: Path, running: Running) -> None:
    """Replace the file as a whole."""
    write_private(var / NAME, json.dumps(running.document(), indent=2) + "\n")


def remove(var: Path) -> None:
    """Take the file away: nothing runs."""
    (var / NAME).unlink(missing_ok=True)


def read(var: Path) -> dict[str, Any]:
    """The file's content; empty if nothing runs or the file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads((var / NAME).read_text(encoding="utf-8"))
        if isinstance(document, dict):
            return document
    return {}


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only from its first moment. One writer at a time."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
