"""How a port can fail, each with a sentence for people and what they can do about it.

Knows nothing of modems.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from serial import SerialException

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
            "Plug it in, or give the port by its name below /dev/serial/by-id, which stays the same.",
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


def holder_of(url: str, *, only: str = "") -> str:
    """The name of another program that has a device open, as far as this user may see; empty if none is seen.

    `only`: look at programs of this name alone.
    """
    try:
        device = path_of(url).resolve(strict=True).stat().st_rdev
    except OSError:
        return ""
    return next(holders(device, only), "") if device else ""


def path_of(url: str) -> Path:
    """The device file that a port's name stands for; one that does not exist if it stands for none."""
    return Path(url.removeprefix("spy://").partition("?")[0])


def holders(device: int, only: str) -> Iterator[str]:
    """The names of other processes that have a character device open."""
    for process in processes():
        name = name_of(process)
        if int(process.name) == os.getpid() or not name or (only and name != only):
            continue
        # It may have ended since, or belong to another user.
        with contextlib.suppress(OSError):
            if any(opens(descriptor, device) for descriptor in (process / "fd").iterdir()):
                yield name


def processes() -> list[Path]:
    """The folder of each process of this machine; none where there is no /proc."""
    try:
        return [process for process in Path("/proc").iterdir() if process.name.isdecimal()]
    except OSError:
        return []


def opens(descriptor: Path, device: int) -> bool:
    """Whether an open file of a process is this device."""
    try:
        return descriptor.stat().st_rdev == device
    except OSError:
        return False


def is_running(name: str) -> bool:
    """Whether a process of this name runs on the machine."""
    return any(name_of(process) == name for process in processes())


def name_of(process: Path) -> str:
    """The name of a process; empty if it has ended."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
