"""The faults that are in force at the fake Graph. What they do is not decided here."""

from dataclasses import dataclass, field

from drivers.whatsapp_cloud.fake_graph.fault_table import FAULTS, NUMBER_MAX, FaultKind, Occasion, Value

FAULTS_MAX = 1000


class FaultInvalid(ValueError):
    """There is no such fault, or it cannot be told that; the text is for people."""


@dataclass(slots=True, eq=False)
class Fault:
    """One fault, as it was asked for."""

    kind: FaultKind
    recipient: str
    """Only for messages to this user or group; empty: for all."""
    left: int | None
    """How often it still strikes; None: until it is cleared."""
    skip: int
    """Occasions that still go well before it strikes."""
    parameters: dict[str, Value] = field(default_factory=dict[str, Value])

    @property
    def name(self) -> str:
        """As in the table."""
        return self.kind.name

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def integer(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.parameters[name])

    def text(self, name: str) -> str:
        """A parameter that is a text."""
        return str(self.parameters[name])

    def flag(self, name: str) -> bool:
        """A parameter that is yes or no."""
        return bool(self.parameters[name])


class Faults:
    """Which faults there are."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(
        self, name: str, /, *, count: int | None = 1, skip: int = 0, recipient: str = "", **parameters: Value
    ) -> Fault:
        """Have a fault of the table strike the next `count` times (None: until it is cleared), after `skip` times.

        `recipient`, E.164 or an id, leaves all messages to others alone. Raises FaultInvalid.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise FaultInvalid(f"There is no fault named {name}. There are: {', '.join(FAULTS)}.")
        if (count is not None and count < 1) or skip < 0:
            raise FaultInvalid("count must be more than 0, skip must not be less.")
        if recipient and kind.occasion is Occasion.WEBHOOK:
            raise FaultInvalid(f"{name} strikes webhooks and takes no recipient.")
        if len(self._faults) >= FAULTS_MAX:
            raise FaultInvalid(f"There are {FAULTS_MAX} faults already; clear some.")
        fault = Fault(kind, recipient.lstrip("+"), count, skip, _parameters(kind, parameters))
        self._faults.append(fault)
        return fault

    def clear(self, name: str = "") -> int:
        """Have no fault of this name any more, or none at all; how many there were."""
        ended = [fault for fault in self._faults if name in {"", fault.name}]
        self._faults = [fault for fault in self._faults if fault not in ended]
        return len(ended)

    def all(self) -> list[Fault]:
        """What is in force, oldest first."""
        return list(self._faults)

    def at(self, occasion: Occasion, recipient: str = "") -> Fault | None:
        """There is an occasion: the oldest fault that strikes, and then once less."""
        for fault in self._faults:
            if fault.kind.occasion is not occasion or fault.recipient not in {"", recipient.lstrip("+")}:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left == 0:
                    self._faults.remove(fault)
            return fault
        return None


def _parameters(kind: FaultKind, given: dict[str, Value]) -> dict[str, Value]:
    known = {parameter.name: parameter.default for parameter in kind.parameters}
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(known) or "no parameters"
            raise FaultInvalid(f"{kind.name} does not take {name}; it takes {takes}.")
        wanted = type(known[name])
        fits = isinstance(value, (int, float) if wanted is float else wanted)
        if not fits or isinstance(value, bool) is not (wanted is bool):
            raise FaultInvalid(f"{name} of {kind.name} must be a {wanted.__name__}.")
        if isinstance(value, (int, float)) and not 0 <= value <= NUMBER_MAX:
            raise FaultInvalid(f"{name} of {kind.name} must be from 0 to {NUMBER_MAX:.0f}.")
    return {**known, **given}
