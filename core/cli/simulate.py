"""`infinireach simulate`: what a phone would do, through the control socket of the simulated driver."""

import json
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.output import CommandFailed, say
from core.config import PREFIX

SOCKET_NAME = "simulated.sock"
TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

app = typer.Typer(no_args_is_help=True, help="Make something happen at the simulated phone.")


@app.callback()
def group() -> None:
    """Make something happen at the simulated phone."""


@app.command(
    "inbound", epilog='Example: infinireach simulate inbound --from +1234567890 --to +15559876543 --body "Hi"'
)
def inbound(
    *,
    sender: Annotated[str, typer.Option("--from", help="Who writes: a number such as +1234567890.")],
    to: Annotated[str, typer.Option(help="Number of a simulated device.")],
    body: Annotated[str, typer.Option(help="The text.")],
    channel: Annotated[str, typer.Option(help="sms or whatsapp.")] = "sms",
) -> None:
    """Let a message come in to a simulated device."""
    faults = [
        f"{option} must be a plus sign and 7 to 15 digits, such as +1234567890."
        for option, number in {"--from": sender, "--to": to}.items()
        if not _E164.fullmatch(number)
    ]
    if channel not in {"sms", "whatsapp"}:
        faults.append("--channel must be sms or whatsapp.")
    if faults:
        raise CommandFailed("\n".join(faults))
    answer = ask({"inbound": {"from": sender, "to": to, "body": body, "channel": channel}})
    if not answer.get("ok"):
        raise CommandFailed(str(answer.get("error") or "The simulated driver refused it."))
    say("It came in. See it: infinireach message list --direction inbound")


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """One request to the simulated driver, one answer. Raises CommandFailed."""
    var = Path(os.environ.get(f"{PREFIX}VAR") or "var")
    path = os.environ.get(f"{PREFIX}SIMULATED_SOCKET") or str(var / SOCKET_NAME)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(ANSWER_BYTES_MAX))
    except (FileNotFoundError, ConnectionRefusedError):
        raise CommandFailed(f"No simulated driver listens at {path}. Start one: infinireach up") from None
    except (OSError, ValueError) as error:
        raise CommandFailed(f"The simulated driver at {path} did not answer: {error}") from None
    if not isinstance(answer, dict):
        raise CommandFailed(f"The simulated driver at {path} did not answer with an object.")
    return answer
