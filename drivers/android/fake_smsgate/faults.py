"""The faults that are in force at a fake phone. What they do is not decided here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.android.fake_smsgate.fault_table import FAULTS, Extent, FaultKind, Parameter, Value

FAULTS_MAX = 1000


class FaultInvalid(ValueError):
    """There is no such fault, or it cannot be told that; the text is for people."""


@dataclass(slots=True, eq=False)
class Fault:
    """One fault, as it was asked for."""

    kind: FaultKind
    parameters: dict[str, Value] = field(default_factory=dict[str, Value])
    left: int | None = None
    """How often it still strikes; None: as long as it lasts."""
    skip: int = 0
    """Occasions that still go well before it strikes."""

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        """A parameter that is a text."""
        return str(self.parameters[name])

    def flag(self, name: str) -> bool:
        """A parameter that is yes or no."""
        return bool(self.parameters[name])


class Faults:
    """Which faults a phone has, and what is to be done at once when one begins or ends."""

    def __init__(self, clock: PhoneClock, *, struck: Callable[[Fault], None]) -> None:
        """`struck` is called whenever a fault begins, and again when one that lasts has ended."""
        self._clock = clock
        self._struck = struck
        self._faults: list[Fault] = []

    def add(
        self,
        name: str,
        /,
        *,
        count: int | None = None,
        seconds: float | None = None,
        skip: int = 0,
        **parameters: Value,
    ) -> Fault:
        """Have a fault of the table. Raises FaultInvalid.

        `count` and `skip` are for faults that strike now and then; `seconds`, of the phone, ends any that does not
        happen at once.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise FaultInvalid(f"There is no fault named {name}. There are: {', '.join(FAULTS)}.")
        fault = Fault(kind, _parameters(kind, parameters))
        if kind.extent is not Extent.COUNT and (count is not None or skip):
            raise FaultInvalid(f"{name} takes neither count nor skip.")
        if kind.extent is Extent.NOW:
            if seconds is not None:
                raise FaultInvalid(f"{name} happens at once and takes no seconds.")
            self._struck(fault)
            return fault
        if (count is not None and count < 1) or skip < 0 or (seconds is not None and seconds <= 0):
            raise FaultInvalid("count and seconds must be more than 0, skip must not be less.")
        if len(self._faults) >= FAULTS_MAX:
            raise FaultInvalid(f"There are {FAULTS_MAX} faults already; clear some.")
        if kind.extent is Extent.COUNT:
            fault.left = count if count is not None or seconds is not None else 1
            fault.skip = skip
        if seconds is not None:
            self._clock.later(seconds, lambda: self._end(fault))
        self._faults.append(fault)
        self._struck(fault)
        return fault

    def clear(self, name: str | None = None) -> int:
        """Have no fault of this name any more, or none at all; how many there were."""
        ended = [fault for fault in self._faults if name in {None, fault.kind.name}]
        for fault in ended:
            self._end(fault)
        return len(ended)

    def all(self) -> list[Fault]:
        """What is in force, oldest first."""
        return list(self._faults)

    def active(self, name: str) -> Fault | None:
        """The oldest fault of this name, which is not used up by asking."""
        return next((fault for fault in self._faults if fault.kind.name == name), None)

    def active_all(self, name: str) -> list[Fault]:
        """Every fault of this name, oldest first."""
        return [fault for fault in self._faults if fault.kind.name == name]

    def take(self, name: str) -> Fault | None:
        """There is an occasion: the fault if it strikes, and then once less."""
        fault = self.active(name)
        if fault is None:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                self._faults.remove(fault)
        return fault

    def _end(self, fault: Fault) -> None:
        if fault in self._faults:
            self._faults.remove(fault)
            self._struck(fault)


def _parameters(kind: FaultKind, given: dict[str, Value]) -> dict[str, Value]:
    known = {parameter.name: parameter for parameter in kind.parameters}
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(known) or "no parameters"
            raise FaultInvalid(f"{kind.name} does not take {name}; it takes {takes}.")
        _check(kind, known[name], value)
    return {name: given.get(name, parameter.default) for name, parameter in known.items()}


def _check(kind: FaultKind, parameter: Parameter, value: Value) -> None:
    wanted = type(parameter.default)
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(
        value, (int, float) if wanted is float else wanted
    ):
        raise FaultInvalid(f"{parameter.name} of {kind.name} must be a {wanted.__name__}.")
    if isinstance(value, str):
        if parameter.choices and value not in parameter.choices:
            raise FaultInvalid(f"{parameter.name} of {kind.name} must be {' or '.join(parameter.choices)}.")
    elif wanted is not bool and not parameter.least <= value <= parameter.most:
        raise FaultInvalid(
            f"{parameter.name} of {kind.name} must be from {parameter.least:g} to {parameter.most:.0f}."
        )
