"""modems.toml: which modems there are, how each is found, and what it may do.

Owns the file's form and reads it once, reporting every problem together. Knows no port and no modem. What the file
says about a modem is trusted: its number, and that a new number goes with a new SIM.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.modem.setup.quirks import read_overrides
from drivers.runtime.config_file import (
    ConfigInvalid,
    Key,
    device_name,
    file_path,
    matching,
    phone_number,
    read_table,
    read_tables,
    read_toml,
    whole_number,
    yes_or_no,
)
from drivers.runtime.secret_files import settle_secret

MODEMS_MAX = 256
BAUD_MIN, BAUD_MAX = 300, 4_000_000
IMEI_DIGITS = 14
PIN = r"[0-9]{4,8}"
GLOB_CHARACTERS = frozenset("*?[")


@dataclass(slots=True, frozen=True)
class ModemConfig:
    """One modem as its owner describes it."""

    name: str
    """Its key: what the core, the logs and the commands call it. Another name is another device."""
    port: str
    """A device file, a pattern for one (`/dev/serial/by-id/…*-if00`), or a URL of pyserial."""
    number: str = field(repr=False)
    """Its own number, E.164."""
    imei: str = ""
    iccid: str = ""
    pin: str = field(default="", repr=False)
    smsc: str = field(default="", repr=False)
    baud: int = 115200
    parts_per_minute: int = 0
    """0: no limit of ours."""
    parts_per_day: int = 0
    """0: no limit of ours."""
    report: bool = True
    reset_command: tuple[str, ...] = ()
    memory: str = ""
    quirks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    balance_ussd: str = ""

    @property
    def place(self) -> str:
        """The port, the same whatever its name."""
        return self.port if "://" in self.port or self.is_pattern else os.path.realpath(self.port)

    @property
    def is_pattern(self) -> bool:
        """Whether `port` may fit several device files."""
        return "://" not in self.port and bool(GLOB_CHARACTERS & set(self.port))


def _arguments(value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list) and 1 <= len(value) <= 100
    if not is_list or not all(isinstance(each, str) and "\0" not in each for each in value):
        raise ValueError('must be a list of a program and its arguments, such as ["uhubctl", "-a", "cycle"]')
    return tuple(value)


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table: [modem.quirks]")
    return value


KEYS = (
    Key(
        "name",
        device_name,
        "What this modem is called everywhere. It stays the same when the stick or its port changes.",
        is_required=True,
    ),
    Key(
        "port",
        matching(r"[^\x00-\x1f\x7f]{1,1000}", "a device file, a pattern for one, or a URL of pyserial"),
        "Device file, best one below /dev/serial/by-id; or a pattern for it; or a URL such as "
        "socket://host:port. A pattern needs the imei too where there are several modems.",
        is_required=True,
    ),
    Key(
        "number",
        phone_number,
        "The number of the SIM in it, E.164. Change it together with the SIM.",
        is_required=True,
    ),
    Key(
        "imei",
        matching(r"[0-9]{14,16}", "14 to 16 digits"),
        "Take only the modem with this IMEI.",
    ),
    Key(
        "iccid",
        matching(r"[0-9]{18,20}[0-9A-Fa-f]{0,2}", "the 18 to 22 digits that are printed on the SIM"),
        "Use only the SIM with this serial number.",
    ),
    Key("pin", matching(PIN, "4 to 8 digits in quotes"), "The SIM's PIN; or pin_file."),
    Key("pin_file", file_path, "File with the PIN; a relative path begins at the folder of this file."),
    Key(
        "smsc",
        matching(r"\+?[0-9]{3,15}", "the number of a message centre: digits, with a plus sign or without"),
        "Message centre to use in place of the SIM's.",
    ),
    Key(
        "baud",
        whole_number(BAUD_MIN, BAUD_MAX),
        "Speed of a real serial line; USB modems ignore it. 115200 if not set.",
    ),
    Key(
        "parts_per_minute",
        whole_number(1, 600),
        "Most parts (segments) to send in a minute. No limit if not set.",
    ),
    Key(
        "parts_per_day",
        whole_number(1, 1_000_000),
        "Most parts to send in a day, by the local clock. No limit if not set.",
    ),
    Key("report", yes_or_no, "Whether to ask for delivery reports. true if not set."),
    Key(
        "reset_command",
        _arguments,
        "Program and arguments that cut the modem's power or reset its USB port; run when nothing else helps.",
    ),
    Key(
        "memory", matching("SM|ME|MT", '"SM", "ME" or "MT"'), "Where the modem is to keep received messages."
    ),
    Key("quirks", _table, "Overrides of what is known about the model: [modem.quirks]."),
    Key(
        "balance_ussd",
        matching(r"[0-9*#]{1,32}", "digits, * and #"),
        "The code that asks for the balance, such as *100#.",
    ),
)


def read_config(path: Path) -> tuple[ModemConfig, ...]:
    """The modems of a file, in its order. Raises ConfigInvalid with every problem it has."""
    return _Reader(path).read(read_toml(path))


class _Reader:
    """Reads one document and gathers its problems."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[str] = []

    def read(self, document: dict[str, Any]) -> tuple[ModemConfig, ...]:
        self._problems += [
            f"{key} is not known; modems are [[modem]] tables" for key in document if key != "modem"
        ]
        tables, problems = read_tables(self._path, document, "modem", tables_max=MODEMS_MAX)
        self._problems += problems
        modems = [self._modem(called, table) for called, table in tables]
        configured = [modem for modem in modems if modem is not None]
        self._find_duplicates(configured)
        if self._problems:
            raise ConfigInvalid(self._problems)
        return tuple(configured)

    def _modem(self, called: str, table: Any) -> ModemConfig | None:
        values, problems = read_table(called, table, KEYS)
        kept = settle_secret(values, "pin", config=self._path, pattern=PIN, content="4 to 8 digits")
        values["quirks"], wrong = read_overrides(values.get("quirks", {}))
        problems += [f"{called}: {problem}" for problem in (*kept, *wrong)]
        self._problems += problems
        return None if problems else ModemConfig(**values)

    def _find_duplicates(self, modems: list[ModemConfig]) -> None:
        """What two modems must not have in common; compared as it is when a modem is found."""
        for key, is_same in UNIQUE.items():
            for modem in modems:
                value = getattr(modem, key)
                same = [other for other in modems if value and is_same(value, getattr(other, key))]
                if len(same) > 1 and same[0] is modem:
                    named = ", ".join(f'"{other.name}"' for other in same)
                    self._problems.append(f"{key} must differ between modems; it is the same in {named}")
        places = Counter(modem.place for modem in modems)
        for modem in modems:
            if modem.is_pattern and not modem.imei and len(modems) > 1:
                sentence = "port is a pattern, so with several modems imei must say which one is meant"
                self._problems.append(f'modem "{modem.name}": {sentence}')
            elif not modem.is_pattern and places[modem.place] > 1:
                self._problems.append(f'modem "{modem.name}": port is that of another modem too')


def is_same_imei(one: str, other: str) -> bool:
    """What follows the 14 digits is a check digit or a software version (3GPP TS 23.003 §6.2)."""
    return one[:IMEI_DIGITS] == other[:IMEI_DIGITS]


def is_same_iccid(one: str, other: str) -> bool:
    """Printed and reported forms differ in the check digit and in filler; none is the same as none."""
    shorter, longer = sorted((one.upper().rstrip("F"), other.upper().rstrip("F")), key=len)
    return longer.startswith(shorter) and bool(shorter) == bool(longer)


UNIQUE: dict[str, Callable[[str, str], bool]] = {
    "name": str.__eq__,
    "number": str.__eq__,
    "imei": is_same_imei,
    "iccid": is_same_iccid,
}


def unknown_modem(name: str, known: Iterable[str]) -> str:
    """What to say of a name that no modem of the driver has."""
    return f"The driver has no modem {name}. It has: {', '.join(known)}"
