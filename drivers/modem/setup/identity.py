"""Who a modem and its SIM are.

Owns the commands that ask for identities (3GPP TS 27.007 §5, and the makers' own for the SIM's serial number). Knows
nothing of what is decided by them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused
from drivers.modem.line import Commands
from drivers.modem.setup.answers import parameters, plain_value, value_of
from drivers.modem.setup.patience import NOT_YET
from drivers.modem.timing import Timing

ICCID_COMMANDS = ("AT+CCID", "AT+ICCID", "AT+QCCID", "AT^ICCID?", "AT#CCID")
"""Tried in this order where the model is not known to have its own."""
READ_EF_ICCID = "AT+CRSM=176,12258,0,0,10"
"""Reads the file itself: READ BINARY of EF_ICCID, 10 octets (27.007 §8.18, TS 102 221 §13.2)."""


@dataclass(slots=True, frozen=True)
class Identity:
    """What a modem says it is."""

    maker: str
    model: str
    revision: str
    imei: str
    """Empty if it does not say."""


async def read_imei(commands: Commands, *, timeout_s: float) -> str:
    """The IMEI, 14 to 16 digits; empty if the modem does not say it. Raises CommandUnanswered, ChannelClosed."""
    lines = await ask(commands, "AT+CGSN", timeout_s=timeout_s)
    found = re.search(r"(?<![0-9])[0-9]{14,16}(?![0-9])", " ".join(lines))
    return found.group() if found else ""


async def read_identity(commands: Commands, timing: Timing) -> Identity:
    """Ask who it is; what it refuses to say is empty. Raises CommandUnanswered, ChannelClosed."""
    said = [
        plain_value(await ask(commands, command, timeout_s=timing.answer_s), command[2:])
        for command in ("AT+CGMI", "AT+CGMM", "AT+CGMR")
    ]
    return Identity(*said, imei=await read_imei(commands, timeout_s=timing.answer_s))


async def read_iccid(commands: Commands, own_command: str, timing: Timing) -> str:
    """The SIM's serial number, 18 to 20 digits without filler; empty if no command tells it.

    Raises CommandRefused if none does and one was refused since the SIM cannot be read yet; CommandUnanswered,
    ChannelClosed.
    """
    own = (own_command,) if own_command else ()
    not_yet: CommandRefused | None = None
    for command in dict.fromkeys((*own, *ICCID_COMMANDS, READ_EF_ICCID)):
        try:
            iccid = _iccid_in(await ask_sim(commands, command, timeout_s=timing.answer_s))
        except CommandRefused as refused:
            not_yet = refused
        else:
            if iccid:
                return iccid
    if not_yet is not None:
        raise not_yet
    return ""


def _iccid_in(lines: Sequence[str]) -> str:
    """The serial number in an answer; empty if there is none."""
    file = parameters(value_of(lines, "+CRSM") or "")
    if file:
        return _iccid_of(file[2]) if len(file) > 2 else ""
    found = re.search(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{18,22}(?![0-9A-Fa-f])", " ".join(lines))
    return _iccid_of(found.group()) if found else ""


def _iccid_of(digits: str) -> str:
    """The number without filler; empty if it is none.

    All begin with 89 (ITU-T E.118). What begins with 98 is as the file holds it: two digits in each octet, the low
    half first.
    """
    if digits.startswith("98") and len(digits) % 2 == 0:
        digits = "".join(digits[place + 1] + digits[place] for place in range(0, len(digits), 2))
    found = re.fullmatch(r"([0-9]{18,20})(F|0F|F0|FF)?", digits.upper())
    return found.group(1) if found else ""


async def read_imsi(commands: Commands, timing: Timing) -> str:
    """The subscriber's number on the SIM, 6 to 15 digits; empty if the modem does not say it.

    Raises CommandRefused if the SIM cannot be read yet; CommandUnanswered, ChannelClosed.
    """
    lines = await ask_sim(commands, "AT+CIMI", timeout_s=timing.answer_s)
    found = re.search(r"(?<![0-9])[0-9]{6,15}(?![0-9])", " ".join(lines))
    return found.group() if found else ""


async def ask(commands: Commands, command: str, *, timeout_s: float) -> Sequence[str]:
    """The answer to a question that a modem may refuse; empty if it does."""
    try:
        return await commands.execute(command, timeout_s=timeout_s)
    except CommandRefused:
        return ()


async def ask_sim(commands: Commands, command: str, *, timeout_s: float) -> Sequence[str]:
    """The same for what is read from the SIM. Raises CommandRefused if it cannot be read yet: ask again."""
    try:
        return await commands.execute(command, timeout_s=timeout_s)
    except CommandRefused as refused:
        if (refused.domain, refused.code) in NOT_YET:
            raise
        return ()
