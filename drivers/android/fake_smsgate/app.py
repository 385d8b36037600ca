"""The app on the fake phone: its messages, its inbox and its webhooks, for as long as its memory is kept."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.android.fake_smsgate.outbox import Outbox, Phone
from drivers.android.fake_smsgate.radio import Result
from drivers.android.fake_smsgate.values import (
    AppKind,
    Message,
    Received,
    Recipient,
    State,
    without_nulls,
)
from drivers.android.fake_smsgate.webhooks import Webhooks
from drivers.fake_kit.faults import Faults

_EVENTS = {State.SENT: "sms:sent", State.DELIVERED: "sms:delivered", State.FAILED: "sms:failed"}
_TIMES = {State.SENT: "sentAt", State.DELIVERED: "deliveredAt", State.FAILED: "failedAt"}


@dataclass(slots=True, frozen=True)
class Identity:
    """What the app was set up with."""

    user: str
    password: str
    signing_key: str
    device_id: str
    kind: AppKind
    version: str = "1.60.0"


class App:
    """What the app knows and does; ends and starts again, with its memory or without."""

    def __init__(
        self,
        identity: Identity,
        clock: PhoneClock,
        faults: Faults,
        phone: Phone,
        *,
        tls: ssl.SSLContext | None,
        changed: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.inbox: dict[str, Received] = {}
        """What the app saw come in, by its id there, oldest first."""
        self._clock = clock
        self._faults = faults
        self._phone = phone
        self._changed = changed
        self.webhooks = Webhooks(
            clock,
            faults,
            device_id=identity.device_id,
            signing_key=identity.signing_key,
            tls=tls,
            changed=changed,
        )
        self.outbox = Outbox(clock, faults, phone, changed=self._state_changed)
        self._sending: asyncio.Task[None] | None = None
        self._last_moment = clock.now()

    @property
    def is_running(self) -> bool:
        """Whether the app is there at all."""
        return self._sending is not None

    def start(self) -> None:
        """Run."""
        self.webhooks.start()
        self._sending = asyncio.get_running_loop().create_task(self.outbox.run(), name="fake phone app")
        sims = [
            {"slotIndex": sim.number - 1, "simNumber": sim.number, "phoneNumber": sim.phone_number}
            for sim in self._phone.sims()
        ]
        self.webhooks.emit("app:started", {"simCards": sims})

    async def stop(self) -> None:
        """End, wherever it is."""
        if self._sending is None:
            return
        self._sending.cancel()
        await asyncio.wait([self._sending])
        self._sending = None
        await self.webhooks.stop()

    def forget(self) -> None:
        """All that it knew is gone, as when its data are cleared. Password and keys are set up again as they were."""
        self.outbox = Outbox(self._clock, self._faults, self._phone, changed=self._state_changed)
        self.webhooks.forget()
        self.inbox.clear()

    def hear(self, result: Result) -> None:
        """Android says something about a message."""
        self.outbox.hear(result)

    def receive(self, message: Received, *, sends_events: bool = True) -> None:
        """A message came in. One with the id of another is not told of again."""
        if message.inbox_id in self.inbox:
            return
        self.inbox[message.inbox_id] = message
        if sends_events:
            self.announce(message)

    def announce(self, message: Received) -> None:
        """Send sms:received, whether it was sent before or not."""
        self.webhooks.emit(
            "sms:received",
            {
                "messageId": message.event_id,
                "message": message.text,
                **self._parties(message.sender, message.sim.phone_number, other=message.sender),
                "simNumber": message.sim.number,
                "receivedAt": self._clock.shown(message.at),
            },
        )

    def ping(self) -> None:
        """Send system:ping."""
        self.webhooks.emit("system:ping", {})

    def shown(self, message: Message) -> dict[str, Any]:
        """A message as the app answers with it."""
        return message.shown(self.identity.device_id, self._clock.shown)

    def inbox_item(self, message: Received) -> dict[str, Any]:
        """A message that came in as the app answers with it."""
        return {
            "id": message.inbox_id,
            "type": "SMS",
            "sender": message.sender,
            "recipient": message.sim.phone_number,
            "simNumber": message.sim.number,
            "contentPreview": message.text,
            "createdAt": self._clock.shown(message.at),
        }

    def _parties(self, sender: str | None, recipient: str | None, *, other: str) -> dict[str, Any]:
        if self.identity.kind is AppKind.OLD or self._faults.active("webhook_old_shape") is not None:
            return {"phoneNumber": other}
        return {"sender": sender, "recipient": recipient}

    def _next_moment(self) -> datetime:
        """Now, and later than the time of the event before: a phone takes some milliseconds for each."""
        now = self._clock.now()
        is_set_back = self._last_moment - now > timedelta(seconds=1)
        later = self._last_moment + timedelta(milliseconds=1)
        self._last_moment = now if is_set_back else max(now, later)
        return self._last_moment

    def _state_changed(self, message: Message, recipient: Recipient) -> None:
        self._changed()
        event = _EVENTS.get(recipient.state)
        if event is None:
            return
        sims = self._phone.sims()
        sim = next((each for each in sims if message.sim_number in {None, each.number}), None)
        payload = {
            "messageId": message.id,
            **self._parties(sim and sim.phone_number, recipient.phone_number, other=recipient.phone_number),
            "simNumber": message.sim_number,
            "partsCount": message.parts_count if recipient.state is State.SENT else None,
            _TIMES[recipient.state]: self._clock.shown(self._next_moment()),
            "reason": recipient.error if recipient.state is State.FAILED else None,
        }
        self.webhooks.emit(event, without_nulls(payload))


def between(message: Received, since: datetime | None, until: datetime) -> bool:
    """Whether it came in within a time, both ends included."""
    return (since is None or message.at >= since) and message.at <= until
