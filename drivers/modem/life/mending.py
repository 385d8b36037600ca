"""Mends a modem that does not answer: carries out what the ladder says.

Owns how each measure is done and when one is allowed. A reset is only for a port on which this modem is known to have
answered; the owner's command is the owner's decision.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable

from drivers.modem.at.results import AtFailure
from drivers.modem.conditions import Condition, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.life.finder import Finder
from drivers.modem.life.ladder import Ladder, Step
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.timing import Timing
from drivers.runtime import Context

SECRETS_PREFIX = "INFINIREACH_"
"""Variables that the owner's command does not get: the driver's token is among them."""

Tell = Callable[[Condition], Awaitable[None]]


class Mender:
    """Mends one modem."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing, finder: Finder) -> None:
        self._context = context
        self._config = config
        self._timing = timing
        self._finder = finder
        self._ladder = Ladder(timing, context.clock, has_command=bool(config.reset_command))
        self._quirks = quirks_for("", "", config.quirks)
        self._place = f"modem/{config.name}/answered"
        self._is_known: bool | None = None
        self.resets = 0
        """Resets since the process started, the owner's command included."""

    async def works(self, quirks: Quirks) -> None:
        """The modem was set up: it is on this port, and this is how it is reset."""
        self._ladder.works()
        self._quirks = quirks
        if not await self._knows_port():
            await self._context.store.write({self._place: self._config.port.encode()})
            self._is_known = True

    async def mend(self, tell: Tell, *, is_deaf: bool) -> None:
        """The modem cannot be worked with, and its port is closed: do the next thing. Look for it afterwards.

        `is_deaf`: it does not answer at all, so it is spared the reset if it does by then. Otherwise it answers and
        cannot be set up. Raises NotReady if a port is wanted and there is none.
        """
        step = self._ladder.next_step(may_reset=await self._knows_port())
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

    async def _knows_port(self) -> bool:
        """Whether this modem has ever answered on the port of modems.toml."""
        if self._is_known is None:
            stored = await self._context.store.read(self._place)
            self._is_known = stored.get(self._place) == self._config.port.encode()
        return self._is_known

    async def _reset(self, *, is_deaf: bool) -> None:
        found = await self._finder.find()
        try:
            if found.answers and is_deaf:
                return
            with contextlib.suppress(AtFailure):
                # Deaf modems hear this more often than one would think; an answer is not to be expected.
                await found.connection.execute(self._quirks.reset_at, timeout_s=self._timing.reset_answer_s)
        finally:
            await self._finder.close(found)
        self._note(Step.RESET)
        await asyncio.sleep(self._timing.reset_settle_s)

    async def _run_command(self) -> None:
        """Run the owner's command, without a shell; it has its time and is killed afterwards."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(SECRETS_PREFIX)
        }
        status: int | None = None
        try:
            process = await asyncio.create_subprocess_exec(
                *self._config.reset_command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            self._note(Step.RUN_COMMAND, problem=error.strerror or type(error).__name__)
            return
        try:
            status = await asyncio.wait_for(process.wait(), self._timing.reset_command_s)
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._note(Step.RUN_COMMAND, status=status)
        await asyncio.sleep(self._timing.reset_settle_s)

    def _note(self, step: Step, **details: object) -> None:
        self.resets += 1
        self._context.log.warning(
            "modem.reset", device=self._config.name, step=step.name.lower(), resets=self.resets, **details
        )
