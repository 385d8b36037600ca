"""A played modem with its network, and a journal, that outlive a process which is killed at any of its steps."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from drivers.modem.at.results import (
    AtFailure,
    ChannelClosed,
    CommandRefused,
    CommandUnanswered,
    Domain,
    NoReference,
    PduNotWritten,
)
from drivers.modem.codec import Submit, decode_submit, encode_status_report
from drivers.modem.line import Priority
from drivers.runtime import JournalUnwritable
from drivers.runtime.journal import Journal
from drivers.runtime.records import Batch, Committed
from tests.unit.drivers.runtime.world import SetClock

UNANSWERED = CommandUnanswered("AT+CMGS", "no answer in time")
NO_REFERENCE = NoReference("AT+CMGS: OK without a reference")


class Killer:
    """Ends the process at its n-th step; None: never. Everything of a dead process waits for ever."""

    def __init__(self, at: int | None = None) -> None:
        self.steps: list[str] = []
        self.died = asyncio.Event()
        self.is_dead = False
        self._at = at
        self._loop = asyncio.get_running_loop()

    def passes(self, name: str) -> bool:
        """False if the process is dead now. From any thread."""
        if not self.is_dead:
            self.steps.append(name)
            if len(self.steps) - 1 == self._at:
                self.is_dead = True
                self._loop.call_soon_threadsafe(self.died.set)
        return not self.is_dead

    async def step(self, name: str) -> None:
        if not self.passes(name):
            await asyncio.Future[NoReturn]()


class KillableJournal(Journal):
    """A journal in memory that outlives the process; it can die before and after each transaction."""

    def __init__(self) -> None:
        super().__init__(None, horizon_s=1e9, settled_commands_max=10**9)
        self.killer: Killer | None = None
        self.is_full = False
        self.refusals = 0
        """How often it was full."""

    def commit(self, batch: Batch, *, now_s: float | None = None) -> Committed:
        if self.is_full:
            self.refusals += 1
            raise JournalUnwritable("the disk is full")
        killer = self.killer
        if killer is not None and not killer.passes("before commit"):
            raise JournalUnwritable("the process is dead")
        committed = super().commit(batch, now_s=now_s)
        if killer is not None and not killer.passes("after commit"):
            raise JournalUnwritable("the process is dead")
        return committed

    def close(self) -> None:
        pass


def refused(code: int | None, domain: Domain = Domain.CMS) -> CommandRefused:
    return CommandRefused("AT+CMGS", domain, code, f"+{domain} ERROR: {code}")


@dataclass
class Taken:
    """A part that the network took."""

    submit: Submit
    reference: int


@dataclass
class PlayedModem:
    """A modem that has been set up, with the network behind it; `Commands` of a line."""

    clock: SetClock
    memory: dict[str, dict[int, str]] = field(default_factory=lambda: {"ME": {}})
    slots: int = 100
    taken: list[Taken] = field(default_factory=list[Taken])
    before_prompt: deque[AtFailure | None] = field(default_factory=deque[AtFailure | None])
    """What the next AT+CMGS end with before the prompt; None: they do not."""
    when_failing: Callable[[], None] = lambda: None
    """Called as one of them does."""
    answers: deque[AtFailure | None] = field(default_factory=deque[AtFailure | None])
    """What the next PDUs end with. Not taken by the network if it is CommandRefused."""
    executed: list[str] = field(default_factory=list[str])
    refuses: dict[str, CommandRefused] = field(default_factory=dict[str, CommandRefused])
    """Commands, by what they begin with, that it refuses."""
    pdus: list[str] = field(default_factory=list[str])
    """Every PDU that was written."""
    is_closed: bool = False
    prompts: int = 0
    when_prompting: Callable[[], None] = lambda: None
    """Called as it asks for a PDU."""
    when_taking: Callable[[Taken], None] = lambda taken: None
    """Called as the network takes a part, before the modem says so."""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: it says what became of a PDU as soon as the network has it."""
    killer: Killer | None = None
    changed: Callable[[], None] = lambda: None
    reference: int = 250
    """The last one that it gave."""
    _selected: str = "ME"

    async def _step(self, name: str) -> None:
        self.changed()
        if self.killer is not None:
            await self.killer.step(name)

    async def execute(
        self, command: str, *, timeout_s: float, priority: Priority = Priority.READ
    ) -> Sequence[str]:
        if self.is_closed:
            raise ChannelClosed(command)
        await self._step(f"begin {command}")
        self.executed.append(command)
        for beginning, refusal in self.refuses.items():
            if command.startswith(beginning):
                raise refusal
        lines = self._answer(command)
        await self._step(f"end {command}")
        return lines

    def _answer(self, command: str) -> list[str]:
        name, _, parameter = command.partition("=")
        slots = self.memory[self._selected]
        match name:
            case "AT+CPMS":
                self._selected = parameter.strip('"')
                return [f"+CPMS: {len(self.memory[self._selected])},{self.slots},0,{self.slots}"]
            case "AT+CMGL":
                listed = [[f"+CMGL: {index},1,,{len(pdu)}", pdu] for index, pdu in sorted(slots.items())]
                return [line for pair in listed for line in pair]
            case "AT+CMGR":
                pdu = slots.get(int(parameter))
                return [] if pdu is None else [f"+CMGR: 1,,{len(pdu)}", pdu]
            case "AT+CMGD":
                slots.pop(int(parameter), None)
                return []
            case _:
                return []

    async def submit(
        self, *, tpdu_octets: int, pdu: str, timeout_s: float, before_pdu: Callable[[], Awaitable[None]]
    ) -> int:
        if self.is_closed:
            raise ChannelClosed("AT+CMGS")
        await self._step("AT+CMGS")
        failure = self.before_prompt.popleft() if self.before_prompt else None
        if failure is not None:
            self.when_failing()
            raise failure
        self.prompts += 1
        self.when_prompting()
        self.changed()
        await before_pdu()
        await self._step("marked")
        failure = self.answers.popleft() if self.answers else None
        if isinstance(failure, PduNotWritten):
            raise failure
        self.pdus.append(pdu)
        if isinstance(failure, CommandRefused):
            await self._step("refused")
            raise failure
        self.reference = (self.reference + 1) % 256
        submit = decode_submit(pdu)
        assert isinstance(submit, Submit)
        taken = Taken(submit, self.reference)
        self.taken.append(taken)
        self.when_taking(taken)
        await self._step("taken")
        await self.may_answer.wait()
        if failure is not None:
            raise failure
        return self.reference

    def stores(self, pdu: str, *, store: str = "ME") -> int:
        """A message came in and lies in the memory; its index."""
        slots = self.memory[store]
        index = next(number for number in range(1, self.slots + 1) if number not in slots)
        slots[index] = pdu
        return index

    def report_of(self, taken: Taken, *, status: int = 0, recipient: str | None = None) -> str:
        """The PDU of the status report of a part, as the network makes it now."""
        now = datetime.fromtimestamp(self.clock.wall_ns() // 10**9, UTC)
        return encode_status_report(
            message_reference=taken.reference,
            recipient=recipient or taken.submit.destination,
            sent_at=now,
            done_at=now,
            status=status,
        ).hex
