"""The commands about the modem itself: who it is, its settings, and what every modem answers though it does little.

Sources: ITU-T V.250, 6.1 and 6.2; 3GPP TS 27.007, 5 (identity), 5.5 (+CSCS), 8.1 (+CPAS), 8.15 (+CCLK).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.modem.emulator.clock import Clock
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import Refusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.profile import CHARSETS, SETTINGS, Profile

ACCEPTED = (
    "H",
    "X",
    "&C",
    "&D",
    "&K",
    "&W",
    "&V",
    "+IFC",
    "+ICF",
    "+CSAS",
    "+CRES",
    "+CSCB",
    "+CMER",
    "+CVHU",
    "S",
)
"""Taken and without effect."""
REGISTERS = 40


@dataclass(slots=True, frozen=True)
class Equipment:
    """What a modem says that it is. The model decides which quirks a driver expects of it."""

    manufacturer: str = "Infini Reach"
    model: str = "Emulated modem"
    revision: str = "1.0"
    imei: str = "350000000000016"


class GeneralCommands:
    """Answers from the equipment and the profile."""

    def __init__(
        self, equipment: Equipment, profile: Profile, clock: Clock, *, restored: Callable[[], None]
    ) -> None:
        """`restored` is called when the settings are put back."""
        self._equipment = equipment
        self._profile = profile
        self._clock = clock
        self._restored = restored

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        equipment = self._equipment
        identity = {
            ("+CGMI", "+GMI"): equipment.manufacturer,
            ("+CGMM", "+GMM"): equipment.model,
            ("+CGMR", "+GMR"): equipment.revision,
            ("+CGSN", "+GSN"): equipment.imei,
        }
        handlers: dict[str, Handler] = {
            name: told(text) for names, text in identity.items() for name in names
        }
        handlers |= dict.fromkeys(ACCEPTED, _accept)
        handlers |= {f"S{register}": _register for register in range(REGISTERS)}
        handlers |= dict.fromkeys(SETTINGS, self._profile.carry_out)
        return handlers | {
            "I": self._identity,
            "Z": self._restore,
            "&F": self._restore,
            "D": _dial,
            "A": _dial,
            "+CSCS": self._charset,
            "+GCAP": told("+GCAP: +CGSM"),
            "+CPAS": told("+CPAS: 0"),
            "+CCLK": self._time,
        }

    def _identity(self, call: Call) -> Sequence[str]:
        del call
        equipment = self._equipment
        return [
            f"Manufacturer: {equipment.manufacturer}",
            f"Model: {equipment.model}",
            f"Revision: {equipment.revision}",
            f"IMEI: {equipment.imei}",
        ]

    def _restore(self, call: Call) -> Sequence[str]:
        del call
        self._profile.reset()
        self._restored()
        return []

    def _charset(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CSCS: (" + ",".join(f'"{name}"' for name in CHARSETS) + ")"]
        if call.form is Form.READ:
            return [f'+CSCS: "{self._profile.charset}"']
        charset = call.text(0).upper()
        if charset not in CHARSETS:
            raise Refusal
        self._profile.charset = charset
        return []

    def _time(self, call: Call) -> Sequence[str]:
        if call.form is not Form.READ:
            return []
        return [f'+CCLK: "{self._clock.now():%y/%m/%d,%H:%M:%S}+00"']


def told(line: str) -> Handler:
    """A command that only tells something; its test form tells nothing."""

    def tell(call: Call) -> Sequence[str]:
        return [] if call.form is Form.TEST else [line]

    return tell


def names_of(commands: Mapping[str, Handler]) -> list[str]:
    """The names of commands as +CLAC lists them."""
    return [name for name in sorted(commands) if name.startswith("+")]


def _accept(call: Call) -> Sequence[str]:
    del call
    return []


def _register(call: Call) -> Sequence[str]:
    return ["000"] if call.form is Form.READ else []


def _dial(call: Call) -> Sequence[str]:
    del call
    raise NoCarrier


class NoCarrier(Refusal):
    """A call that nobody takes."""

    def text(self, error_mode: int) -> str:
        """The final result code."""
        del error_mode
        return "NO CARRIER"
