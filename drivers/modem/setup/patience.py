"""Asks again where the answer is "busy".

Owns what busy means, in which codes it is said, and for how long that is accepted. A SIM that has just been switched
on says it for seconds (3GPP TS 27.007 §9.2, +CME ERROR: 14; TS 27.005 §3.2.5, +CMS ERROR: 314).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.line import Commands
from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock

BUSY = frozenset({(Domain.CME, 14), (Domain.CMS, 314)})
NOT_YET = BUSY | {(Domain.CME, 13), (Domain.CMS, 313)}
"""What a SIM that has just become ready says when its files are read: "failure" for a moment, as well as "busy"."""

T = TypeVar("T")


class Patience:
    """Asks until the answer is another one than "busy", for at most `Timing.sim_busy_s`."""

    def __init__(self, timing: Timing, clock: Clock) -> None:
        self._timing = timing
        self._clock = clock

    async def ask(self, commands: Commands, command: str, *, timeout_s: float) -> Sequence[str]:
        """The answer. Raises CommandRefused with the last refusal, CommandUnanswered, ChannelClosed."""
        return await self.until_told(lambda: commands.execute(command, timeout_s=timeout_s), busy=BUSY)

    async def until_told(
        self, question: Callable[[], Awaitable[T]], *, busy: frozenset[tuple[Domain, int]]
    ) -> T:
        """The same for any question; `busy` are the refusals after which it is asked again."""
        give_up_at = self._clock.monotonic() + self._timing.sim_busy_s
        while True:
            try:
                return await question()
            except CommandRefused as refused:
                if (refused.domain, refused.code) not in busy or self._clock.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(self._timing.busy_step_s)
