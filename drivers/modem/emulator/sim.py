"""The SIM card of an emulated modem: who it is, its PIN and PUK, and the service centre that it names.

Knows nothing of commands. The messages on it are in `storage`. PIN rules: 3GPP TS 31.101, three tries, ten of the PUK.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from drivers.modem.emulator.storage import Store

PIN_TRIES = 3
PUK_TRIES = 10
SIM_MESSAGES = 50


class SimState(StrEnum):
    """What +CPIN? tells of a card; the values are its words."""

    READY = "READY"
    PIN = "SIM PIN"
    PUK = "SIM PUK"
    BLOCKED = "BLOCKED"
    """The PUK was wrong too often: the card is dead."""


@dataclass(slots=True)
class Sim:
    """A card. It keeps its state while it is moved from modem to modem."""

    number: str
    """Its own number, E.164: what the network knows it by."""
    iccid: str = "89490200001234567890"
    imsi: str = "001010123456789"
    smsc: str = "+15550000001"
    """Number of the service centre, as +CSCA? tells it; may be empty."""
    pin: str = ""
    """Asked for at each start; empty: not asked for."""
    puk: str = "12345678"
    tells_number: bool = True
    """Whether +CNUM answers; many cards do not know their own number."""
    messages: Store = field(default_factory=lambda: Store("SM", SIM_MESSAGES))
    pin_tries: int = PIN_TRIES
    puk_tries: int = PUK_TRIES
    is_unlocked: bool = False
    last_reference: int = 255
    """EF SMSS keeps the reference of the last message sent (TS 31.102, 4.2.9)."""

    @property
    def state(self) -> SimState:
        """What the card wants next."""
        if self.puk_tries == 0:
            return SimState.BLOCKED
        if self.pin_tries == 0:
            return SimState.PUK
        return SimState.READY if self.is_unlocked or not self.pin else SimState.PIN

    def power_up(self) -> None:
        """The card was reset: the PIN is asked for anew."""
        self.is_unlocked = False

    def enter_pin(self, pin: str) -> bool:
        """Try a PIN; whether it was right. A wrong one costs a try."""
        if pin == self.pin:
            self.is_unlocked, self.pin_tries = True, PIN_TRIES
            return True
        self.pin_tries -= 1
        return False

    def enter_puk(self, puk: str, new_pin: str) -> bool:
        """Try the PUK, which sets a new PIN; whether it was right. A wrong one costs a try."""
        if puk == self.puk:
            self.pin, self.is_unlocked = new_pin, True
            self.pin_tries, self.puk_tries = PIN_TRIES, PUK_TRIES
            return True
        self.puk_tries -= 1
        return False

    def next_reference(self) -> int:
        """The reference of the next message, 0 to 255 (TS 23.040, 9.2.3.6)."""
        self.last_reference = (self.last_reference + 1) % 256
        return self.last_reference
