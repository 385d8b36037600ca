"""The faults that are in force at the fake Graph. What they do is not decided here."""

from dataclasses import dataclass

from drivers.fake_kit import faults
from drivers.fake_kit.fault_table import Value
from drivers.fake_kit.faults import FaultInvalid, FaultsInForce
from drivers.whatsapp_cloud.fake_graph.fault_table import FAULTS, Occasion


@dataclass(slots=True, eq=False)
class Fault(faults.Fault):
    """One fault, as it was asked for."""

    recipient: str = ""
    """Only for messages to this user or group; empty: for all."""


class Faults(FaultsInForce[Fault]):
    """Which faults there are."""

    def __init__(self) -> None:
        super().__init__(FAULTS)

    def add(
        self, name: str, /, *, count: int | None = 1, skip: int = 0, recipient: str = "", **parameters: Value
    ) -> Fault:
        """Have a fault of the table strike the next `count` times (None: until it is cleared), after `skip` times.

        `recipient`, E.164 or an id, leaves all messages to others alone. Raises FaultInvalid.
        """
        kind = self._kind(name)
        if (count is not None and count < 1) or skip < 0:
            raise FaultInvalid("count must be more than 0, skip must not be less.")
        if recipient and kind.when is Occasion.WEBHOOK:
            raise FaultInvalid(f"{name} strikes webhooks and takes no recipient.")
        fault = Fault(kind, faults.told(kind, parameters), count, skip, recipient.lstrip("+"))
        self._begin(fault)
        return fault

    def at(self, occasion: Occasion, recipient: str = "") -> Fault | None:
        """There is an occasion: the oldest fault that strikes, and then once less."""
        for fault in self.all():
            if fault.kind.when is not occasion or fault.recipient not in {"", recipient.lstrip("+")}:
                continue
            if self._strikes(fault):
                return fault
        return None
