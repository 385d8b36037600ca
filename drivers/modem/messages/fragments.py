"""Puts long messages together, over restarts and whatever order their segments come in.

Owns which message a segment is of, when a message is handed in and when it is forgotten. Knows nothing of modems. The
rules:
 - A whole message is handed in once. The segments leave the journal's store in the transaction that hands it in.
 - A message that stays incomplete for `Timing.fragment_wait_s` is handed in as it is, with marks where something is
   missing. If the rest comes within `Timing.late_fragment_s`, the whole is handed in as one more message. If only some
   of the rest comes, what there is then is handed in at the end of that time.
 - Of segments with the same reference that the network took too far apart to be of one message, those that complete
   each other exactly are one all the same, if nothing else has completed either when their time is over.
 - A segment that comes again is known, also after its message was handed in, until that time is over.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Protocol

from drivers.modem.codec import Concatenation, Deliver
from drivers.modem.messages.incoming import fingerprint
from drivers.modem.messages.long_message import LongMessage, about, decode_long_message
from drivers.modem.timing import Timing
from drivers.runtime import Context, Receipt
from drivers.runtime.context import Changes

MESSAGES_MAX = 500
"""Long messages of one SIM in memory that are not with the core yet, or were lately; the oldest end first."""


class HandIn(Protocol):
    """How messages that came to one modem, for one number, get into the journal."""

    device_key: str

    async def __call__(self, parts: Sequence[Deliver | None], identity: str, changes: Changes) -> Receipt:
        """Journal a message of these segments under this identity, with these changes of the store, in one transaction.

        Raises JournalUnwritable, and has done nothing then.
        """
        ...


class Fragments:
    """The long messages of all SIMs of this process. One object for all modems: SIMs move between them."""

    def __init__(self, context: Context, timing: Timing) -> None:
        self.counts: Counter[str] = Counter()
        """What became of segments and messages: fragment, repeated, whole, with_gaps, given_up."""
        self._context = context
        self._timing = timing
        self._sims: dict[str, dict[str, LongMessage]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def load(self, iccid: str, hand_in: HandIn) -> None:
        """Take up what earlier processes left of this SIM. Before anything else is asked of it.

        What was handed in and not acknowledged is handed in again, under its identity, for its receipt.
        """
        async with self._one_at_a_time:
            await self._read_stored(iccid)
            for message in list(self._sims[iccid].values()):
                if message.identity and not message.is_acknowledged and message.receipt is None:
                    message.receipt = await hand_in(message.last_handed_in(), message.identity, {})

    async def _read_stored(self, iccid: str) -> None:
        if iccid not in self._sims:
            stored = await self._context.store.read(f"fragment/{iccid}/")
            now, wall_s = self._now(), self._wall_s()
            messages = [
                decode_long_message(key, value, now=now, wall_s=wall_s) for key, value in stored.items()
            ]
            messages.sort(key=lambda message: message.seen_at)
            self._sims.setdefault(iccid, {message.key: message for message in messages})

    async def add(
        self, iccid: str, deliver: Deliver, concatenation: Concatenation, hand_in: HandIn
    ) -> LongMessage:
        """A segment came in. It is in the journal when this returns. Raises JournalUnwritable if it is not."""
        async with self._one_at_a_time:
            return await self._add(iccid, deliver, concatenation, hand_in)

    async def _add(
        self, iccid: str, deliver: Deliver, concatenation: Concatenation, hand_in: HandIn
    ) -> LongMessage:
        number = concatenation.number
        message = self._repeated(iccid, deliver, concatenation)
        if message is not None:
            self.counts["repeated"] += 1
            if message.is_complete and not message.is_done:
                message = await self._hand_in(message, hand_in)
            return message
        message = self._nearest(iccid, deliver, concatenation)
        if message is None:
            message = await self._begin(iccid, deliver, concatenation, hand_in)
        self.counts["fragment"] += 1
        message.add(number, deliver, now=self._now())
        if message.is_complete:
            return await self._hand_in(message, hand_in)
        await self._context.store.write({message.key: message.encode(wall_s=self._wall_s())})
        return message

    async def note_acknowledged(self, iccid: str) -> None:
        """Take note of what the core has got meanwhile."""
        async with self._one_at_a_time:
            changes: dict[str, bytes | None] = {}
            for message in self._sims.get(iccid, {}).values():
                if message.receipt is None or not message.receipt.is_acknowledged:
                    continue
                message.receipt, message.is_acknowledged = None, True
                if message.is_done:
                    message.parts = {}
                changes[message.key] = message.encode(wall_s=self._wall_s())
            if changes:
                await self._context.store.write(changes)

    async def tend(self, iccid: str, hand_in: HandIn, *, since: float) -> None:
        """Hand in what has waited long enough and forget what nobody asks for any more.

        `since` is when the modem came back, by the monotonic clock: while it was away the rest could not come. Raises
        JournalUnwritable.
        """
        async with self._one_at_a_time:
            for message in list(self._sims.get(iccid, {}).values()):
                due = self._due(message, since)
                is_over = due is not None and due <= self._now()
                if is_over and message.joined_to is None:
                    await self._end(iccid, message, hand_in)

    def next_due(self, iccid: str, *, since: float) -> float | None:
        """When `tend` has something to do, by the monotonic clock. None: nothing waits."""
        dues = [self._due(message, since) for message in self._sims.get(iccid, {}).values()]
        return min((due for due in dues if due is not None), default=None)

    def receipts(self, iccid: str) -> Iterator[Receipt]:
        """Of all that was handed in and is not acknowledged."""
        for message in self._sims.get(iccid, {}).values():
            if message.receipt is not None:
                yield message.receipt

    def _due(self, message: LongMessage, since: float) -> float | None:
        if message.is_done:
            return message.seen_at + self._timing.late_fragment_s if message.is_acknowledged else None
        if message.is_complete:
            return 0.0
        if not message.handed_in:
            return max(message.seen_at, since) + self._timing.fragment_wait_s
        if message.has_news or message.is_acknowledged:
            return max(message.handed_in_at + self._timing.late_fragment_s, since)
        return None

    async def _end(self, iccid: str, message: LongMessage, hand_in: HandIn) -> None:
        """The time of a message is over: hand in what the core does not have, or forget it."""
        other = self._completing(iccid, message)
        if other is not None and not other.handed_in and other.seen_at > message.seen_at:
            # It still has time to be completed by segments of its own; then both are over.
            message.seen_at = other.seen_at
        elif other is not None and (message.has_news or other.has_news):
            await self._join(iccid, message, other, hand_in)
        elif message.has_news:
            await self._hand_in(message, hand_in)
        elif message.is_acknowledged:
            if not message.is_done:
                self.counts["given_up"] += 1
            self._sims[iccid].pop(message.key, None)
            await self._context.store.write({message.key: None})

    def _completing(self, iccid: str, message: LongMessage) -> LongMessage | None:
        """The only other message that has what this one misses."""
        others = [
            other
            for other in self._sims[iccid].values()
            if other is not message and not message.is_complete and message.completes(other)
        ]
        return others[0] if len(others) == 1 else None

    async def _join(self, iccid: str, message: LongMessage, other: LongMessage, hand_in: HandIn) -> None:
        whole = message.joined_with(other)
        await self._hand_in(whole, hand_in, {other.key: None})
        messages = self._sims[iccid]
        del messages[other.key]
        messages[whole.key] = message.joined_to = other.joined_to = whole

    async def _hand_in(
        self, message: LongMessage, hand_in: HandIn, changes: Changes = MappingProxyType({})
    ) -> LongMessage:
        """Hand in what is here, with these changes of the store."""
        after = message.handing_in(hand_in.device_key, now=self._now())
        after.receipt = await hand_in(
            message.in_order(),
            after.identity,
            {**changes, message.key: after.encode(wall_s=self._wall_s())},
        )
        self.counts["whole" if after.is_done else "with_gaps"] += 1
        message.handed_in, message.handed_in_at = after.handed_in, after.handed_in_at
        message.identity, message.receipt, message.is_acknowledged = after.identity, after.receipt, False
        return message

    def _repeated(self, iccid: str, deliver: Deliver, concatenation: Concatenation) -> LongMessage | None:
        """The message that has this very segment already."""
        print_of_it = fingerprint(deliver)
        for message in self._same(iccid, deliver, concatenation):
            if message.fingerprints.get(concatenation.number) == print_of_it:
                return message
        return None

    def _nearest(self, iccid: str, deliver: Deliver, concatenation: Concatenation) -> LongMessage | None:
        """The message that the segment belongs to: of several, the one that is nearest in time."""
        distances = [
            (distance_s, message)
            for message in self._same(iccid, deliver, concatenation)
            if (distance_s := message.distance_s(concatenation.number, deliver)) is not None
        ]
        return min(distances, key=lambda each: each[0])[1] if distances else None

    def _same(self, iccid: str, deliver: Deliver, concatenation: Concatenation) -> Iterator[LongMessage]:
        wanted = about(deliver, concatenation)
        return (message for message in self._sims[iccid].values() if message.about == wanted)

    async def _begin(
        self, iccid: str, deliver: Deliver, concatenation: Concatenation, hand_in: HandIn
    ) -> LongMessage:
        messages = self._sims[iccid]
        while len(messages) >= MESSAGES_MAX:
            oldest = next((m for m in messages.values() if m.is_acknowledged or not m.identity), None)
            if oldest is None:
                break
            await self._push_out(iccid, oldest, hand_in)
        key = f"fragment/{iccid}/{fingerprint(deliver)}"
        message = LongMessage(key, about(deliver, concatenation))
        messages[key] = message
        return message

    async def _push_out(self, iccid: str, message: LongMessage, hand_in: HandIn) -> None:
        """There are too many: hand in what nobody has, and forget it."""
        if message.has_news:
            await self._hand_in(message, hand_in)
        self._sims[iccid].pop(message.key, None)
        await self._context.store.write({message.key: None})

    def _now(self) -> float:
        """By the monotonic clock: on a machine whose clock is set only later, waits are as long as on any other."""
        return self._context.clock.monotonic()

    def _wall_s(self) -> float:
        """By how much the wall clock is ahead of the monotonic one; what other processes read is by the former."""
        return self._context.clock.wall_ns() / 1e9 - self._context.clock.monotonic()
