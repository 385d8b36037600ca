"""One account through neonize 0.5, which runs whatsmeow (Go) in threads of its own.

Owns the library's ways: its callbacks come from foreign threads, its log holds numbers, and it may only be asked while
it is open, since it ends the process otherwise. Everything that decides is elsewhere.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import structlog
from google.protobuf.message import DecodeError, Message
from neonize.aioze.client import NewAClient
from neonize.events import INT_TO_EVENT
from neonize.exc import NeonizeError
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message as Content
from neonize.utils.enum import ClientType

from drivers.runtime.failures import describe
from drivers.whatsapp_web.account import AccountFailed, Banned, Event, Handle, NotSent, PairingCode
from drivers.whatsapp_web.adapter.events import (
    BAN_S,
    EVENTS,
    address,
    bare,
    hidden_sender,
    person,
    read_event,
)
from drivers.whatsapp_web.adapter.library import Calls, call_by
from drivers.whatsapp_web.adapter.refusals import read_refusal
from drivers.whatsapp_web.terminal import draw
from infinireach.v1.message_pb2 import FAILURE_REASON_NO_SERVICE

LOOK_S = 0.2
"""How often a thread of the library that waits for the driver looks whether the account was closed."""
CLOSE_S = 0.5
"""How long a question to the library may hold up its end."""

log = structlog.get_logger("whatsapp_web")


class NeonizeAccount:
    """An `account.Account`."""

    def __init__(self, session: Path, handle: Handle) -> None:
        """Make the client; nothing of it runs yet."""
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._is_closed = False
        self._asking = asyncio.Lock()
        """Held while the library is asked: to be asked after it was stopped ends the process."""
        props = DeviceProps(os="Infini Reach", platformType=DeviceProps.CHROME)
        self._client = NewAClient(str(session), props=props, uuid=secrets.token_hex(16))
        call_by(self._client, Calls())
        for kind in EVENTS:
            self._client.event(kind)(_subscribed)
        self._client.qr(self._pairing_code)
        # The library's own dispatcher queues without a limit; this one lets WhatsApp wait for the driver.
        self._client.event.execute = self._from_library

    async def run(self) -> None:
        """Connect, and tell what happens until closed. Raises AccountFailed."""
        running = await self._client.connect()
        self._is_open = True
        try:
            await running
        except NeonizeError as error:
            await self._gave_up(str(error))
        finally:
            self._is_open = False

    async def _gave_up(self, text: str) -> None:
        if "TemporaryBan" in text:
            # A ban with a reason that is newer than the library cannot be told as an event, and must not be overrun.
            await self._handle(Banned(BAN_S, "not_told"))
            return
        if text.startswith("failed to dial"):
            raise AccountFailed("WhatsApp cannot be reached from this machine.") from None
        raise AccountFailed("")

    async def send_text(self, to: str, text: str) -> str:
        """Send a text as it is, without mentions and previews; WhatsApp's id of it. Raises NotSent."""
        if not self._may_be_asked:
            raise NotSent(FAILURE_REASON_NO_SERVICE, "There was no connection to WhatsApp.")
        try:
            sent = await self._client.send_message(address(to), Content(conversation=text))
        except NeonizeError as error:
            refused = read_refusal(str(error))
            if refused is None:
                raise
            raise refused from None
        return sent.ID

    async def find(self, number: str) -> str:
        """The number as WhatsApp writes it; nothing if it has no account. Raises AccountFailed."""
        async with self._question():
            found = await self._client.is_on_whatsapp(number)
        registered = [each for each in found if each.IsIn]
        return (person(registered[0].JID) or number) if registered else ""

    async def code_for(self, number: str) -> str:
        """The characters to type into the phone. Raises AccountFailed."""
        async with self._question():
            return await self._client.PairPhone(
                number, show_push_notification=True, client_type=ClientType.CHROME
            )

    async def own_number(self) -> str:
        """The number that the session belongs to. Raises AccountFailed."""
        async with self._question():
            me = await self._client.get_me()
        number = person(bare(me.JID))
        if not number:
            raise AccountFailed("the account is not paired")
        return number

    async def close(self) -> None:
        """End the connection."""
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asking.acquire(), CLOSE_S)
        await self._client.stop()

    @contextlib.asynccontextmanager
    async def _question(self) -> AsyncGenerator[None]:
        """Around whatever asks the library. Raises AccountFailed if it does not answer, or must not be asked."""
        async with self._asking:
            if not self._may_be_asked:
                raise AccountFailed("the account is not open")
            try:
                yield
            except NeonizeError:
                raise AccountFailed("WhatsApp gave no answer") from None

    @property
    def _may_be_asked(self) -> bool:
        return self._is_open and not self._is_closed

    # From the library.

    async def _pairing_code(self, _: NewAClient, code: bytes) -> None:
        payload = code.decode()
        draw(payload)
        await self._tell(PairingCode(payload))

    def _from_library(self, uuid: int, binary: int, size: int, code: int) -> None:
        """Called in a thread of the library; returns once the driver has done what the event asks for."""
        kind: Any = INT_TO_EVENT.get(code)
        if kind is None or self._is_closed:
            return
        try:
            event: Message = kind.FromString(ctypes.string_at(binary, size))
        except DecodeError:
            log.warning("library.event_unreadable", event_type=kind.__name__)
            return
        told = asyncio.run_coroutine_threadsafe(self._take(event), self._loop)
        while not (told.done() or self._is_closed):
            concurrent.futures.wait([told], LOOK_S)
        if told.done() and (error := told.exception()) is not None:
            log.error("library.event_failed", event_type=kind.__name__, **describe(error))

    async def _take(self, event: Message) -> None:
        hidden = hidden_sender(event)
        number = ""
        if hidden is not None:
            number = await self._number_of(hidden)
        told = read_event(event, number=number)
        if told is not None:
            await self._tell(told)

    async def _number_of(self, hidden: Any) -> str:
        """The number of somebody who hides it, if the library was ever told; nothing otherwise."""
        try:
            async with self._question():
                return person(await self._client.get_pn_from_lid(hidden))
        except AccountFailed:
            return ""

    async def _tell(self, event: Event) -> None:
        if not self._is_closed:
            await self._handle(event)


async def _subscribed(*_: object) -> None:
    """In place of a handler: that there is one makes the library tell the event."""
