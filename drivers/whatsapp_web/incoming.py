"""What the account hears: messages become inbound messages, receipts become reports.

Owns that nothing heard is let go before it is in the journal. Knows no library.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime import Context, Delivered, JournalUnwritable, Read, Report
from drivers.runtime.context import Changes
from drivers.runtime.failures import describe
from drivers.whatsapp_web.account import Incoming, MessageReceipt, ReceiptKind
from drivers.whatsapp_web.contacts import Contacts
from drivers.whatsapp_web.references import References
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP, Media

TEXT_CHARACTERS_MAX = 20_000
SENDER_NAME_CHARACTERS_MAX = 100
FILENAME_CHARACTERS_MAX = 240
MIME_TYPE_CHARACTERS_MAX = 100
NETWORK_ID_CHARACTERS_MAX = 255
"""What fact.proto and message.proto allow."""
JOURNAL_RETRY_S = 0.5
"""Before a message is handed in again that the journal could not take."""
YEAR_10000_S = 253_402_300_800
"""From here on a time is none."""
RECEIPTS_WAITING_MAX = 1000
"""Receipts that wait for the end of a send. With more of them all that comes in waits too."""


class Hearing:
    """What one account hears."""

    def __init__(
        self, context: Context, *, account: str, number: str, contacts: Contacts, references: References
    ) -> None:
        self._context = context
        self._account = account
        self._number = number
        self._contacts = contacts
        self._references = references
        self._place = f"whatsapp-web/{account}/receipt/"
        self._restored: list[MessageReceipt] = []
        """Those that an earlier process had put aside when it died."""
        self._waiting: asyncio.Queue[MessageReceipt] = asyncio.Queue(RECEIPTS_WAITING_MAX)
        """Receipts of messages that are not known: of the phone's own, or of one that is just being sent."""
        self.is_sending: Callable[[], bool] = lambda: False
        self.wait_for_sends: Callable[[], Awaitable[None]] = _nothing_is_sent
        """Awaited where a message is not known: it may be one that WhatsApp has and has not answered yet."""

    async def load(self) -> None:
        """Take up the receipts that an earlier process had put aside."""
        for key, value in (await self._context.store.read(self._place)).items():
            message_id, _, kind = key.removeprefix(self._place).rpartition("/")
            self._restored.append(MessageReceipt((message_id,), ReceiptKind[kind], float(value)))

    async def receipt(self, receipt: MessageReceipt) -> None:
        """Report the messages that the driver sent itself; the phone and other devices send too.

        While a send runs, what is not known is put aside in the journal: it may be of the message that is on its way.
        """
        unknown = [each for each in receipt.message_ids if not self._references.command_of(each)]
        await self._report(receipt)
        if unknown and self.is_sending():
            aside = replace(receipt, message_ids=tuple(unknown))
            await self._context.store.write(dict.fromkeys(self._keys(aside), str(receipt.time_s).encode()))
            await self._waiting.put(aside)

    async def keep_reporting(self) -> None:
        """Look at receipts of unknown messages again once nothing is being sent, while other things come in."""
        while True:
            receipt = self._restored.pop(0) if self._restored else await self._waiting.get()
            await self.wait_for_sends()
            try:
                await self._report(receipt, dict.fromkeys(self._keys(receipt)))
            except Exception as error:  # noqa: BLE001 - the top of a task: the next receipt is another's
                self._context.log.error("account.receipt_failed", **describe(error))

    def _keys(self, receipt: MessageReceipt) -> list[str]:
        return [f"{self._place}{message_id}/{receipt.kind.name}" for message_id in receipt.message_ids]

    async def _report(self, receipt: MessageReceipt, changes: Changes | None = None) -> None:
        found = [self._references.command_of(message_id) for message_id in receipt.message_ids]
        sent = [command_id for command_id in found if command_id]
        if not (sent or changes):
            return
        # The journal forgets commands sooner than this list does.
        known = await self._context.known(sent)
        time = _timestamp(receipt.time_s)
        report: Report = Read(time) if receipt.kind is ReceiptKind.READ else Delivered(network_time=time)
        reports = [(command_id, report) for command_id in sent if command_id in known]
        await self._context.report(reports, changes=changes or {})

    async def message(self, message: Incoming) -> None:
        """Hand a message in; for as long as the journal cannot take it WhatsApp's next one waits."""
        inbound = self._inbound(message)
        time_ns = self._context.clock.wall_ns()
        names = message.sender_ids | {message.sender}
        # Who writes in a group has not written to the account.
        changes = self._contacts.heard(() if message.group_id else names, time_ns=time_ns)
        # Not by its chat: WhatsApp may hand it over again in the chat of another name of the same person.
        sender = message.sender if message.group_id else self._contacts.first_name(names)
        identity = f"{message.group_id}/{sender}/{message.message_id}"
        while True:
            try:
                await self._context.received(inbound, identity=identity, changes=changes)
                return
            except JournalUnwritable:
                await asyncio.sleep(JOURNAL_RETRY_S)

    def _inbound(self, message: Incoming) -> InboundMessage:
        if len(message.text) > TEXT_CHARACTERS_MAX:
            self._context.log.warning("inbound.cut", device=self._account, characters=len(message.text))
        return InboundMessage(
            device_key=self._account,
            channel=CHANNEL_WHATSAPP,
            source=message.sender,
            destination=self._number,
            text=message.text[:TEXT_CHARACTERS_MAX],
            network_time=_timestamp(message.time_s),
            segments=1,
            group_id=message.group_id,
            media=None if message.media is None else _cut(message.media),
            reply_to_command_id=self._references.command_of(message.answers),
            sender_name=message.sender_name[:SENDER_NAME_CHARACTERS_MAX],
        )


async def _nothing_is_sent() -> None:
    """Until the driver has put the parts together."""


def _cut(media: Media) -> Media:
    """The file as the stream allows it. An id that is too long would fetch nothing once it is cut."""
    has_id = len(media.network_id) <= NETWORK_ID_CHARACTERS_MAX
    return Media(
        type=media.type,
        filename=media.filename[:FILENAME_CHARACTERS_MAX],
        mime_type=media.mime_type[:MIME_TYPE_CHARACTERS_MAX],
        network_id=media.network_id if has_id else "",
    )


def _timestamp(time_s: float) -> Timestamp | None:
    return Timestamp(seconds=int(time_s)) if 0 < time_s < YEAR_10000_S else None
