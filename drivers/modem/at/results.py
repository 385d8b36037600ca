"""How an AT command can end, other than well; and what a modem says unasked.

Knows no I/O. Sources: 3GPP TS 27.007 §9 (+CME ERROR), TS 27.005 §3.2.5 (+CMS ERROR), ITU-T V.250 §5.7 (final results).
"""

from dataclasses import dataclass
from enum import StrEnum


class Domain(StrEnum):
    """Which table an error code belongs to."""

    CMS = "CMS"
    """+CMS ERROR: the message service."""
    CME = "CME"
    """+CME ERROR: the equipment."""
    NONE = ""
    """A bare ERROR, NO CARRIER and the like."""


class AtFailure(Exception):
    """A command that did not end with OK."""


class CommandRefused(AtFailure):
    """The modem answered with an error; it has not done what it was told."""

    def __init__(self, command: str, domain: Domain, code: int | None, text: str) -> None:
        super().__init__(f"{command}: {text}")
        self.command = command
        """The command without its parameters."""
        self.domain = domain
        self.code = code
        """The numeric code; None for a bare ERROR or a verbose text without a known number."""
        self.text = text
        """The final result code as it came."""


class PduNotWritten(CommandRefused):
    """AT+CMGS ended between the prompt and the PDU, by the modem or with the port. Nothing was handed over."""


class CommandUnanswered(AtFailure):
    """No final result in time, or the port was lost meanwhile: nobody knows whether the modem did it."""

    def __init__(self, command: str, problem: str) -> None:
        super().__init__(f"{command}: {problem}")
        self.command = command
        self.problem = problem


class NoPrompt(AtFailure):
    """The modem never asked for the PDU, which therefore was not given to it."""


class NoReference(AtFailure):
    """OK without `+CMGS:`. Some modems answer so whatever happened: nobody knows whether the network took it."""


class ChannelClosed(AtFailure):
    """The channel had ended before the command was written; nothing was."""


@dataclass(slots=True, frozen=True)
class Unsolicited:
    """An unsolicited result code."""

    name: str
    """For example `+CMTI`, `+CDS`, `RING`, `RDY`."""
    parameters: str = ""
    """What follows the colon, without surrounding blanks; may be empty."""
    pdu: str = ""
    """The line that follows `+CMT`, `+CDS` and `+CBM`; else empty."""
