"""One request to the control socket of the modem driver, one answer. Knows no command."""

import json
import socket
from pathlib import Path
from typing import Any

from drivers.modem.cli.output import CommandFailed
from drivers.modem.timing import Timing

SOCKET_NAME = "modem.sock"
TIMEOUT_S = Timing().ussd_whole_s + 15.0
"""Longer than the driver takes for a USSD code, so that its end is always told."""
ANSWER_BYTES_MAX = 4 * 1024 * 1024
AS_A_SERVICE = (
    "Where the driver runs as a service, ask as its user: sudo -u infinireach env "
    "INFINIREACH_VAR=/var/lib/infinireach /opt/infinireach/bin/infinireach modem status"
)


class NobodyListens(CommandFailed):
    """No driver runs with this data folder."""


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer. Raises NobodyListens, or CommandFailed with the driver's own sentence if it refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(ANSWER_BYTES_MAX))
    except (FileNotFoundError, ConnectionRefusedError):
        raise NobodyListens(
            f"No modem driver listens at {path}. Start one: infinireach driver modem --config modems.toml\n"
            f"{AS_A_SERVICE}"
        ) from None
    except PermissionError:
        raise CommandFailed(f"This user may not use {path}. {AS_A_SERVICE}") from None
    except (OSError, ValueError) as error:
        raise CommandFailed(f"The modem driver at {path} did not answer: {error}") from None
    if not isinstance(answer, dict):
        raise CommandFailed(f"The modem driver at {path} did not answer with an object.")
    if not answer.get("ok"):
        raise CommandFailed(str(answer.get("error") or "The modem driver refused it."))
    return answer
