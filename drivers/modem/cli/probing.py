"""`infinireach modem probe`: shows what a probe finds.

Owns how findings look. What is found and how it is mended is the probe's.
"""

import asyncio
from typing import Annotated

import typer

from drivers.modem.cli.options import AsJson
from drivers.modem.config import BAUD_MAX, BAUD_MIN
from drivers.modem.probe.examining import BAUD, examine
from drivers.modem.probe.findings import Examination, Finding, Mark
from drivers.modem.timing import Timing
from drivers.runtime.output import EXIT_FAILED, note, printable, say, say_json

EXAMPLES = "Example: infinireach modem probe /dev/serial/by-id/usb-HUAWEI_Mobile-if00-port0 --all-ports"
_MARKS = {Mark.OK: ("ok", "green"), Mark.WARNING: ("warning", "yellow"), Mark.FAULT: ("fault", "red")}


def probe(
    port: Annotated[
        str, typer.Argument(metavar="PORT", help="A device file, or a URL such as socket://127.0.0.1:2000.")
    ],
    *,
    all_ports: Annotated[
        bool, typer.Option("--all-ports", help="Where nothing answers, try the stick's other ports.")
    ] = False,
    baud: Annotated[
        int,
        typer.Option(min=BAUD_MIN, max=BAUD_MAX, help="Speed of a real serial line; USB modems ignore it."),
    ] = BAUD,
    as_json: AsJson = False,
) -> None:
    """Find out whether a modem can send, and what to do if it cannot. Ends with 0 only if it can.

    It enters no PIN and sends nothing. It sets no more than the driver does as well: no echo, errors as numbers, PDU
    mode. The driver must not hold the port meanwhile.
    """
    tell = _show if not as_json else _keep_quiet
    examination = asyncio.run(examine(port, tell=tell, timing=Timing(), baud=baud, all_ports=all_ports))
    if as_json:
        say_json(examination.document())
    else:
        _conclude(examination)
    if not examination.can_send:
        raise typer.Exit(EXIT_FAILED)


def _show(finding: Finding) -> None:
    word, colour = _MARKS[finding.mark]
    say(f"{typer.style(word.ljust(7), fg=colour)}  {finding.step}: {printable(finding.seen)}")
    if finding.remedy:
        say(f"         {printable(finding.remedy)}")


def _keep_quiet(_finding: Finding) -> None:
    pass


def _conclude(examination: Examination) -> None:
    if examination.can_send:
        say("\nIt can send.")
    else:
        note("\nIt cannot send yet; what is marked as a fault says what to do.")
    if examination.entry:
        say(f"\nFor modems.toml:\n\n{printable(examination.entry)}")
