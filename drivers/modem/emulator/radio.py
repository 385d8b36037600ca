"""The radio of an emulated modem: on or off, signal, operator, registration, and what is announced of it.

Sources: 3GPP TS 27.007, 7.2 (+CREG), 7.3 (+COPS), 8.5 (+CSQ), 8.2 (+CFUN), 10.1.20 (+CGREG), 10.1.22 (+CEREG).
"""

from collections.abc import Callable, Sequence
from enum import IntEnum

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.clock import Clock, Timer
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import EquipmentRefusal, Refusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.sim_slot import SimSlot

SIGNAL_MAX = 31
SIGNAL_UNKNOWN = 99
OPERATOR = ("Infini Reach Emulated", "Emulated", "00101")
"""Long name, short name, number."""
AREA, CELL, TECHNOLOGY = "00C8", "01A2B3C4", 7
LISTENERS = ("+CREG", "+CGREG", "+CEREG")
SEARCH_S = 0.5
"""From a ready SIM with signal to a registration."""


class Registration(IntEnum):
    """The values of +CREG."""

    NONE = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    ROAMING = 5


class Radio:
    """Follows the SIM, the faults and the commands of its owner; says by `changed` when it comes or goes."""

    def __init__(
        self,
        profile: Profile,
        faults: Faults,
        slot: SimSlot,
        clock: Clock,
        *,
        announce: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._profile = profile
        self._faults = faults
        self._slot = slot
        self._clock = clock
        self._announce = announce
        self._changed = changed
        self._search: Timer | None = None
        self._operator_format = 0
        self._is_detached = False
        self._has_power = False
        self.functionality = 1
        """+CFUN: 0 minimum, 1 full, 4 radio off."""
        self.signal = 20
        """+CSQ: 0 to 31."""
        self.is_roaming = False
        self.registration = Registration.NONE

    @property
    def is_registered(self) -> bool:
        """Whether messages can come and go."""
        return self.registration in {Registration.HOME, Registration.ROAMING}

    def power_up(self, *, at_once: bool) -> None:
        """Begin as after switching on; registered already if `at_once` and nothing is against it."""
        self.power_down()
        self._has_power = True
        self.functionality = 1
        self._is_detached = False
        self._operator_format = 0
        if at_once and self._possible() is Registration.SEARCHING:
            self._set(self._network())
        else:
            self.refresh()

    def power_down(self) -> None:
        """Off, without a word."""
        self._has_power = False
        if self._search is not None:
            self._search.cancel()
            self._search = None
        self.registration = Registration.NONE

    def refresh(self) -> None:
        """Look again: the SIM, a fault or a setting has changed."""
        possible = self._possible()
        if possible is not Registration.SEARCHING:
            if self._search is not None:
                self._search.cancel()
                self._search = None
            self._set(possible)
        elif not self.is_registered and self._search is None:
            self._set(Registration.SEARCHING)
            self._search = self._clock.later(SEARCH_S, self._found)

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {
            **dict.fromkeys(LISTENERS, self._listening),
            "+CSQ": self._signal,
            "+COPS": self._operators,
            "+CFUN": self._functionality,
            "+CGATT": self._attachment,
        }

    def _network(self) -> Registration:
        return Registration.ROAMING if self.is_roaming else Registration.HOME

    def _possible(self) -> Registration:
        """SEARCHING where nothing is against a registration."""
        if not self._has_power or self.functionality != 1 or self._is_detached:
            return Registration.NONE
        if not self._slot.can_register or self._faults.active("no_signal"):
            return Registration.NONE
        return Registration.DENIED if self._faults.active("registration_denied") else Registration.SEARCHING

    def _found(self) -> None:
        self._search = None
        if self._possible() is Registration.SEARCHING:
            self._set(self._network())

    def _set(self, registration: Registration) -> None:
        if registration is self.registration:
            return
        self.registration = registration
        for name in LISTENERS:
            if self._profile[name]:
                self._announce(f"{name}: {self._position(name)}")
        self._changed()

    def _position(self, name: str) -> str:
        if self._profile[name] < 2 or not self.is_registered:
            return f"{self.registration:d}"
        return f'{self.registration:d},"{AREA}","{CELL}",{TECHNOLOGY}'

    def _listening(self, call: Call) -> Sequence[str]:
        if call.form is not Form.READ:
            return self._profile.carry_out(call)
        return [f"{call.name}: {self._profile[call.name]},{self._position(call.name)}"]

    def _signal(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CSQ: (0-31,99),(0-7,99)"]
        has_signal = self.functionality == 1 and not self._faults.active("no_signal")
        return [f"+CSQ: {self.signal if has_signal else SIGNAL_UNKNOWN},99"]

    def _operators(self, call: Call) -> Sequence[str]:
        if call.form is Form.READ:
            if not self.is_registered:
                return ["+COPS: 2" if self._is_detached else "+COPS: 0"]
            name = self._profile.encoded(OPERATOR[self._operator_format])
            return [f'+COPS: 0,{self._operator_format},"{name}",{TECHNOLOGY}']
        if call.form is Form.TEST:
            long, short, number = OPERATOR
            state = 2 if self.is_registered else 1
            return [f'+COPS: ({state},"{long}","{short}","{number}",{TECHNOLOGY}),,(0-4),(0-2)']
        mode = call.number(0, 0)
        if mode not in range(5) or call.number(1, 0) not in range(3):
            raise Refusal
        if mode == 3:
            self._operator_format = call.number(1, 0)
            return []
        if mode == 1 and self._profile.decoded(call.text(2)) not in OPERATOR:
            raise EquipmentRefusal(32)
        self._is_detached = mode == 2
        self.refresh()
        return []

    def _functionality(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CFUN: (0,1,4),(0,1)"]
        if call.form is Form.READ:
            return [f"+CFUN: {self.functionality}"]
        functionality = call.number(0, 1)
        if functionality not in {0, 1, 4}:
            raise EquipmentRefusal(4)
        self.functionality = functionality
        self.refresh()
        return []

    def _attachment(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CGATT: (0,1)"]
        return [f"+CGATT: {int(self.is_registered)}"] if call.form is Form.READ else []
