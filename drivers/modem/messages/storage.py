"""The memories of one modem that hold messages: lists, reads and clears their slots.

Owns the commands and the form of their answers (3GPP TS 27.005 §3.2.2, §3.4.2, §3.4.3, §3.5.4). Knows nothing of what
is in a PDU. A slot is cleared only if it still holds what was read from it, since modems use indexes again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.line import Commands
from drivers.modem.setup import answers
from drivers.modem.timing import Timing

RECEIVED = (0, 1)
"""Received, not read and read. The others are drafts and copies of what was sent, which are their owner's."""
INVALID_INDEX = 321
"""What an empty slot is answered with, by some modems an empty memory too."""
SLOTS_MAX = 5_000
"""Slots of one memory that are looked at; none is known to have more."""


@dataclass(slots=True, frozen=True)
class Slot:
    """A place in a memory."""

    store: str
    """Such as "SM"."""
    index: int


@dataclass(slots=True, frozen=True)
class Stored:
    """A received message in its slot."""

    slot: Slot
    pdu: str


@dataclass(slots=True, frozen=True)
class Room:
    """How full a memory is."""

    used: int
    total: int


class Storage:
    """The memories of one line. Every method raises CommandRefused, CommandUnanswered or ChannelClosed."""

    def __init__(self, commands: Commands, timing: Timing) -> None:
        self._commands = commands
        self._timing = timing
        self._selected = ""
        self._one_at_a_time = asyncio.Lock()

    async def list_received(self, store: str) -> list[Stored]:
        """What was received and is in the memory."""
        async with self._one_at_a_time:
            await self._select(store)
            lines = await self._execute_if_any("AT+CMGL=4", timeout_s=self._timing.list_s)
        return [Stored(Slot(store, index), pdu) for index, pdu in _listed(lines)]

    async def room(self, store: str) -> Room | None:
        """How full the memory is; None if the modem does not say."""
        async with self._one_at_a_time:
            self._selected = ""
            return await self._select(store)

    async def read(self, slot: Slot) -> str:
        """The PDU in the slot; empty if there is none."""
        async with self._one_at_a_time:
            return await self._read(slot)

    async def clear(self, slot: Slot, pdu: str) -> None:
        """Empty the slot if it holds this PDU; leave it alone if it holds another one, or nothing."""
        async with self._one_at_a_time:
            if await self._read(slot) == pdu:
                await self._commands.execute(f"AT+CMGD={slot.index}", timeout_s=self._timing.read_s)

    async def _read(self, slot: Slot) -> str:
        await self._select(slot.store)
        lines = await self._execute_if_any(f"AT+CMGR={slot.index}", timeout_s=self._timing.read_s)
        for position, line in enumerate(lines):
            if line.upper().startswith("+CMGR:"):
                is_received = _is_received(answers.parameters(line.partition(":")[2].strip()))
                return _pdu_after(lines, position) if is_received else ""
        return ""

    async def _execute_if_any(self, command: str, *, timeout_s: float) -> Sequence[str]:
        """The answer; empty if the modem says that there is no message."""
        try:
            return await self._commands.execute(command, timeout_s=timeout_s)
        except CommandRefused as refused:
            if refused.domain is Domain.CMS and refused.code == INVALID_INDEX:
                return ()
            raise

    async def _select(self, store: str) -> Room | None:
        """Make it the memory that is read. How full it is, if that was asked now."""
        if store == self._selected:
            return None
        self._selected = ""
        lines = await self._choose(store)
        self._selected = store
        counts = answers.numbers(answers.value_of(lines, "+CPMS") or "")
        if len(counts) < 2 or counts[0] is None or counts[1] is None:
            return None
        return Room(counts[0], counts[1])

    async def _choose(self, store: str) -> Sequence[str]:
        """Say which memory is read; to a modem that wants to be told the other two as well, all three."""
        try:
            return await self._commands.execute(f'AT+CPMS="{store}"', timeout_s=self._timing.storage_s)
        except CommandRefused:
            command = f'AT+CPMS="{store}","{store}","{store}"'
            return await self._commands.execute(command, timeout_s=self._timing.storage_s)


def parse_notice(parameters: str) -> Slot | None:
    """The slot that +CMTI or +CDSI names; None if it names none."""
    words = answers.parameters(parameters)
    index = answers.number(words[1]) if len(words) > 1 else None
    return None if index is None or not words[0].isalnum() else Slot(words[0], index)


def _listed(lines: Sequence[str]) -> list[tuple[int, str]]:
    listed: list[tuple[int, str]] = []
    for position, line in enumerate(lines):
        if not line.upper().startswith("+CMGL:") or len(listed) >= SLOTS_MAX:
            continue
        words = answers.parameters(line.partition(":")[2].strip())
        index = answers.number(words[0]) if words else None
        pdu = _pdu_after(lines, position)
        if index is not None and pdu and _is_received(words[1:]):
            listed.append((index, pdu))
    return listed


def _is_received(words: Sequence[str]) -> bool:
    """Whether the state says so; one that says nothing leaves it to the PDU."""
    state = answers.number(words[0]) if words else None
    return state is None or state in RECEIVED


def _pdu_after(lines: Sequence[str], position: int) -> str:
    following = lines[position + 1].strip() if position + 1 < len(lines) else ""
    return "" if following.startswith("+") else following.upper()
