"""Looks after a modem that works: signal, network, memory, and whether it still is as it was set up.

Owns when is looked and what is noticed. It mends nothing: it says that the modem has to be set up again, and why.
"""

import asyncio
import contextlib

from drivers.modem.at.results import CommandRefused, CommandUnanswered, Unsolicited
from drivers.modem.at.unsolicited import RESTARTED
from drivers.modem.conditions import Reason
from drivers.modem.life.standing import Standing
from drivers.modem.setup.answers import numbers, value_of
from drivers.modem.setup.identity import ask, read_iccid
from drivers.modem.setup.notification import read_back
from drivers.modem.setup.reception import read_reception
from drivers.modem.setup.start_up import SetUp, read_smsc
from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock

MAY_HAVE_RESTARTED = frozenset({
    "READY",
    "APP RDY",
    "SMS READY",
    "SMS DONE",
    "CALL READY",
    "SIM READY",
    "PB DONE",
    "+PBREADY",
    "+CFUN",
    "+CPIN",
    "^SIMST",
})
"""Said at a start too, and at other times: the modem is asked whether it still has its settings."""
NETWORK = frozenset({"+CREG", "+CEREG"})


class Health:
    """Looks after one modem from its set-up until it has to be set up again."""

    def __init__(self, set_up: SetUp, standing: Standing, timing: Timing, clock: Clock) -> None:
        self._set_up = set_up
        self._commands = set_up.line.commands
        self._standing = standing
        self._timing = timing
        self._clock = clock
        self._news = asyncio.Event()
        self._has_restarted = False
        self._is_suspicious = False

    def take(self, unsolicited: Unsolicited) -> None:
        """Something that the modem says unasked; never blocks."""
        name = unsolicited.name.upper()
        if name in RESTARTED or (name == "+CPIN" and unsolicited.parameters != "READY"):
            self._has_restarted = True
        elif name in MAY_HAVE_RESTARTED:
            self._is_suspicious = True
        elif name not in NETWORK:
            return
        self._news.set()

    def suspect(self) -> None:
        """Something is as if the modem had lost its settings: ask it."""
        self._is_suspicious = True
        self._news.set()

    def look_again(self) -> None:
        """Something else has changed that the modem's condition depends on."""
        self._news.set()

    async def run(self) -> str:
        """Look after it until it has to be set up again; why, for the log. Raises ChannelClosed."""
        checked_at = self._clock.monotonic()
        while not self._has_restarted:
            await self._look()
            is_due = self._clock.monotonic() - checked_at >= self._timing.reassert_s
            if is_due or self._is_suspicious:
                if self._is_suspicious:
                    await asyncio.sleep(self._timing.settle_s)
                    self._is_suspicious = False
                difference = await self._difference()
                if difference:
                    return difference
                checked_at = self._clock.monotonic()
            if not self._set_up.knows_smsc and await self._read_smsc():
                return "smsc_found"
            await self._wait()
        return "restarted"

    async def _wait(self) -> None:
        is_urgent = self._standing.is_waiting_for_network or self._standing.is_resting
        wait_s = self._timing.searching_s if is_urgent else self._timing.health_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait_s)
        self._news.clear()

    async def _look(self) -> None:
        """Ask how it is. Who does not answer in time is asked again later: the channel notices if nobody does."""
        with contextlib.suppress(CommandUnanswered):
            reception = await read_reception(self._commands, self._timing)
            self._standing.heard(reception)
            if self._standing.may_be_tried_again and reception.is_registered:
                self._standing.rested()
            self._standing.mark(Reason.MEMORY_FULL, holds=await self._is_memory_full())
        await self._standing.tell()

    async def _is_memory_full(self) -> bool:
        """Whether the store for what comes in has no slot left (the third of +CPMS, TS 27.005 §3.2.2)."""
        lines = await ask(self._commands, "AT+CPMS?", timeout_s=self._timing.storage_s)
        fields = numbers(value_of(lines, "+CPMS") or "")
        if len(fields) < 9:
            return False
        used, total = fields[7] or 0, fields[8] or 0
        return used >= total > 0

    async def _difference(self) -> str:
        """What is not as it was set up; empty if nothing is, or if it cannot be told."""
        with contextlib.suppress(CommandUnanswered, CommandRefused):
            mode = value_of(await ask(self._commands, "AT+CMGF?", timeout_s=self._timing.answer_s), "+CMGF")
            if mode is not None and mode != "0":
                return "text_mode"
            wanted = self._set_up.notification
            in_force = await read_back(self._commands, self._timing)
            if wanted is not None and in_force is not None and in_force != wanted:
                return "notifications_changed"
            if self._set_up.knows_smsc and not self._set_up.line.smsc and await self._read_smsc() == "":
                return "smsc_gone"
            iccid = await read_iccid(self._commands, self._set_up.quirks.iccid_command, self._timing)
            if iccid and self._set_up.sim.iccid and iccid != self._set_up.sim.iccid:
                return "sim_changed"
        return ""

    async def _read_smsc(self) -> str | None:
        """The message centre that the SIM knows; empty if it knows none, None if the modem does not tell now."""
        with contextlib.suppress(CommandUnanswered):
            return read_smsc(await ask(self._commands, "AT+CSCA?", timeout_s=self._timing.smsc_s))
        return None
