"""The faults that are in force at a fake. What they do is not decided here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from drivers.fake_kit.fault_table import Extent, FaultKind, Parameter, Value

FAULTS_MAX = 1000
Later = Callable[[float, Callable[[], None]], object]
"""Has something called in so many seconds of the fake."""


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


AnyFault = TypeVar("AnyFault", bound=Fault)


class FaultsInForce(Generic[AnyFault]):
    """Which faults of a table there are, at most FAULTS_MAX, oldest first, and how often each still strikes."""

    def __init__(self, table: Mapping[str, FaultKind]) -> None:
        self._table = table
        self._faults: list[AnyFault] = []

    def clear(self, name: str | None = None) -> int:
        """Have no fault of this name any more, or none at all; how many there were."""
        ended = [fault for fault in self._faults if name in {None, fault.name}]
        for fault in ended:
            self._end(fault)
        return len(ended)

    def all(self) -> list[AnyFault]:
        """What is in force, oldest first."""
        return list(self._faults)

    def _kind(self, name: str) -> FaultKind:
        kind = self._table.get(name)
        if kind is None:
            raise FaultInvalid(f"There is no fault named {name}. There are: {', '.join(self._table)}.")
        return kind

    def _begin(self, fault: AnyFault) -> None:
        if len(self._faults) >= FAULTS_MAX:
            raise FaultInvalid(f"There are {FAULTS_MAX} faults already; clear some.")
        self._faults.append(fault)

    def _end(self, fault: AnyFault) -> None:
        if fault in self._faults:
            self._faults.remove(fault)

    def _strikes(self, fault: AnyFault) -> bool:
        """There is an occasion for a fault: whether it strikes, and then once less."""
        if fault.skip:
            fault.skip -= 1
            return False
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                self._faults.remove(fault)
        return True


class Faults(FaultsInForce[Fault]):
    """The faults of a table whose lines have an Extent, and what is to be done at once when one begins or ends."""

    def __init__(
        self, table: Mapping[str, FaultKind], *, later: Later, struck: Callable[[Fault], None]
    ) -> None:
        """`struck` is called whenever a fault begins, and again when one that lasts has ended."""
        super().__init__(table)
        self._later = later
        self._struck = struck

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

        `count` and `skip` are for faults that strike now and then; `seconds`, of the fake, ends any that does not
        happen at once.
        """
        kind = self._kind(name)
        fault = Fault(kind, told(kind, parameters))
        if kind.when is not Extent.COUNT and (count is not None or skip):
            raise FaultInvalid(f"{name} takes neither count nor skip.")
        if kind.when is Extent.NOW:
            if seconds is not None:
                raise FaultInvalid(f"{name} happens at once and takes no seconds.")
            self._struck(fault)
            return fault
        if (count is not None and count < 1) or skip < 0 or (seconds is not None and seconds <= 0):
            raise FaultInvalid("count and seconds must be more than 0, skip must not be less.")
        if kind.when is Extent.COUNT:
            fault.left = count if count is not None or seconds is not None else 1
            fault.skip = skip
        self._begin(fault)
        if seconds is not None:
            self._later(seconds, lambda: self._end(fault))
        self._struck(fault)
        return fault

    def active(self, name: str) -> Fault | None:
        """The oldest fault of this name, which is not used up by asking."""
        return next((fault for fault in self._faults if fault.name == name), None)

    def active_all(self, name: str) -> list[Fault]:
        """Every fault of this name, oldest first."""
        return [fault for fault in self._faults if fault.name == name]

    def take(self, name: str) -> Fault | None:
        """There is an occasion: the fault if it strikes, and then once less."""
        fault = self.active(name)
        return fault if fault is not None and self._strikes(fault) else None

    def _end(self, fault: Fault) -> None:
        if fault in self._faults:
            super()._end(fault)
            self._struck(fault)


def told(kind: FaultKind, given: Mapping[str, Value]) -> dict[str, Value]:
    """All parameters of a fault: those that were given, and the defaults. Raises FaultInvalid."""
    known = {parameter.name: parameter for parameter in kind.parameters}
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(known) or "no parameters"
            raise FaultInvalid(f"{kind.name} does not take {name}; it takes {takes}.")
        _check(kind, known[name], value)
    return {name: given.get(name, parameter.default) for name, parameter in known.items()}


def _check(kind: FaultKind, parameter: Parameter, value: Value) -> None:
    what = f"{parameter.name} of {kind.name}"
    wanted = type(parameter.default)
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(
        value, (int, float) if wanted is float else wanted
    ):
        raise FaultInvalid(f"{what} must be a {wanted.__name__}.")
    if isinstance(value, str):
        if parameter.choices and value not in parameter.choices:
            raise FaultInvalid(f"{what} must be {' or '.join(parameter.choices)}.")
        if not re.fullmatch(parameter.pattern, value, re.DOTALL):
            raise FaultInvalid(f"{what} must be like {parameter.default}.")
    elif wanted is not bool and not parameter.least <= value <= parameter.most:
        raise FaultInvalid(f"{what} must be from {parameter.least:g} to {parameter.most:.0f}.")
