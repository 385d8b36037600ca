"""The place for a SIM in a modem: which card is in it, and whether it can be used just now."""

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.errors import EquipmentRefusal, MessageRefusal
from drivers.modem.emulator.sim import Sim, SimState

_EQUIPMENT_CODES = {SimState.PIN: 11, SimState.PUK: 12, SimState.BLOCKED: 13}
_MESSAGE_CODES = {10: 310, 13: 313, 14: 314, 11: 311, 12: 316}


class SimSlot:
    """A card, seen through the faults of the modem."""

    def __init__(self, sim: Sim, faults: Faults) -> None:
        self.sim = sim
        self._faults = faults

    def problem(self) -> int | None:
        """The +CME ERROR code of why the card does not answer at all; None if it does."""
        for fault, code in (("no_sim", 10), ("sim_failure", 13), ("sim_busy", 14)):
            if self._faults.active(fault):
                return code
        return 13 if self.sim.state is SimState.BLOCKED else None

    @property
    def can_register(self) -> bool:
        """Whether the network may be asked for with this card. One that is busy has been read already."""
        return self.problem() in {None, 14} and self.sim.state is SimState.READY

    def require_card(self) -> Sim:
        """The card, locked or not. Raises EquipmentRefusal."""
        if (code := self.problem()) is not None:
            raise EquipmentRefusal(code)
        return self.sim

    def require(self) -> Sim:
        """The card, for a command about the equipment. Raises EquipmentRefusal."""
        sim = self.require_card()
        if sim.state is not SimState.READY:
            raise EquipmentRefusal(_EQUIPMENT_CODES[sim.state])
        return sim

    def require_for_messages(self) -> Sim:
        """The card, for a command about messages. Raises MessageRefusal."""
        try:
            return self.require()
        except EquipmentRefusal as refusal:
            raise MessageRefusal(_MESSAGE_CODES[refusal.code]) from None
