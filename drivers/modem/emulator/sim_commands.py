"""The commands about the SIM: PIN and PUK, serial number, subscriber, own number.

Source: 3GPP TS 27.007, 5.6, 7.1, 7.4, 8.3.
"""

from collections.abc import Callable, Sequence

from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import EquipmentRefusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.presentation import INTERNATIONAL
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.sim import PIN_TRIES, PUK_TRIES, SimState
from drivers.modem.emulator.sim_slot import SimSlot

CCID_PREFIXES = {"+CCID": "+CCID: ", "+ICCID": "+ICCID: ", "^ICCID": "^ICCID: ", "+QCCID": "+QCCID: "}


class SimCommands:
    """Asks the card."""

    def __init__(self, profile: Profile, slot: SimSlot, *, unlocked: Callable[[], None]) -> None:
        """`unlocked` is called when the card can be used from now on."""
        self._profile = profile
        self._slot = slot
        self._unlocked = unlocked

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {
            **dict.fromkeys(CCID_PREFIXES, self._serial_number),
            "+CPIN": self._pin,
            "+CPINR": self._tries,
            "+CLCK": self._lock,
            "+CIMI": self._subscriber,
            "+CNUM": self._number,
        }

    def _serial_number(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        # The serial number can be read without the PIN (TS 31.102, 4.2.1).
        return [CCID_PREFIXES[call.name] + self._slot.require_card().iccid]

    def _subscriber(self, call: Call) -> Sequence[str]:
        return [] if call.form is Form.TEST else [self._slot.require().imsi]

    def _number(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        sim = self._slot.require()
        if not sim.tells_number:
            return []
        return [f'+CNUM: "","{self._profile.encoded(sim.number)}",{INTERNATIONAL}']

    def _pin(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        sim = self._slot.require_card()
        if call.form is not Form.SET:
            return [f"+CPIN: {sim.state}"]
        first = self._profile.decoded(call.text(0))
        second = self._profile.decoded(call.text(1))
        if sim.state is SimState.READY:
            raise EquipmentRefusal(3)
        if sim.state is SimState.PIN:
            is_right = sim.enter_pin(first)
        elif not second:
            raise EquipmentRefusal(12)
        else:
            is_right = sim.enter_puk(first, second)
        if not is_right:
            # The last wrong PIN tells at once what is wanted now.
            raise EquipmentRefusal(12 if sim.state is SimState.PUK and not second else 16)
        self._unlocked()
        return []

    def _tries(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        sim = self._slot.require_card()
        return [
            f"+CPINR: SIM PIN,{sim.pin_tries},{PIN_TRIES}",
            f"+CPINR: SIM PUK,{sim.puk_tries},{PUK_TRIES}",
        ]

    def _lock(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ['+CLCK: ("SC")']
        sim = self._slot.require()
        if call.text(0).upper() != "SC":
            raise EquipmentRefusal(4)
        mode = call.number(1)
        if mode == 2:
            return [f"+CLCK: {int(bool(sim.pin))}"]
        if self._profile.decoded(call.text(2)) != sim.pin and sim.pin:
            raise EquipmentRefusal(16)
        sim.pin = self._profile.decoded(call.text(2)) if mode == 1 else ""
        return []
