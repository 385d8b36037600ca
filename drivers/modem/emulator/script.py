"""A script of the emulator: orders that are carried out by themselves, after so many seconds or messages.

One JSON object a line: an order (`orders`), and beside it "after_s" or "after_messages" or both: so many seconds after
the start, or after the network has taken so many messages. Empty lines and those that begin with # are skipped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from drivers.fake_kit.orders import OrderInvalid
from drivers.modem.emulator.clock import Clock
from drivers.modem.emulator.fault_table import SECONDS_MAX
from drivers.modem.emulator.network import Network
from drivers.modem.emulator.orders import Orders

LINES_MAX = 10_000


class ScriptInvalid(ValueError):
    """The script has faults; the text names all of them, one a line."""


@dataclass(slots=True, frozen=True)
class Step:
    """One line of a script."""

    line: int
    order: dict[str, object]
    after_s: float = 0.0
    after_messages: int = 0


def read_script(text: str, orders: Orders) -> list[Step]:
    """The steps of a script. Raises ScriptInvalid."""
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        raise ScriptInvalid(f"The script has more than {LINES_MAX} lines.")
    steps: list[Step] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                steps.append(_step(number, line, orders))
            except OrderInvalid as problem:
                problems.append(f"Line {number}: {problem}")
    if problems:
        raise ScriptInvalid("\n".join(problems))
    return steps


def _step(number: int, line: str, orders: Orders) -> Step:
    try:
        fields: object = json.loads(line)
    except (ValueError, RecursionError):
        raise OrderInvalid("It is not JSON.") from None
    if not isinstance(fields, dict):
        raise OrderInvalid("It is not an object.")
    order = dict(fields)
    after_s, after_messages = order.pop("after_s", 0), order.pop("after_messages", 0)
    if isinstance(after_s, bool) or not isinstance(after_s, (int, float)) or not 0 <= after_s <= SECONDS_MAX:
        raise OrderInvalid(f"after_s must be seconds, from 0 to {SECONDS_MAX:.0f}.")
    if type(after_messages) is not int or after_messages < 0:
        raise OrderInvalid("after_messages must be a whole number.")
    orders.check(order)
    return Step(number, order, float(after_s), after_messages)


class ScriptRun:
    """Carries the steps out when their time has come."""

    def __init__(
        self,
        steps: list[Step],
        orders: Orders,
        network: Network,
        clock: Clock,
        *,
        failed: Callable[[str], None],
    ) -> None:
        """Begins now. `failed` is told of steps that could not be carried out."""
        self._orders = orders
        self._network = network
        self._clock = clock
        self._failed = failed
        self._taken = 0
        self._waiting = sorted(
            (step for step in steps if step.after_messages), key=lambda step: step.after_messages
        )
        for step in steps:
            if not step.after_messages:
                self._carry_out_later(step)
        network.when_message_taken(self._message_taken)

    def _message_taken(self) -> None:
        self._taken += 1
        while self._waiting and self._waiting[0].after_messages <= self._taken:
            self._carry_out_later(self._waiting.pop(0))

    def _carry_out_later(self, step: Step) -> None:
        self._clock.later(step.after_s, lambda: self._carry_out(step))

    def _carry_out(self, step: Step) -> None:
        answer = self._orders.carry_out(step.order)
        if not answer["ok"]:
            self._failed(f"Line {step.line} of the script: {answer['error']}")
