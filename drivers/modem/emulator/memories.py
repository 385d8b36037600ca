"""The message memories of a modem and which of them is used for what (+CPMS, 3GPP TS 27.005, 3.2.2)."""

from collections.abc import Callable, Sequence

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import MessageRefusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.sim_slot import SimSlot
from drivers.modem.emulator.storage import Store, StoredMessage

MODEM_MESSAGES = 100
REPORTS = 20
READING, WRITING, RECEIVING = range(3)
CHOICES = (("SM", "ME", "SR"), ("SM", "ME"), ("SM", "ME"))


class Memories:
    """SM is the SIM's, ME the modem's, SR holds status reports. All but the choice outlives a restart."""

    def __init__(self, slot: SimSlot, faults: Faults, *, freed: Callable[[], None]) -> None:
        """`freed` is called when there may be room where there was none."""
        self._slot = slot
        self._faults = faults
        self._freed = freed
        self._modem = Store("ME", MODEM_MESSAGES)
        self._reports = Store("SR", REPORTS)
        self._chosen = ["SM", "SM", "SM"]

    def reset(self) -> None:
        """The choice is what it was at the factory."""
        self._chosen = ["SM", "SM", "SM"]

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {"+CPMS": self._choice}

    def chosen(self, purpose: int) -> Store:
        """The memory for READING, WRITING or RECEIVING. Raises MessageRefusal if the SIM cannot be used."""
        return self.named(self._chosen[purpose])

    def named(self, name: str) -> Store:
        """A memory. Raises MessageRefusal if it is the SIM's, which cannot be used."""
        if name == "SM":
            return self._slot.require_for_messages().messages
        return self._modem if name == "ME" else self._reports

    def put(self, store: Store, message: StoredMessage) -> int | None:
        """Store a message; its index, or None if there is no room."""
        return None if self._faults.active("memory_full") else store.put(message)

    def remove(self, store: Store, index: int) -> None:
        """Empty a slot."""
        store.remove(index)
        self._freed()

    def _used(self, store: Store) -> int:
        return store.capacity if self._faults.active("memory_full") else len(store)

    def _choice(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            listed = ",".join("(" + ",".join(f'"{name}"' for name in names) + ")" for names in CHOICES)
            return [f"+CPMS: {listed}"]
        if call.form is Form.READ:
            stores = [self.named(name) for name in self._chosen]
            shown = ",".join(f'"{store.name}",{self._used(store)},{store.capacity}' for store in stores)
            return [f"+CPMS: {shown}"]
        chosen = list(self._chosen)
        for purpose, name in enumerate(call.arguments):
            if purpose >= len(CHOICES) or name.upper() not in CHOICES[purpose]:
                raise MessageRefusal(302)
            chosen[purpose] = name.upper()
        stores = [self.named(name) for name in chosen]
        self._chosen = chosen
        return ["+CPMS: " + ",".join(f"{self._used(store)},{store.capacity}" for store in stores)]
