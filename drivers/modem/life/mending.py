"""Mends a modem that does not answer: carries out what the ladder says.

Owns how each measure is done and when one is allowed. A reset is only for a port on which this modem is known to have
answered; the owner's command is the owner's decision.
"""

import asyncio
from collections.abc import Awaitable, Callable

from drivers.modem.at.results import ChannelClosed, CommandRefused, CommandUnanswered
from drivers.modem.conditions import Condition, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.life.finder import Finder
from drivers.modem.life.known_port import KnownPort
from drivers.modem.life.ladder import Ladder, Step
from drivers.modem.life.reset_command import run_reset_command
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.timing import Timing
from drivers.runtime import Context

Tell = Callable[[Condition], Awaitable[None]]


class Mender:
    """Mends one modem."""

    def __init__(
        self, context: Context, config: ModemConfig, timing: Timing, finder: Finder, *, known: KnownPort
    ) -> None:
        self._context = context
        self._config = config
        self._timing = timing
        self._finder = finder
        self._ladder = Ladder(timing, context.clock, has_command=bool(config.reset_command))
        self._quirks = quirks_for("", "", config.quirks)
        self._known = known
        self.resets = 0
        """Resets since the process started, the owner's command included."""

    async def works(self, quirks: Quirks, url: str) -> None:
        """The modem was set up: it is on this port, and this is how it is reset."""
        self._ladder.works()
        self._quirks = quirks
        await self._known.keep(url)

    async def mend(self, tell: Tell, url: str | None, *, is_deaf: bool) -> None:
        """The modem cannot be worked with, and its port is closed: do the next thing. Look for it afterwards.

        `url` is its port; None: any of several may be. `is_deaf`: it does not answer at all, so it is spared the reset
        if it does by then. Otherwise it answers and cannot be set up. Raises NotReady if a port is wanted and there is
        none.
        """
        step = self._ladder.next_step(may_reset=await self._is_known(url))
        match step:
            case Step.REOPEN:
                await tell(Condition(Reason.NOT_ANSWERING))
            case Step.RESET:
                await tell(Condition(Reason.RESETTING))
                await self._reset(is_deaf=is_deaf)
            case Step.RUN_COMMAND:
                await tell(Condition(Reason.RESETTING))
                await self._run_command()
            case Step.REST:
                is_hopeless = self.resets > 0 or bool(self._config.reset_command)
                await tell(Condition(Reason.STUCK if is_hopeless else Reason.NOT_ANSWERING))
                await asyncio.sleep(self._timing.port_refused_s)

    async def _is_known(self, url: str | None) -> bool:
        """Whether this is where the modem answered last."""
        return url is not None and url == await self._known.url()

    async def _reset(self, *, is_deaf: bool) -> None:
        """Write the reset command, unless the modem answers by now or it is another port that is left."""
        found = await self._finder.find()
        try:
            if (found.answers and is_deaf) or not await self._is_known(found.url):
                return
            if not found.answers:
                # The channel to a modem that does not answer has ended. Deaf modems hear this more often than one
                # would think, so it is written all the same.
                found = await self._finder.reopen(found)
            await found.connection.execute(self._quirks.reset_at, timeout_s=self._timing.reset_answer_s)
        except (CommandRefused, CommandUnanswered):
            pass  # an answer is not to be expected
        except ChannelClosed:
            return
        finally:
            await self._finder.close(found)
        self._note(Step.RESET)
        await asyncio.sleep(self._timing.reset_settle_s)

    async def _run_command(self) -> None:
        command, within_s = self._config.reset_command, self._timing.reset_command_s
        try:
            status = await run_reset_command(command, within_s=within_s)
        except OSError as error:
            self._note(Step.RUN_COMMAND, problem=error.strerror or type(error).__name__)
            return
        self._note(Step.RUN_COMMAND, status=status)
        await asyncio.sleep(self._timing.reset_settle_s)

    def _note(self, step: Step, **details: object) -> None:
        self.resets += 1
        self._context.log.warning(
            "modem.reset", device=self._config.name, step=step.name.lower(), resets=self.resets, **details
        )
