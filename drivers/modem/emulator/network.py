"""The network behind emulated modems: its service centre takes messages, reports on them, and brings others.

Owns what was taken, which is the ground truth of every test, and what waits for whom. Knows SIMs only as subscribers;
does no I/O but for the radio log that it is given.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Protocol

from drivers.modem.codec import (
    AddressInvalid,
    Concatenation,
    Submit,
    TextUnencodable,
    encode_deliver,
    encode_status_report,
    join_text,
)
from drivers.modem.emulator.clock import Clock, Timer
from drivers.modem.emulator.fates import Fate
from drivers.modem.emulator.inbound import Inbound, InboundInvalid, pdus_of
from drivers.modem.emulator.ussd import MENU, UssdMenu

RADIO_S = 0.3
REPORT_AFTER_S = 0.5
RETRY_S = 30.0
"""After this long the network tries again to bring what a modem did not take."""
WAITING_MAX = 10_000
"""Messages and reports for one subscriber."""
KEPT_MAX = 100_000
UNFINISHED_MAX = 1000
"""Messages of which parts are missing; of more the oldest is forgotten."""
SERVICE_CENTRE = "+15550000001"


@dataclass(slots=True, frozen=True)
class TakenPart:
    """One part that the network took from a modem."""

    time: datetime
    sender: str
    destination: str
    reference: int
    """TP-MR, as the modem gave it."""
    text: str
    """Of this part."""
    concatenation: Concatenation | None
    wants_report: bool
    submit: Submit


@dataclass(slots=True, frozen=True)
class TakenMessage:
    """A message of which the network has every part."""

    time: datetime
    """When it was whole."""
    sender: str
    destination: str
    text: str
    parts: tuple[TakenPart, ...]


class Subscriber(Protocol):
    """A SIM in a modem, as the network sees it."""

    @property
    def number(self) -> str:
        """E.164."""
        ...

    @property
    def is_reachable(self) -> bool:
        """Whether it is registered."""
        ...

    def receive(self, pdu: str, taken: Callable[[bool], None]) -> None:
        """Bring a PDU. It calls `taken` once, now or later: whether it has it."""
        ...


@dataclass(slots=True, eq=False)
class Item:
    """Something that the network has for a subscriber."""

    pdu: str
    delivered: Callable[[], None] | None = None
    """Called when the subscriber has it."""


class Mailbox:
    """What waits for one subscriber: brought one at a time, in its order, until it is taken."""

    def __init__(self, subscriber: Subscriber, clock: Clock, network: "Network") -> None:
        self.subscriber = subscriber
        """The modem in which the SIM was last."""
        self._number = subscriber.number
        self._clock = clock
        self._network = network
        self._items: deque[Item] = deque()
        self._is_bringing = False
        self._retry: Timer | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Iterable[Item]) -> None:
        """Have these brought as well; what would be more than WAITING_MAX is lost, as in a network."""
        self._items.extend(islice(items, max(0, WAITING_MAX - len(self._items))))
        self.wake()

    def _is_reachable(self) -> bool:
        """Whether its SIM is in that modem still, and that modem in the network."""
        return self.subscriber.number == self._number and self.subscriber.is_reachable

    def wake(self) -> None:
        """The subscriber may be reachable, or have room, again."""
        if self._items and not self._is_bringing and self._is_reachable():
            self._is_bringing = True
            self._clock.later(0, self._bring)

    def _bring(self) -> None:
        if not self._items or not self._is_reachable():
            self._is_bringing = False
            return
        item = self._items[0]
        self.subscriber.receive(item.pdu, lambda is_taken: self._brought(item, is_taken=is_taken))

    def _brought(self, item: Item, *, is_taken: bool) -> None:
        self._is_bringing = False
        if is_taken:
            self._items.popleft()
            if item.delivered is not None:
                item.delivered()
            self._network.changed()
            self.wake()
        else:
            if self._retry is not None:
                self._retry.cancel()
            self._retry = self._clock.later(self._network.retry_s, self.wake)


@dataclass(slots=True, eq=False)
class Network:
    """One service centre for any number of modems. What they send to each other's numbers arrives there."""

    clock: Clock
    radio_s: float = RADIO_S
    """Seconds that a part is on the air."""
    report_after_s: float = REPORT_AFTER_S
    """Seconds from the taking of a part to its report."""
    retry_s: float = RETRY_S
    log: Callable[[TakenPart, str | None], None] | None = None
    """Told of each part before its modem says that it was sent, with the whole text if it was the last."""
    ussd: UssdMenu = MENU
    parts: deque[TakenPart] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    """Every part that was taken, in its order; of very many the last ones."""
    messages: deque[TakenMessage] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    """Every message that is whole, in its order; of very many the last ones."""
    inbound_references: int = 0
    _listeners: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    _message_listeners: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    _mailboxes: dict[str, Mailbox] = field(default_factory=dict[str, Mailbox])
    _unfinished: dict[tuple[str, str, int, int], dict[int, TakenPart]] = field(
        default_factory=dict[tuple[str, str, int, int], dict[int, TakenPart]]
    )

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Call this whenever something was taken or brought."""
        self._listeners.append(listener)

    def when_message_taken(self, listener: Callable[[], None]) -> None:
        """Call this whenever the network has every part of a message."""
        self._message_listeners.append(listener)

    def changed(self) -> None:
        """Something was taken or brought."""
        for listener in self._listeners:
            listener()

    def attach(self, subscriber: Subscriber) -> None:
        """A SIM is in a modem now. What waits for its number waits on."""
        mailbox = self._mailboxes.get(subscriber.number)
        if mailbox is None:
            self._mailboxes[subscriber.number] = Mailbox(subscriber, self.clock, self)
        else:
            mailbox.subscriber = subscriber
        self.wake(subscriber.number)

    def wake(self, number: str) -> None:
        """A subscriber has come, or has room again."""
        if mailbox := self._mailboxes.get(number):
            mailbox.wake()

    def waiting(self, number: str) -> int:
        """How much waits for a subscriber."""
        return len(self._mailboxes.get(number, ()))

    def deliver(self, inbound: Inbound, *, to: str | None = None, times: int = 1) -> int:
        """Have a message brought to a subscriber, by default the only one; how many PDUs. Raises InboundInvalid."""
        reference = self.inbound_references if inbound.reference is None else inbound.reference
        pdus = pdus_of(inbound, reference=reference, now=self.clock.now(), smsc=SERVICE_CENTRE)
        if inbound.reference is None:
            self.inbound_references += 1
        return self.deliver_pdus(pdus * times, to=to)

    def deliver_pdus(self, pdus: Iterable[str], *, to: str | None = None) -> int:
        """Have PDUs brought as they are; how many. Raises InboundInvalid."""
        items = [Item(pdu) for pdu in pdus]
        mailbox = self._mailbox(to)
        if len(mailbox) + len(items) > WAITING_MAX:
            raise InboundInvalid(f"More than {WAITING_MAX} messages would wait for this modem.")
        mailbox.put(items)
        return len(items)

    def take(self, submit: Submit, *, sender: str, reference: int, fate: Fate) -> None:
        """A part has arrived from a modem."""
        part = TakenPart(
            self.clock.now(),
            sender,
            submit.destination,
            reference,
            submit.text,
            submit.concatenation,
            submit.wants_report,
            submit,
        )
        self.parts.append(part)
        message = self._completed(part)
        if self.log is not None:
            self.log(part, None if message is None else message.text)
        if message is not None:
            self.messages.append(message)
            for listener in self._message_listeners:
                listener()
        self._go_on_with(part, fate)
        self.changed()

    def _completed(self, part: TakenPart) -> TakenMessage | None:
        """The message that this part makes whole."""
        concatenation = part.concatenation
        if concatenation is None:
            return TakenMessage(part.time, part.sender, part.destination, part.text, (part,))
        key = (part.sender, part.destination, concatenation.reference, concatenation.total)
        parts = self._unfinished.setdefault(key, {})
        parts[concatenation.number] = part
        if len(parts) < concatenation.total:
            if len(self._unfinished) > UNFINISHED_MAX:
                del self._unfinished[next(iter(self._unfinished))]
            return None
        del self._unfinished[key]
        ordered = tuple(parts[number] for number in sorted(parts))
        text = join_text([each.submit for each in ordered])
        return TakenMessage(part.time, part.sender, part.destination, text, ordered)

    def _go_on_with(self, part: TakenPart, fate: Fate) -> None:
        """Report on a part, and bring it to its destination if that is one of ours."""

        def report() -> None:
            self._report(part, fate)

        to = self._mailboxes.get(part.destination)
        if to is not None and fate.is_delivered and not fate.is_reported_first:
            to.put([Item(self._forwarded(part), report)])
        else:
            report()

    def _forwarded(self, part: TakenPart) -> str:
        try:
            return encode_deliver(
                part.text,
                originator=part.sender,
                sent_at=part.time,
                concatenation=part.concatenation,
                smsc=SERVICE_CENTRE,
            ).hex
        except (AddressInvalid, TextUnencodable, ValueError):
            # Half a character, say: it arrives as a text that says so.
            return encode_deliver("?", originator=part.sender, sent_at=part.time, smsc=SERVICE_CENTRE).hex

    def _report(self, part: TakenPart, fate: Fate) -> None:
        if not part.wants_report:
            return
        wait_s = self.report_after_s if fate.report_after_s is None else fate.report_after_s
        if fate.is_reported_first:
            wait_s = 0.0
        for position, status in enumerate(fate.reports):
            self.clock.later(wait_s * (position + 1), lambda status=status: self._send_report(part, status))

    def _send_report(self, part: TakenPart, status: int) -> None:
        pdu = encode_status_report(
            message_reference=part.reference,
            recipient=part.destination,
            sent_at=part.time,
            done_at=self.clock.now(),
            status=status,
            smsc=SERVICE_CENTRE,
        )
        self._mailbox(part.sender).put([Item(pdu.hex)])

    def _mailbox(self, number: str | None) -> Mailbox:
        if number is None and len(self._mailboxes) == 1:
            return next(iter(self._mailboxes.values()))
        mailbox = self._mailboxes.get(number or "")
        if mailbox is None:
            there = ", ".join(self._mailboxes)
            raise InboundInvalid(f"No emulated modem has that number. There are: {there}.")
        return mailbox
