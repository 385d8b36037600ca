"""Hands messages to the account, one at a time, at a human pace, and says what came of each.

Owns the order of checks, and the mark in the journal between the last of them and the handing over.
"""

import asyncio
import re

from drivers.runtime import Context, CutShort, Failed, Outcome, SendAgain, Submitted, Unknown
from drivers.whatsapp_web.account import Account, AccountFailed, NotSent
from drivers.whatsapp_web.contacts import Contacts
from drivers.whatsapp_web.life import Life
from drivers.whatsapp_web.pacing import Pacer
from drivers.whatsapp_web.references import References
from drivers.whatsapp_web.standing import Standing
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_EXPIRED,
    FAILURE_REASON_NO_SERVICE,
)

SEND_S = 150.0
"""For WhatsApp to take a message: the library itself waits for 75 s, and once more after a reconnect."""
QUESTION_S = 30.0
"""For WhatsApp to say whether a number has an account."""
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
HIDDEN = re.compile(r"[0-9]{1,64}@lid")
GROUP = re.compile(r"[0-9-]{1,64}@g\.us")

NOT_TEXT = Failed(
    FAILURE_REASON_CONTENT_UNSUPPORTED, detail="The account can send plain text and nothing else."
)
NO_DESTINATION = Failed(
    FAILURE_REASON_DESTINATION_INVALID,
    detail="The account can write to a phone number, to <digits>@lid and to a group; ids of the business platform "
    "mean nothing to it.",
)
STRANGER = Failed(
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    detail="The recipient has never written to the account, and first contact is off; "
    "INFINIREACH_WHATSAPP_WEB_FIRST_CONTACT=yes allows it, at the risk of a ban.",
)
NOT_REGISTERED = Failed(FAILURE_REASON_DESTINATION_INVALID, detail="The number has no WhatsApp account.")
EXPIRED = Failed(FAILURE_REASON_EXPIRED, detail="The deadline passed while the driver was away.")
NO_ANSWER = Failed(
    FAILURE_REASON_NO_SERVICE, detail="WhatsApp did not say whether the number has an account."
)


class Sending:
    """What the account sends."""

    def __init__(
        self,
        context: Context,
        *,
        life: Life,
        standing: Standing,
        pacer: Pacer,
        contacts: Contacts,
        references: References,
        first_contact: bool,
    ) -> None:
        self._context = context
        self._life = life
        self._standing = standing
        self._pacer = pacer
        self._contacts = contacts
        self._references = references
        self._first_contact = first_contact
        self._turn = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self.stopping = asyncio.Event()

    @property
    def is_under_way(self) -> bool:
        """Whether a message is on its way to WhatsApp, so that its id is not known yet."""
        return not self._idle.is_set()

    async def wait_until_idle(self) -> None:
        """Wait until no message is on its way to WhatsApp, so that the ids of all that were taken are known."""
        await self._idle.wait()

    async def send(self, command: SendCommand) -> Outcome:
        """Send one message. Raises CutShort before anything was handed over, if the process stops."""
        if command.WhichOneof("content") != "text":
            return NOT_TEXT
        to = command.destination
        if not (NUMBER.fullmatch(to) or HIDDEN.fullmatch(to) or GROUP.fullmatch(to)):
            return NO_DESTINATION
        if self._is_stranger(to) and not self._first_contact:
            return STRANGER
        try:
            async with self._turn:
                return await self._send_in_turn(command)
        finally:
            await self._standing.tell()

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """What became of a command of an earlier process, as far as the marks say."""
        marks = await self._context.segments(command.command_id)
        if marks:
            return Submitted([marks[0].reference]) if marks[0].taken else None
        # It was waiting for its turn. The account is only just being opened.
        await self._clear_or_stopping()
        if self.stopping.is_set():
            raise CutShort
        if (
            command.HasField("not_after")
            and command.not_after.ToNanoseconds() < self._context.clock.wall_ns()
        ):
            return EXPIRED
        return SendAgain()

    async def _clear_or_stopping(self) -> None:
        waits = [
            asyncio.create_task(self._standing.is_clear.wait(), name="account clear"),
            asyncio.create_task(self.stopping.wait(), name="stopping"),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _is_stranger(self, to: str) -> bool:
        """Whether the recipient has never written. A group is none: one writes only to groups one is in."""
        return not to.endswith("@g.us") and to not in self._contacts

    async def _send_in_turn(self, command: SendCommand) -> Outcome:
        refusal = self._standing.refusal
        if refusal is not None:
            return refusal
        if not await self._pacer.turn(self.stopping):
            raise CutShort
        # It may have gone while the pause lasted.
        refusal, account = self._standing.refusal, self._life.account
        if refusal is not None or account is None:
            return refusal or Failed(FAILURE_REASON_NO_SERVICE, detail="The account is not connected.")
        try:
            to = await self._recipient(account, command.destination)
            if isinstance(to, Failed):
                return to
            await self._context.segment_started(command.command_id, 1, changes=self._pacer.count())
            return await self._hand_over(account, command, to)
        finally:
            # After a question too: asking about one number after the other looks like a machine.
            self._pacer.rest()

    async def _recipient(self, account: Account, to: str) -> str | Failed:
        """Ask whether a stranger has an account at all: writing to many that have none looks like spam."""
        if not (NUMBER.fullmatch(to) and self._is_stranger(to)):
            return to
        try:
            async with asyncio.timeout(QUESTION_S):
                return await account.find(to) or NOT_REGISTERED
        except (AccountFailed, TimeoutError):
            return NO_ANSWER

    async def _hand_over(self, account: Account, command: SendCommand, to: str) -> Outcome:
        self._idle.clear()
        try:
            async with asyncio.timeout(SEND_S):
                message_id = await account.send_text(to, command.text.body)
            changes = self._references.add(message_id, command.command_id)
            await self._context.segment_taken(command.command_id, 1, reference=message_id, changes=changes)
            self._references.written(message_id)
        except NotSent as refused:
            return Failed(refused.reason, refused.code, refused.detail)
        except TimeoutError:
            return Unknown("WhatsApp did not say in time whether it took the message.")
        finally:
            self._idle.set()
        return Submitted([message_id])
