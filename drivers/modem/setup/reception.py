"""Whether a modem is in its network, which one that is, and how well it hears it.

Owns +CREG, +CEREG, +COPS and +CSQ (3GPP TS 27.007 §7.2, §10.1.22, §7.3, §8.5). Decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.line import Commands
from drivers.modem.setup.answers import number, numbers, parameters, value_of
from drivers.modem.setup.identity import ask
from drivers.modem.timing import Timing

HOME = frozenset({1, 6})
"""Registered in the home network; 6 for messages only."""
ROAMING = frozenset({5, 7})
DENIED = 3


@dataclass(slots=True, frozen=True)
class Reception:
    """A modem and its network at one moment."""

    is_registered: bool
    is_denied: bool
    is_roaming: bool
    signal_percent: int
    """-1 if the modem does not know it."""
    operator: str
    """Country and network code, such as 26201; empty without a network."""


async def read_reception(commands: Commands, timing: Timing) -> Reception:
    """Ask a modem how it is connected. Raises CommandUnanswered, ChannelClosed."""
    stats = {
        stat
        for name in ("CREG", "CEREG")
        if (stat := _stat(await ask(commands, f"AT+{name}?", timeout_s=timing.answer_s), f"+{name}"))
        is not None
    }
    is_registered = bool(stats & (HOME | ROAMING))
    operator = ""
    if is_registered:
        said = value_of(await ask(commands, "AT+COPS?", timeout_s=timing.answer_s), "+COPS")
        fields = parameters(said or "")
        operator = fields[2] if len(fields) > 2 else ""
    quality = value_of(await ask(commands, "AT+CSQ", timeout_s=timing.answer_s), "+CSQ")
    return Reception(
        is_registered=is_registered,
        is_denied=DENIED in stats and not is_registered,
        is_roaming=bool(stats & ROAMING) and not stats & HOME,
        signal_percent=signal_percent(quality or ""),
        operator=operator,
    )


def _stat(lines: Sequence[str], prefix: str) -> int | None:
    """<stat> of `+CREG: <n>,<stat>…`."""
    fields = numbers(value_of(lines, prefix) or "")
    if not fields:
        return None
    return fields[1] if len(fields) > 1 else fields[0]


def signal_percent(quality: str) -> int:
    """What `+CSQ: <rssi>,<ber>` says, 0 to 100; -1 if unknown. 0 to 31 is -113 to -51 dBm; 100 to 191 is TD-SCDMA."""
    rssi = number(parameters(quality)[0]) if quality else None
    if rssi is None:
        return -1
    if rssi <= 31:
        return round(rssi * 100 / 31)
    return round((rssi - 100) * 100 / 91) if 100 <= rssi <= 191 else -1
