"""The serial ports of this machine: which there are, what is behind them, who holds them.

Owns what USB and the kernel tell about a port. Opens none, so it disturbs nobody.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serial.tools import list_ports

BY_ID = Path("/dev/serial/by-id")
COMMAND_CHARACTERS_MAX = 300

MODEM_VENDORS = {
    0x05C6: "Qualcomm",
    0x0681: "Siemens",
    0x0AF0: "Option",
    0x0BDB: "Ericsson",
    0x114F: "Wavecom",
    0x1199: "Sierra Wireless",
    0x12D1: "Huawei",
    0x1410: "Novatel",
    0x1546: "u-blox",
    0x19D2: "ZTE",
    0x1BBB: "Alcatel",
    0x1BC7: "Telit",
    0x1E0E: "SIMCom",
    0x1E2D: "Cinterion",
    0x2949: "Neoway",
    0x2C7C: "Quectel",
    0x2CB7: "Fibocom",
    0x2DEE: "MeiG",
}
"""USB vendors (usb.org) that make little else than modems and modules."""

CONVERTER_VENDORS = {0x0403: "FTDI", 0x067B: "Prolific", 0x10C4: "Silicon Labs", 0x1A86: "WCH"}
"""USB vendors of serial converters, behind which a module such as the SIM800 may be."""


@dataclass(slots=True, frozen=True)
class Holder:
    """A process that has a port open."""

    pid: int
    command: str


@dataclass(slots=True, frozen=True)
class SerialPort:
    """A port as USB and the kernel describe it."""

    device: str
    """The device file, such as /dev/ttyUSB2."""
    stable_name: str = ""
    """A name that stays when the stick moves to another socket or comes up in another order; empty: there is none."""
    description: str = ""
    vendor: int | None = None
    usb_device: str = ""
    """The same for all ports of one stick; empty for what is not on USB."""
    interface: int | None = None
    """Which of the stick's interfaces it is."""
    holder: Holder | None = field(default=None, compare=False)
    """Who has it open, where the kernel lets us see it."""

    @property
    def best_name(self) -> str:
        """The name to put into modems.toml."""
        return self.stable_name or self.device

    @property
    def guess(self) -> str:
        """What is behind it, in words."""
        if self.vendor in MODEM_VENDORS:
            return f"modem ({MODEM_VENDORS[self.vendor]})"
        if self.vendor in CONVERTER_VENDORS:
            return f"converter ({CONVERTER_VENDORS[self.vendor]}), perhaps with a modem behind it"
        return "" if self.vendor is not None else "serial line"

    @property
    def looks_like_modem(self) -> bool:
        """Whether its vendor makes modems."""
        return self.vendor in MODEM_VENDORS


def serial_ports() -> list[SerialPort]:
    """The ports of this machine, in the order of their names."""
    stable = _stable_names(BY_ID)
    holders = holders_of({port.device for port in list_ports.comports()})
    return [
        SerialPort(
            device=port.device,
            stable_name=stable.get(os.path.realpath(port.device), ""),
            description=" ".join(filter(None, [port.manufacturer, port.product])) or port.description or "",
            vendor=port.vid,
            usb_device=(port.location or "").partition(":")[0] if port.vid is not None else "",
            interface=_interface(port.location),
            holder=holders.get(port.device),
        )
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
    ]


def siblings(port: str, ports: Iterable[SerialPort]) -> list[SerialPort]:
    """The other ports of the stick that `port` (a device file or a link to one) belongs to, lowest interface first."""
    known = {os.path.realpath(each.device): each for each in ports}
    own = known.get(os.path.realpath(port))
    if own is None or not own.usb_device:
        return []
    others = [each for each in known.values() if each.usb_device == own.usb_device and each is not own]
    return sorted(others, key=lambda each: (each.interface or 0, each.device))


def holders_of(devices: Iterable[str]) -> dict[str, Holder]:
    """Who else has these device files open, by the names given (proc(5)); a process of another user may stay unseen."""
    wanted = {os.path.realpath(device): device for device in devices}
    found: dict[str, Holder] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with suppress(OSError):
                    device = wanted.get(os.readlink(descriptor))
                    if device is not None and device not in found:
                        found[device] = Holder(int(folder.name), _command(folder))
    return found


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode(errors="replace")[:COMMAND_CHARACTERS_MAX]


def _stable_names(folder: Path) -> dict[str, str]:
    """Stable name by device file."""
    if not folder.is_dir():
        return {}
    return {os.path.realpath(link): str(link) for link in sorted(folder.iterdir(), reverse=True)}


def _interface(location: str | None) -> int | None:
    """The USB interface that a location such as `1-1.3:1.2` ends with."""
    number = (location or "").rpartition(".")[2] if ":" in (location or "") else ""
    return int(number) if number.isdecimal() else None


def names(ports: Sequence[SerialPort]) -> str:
    """The ports in a sentence."""
    return ", ".join(port.best_name for port in ports) or "none at all"
