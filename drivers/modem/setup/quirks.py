"""Where modems differ from the standard, by maker and model, as far as manuals and field reports tell.

Owns the table; knows neither ports nor files. Everything here can be overridden for one modem in modems.toml, and what
a modem lists about itself (`AT+CNMI=?`, `AT+CPMS=?`) always limits what is chosen. Sources: the makers' AT command
manuals, and the vendor cases of oFono's generic SMS driver.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(slots=True, frozen=True)
class Quirks:
    """What to do with one modem. The defaults are for a modem that keeps to 3GPP TS 27.005 and 27.007."""

    notification_modes: tuple[int, ...] = (2, 3, 1, 0)
    """Values of <mode> of AT+CNMI, best first; those that the modem refuses are passed over."""
    report_routes: tuple[int, ...] = (2, 1)
    """Values of <ds> of AT+CNMI, best first. 2 stores a report and says +CDSI, 1 hands it over as +CDS."""
    acknowledge_command: str = "AT+CNMA"
    stores: tuple[str, ...] = ("ME", "MT", "SM")
    """Where received messages are kept, best first. ME is larger than a SIM."""
    reset_at: str = "AT+CFUN=1,1"
    submit_timeout_s: float = 130.0
    """For the final answer to AT+CMGS. Waiting too short makes an outcome unknown, waiting long costs nothing."""
    pause_between_parts_s: float = 0.0
    reference_bits: int = 8
    """Width of the concatenation reference; some handsets join only what has 8 bits."""
    iccid_command: str = ""
    """The command that reads the SIM's serial number; empty: the usual ones are tried."""
    ussd_is_packed: bool = False
    """USSD codes and answers travel as packed septets in hexadecimal digits."""
    set_up: tuple[str, ...] = ()
    """Commands for the start, after the identity is known; a refusal is ignored."""


@dataclass(slots=True, frozen=True)
class Case:
    """A kind of modem and what is special about it. Patterns are searched in what AT+CGMI and AT+CGMM say."""

    maker: str
    model: str
    changes: Mapping[str, Any]
    why: str


CASES = (
    Case(
        "huawei",
        "",
        {
            "notification_modes": (1, 2, 0),
            "acknowledge_command": "AT+CNMA=0",
            "reset_at": "AT^RESET",
            "iccid_command": "AT^ICCID?",
            "ussd_is_packed": True,
            "set_up": ("AT^CURC=0",),
        },
        "lists CNMI mode 2 and refuses it; takes no PDU with CNMA; says its signal unasked every few seconds",
    ),
    Case(
        "novatel",
        "",
        {"notification_modes": (1, 2, 0), "report_routes": (2,), "acknowledge_command": "AT+CNMA=0"},
        "lists CNMI mode 2 and refuses it; refuses to have +CDS acknowledged and hangs if it is not",
    ),
    Case("option", "", {"acknowledge_command": "AT+CNMA=0"}, "takes no PDU with CNMA"),
    Case("qualcomm", "", {"notification_modes": (1, 2, 0)}, "lists CNMI mode 2 and refuses it"),
    Case("zte", "", {"notification_modes": (1, 2, 0), "reset_at": "AT+ZRST"}, "Qualcomm inside"),
    Case("sim(com|800|900|7[0-9]{3})", "", {"iccid_command": "AT+CCID"}, "the manual's command"),
    Case(
        "sim",
        "sim_?[89]00",
        {"submit_timeout_s": 70.0, "report_routes": (1,)},
        "the manual limits CMGS to 60 s; has no store for reports",
    ),
    Case(
        "sim",
        "(sim|a)_?7[0-9]{3}",
        {"iccid_command": "AT+CICCID", "reset_at": "AT+CRESET"},
        "the manual's commands",
    ),
    Case("quectel", "", {"iccid_command": "AT+QCCID"}, "the manual's command"),
    Case(
        "siemens|cinterion|gemalto|thales|multi-?tech",
        "",
        {"iccid_command": "AT^SCID", "set_up": ("AT^SM20=0,0",)},
        "with the factory's SM20 it answers OK to a message that was not sent",
    ),
    Case("u-?blox", "", {"reset_at": "AT+CFUN=16", "iccid_command": "AT+CCID"}, "the manual's commands"),
    Case("telit", "", {"reset_at": "AT#REBOOT", "iccid_command": "AT#CCID"}, "the manual's commands"),
    Case("sierra", "", {"reset_at": "AT!RESET", "iccid_command": "AT!ICCID?"}, "the manual's commands"),
)


FORBIDDEN = re.compile(r"[+^](CPIN|CPWD|CLCK|CSIM|CMGS|CMGW|CMGC|CMSS)", re.IGNORECASE)
"""Commands that no override may be: a PIN is entered by the SIM's rule alone, or else three starts lock the SIM."""


def quirks_for(maker: str, model: str, overrides: Mapping[str, Any] | None = None) -> Quirks:
    """What is known of this modem: every case that fits, in the order of the table, then the owner's overrides."""
    quirks = Quirks()
    for case in CASES:
        # Some models say their maker only in the model, others the other way round.
        is_maker = re.search(case.maker, f"{maker} {model}", re.IGNORECASE)
        if is_maker and re.search(case.model, model, re.IGNORECASE):
            quirks = replace(quirks, **case.changes)
    return replace(quirks, **overrides) if overrides else quirks


def _numbers(allowed: range) -> Callable[[Any], tuple[int, ...]]:
    def read(value: Any) -> tuple[int, ...]:
        is_list = isinstance(value, list) and value
        if not is_list or not all(type(number) is int and number in allowed for number in value):
            raise ValueError(f"must be a list of numbers from {allowed[0]} to {allowed[-1]}")
        return tuple(value)

    return read


def _command(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"AT[\x20-\x7e]{1,200}", value):
        raise ValueError('must be an AT command, such as "AT+CFUN=1,1"')
    if forbidden := FORBIDDEN.search(value.replace(" ", "")):
        raise ValueError(
            f"must not be {forbidden[0].upper()}: PINs, locks and messages are the driver's alone"
        )
    return value


def _commands(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of AT commands")
    return tuple(_command(each) for each in value)


def _stores(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(each in ("SM", "ME", "MT") for each in value):
        raise ValueError('must be a list of "SM", "ME", "MT"')
    return tuple(value)


def _seconds(maximum: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if type(value) not in (int, float) or not 0 <= value <= maximum:
            raise ValueError(f"must be a number of seconds from 0 to {maximum:g}")
        return float(value)

    return read


def _bits(value: Any) -> int:
    if value not in (8, 16):
        raise ValueError("must be 8 or 16")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


READERS: Mapping[str, Callable[[Any], Any]] = {
    "notification_modes": _numbers(range(4)),
    "report_routes": _numbers(range(3)),
    "acknowledge_command": _command,
    "stores": _stores,
    "reset_at": _command,
    "submit_timeout_s": _seconds(600),
    "pause_between_parts_s": _seconds(600),
    "reference_bits": _bits,
    "iccid_command": _command,
    "ussd_is_packed": _yes_or_no,
    "set_up": _commands,
}
"""How each override of modems.toml is read. They raise ValueError with a sentence that begins "must be"."""


def read_overrides(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The overrides of one modem, and a sentence for each that is none or has a wrong value."""
    overrides: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in table.items():
        if key not in READERS:
            problems.append(f"quirks.{key} is not known; known are {', '.join(READERS)}")
            continue
        try:
            overrides[key] = READERS[key](value)
        except ValueError as error:
            problems.append(f"quirks.{key} {error}")
    return overrides, problems
