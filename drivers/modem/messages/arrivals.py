"""What becomes of a PDU that came in: a message for the core, a segment of one, a report, or nothing.

Owns that decision; it is in the journal when `keep` returns. Knows no modem: whoever has the PDU may then acknowledge
it to the network, and clears its slot once `Kept.is_free`.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.codec import Deliver, DeliverKind, StatusReport, Undecodable, decode_incoming
from drivers.modem.messages.fragments import Fragments, HandIn
from drivers.modem.messages.incoming import (
    identity_of,
    identity_of_unreadable,
    inbound_messages,
    is_for_nobody,
    unreadable_message,
)
from drivers.modem.messages.long_message import LongMessage
from drivers.modem.messages.reports import Reports
from drivers.runtime import Context, Receipt
from drivers.runtime.context import Changes


@dataclass(slots=True, frozen=True)
class Kept:
    """A PDU that is in the journal, or of which nothing needs to be."""

    receipt: Receipt | None = None
    """Of the message that it is."""
    message: LongMessage | None = None
    """That it is a segment of."""

    @property
    def is_free(self) -> bool:
        """Whether no other copy of it is needed."""
        if self.message is not None:
            return self.message.is_with_core
        return self.receipt is None or self.receipt.is_acknowledged


@dataclass(slots=True)
class _HandIn:
    device_key: str
    number: str
    context: Context

    async def __call__(self, parts: Sequence[Deliver | None], identity: str, changes: Changes) -> Receipt:
        *others, last = inbound_messages(parts, device_key=self.device_key, number=self.number)
        for position, message in enumerate(others):
            await self.context.received(message, identity=identity and f"{identity}/{position}")
        return await self.context.received(last, identity=identity, changes=changes)


class Arrivals:
    """What comes in through one modem."""

    def __init__(self, context: Context, *, device_key: str, reports: Reports, fragments: Fragments) -> None:
        self.device_key = device_key
        self.counts: Counter[str] = Counter()
        """What came: message, segment, report, undecodable, dropped_<kind>."""
        self._context = context
        self._reports = reports
        self._fragments = fragments
        self._one_at_a_time = asyncio.Lock()

    async def keep(self, pdu: str, *, iccid: str, number: str) -> Kept:
        """Journal what the PDU is. The SIM is loaded in reports and fragments.

        Raises JournalUnwritable: it is not in the journal, do not acknowledge it and do not clear it.
        """
        async with self._one_at_a_time:
            decoded = decode_incoming(pdu)
            match decoded:
                case StatusReport():
                    await self._reports.take(decoded, iccid)
                    self.counts["report"] += 1
                    return Kept()
                case Undecodable():
                    return await self._keep_unreadable(decoded, number=number)
                case Deliver():
                    try:
                        return await self._keep_message(decoded, iccid=iccid, number=number)
                    except (TypeError, ValueError):
                        # A stranger must not be able to stop the inbox, whatever the message holds.
                        unreadable = Undecodable(pdu, "it cannot be reported")
                        return await self._keep_unreadable(unreadable, number=number)

    def hand_in(self, number: str) -> HandIn:
        """How messages that came to this number get into the journal."""
        return _HandIn(self.device_key, number, self._context)

    async def _keep_message(self, deliver: Deliver, *, iccid: str, number: str) -> Kept:
        if is_for_nobody(deliver):
            self.counts[f"dropped_{deliver.kind.value}"] += 1
            return Kept()
        hand_in = self.hand_in(number)
        concatenation = deliver.concatenation
        if concatenation is not None and concatenation.total > 1:
            message = await self._fragments.add(iccid, deliver, concatenation, hand_in)
            self.counts["segment"] += 1
            return Kept(message=message)
        receipt = await hand_in([deliver], identity_of(self.device_key, deliver), {})
        self.counts["message"] += 1
        if deliver.kind is not DeliverKind.TEXT:
            self.counts[f"message_{deliver.kind.value}"] += 1
        return Kept(receipt=receipt)

    async def _keep_unreadable(self, undecodable: Undecodable, *, number: str) -> Kept:
        """Journal a PDU that nobody understands as a message that shows it, for a person to look at."""
        self.counts["undecodable"] += 1
        self._context.log.warning(
            "inbox.undecodable", device_key=self.device_key, problem=undecodable.problem
        )
        message = unreadable_message(undecodable.raw, device_key=self.device_key, number=number)
        identity = identity_of_unreadable(self.device_key, undecodable.raw)
        return Kept(receipt=await self._context.received(message, identity=identity))
