"""The one screen that `infinireach up` shows when everything runs: what to paste, where to look, how to stop.

Owns the words. Knows no process.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from core.cli.run_file import Running
from core.cli.supervisor.phones import Phones
from core.config import PREFIX, Settings

FIRST_MESSAGE = {"to": "+1234567890", "message": "Hello from Infini Reach!"}
SENDER_DEFAULT = "+15559876543"


def screen(settings: Settings, running: Running, sending: Phones = Phones.SIMULATED) -> str:
    """The screen's text; `sending`: what sends and receives where any device runs."""
    there = [device for device in running.devices if device["status"] != "offline"]
    sender = next((str(device["number"]) for device in there if "sms" in device["channels"]), "")
    var = settings.var.absolute()
    command = (
        "infinireach" if var == Path("var").absolute() else f"{PREFIX}VAR={shlex.quote(str(var))} infinireach"
    )
    rest = running.rest_tls or running.rest
    parts = [
        typer.style("Infini Reach is running.", bold=True),
        _rows({
            "REST API": rest,
            **({"Certificate to trust": running.ca} if running.ca else {}),
            "Documentation": f"{rest}/docs",
            "gRPC": running.grpc,
            "Metrics": running.metrics,
            "API key": running.api_key,
            "Data and logs": str(var),
        }),
        *([_heading("Modems") + "\n" + _modems(there)] if sending is Phones.MODEMS else []),
        _heading("Send a first message") + "\n" + curl(running, sender or SENDER_DEFAULT),
    ]
    if sender:
        parts.append(
            _heading("Watch it, and let one come in")
            + f"\n  {command} message watch"
            + f"\n  {_inbound(command, sender, sending)}"
        )
    else:
        parts.append(
            _heading("No driver runs") + "\n  Messages wait until one connects. Enrol it:\n"
            f"  {command} driver-token create NAME"
        )
    parts += [
        _heading("Be told of replies and deliveries")
        + f"\n  {command} webhook create http://127.0.0.1:9000/hook",
        _profile(settings),
        "Ctrl-C stops everything. What was accepted is kept and goes on at the next start.",
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def _modems(devices: Sequence[dict[str, Any]]) -> str:
    """How each modem is, and what a person can do about it."""
    return _rows({
        device["name"]: " ".join(filter(None, [device["status"], device["number"], device.get("remedy")]))
        for device in devices
    })


def _inbound(command: str, sender: str, sending: Phones) -> str:
    """How a message is made to come in."""
    who = f"--from {FIRST_MESSAGE['to']}"
    match sending:
        case Phones.EMULATED:
            return f"{command} modem emulate inbound {who} --body 'Hello back'"
        case Phones.MODEMS:
            return f"Write to {sender} from any phone. How the modems fare: {command} modem status"
        case _:
            return f"{command} simulate inbound {who} --to {sender} --body 'Hello back'"


def curl(running: Running, sender: str) -> str:
    """A command that sends a first message; safe to paste into a shell."""
    body = json.dumps({**FIRST_MESSAGE, "from": sender, "channel": "sms"})
    address = f"--cacert {shlex.quote(running.ca)} {running.rest_tls}" if running.rest_tls else running.rest
    return "\n".join([
        f"  curl -X POST {address}/api/v1/messages \\",
        f'    -H "X-API-Key: {running.api_key}" \\',
        '    -H "Content-Type: application/json" \\',
        f"    -d '{body}'",
    ])


def _profile(settings: Settings) -> str:
    if settings.profile == "production":
        return "Production profile: webhooks go to https addresses on the internet only."
    return (
        "Development profile: webhooks may go to this machine and over plain http. "
        f"{PREFIX}PROFILE=production forbids that."
    )


def _heading(text: str) -> str:
    return typer.style(text, bold=True)


def _rows(values: dict[str, str]) -> str:
    width = max(map(len, values))
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in values.items())
