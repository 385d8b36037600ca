"""The clients of a simulated world: they ask, repeat what was not answered, and remember every answer.

Owns what was promised to whom. Some calls name an external id, some repeat one with the same content or another.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.errors import DeviceNotFound, ExternalIdConflict, InfiniReachError, NotCancellable, NotFound
from core.messages import Accepted, NewMessage
from tests.fakes.database import TENANT_A
from tests.simulation.checker import Checker, Rule
from tests.simulation.core_host import CoreHost

CALL_TIMEOUT_S = 5.0
BATCH_MAX = 4
RECIPIENT = "+15559999999"


@dataclass(slots=True, eq=False)
class Request:
    """One message that a client wants to be sent; `label` is unique and the first word of its text."""

    label: str
    new: NewMessage
    sent: int = 0
    answered: set[str] = field(default_factory=set[str])
    """Message ids that it got; never more than one."""
    is_refused: bool = False
    is_served: bool = False
    """It was first asked for in a world in repair, so it does not expire."""


class Clients:
    """All clients."""

    def __init__(
        self,
        chance: random.Random,
        checker: Checker,
        numbers: Sequence[str],
        *,
        choose_core: Callable[[], CoreHost | None],
        write_script: Callable[[str], None],
    ) -> None:
        self.requests: list[Request] = []
        self.cancelled: set[str] = set()
        """Messages of which a client was told that they are cancelled."""
        self._chance = chance
        self._checker = checker
        self._numbers = numbers
        self._choose_core = choose_core
        self._write_script = write_script
        self._calls = 0
        self._is_served = False

    def expect_service(self) -> None:
        """From now on everything works."""
        self._is_served = True

    def is_idle(self) -> bool:
        """Whether every call has come back."""
        return self._calls == 0

    async def run(self, batches: int, duration_s: float) -> None:
        """Make so many calls in about so many seconds."""
        for _ in range(batches):
            await asyncio.sleep(self._chance.expovariate(batches / duration_s))
            batch = [self._next_request() for _ in range(self._chance.randint(1, BATCH_MAX))]
            await self._call(batch)

    async def repeat_unanswered(self) -> None:
        """Ask again where the answer was lost and asking again is safe."""
        waiting = [r for r in self.requests if r.new.external_id and not r.answered and not r.is_refused]
        for start in range(0, len(waiting), BATCH_MAX):
            await self._call(waiting[start : start + BATCH_MAX])

    def are_answered(self) -> bool:
        """Whether everyone who may ask again has an answer."""
        return all(r.answered or r.is_refused or not r.new.external_id for r in self.requests)

    async def cancel_one(self) -> None:
        """Ask to cancel some message."""
        known = [message_id for request in self.requests for message_id in request.answered]
        core = self._choose_core()
        if not known or core is None:
            return
        message_id = self._chance.choice(known)
        call = core.process.spawn(core.cancel(message_id), "cancel")
        await self._wait(call)
        if not call.done() or call.cancelled():
            return
        error = call.exception()
        if error is None:
            self.cancelled.add(message_id)
        elif isinstance(error, NotFound):
            self._checker.find(Rule.ACCEPTED, f"{message_id} is not found")
        elif not isinstance(error, NotCancellable) and not isinstance(error, InfiniReachError):
            self._checker.find(Rule.FAULT, f"cancel raised {error!r}")

    def _next_request(self) -> Request:
        with_id = [request for request in self.requests if request.new.external_id]
        if with_id and self._chance.random() < 0.2:
            return self._chance.choice(with_id)
        external_id = f"order-{len(self.requests)}" if self._chance.random() < 0.7 else None
        if with_id and self._chance.random() < 0.1:
            external_id = self._chance.choice(with_id).new.external_id
        label = f"m{len(self.requests)}"
        text = label + " text" * self._chance.choice((1, 1, 1, 40, 80))
        sender = self._chance.choice(self._numbers)
        new = NewMessage(
            tenant_id=TENANT_A, to=RECIPIENT, text=text, sender=sender, channel="sms", external_id=external_id
        )
        request = Request(label, new, is_served=self._is_served)
        self.requests.append(request)
        self._write_script(label)
        return request

    async def _call(self, batch: list[Request]) -> None:
        core = self._choose_core()
        if core is None:
            return
        for request in batch:
            request.sent += 1
        call = core.process.spawn(core.accept([request.new for request in batch]), "accept")
        await self._wait(call)
        if not call.done() or call.cancelled():
            return
        error = call.exception()
        if error is not None:
            if not isinstance(error, InfiniReachError):
                self._checker.find(Rule.FAULT, f"accept raised {error!r}")
            return
        for request, outcome in zip(batch, call.result(), strict=True):
            self._note(request, outcome)

    async def _wait(self, call: asyncio.Task[object]) -> None:
        call.add_done_callback(_look_at)
        self._calls += 1
        try:
            await asyncio.wait([call], timeout=CALL_TIMEOUT_S)
        finally:
            self._calls -= 1

    def _note(self, request: Request, outcome: Accepted | InfiniReachError) -> None:
        external_id = request.new.external_id
        rivals = [
            r for r in self.requests if r is not request and external_id and r.new.external_id == external_id
        ]
        if isinstance(outcome, Accepted):
            request.answered.add(outcome.message_id)
            if len(request.answered) > 1 or any(rival.answered for rival in rivals):
                text = f"{external_id} names {request.answered} and {[r.answered for r in rivals]}"
                self._checker.find(Rule.EXTERNAL_ID, text)
            return
        request.is_refused = True
        if isinstance(outcome, ExternalIdConflict):
            if request.answered or not any(rival.sent for rival in rivals):
                self._checker.find(Rule.EXTERNAL_ID, f"{external_id} is refused, and nobody else has it")
        elif not isinstance(outcome, DeviceNotFound):
            self._checker.find(Rule.FAULT, f"accept answered {outcome!r}")


def _look_at(call: asyncio.Task[object]) -> None:
    """A client that waits no longer still does not leave an error unseen."""
    if not call.cancelled():
        call.exception()
