"""How a port can fail, each with a sentence for people and what they can do about it.

Knows nothing of modems.
"""

import errno
import os
from pathlib import Path

from serial import SerialException

from drivers.modem.link.serial_ports import holders_of

MODEM_MANAGER = "ModemManager"
BUSY_ERRORS = {errno.EBUSY, errno.EAGAIN}
MISSING_ERRORS = {
    errno.ENOENT,
    errno.ENODEV,
    errno.ENXIO,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
}
DENIED_ERRORS = {errno.EACCES, errno.EPERM}


class PortError(Exception):
    """A port that cannot be used."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        """What is wrong."""
        self.remedy = remedy
        """What a person can do; empty if nothing but waiting helps."""


class PortBusy(PortError):
    """Another program has the port, or another modem of this process."""


class PortMissing(PortError):
    """There is no such port now; it may come back."""


class PortFailed(PortError):
    """The port is there and cannot be opened."""


class PortLost(PortError):
    """It was open: the device was unplugged or restarted, or the peer hung up."""


class PortStalled(PortError):
    """The device took none of what was written in time. Nobody knows how much of it arrives."""


def opening_failed(url: str, error: Exception) -> PortError:
    """The error of an opening, told apart by its number."""
    number = number_of(error)
    if number in BUSY_ERRORS:
        return busy(url, holder_of(url))
    if number in MISSING_ERRORS:
        return PortMissing(
            f"There is no modem at {url}: {os.strerror(number)}.",
            "Start what is to listen there, and see whether a firewall is in between."
            if "://" in url
            else "Plug it in, or give the port by its name below /dev/serial/by-id, which stays the same.",
        )
    if number in DENIED_ERRORS:
        return PortFailed(
            f"This user may not open {url}.",
            "Add the user to the group that owns the port, often dialout, and log in again.",
        )
    detail = str(error) if isinstance(error, SerialException | ValueError | OSError) else type(error).__name__
    return PortFailed(f"The port {url} cannot be opened: {detail}.", "Check the port's name in the settings.")


def busy(url: str, holder: str) -> PortBusy:
    """Who has the port, and how to get it back; an empty holder: nobody knows who."""
    if holder == MODEM_MANAGER or (not holder and is_running(MODEM_MANAGER)):
        certainty = "has" if holder else "is running and may have"
        return PortBusy(
            f"ModemManager {certainty} the port {url}.",
            'Keep it away from this modem with the udev rule ENV{ID_MM_DEVICE_IGNORE}="1", '
            "or switch it off: systemctl disable --now ModemManager.",
        )
    if holder:
        return PortBusy(f"The program {holder} has the port {url}.", f"Stop {holder}, or use another port.")
    return PortBusy(
        f"Another program has the port {url}.", "Find it with: fuser -v on the port. Then stop it."
    )


def number_of(error: BaseException | None) -> int | None:
    """The system's number of an error, which pyserial keeps in the error itself or in what caused it."""
    while error is not None:
        if isinstance(error, TimeoutError) and error.errno is None:
            return errno.ETIMEDOUT
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def holder_of(url: str) -> str:
    """The name of another program that has a device open, as far as this user may see; empty if none is seen."""
    device = url.removeprefix("spy://").partition("?")[0]
    holder = holders_of([device]).get(device)
    return Path(holder.command.partition(" ")[0]).name if holder else ""


def is_held_by_modem_manager(url: str) -> bool:
    """Whether ModemManager has a device open, as far as this user may see."""
    return is_running(MODEM_MANAGER) and holder_of(url) == MODEM_MANAGER


def is_running(name: str) -> bool:
    """Whether a process of this name runs on the machine; False where the system does not tell (proc(5))."""
    return any(name_of(process) == name for process in Path("/proc").glob("[0-9]*"))


def name_of(process: Path) -> str:
    """The name of a process; empty if it has ended."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
