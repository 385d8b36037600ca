"""One request to the control socket of the modem driver, one answer. Knows no command."""

from pathlib import Path
from typing import Any

from drivers.modem.cli.output import CommandFailed
from drivers.modem.timing import Timing
from drivers.runtime import control_socket

TIMEOUT_S = Timing().ussd_whole_s + 15.0
"""Longer than the driver takes for a USSD code, so that its end is always told."""


class NobodyListens(CommandFailed):
    """No driver runs with this data folder."""


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer. Raises NobodyListens, or CommandFailed with the driver's own sentence if it refuses."""
    try:
        answer = control_socket.ask(path, request, timeout_s=TIMEOUT_S)
    except control_socket.NobodyListens:
        raise NobodyListens(
            f"No modem driver listens at {path}. Start one: infinireach driver modem --config modems.toml"
        ) from None
    except control_socket.AnswerMissing as missing:
        raise CommandFailed(f"The modem driver at {path} {missing}") from None
    if not answer.get("ok"):
        raise CommandFailed(str(answer.get("error") or "The modem driver refused it."))
    return answer
