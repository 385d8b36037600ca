"""The app's messages: what it was given, in which state each is, and the one place that gives them to Android."""

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from drivers.android.fake_smsgate.clock import PhoneClock
from drivers.android.fake_smsgate.radio import Job, Result
from drivers.android.fake_smsgate.values import Message, Recipient, Sim, State
from drivers.fake_kit.faults import Faults
from drivers.modem.codec.segments import split_text

MESSAGES_MAX = 100_000
"""That the app remembers; it takes no more."""
_DIALLED = re.compile(r"[^0-9+*#]")
_VALID = re.compile(r"\+[1-9][0-9]{6,14}")


class IdTaken(Exception):
    """A message with this id is there already."""


class OutboxFull(Exception):
    """The app's memory is full."""


class Phone(Protocol):
    """What the outbox needs of the phone."""

    def sims(self) -> list[Sim]:
        """The SIMs that are there."""
        ...

    def send(self, job: Job) -> None:
        """Give a message to Android."""
        ...


StateChanged = Callable[[Message, Recipient], None]


class Outbox:
    """Takes messages, and gives them to Android by priority and age."""

    def __init__(self, clock: PhoneClock, faults: Faults, phone: Phone, *, changed: StateChanged) -> None:
        """`changed` is told of every state that a recipient of a message gets, also if it is the one it had."""
        self.messages: dict[str, Message] = {}
        """By id, oldest first."""
        self._clock = clock
        self._faults = faults
        self._phone = phone
        self._changed = changed
        self._waiting: dict[str, Message] = {}
        self._pending = asyncio.Event()

    def enqueue(self, message: Message) -> None:
        """Take a message. Raises IdTaken, OutboxFull."""
        if message.id in self.messages:
            raise IdTaken
        if len(self.messages) >= MESSAGES_MAX:
            raise OutboxFull
        message.states[State.PENDING] = self._clock.now()
        self.messages[message.id] = message
        if self._faults.take("stuck_pending") is None:
            self._waiting[message.id] = message
            self._pending.set()

    async def run(self) -> None:
        """Give what is pending to Android until cancelled."""
        while True:
            self._pending.clear()
            # Whoever asked has its answer before the message goes on.
            await self._clock.sleep(0.001)
            while self._waiting:
                message = max(self._waiting.values(), key=lambda each: each.priority)
                del self._waiting[message.id]
                self._give(message)
            await self._pending.wait()

    def hear(self, result: Result) -> None:
        """Android says something about a message; one that is not known is ignored."""
        message = self.messages.get(result.message_id)
        recipient = message and next(
            (each for each in message.recipients if each.phone_number == result.to), None
        )
        if message is not None and recipient is not None:
            self._set(message, recipient, result.state, result.error)

    def _give(self, message: Message) -> None:
        if message.valid_until is not None and message.valid_until < self._clock.now():
            self._fail(message, "TTL expired")
            return
        wanted = message.sim_number
        sims = self._phone.sims()
        sim = next((sim for sim in sims if wanted in {None, sim.number}), None)
        if sim is None:
            missing = "No SIMs found" if wanted is None else f"SIM {wanted} not found"
            self._fail(message, f"Can't send message: {missing}")
            return
        parts = tuple(split_text(message.text))
        message.parts_count = len(parts)
        for recipient in message.recipients:
            dialled = _DIALLED.sub("", recipient.phone_number)
            if not message.skips_validation and not _VALID.fullmatch(dialled):
                self._set(message, recipient, State.FAILED, "sendSMS: Invalid phone number")
                continue
            job = Job(message.id, recipient.phone_number, dialled, sim, parts, message.with_delivery_report)
            self._set(message, recipient, State.PROCESSED)
            self._phone.send(job)

    def _fail(self, message: Message, error: str) -> None:
        for recipient in message.recipients:
            self._set(message, recipient, State.FAILED, error)

    def _set(self, message: Message, recipient: Recipient, state: State, error: str | None = None) -> None:
        recipient.state = state
        recipient.error = error
        message.states[message.state] = self._clock.now()
        self._changed(message, recipient)
