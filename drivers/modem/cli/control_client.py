"""One request to the control socket of the modem driver, one answer. Knows no command."""

from pathlib import Path
from typing import Any

from drivers.modem.timing import Timing
from drivers.runtime import control_socket
from drivers.runtime.output import CommandFailed

TIMEOUT_S = Timing().ussd_whole_s + 15.0
"""Longer than the driver takes for a USSD code, so that its end is always told."""
AS_A_SERVICE = (
    "Where the driver runs as a service, ask as its user: sudo -u infinireach env "
    "INFINIREACH_VAR=/var/lib/infinireach /opt/infinireach/bin/infinireach modem status"
)


class NobodyListens(CommandFailed):
    """No driver runs with this data folder."""


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer. Raises NobodyListens, or CommandFailed with the driver's own sentence if it refuses."""
    try:
        answer = control_socket.ask(path, request, timeout_s=TIMEOUT_S)
    except control_socket.NobodyListens:
        raise NobodyListens(
            f"No modem driver listens at {path}. Start one: infinireach driver modem --config modems.toml\n"
            f"{AS_A_SERVICE}"
        ) from None
    except PermissionError:
        raise CommandFailed(f"This user may not use {path}. {AS_A_SERVICE}") from None
    except control_socket.AnswerMissing as missing:
        raise CommandFailed(f"The modem driver at {path} {missing}") from None
    if not answer.get("ok"):
        raise CommandFailed(str(answer.get("error") or "The modem driver refused it."))
    return answer
