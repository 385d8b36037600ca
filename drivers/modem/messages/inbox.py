"""What comes in through one modem: from its memory, or straight from the network.

Owns the order of journal, network and memory: a message is in the journal before the network is told that it came
(+CNMA), and with the core before its slot is cleared; a slot whose message is in the journal may go earlier if the
memory is nearly full (docs/adr/0015). Knows nothing of sending. What becomes of a PDU is in `arrivals`.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from drivers.modem.at.results import AtFailure, CommandRefused, Unsolicited
from drivers.modem.line import Line, Priority
from drivers.modem.messages.arrivals import Arrivals, Kept
from drivers.modem.messages.fragments import Fragments
from drivers.modem.messages.reports import Reports
from drivers.modem.messages.storage import Room, Slot, Storage, Stored, parse_notice
from drivers.modem.timing import Timing
from drivers.runtime import Context, JournalUnwritable

WAITING_MAX = 1_000
"""PDUs, and notices of slots, that wait to be worked off."""
FREE_SLOTS_MIN = 3
FREE_SHARE_MIN = 0.2
"""A memory with fewer free slots, or a smaller share of them, is nearly full."""
TEND_S_MAX = 60.0
"""Between two looks at what may have become due."""

_NOTICES = ("+CMTI", "+CDSI")
_DIRECT = ("+CMT", "+CDS")
_MEMORY_FULL = ("^SMMEMFULL", "%SMMEMFULL")


@dataclass(slots=True, frozen=True)
class _Direct:
    """A PDU that the modem does not store."""

    pdu: str
    came_at: float
    """By the monotonic clock."""
    iccid: str
    """Whose line it came on; empty: the one that is being worked off."""


class Inbox:
    """The receiving end of one modem, for as long as the process lives; lines come and go."""

    def __init__(
        self,
        context: Context,
        *,
        device_key: str,
        timing: Timing,
        reports: Reports,
        fragments: Fragments,
        on_doubt: Callable[[], None],
    ) -> None:
        """`on_doubt` is called if the modem may hand nothing over any more until its notifications are set again."""
        self._context = context
        self._timing = timing
        self._reports = reports
        self._fragments = fragments
        self._on_doubt = on_doubt
        self._arrivals = Arrivals(context, device_key=device_key, reports=reports, fragments=fragments)
        self.counts: Counter[str] = self._arrivals.counts
        """What came and what was done, by name; `infinireach modem status --json` shows them."""
        self._direct: deque[_Direct] = deque()
        self._has_direct = asyncio.Event()
        self._notices: deque[Slot] = deque()
        self._has_work = asyncio.Event()
        self._sweep_is_due = False
        self._held: dict[Slot, tuple[str, Kept]] = {}
        """Slots whose message is in the journal, oldest first, with their PDU."""
        self._clearing: set[Slot] = set()
        """Those that are being cleared: whoever finds them free as well need not."""
        self._storage: Storage | None = None
        self._line: Line | None = None
        self._line_since = 0.0
        self._one_sweep = asyncio.Lock()
        self._journalling: set[asyncio.Task[Any]] = set()
        self._acknowledged_changed = asyncio.Event()

    def take(self, unsolicited: Unsolicited) -> None:
        """What the modem said unasked; anything may be given. Never blocks."""
        name = unsolicited.name.upper()
        if name in _NOTICES:
            slot = parse_notice(unsolicited.parameters)
            if slot is None or len(self._notices) >= WAITING_MAX:
                self._sweep_is_due = True
            else:
                self._notices.append(slot)
            self._has_work.set()
        elif name in _DIRECT:
            self._take_pdu(unsolicited.pdu)
        elif name in _MEMORY_FULL:
            self._sweep_is_due = True
            self._has_work.set()
        elif name == "+CBM":
            self.counts["broadcast"] += 1

    def _take_pdu(self, pdu: str) -> None:
        if len(self._direct) >= WAITING_MAX:
            # Not acknowledged, so a network that waits for that delivers it again.
            self.counts["overflow"] += 1
            self._context.log.error("inbox.overflow", device_key=self._arrivals.device_key)
            return
        self._direct.append(_Direct(pdu.strip().upper(), self._context.clock.monotonic(), ""))
        self._has_direct.set()

    async def sweep(self, line: Line) -> None:
        """Read every memory of the modem and work off what is new in it.

        What the modem refuses is logged, and tried again at the next sweep.
        Raises CommandUnanswered or ChannelClosed.
        """
        async with self._one_sweep:
            await self._attach(line)
            for store in line.stores:
                try:
                    await self._sweep_store(line, store)
                except CommandRefused as refused:
                    self._say_refused("list", refused)

    async def run(self, line: Line) -> None:
        """Work off what comes in, until cancelled. Swallows what a lost line raises: the next sweep finds it all."""
        await self._attach(line)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._work_off_direct(line), name="inbox direct")
                tasks.create_task(self._work_off_memory(line), name="inbox memory")
                tasks.create_task(self._await_core(line), name="inbox acknowledged")
        finally:
            # They came on this line; the next one may be another SIM's.
            self._direct = deque(
                _Direct(item.pdu, item.came_at, item.iccid or line.iccid) for item in self._direct
            )

    async def _attach(self, line: Line) -> None:
        """From now on it is this line. What earlier processes left of its SIM is taken up."""
        if self._line is not line:
            if self._line is not None and self._line.iccid != line.iccid:
                self._held.clear()
            self._line = line
            self._line_since = self._context.clock.monotonic()
            self._storage = Storage(line.commands, self._timing)
        await self._reports.load(line.iccid)
        await self._reports.tend(line.iccid)
        await self._load_fragments(line)
        self._acknowledged_changed.set()

    async def _load_fragments(self, line: Line) -> None:
        try:
            await self._journal(self._fragments.load(line.iccid, self._arrivals.hand_in(line.number)))
        except JournalUnwritable:
            self._say_unwritable()

    def _storage_of(self, line: Line) -> Storage:
        if self._storage is None or self._line is not line:
            raise ValueError("the line is not attached")
        return self._storage

    # Straight from the network.

    async def _work_off_direct(self, line: Line) -> None:
        while True:
            while self._direct:
                item = self._direct.popleft()
                iccid = item.iccid or line.iccid
                try:
                    await self._journal(self._arrivals.keep(item.pdu, iccid=iccid, number=line.number))
                except JournalUnwritable:
                    await self._try_later(item, line)
                    continue
                self._acknowledged_changed.set()
                self._has_work.set()
                if line.acknowledges and not item.iccid:
                    await self._acknowledge(item, line)
            self._has_direct.clear()
            await self._has_direct.wait()

    async def _try_later(self, item: _Direct, line: Line) -> None:
        """The journal could not take it. A network that waits for an acknowledgement delivers it again."""
        self._say_unwritable()
        if line.acknowledges:
            return
        self._direct.appendleft(item)
        await asyncio.sleep(self._timing.journal_retry_s)

    async def _acknowledge(self, item: _Direct, line: Line) -> None:
        """Tell the network that it is journalled, if it still waits for that."""
        waited_s = self._context.clock.monotonic() - item.came_at
        left_s = self._timing.acknowledgement_s - waited_s
        if left_s <= 0:
            self.counts["acknowledged_late"] += 1
            self._on_doubt()
        try:
            await line.commands.execute(
                line.acknowledge_command, timeout_s=self._timing.read_s, priority=Priority.ACKNOWLEDGE
            )
        except AtFailure as error:
            self.counts["acknowledgement_failed"] += 1
            self._on_doubt()
            self._context.log.warning(
                "inbox.acknowledgement_failed",
                device_key=line.device_key,
                error=type(error).__name__,
                waited_s=round(waited_s, 3),
            )

    # From the memory.

    async def _work_off_memory(self, line: Line) -> None:
        while True:
            self._has_work.clear()
            try:
                while self._notices:
                    await self._read_slot(line, self._notices.popleft())
                if self._sweep_is_due:
                    self._sweep_is_due = False
                    await self.sweep(line)
                await self._tend(line)
            except AtFailure as error:
                self.counts["unread"] += 1
                self._context.log.warning(
                    "inbox.unread", device_key=line.device_key, error=type(error).__name__
                )
                continue
            await self._wait_for_work(line)

    async def _wait_for_work(self, line: Line) -> None:
        dues = (
            self._reports.next_due(line.iccid),
            self._fragments.next_due(line.iccid, since=self._line_since),
        )
        now = self._context.clock.monotonic()
        wait_s = min((due - now for due in dues if due is not None), default=TEND_S_MAX)
        try:
            async with asyncio.timeout(max(self._timing.journal_retry_s, min(wait_s, TEND_S_MAX))):
                await self._has_work.wait()
        except TimeoutError:
            return

    async def _tend(self, line: Line) -> None:
        await self._reports.tend(line.iccid)
        await self._load_fragments(line)
        hand_in = self._arrivals.hand_in(line.number)
        try:
            await self._journal(self._fragments.tend(line.iccid, hand_in, since=self._line_since))
        except JournalUnwritable:
            self._say_unwritable()
        self._acknowledged_changed.set()

    async def _read_slot(self, line: Line, slot: Slot) -> None:
        async with self._one_sweep:
            try:
                pdu = await self._storage_of(line).read(slot)
            except CommandRefused as refused:
                self._say_refused("read", refused)
                return
            if pdu:
                await self._take_stored(line, Stored(slot, pdu))
                await self._clear(line)

    async def _sweep_store(self, line: Line, store: str) -> None:
        storage = self._storage_of(line)
        room = await storage.room(store)
        listed = await storage.list_received(store)
        there = {stored.slot for stored in listed}
        for slot in [slot for slot in self._held if slot.store == store and slot not in there]:
            del self._held[slot]
        for stored in listed:
            if stored.slot not in self._held and stored.slot not in self._notices:
                self.counts["unannounced"] += 1
            await self._take_stored(line, stored)
        cleared = await self._clear(line)
        if room is not None:
            await self._make_room(line, store, Room(room.used - cleared, room.total))

    async def _take_stored(self, line: Line, stored: Stored) -> None:
        """Journal what is in the slot, unless it is there already."""
        held = self._held.get(stored.slot)
        if held is not None and held[0] == stored.pdu:
            return
        try:
            kept = await self._journal(self._arrivals.keep(stored.pdu, iccid=line.iccid, number=line.number))
        except JournalUnwritable:
            self._say_unwritable()
            return
        self._held.pop(stored.slot, None)
        self._held[stored.slot] = stored.pdu, kept
        self._acknowledged_changed.set()

    async def _journal(self, writing: Coroutine[Any, Any, Any]) -> Any:
        """Let it end even if the line is lost meanwhile: what is half written would be known nowhere."""
        task = asyncio.create_task(writing, name="inbox journal")
        self._journalling.add(task)
        task.add_done_callback(self._journalling.discard)
        return await asyncio.shield(task)

    # Clearing.

    async def _await_core(self, line: Line) -> None:
        """Clear slots as the core gets what was in them."""
        while True:
            self._acknowledged_changed.clear()
            receipts = [kept.receipt for _, kept in self._held.values() if kept.receipt is not None]
            receipts += self._fragments.receipts(line.iccid)
            waiting = [receipt for receipt in receipts if not receipt.is_acknowledged]
            if not waiting:
                await self._acknowledged_changed.wait()
            else:
                oldest = min(waiting, key=lambda receipt: receipt.sequence)
                await self._first_of(oldest.acknowledged(), self._acknowledged_changed.wait())
            await self._journal(self._fragments.note_acknowledged(line.iccid))
            try:
                # Not while a sweep goes through its list: what is cleared meanwhile would look new to it.
                async with self._one_sweep:
                    await self._clear(line)
            except AtFailure as error:
                self._context.log.warning(
                    "inbox.not_cleared", device_key=line.device_key, error=type(error).__name__
                )

    async def _first_of(self, *waits: Coroutine[Any, Any, Any]) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _clear(self, line: Line) -> int:
        """Empty the slots whose messages need no other copy; how many. Raises CommandUnanswered or ChannelClosed."""
        free = [slot for slot, (_, kept) in self._held.items() if kept.is_free]
        return sum([await self._clear_slot(line, slot) for slot in free])

    async def _clear_slot(self, line: Line, slot: Slot) -> bool:
        held = self._held.get(slot)
        if held is None or slot in self._clearing:
            return False
        self._clearing.add(slot)
        try:
            await self._storage_of(line).clear(slot, held[0])
        except CommandRefused as refused:
            self._say_refused("clear", refused)
            return False
        finally:
            self._clearing.discard(slot)
        self.counts["cleared"] += 1
        if self._held.get(slot) == held:
            del self._held[slot]
        return True

    async def _make_room(self, line: Line, store: str, room: Room) -> None:
        """If the memory is nearly full, empty slots that are in the journal, oldest first."""
        wanted = max(FREE_SLOTS_MIN, round(room.total * FREE_SHARE_MIN))
        missing = wanted - (room.total - room.used)
        if missing <= 0:
            return
        for slot in [slot for slot in self._held if slot.store == store][:missing]:
            self.counts["cleared_early"] += 1
            await self._clear_slot(line, slot)

    # What is said of it.

    def _say_refused(self, what: str, refused: CommandRefused) -> None:
        self.counts["refused"] += 1
        self._context.log.warning(
            "inbox.refused", device_key=self._arrivals.device_key, what=what, code=refused.code
        )

    def _say_unwritable(self) -> None:
        self.counts["unwritable"] += 1
        self._context.log.error("inbox.journal_unwritable", device_key=self._arrivals.device_key)
