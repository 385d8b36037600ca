"""A probe as a whole: reach the modem, ask it everything, write its entry for modems.toml.

Owns the entry's form. Whoever calls decides how findings are shown.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence

from drivers.modem.at.results import AtFailure
from drivers.modem.link.port import open_port
from drivers.modem.link.serial_ports import SerialPort, serial_ports
from drivers.modem.probe.findings import Examination, Finding, Mark, Tell
from drivers.modem.probe.inspection import Facts, Inspection
from drivers.modem.probe.reaching import OpenPort, Reached, Reacher
from drivers.modem.timing import Timing
from drivers.runtime.clock import SystemClock

BAUD = 115_200
NAME_CHARACTERS_MAX = 64
NUMBER_TO_FILL_IN = 'number = ""  # the number of the SIM, such as +491701234567'


async def examine(
    url: str,
    *,
    tell: Tell,
    timing: Timing,
    baud: int = BAUD,
    all_ports: bool = False,
    open_port: OpenPort = open_port,
    ports: Callable[[], Sequence[SerialPort]] = serial_ports,
) -> Examination:
    """Examine the modem at a port; `tell` hears of each finding as it is made."""
    examination = Examination(url)

    def note(finding: Finding) -> None:
        examination.findings.append(finding)
        tell(finding)

    known = await asyncio.to_thread(ports)
    reacher = Reacher(note, timing, open_port=open_port, ports=lambda: known)
    reached = await reacher.reach(url, baud=baud, all_ports=all_ports)
    if reached is None:
        return examination
    examination.port = reached.port
    try:
        facts = await Inspection(reached.channel, note, timing, SystemClock()).carry_out()
        examination.is_complete = facts.is_complete
        examination.entry = entry_of(reached, facts)
    except AtFailure as failure:
        remedy = "Unplug the modem for ten seconds and probe again."
        note(Finding("answer", Mark.FAULT, f"It stopped answering ({failure}).", remedy))
    finally:
        await reached.channel.close()
    return examination


def entry_of(reached: Reached, facts: Facts) -> str:
    """A [[modem]] table with what is known; what only a person can know stands there to be filled in."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", facts.identity.model.lower()).strip("-")[:NAME_CHARACTERS_MAX]
    number = f'number = "{facts.number}"' if facts.number else NUMBER_TO_FILL_IN
    lines = ["[[modem]]", f'name = "{slug or "modem"}"', f"port = {json.dumps(reached.port)}", number]
    if facts.identity.imei:
        lines.append(f'imei = "{facts.identity.imei}"')
    if reached.baud != BAUD:
        lines.append(f"baud = {reached.baud}")
    if facts.wants_pin:
        lines.append('pin = ""  # the PIN of the SIM; then: chmod 600 modems.toml')
    if facts.lacks_smsc:
        lines.append('smsc = ""  # the number of the message centre; the operator knows it')
    return "\n".join(lines) + "\n"
