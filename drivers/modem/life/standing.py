"""How a modem stands: what is known about it, put together into the one condition that the core is told.

Owns the order in which conditions hide each other, and that the core hears of changes only. Knows no port and no AT.
"""

import asyncio

from drivers.modem.conditions import WINDOW, Condition, Reason
from drivers.modem.life.pacing import Pacer
from drivers.modem.setup.reception import Reception
from drivers.modem.timing import Timing
from drivers.runtime import Context
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.v1.device_pb2 import DeviceState
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)

FAILURES_MAX = 3
"""Failures of the device in a row after which it rests."""
SIGNAL_STEP_PERCENT = 10
"""A change of the signal that is worth a report of its own."""
BATTERY_UNKNOWN = -1
FAILURE_REASONS: dict[Reason, FailureReason] = {
    Reason.SEARCHING: FAILURE_REASON_NO_SERVICE,
    Reason.NO_NETWORK: FAILURE_REASON_NO_SERVICE,
    Reason.REGISTRATION_DENIED: FAILURE_REASON_NO_SERVICE,
    Reason.RADIO_OFF: FAILURE_REASON_NO_SERVICE,
    Reason.DAILY_LIMIT: FAILURE_REASON_RATE_LIMITED,
}
"""What is said of a command that such a modem does not start; every other condition is a fault of the device."""


class Standing:
    """The condition of one modem."""

    def __init__(self, context: Context, name: str, pacer: Pacer, timing: Timing) -> None:
        self._context = context
        self._name = name
        self._pacer = pacer
        self._timing = timing
        self._clock = context.clock
        self._way = Condition(Reason.STARTING)
        """How far the modem is on its way to a line; READY once it has one."""
        self._extras: set[Reason] = set()
        """What is wrong with a modem that has a line: POLLING, MEMORY_FULL, SMSC_MISSING."""
        self.reception: Reception | None = None
        self._without_network_since: float | None = None
        self._failures = 0
        self._rests = 0
        self._rests_until: float | None = None
        self._told: tuple[Condition, int] = (self._way, -1)
        self._telling = asyncio.Lock()
        self.up = asyncio.Event()
        """Set while the core knows that commands can be started."""
        self.down = asyncio.Event()
        self.down.set()

    # What others find out. Each changes what is known; `tell` makes it known.

    def on_the_way(self, condition: Condition) -> None:
        """The modem has no line, for this reason."""
        self._way = condition
        self._extras.clear()
        self.reception = None
        self._without_network_since = None

    def has_line(self) -> None:
        """The modem is set up; nothing is known of its network yet."""
        self._way = Condition(Reason.READY)
        self._without_network_since = self._clock.monotonic()

    def mark(self, reason: Reason, *, holds: bool) -> None:
        """One of the things that can be wrong with a modem that has a line."""
        (self._extras.add if holds else self._extras.discard)(reason)

    def heard(self, reception: Reception) -> None:
        """How the modem is connected now."""
        self.reception = reception
        if reception.is_registered:
            self._without_network_since = None
        elif self._without_network_since is None:
            self._without_network_since = self._clock.monotonic()

    def failed(self) -> None:
        """Nothing of a message went out, for a reason that lies in the device."""
        self._failures += 1
        if self._failures >= FAILURES_MAX and self._rests_until is None:
            rest_s = min(self._timing.failing_s * 2**self._rests, self._timing.failing_max_s)
            self._rests += 1
            self._rests_until = self._clock.monotonic() + rest_s

    def succeeded(self) -> None:
        """A message went out."""
        self._failures = 0
        self._rests = 0

    @property
    def is_waiting_for_network(self) -> bool:
        """It was not in its network when it was heard of last, or was not heard of at all."""
        return self.reception is None or not self.reception.is_registered

    @property
    def is_resting(self) -> bool:
        """It takes nothing for a while, because it failed too often."""
        return self._rests_until is not None

    @property
    def may_be_tried_again(self) -> bool:
        """It has rested long enough after its failures."""
        return self._rests_until is not None and self._clock.monotonic() >= self._rests_until

    def rested(self) -> None:
        """It looks well again. One more failure and it rests for longer."""
        self._rests_until = None
        self._failures = FAILURES_MAX - 1

    # What follows.

    @property
    def condition(self) -> Condition:
        """What comes first of all that is known."""
        if self._way.reason is not Reason.READY:
            return self._way
        network = self._network()
        if network is not None:
            return Condition(network)
        if Reason.SMSC_MISSING in self._extras:
            return Condition(Reason.SMSC_MISSING)
        if self._rests_until is not None:
            return Condition(Reason.FAILING)
        if self._pacer.is_exhausted:
            return Condition(Reason.DAILY_LIMIT)
        for reason in (Reason.MEMORY_FULL, Reason.POLLING):
            if reason in self._extras:
                return Condition(reason)
        return self._way

    def _network(self) -> Reason | None:
        """Why there is no network; None if there is one."""
        if self.reception is not None and self.reception.is_registered:
            return None
        if self.reception is not None and self.reception.is_denied:
            return Reason.REGISTRATION_DENIED
        since = self._without_network_since
        is_patience_over = (
            since is not None and self._clock.monotonic() - since >= self._timing.registration_s
        )
        return Reason.NO_NETWORK if is_patience_over else Reason.SEARCHING

    @property
    def remedy(self) -> str:
        """What a person can do."""
        return self.condition.remedy(self._name)

    @property
    def window(self) -> int:
        """How many commands the modem has in hand."""
        return WINDOW if self.condition.can_send else 0

    @property
    def signal_percent(self) -> int:
        """-1 if it is not known."""
        return self.reception.signal_percent if self.reception is not None else -1

    @property
    def failure_reason(self) -> FailureReason:
        """What to say of a command that is not started because of the condition."""
        return FAILURE_REASONS.get(self.condition.reason, FAILURE_REASON_DEVICE_FAULT)

    @property
    def sentence(self) -> str:
        """The condition for people, with its code."""
        reason = self.condition.reason
        return f"The modem {self._name} cannot send now ({reason}). {self.remedy}".strip()

    async def tell(self) -> None:
        """Tell the core, if it is not as it was told last."""
        async with self._telling:
            condition, signal = self.condition, self.signal_percent
            told, signal_told = self._told
            is_other_signal = (signal < 0) != (signal_told < 0) or abs(
                signal - signal_told
            ) >= SIGNAL_STEP_PERCENT
            if condition == told and not is_other_signal:
                return
            self._told = condition, signal
            (self.up if condition.can_send else self.down).set()
            (self.down if condition.can_send else self.up).clear()
            if condition != told:
                self._context.log.info(
                    "modem.changed",
                    device=self._name,
                    state=DeviceState.Name(condition.state),
                    reason=condition.reason.value,
                    before=told.reason.value,
                    window=self.window,
                    signal_percent=signal,
                )
            await self._context.device_changed(
                DeviceChanged(
                    device_key=self._name,
                    state=condition.state,
                    reason=condition.reason.value,
                    remedy=condition.remedy(self._name)[:500],
                    window=WINDOW if condition.can_send else 0,
                    signal_percent=signal,
                    battery_percent=BATTERY_UNKNOWN,
                )
            )
