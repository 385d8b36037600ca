"""The driver of one WhatsApp account by way of WhatsApp Web.

Puts the parts together; each of them owns one thing. The library is behind `open_account`.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from drivers.runtime import Context, Driver, Outcome, SendAgain
from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import Account, AccountFailed, Handle, Open
from drivers.whatsapp_web.contacts import Contacts
from drivers.whatsapp_web.incoming import Hearing
from drivers.whatsapp_web.life import Identity, Life, Waits
from drivers.whatsapp_web.pacing import Pacer
from drivers.whatsapp_web.references import References
from drivers.whatsapp_web.sending import Sending
from drivers.whatsapp_web.session_file import SessionFile
from drivers.whatsapp_web.standing import Standing
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.device_pb2 import DEVICE_STATE_DEGRADED, DeviceAddress, DeviceFeatures
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP

UNLOADABLE = (
    "The library neonize cannot be loaded. It needs libmagic, which Debian calls libmagic1, and a glibc of 2.17 or "
    "newer on x86_64 or its like."
)
SHARE_FOR_LIBRARY = 0.9
"""How much of the time that the driver has to stop the library may take."""


def open_account(session: Path, handle: Handle) -> Account:
    """Open the session with the real library, which is loaded here and not before. Raises AccountFailed."""
    try:
        # An extra of 20 MB, which starts threads when it is loaded.
        from drivers.whatsapp_web.adapter import client, library  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise AccountFailed(UNLOADABLE) from error
    library.tame()
    return client.NeonizeAccount(session, handle)


class WhatsAppWebDriver(Driver):
    """One account."""

    kind = "whatsapp_web"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_CANCEL,
    })
    settings = config.SETTINGS
    checks = (config.check_number, config.check_library)
    open_account: ClassVar[Open] = staticmethod(open_account)
    """How a session is opened."""
    waits: ClassVar[Waits] = Waits()

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Lock the session, take up what earlier processes knew and begin to connect. Raises SessionUnusable."""
        settings = context.settings
        name: str = settings[config.ACCOUNT.name]
        number: str = settings[config.NUMBER.name]
        self._session = SessionFile(
            settings[config.SESSION.name] or context.var_folder / "whatsapp-web" / name / "session.db"
        )
        pacer = Pacer(
            context,
            name,
            pause=settings[config.PAUSE.name],
            per_day=int(settings[config.PER_DAY.name]),
            night=settings[config.NIGHT.name],
            chance=random.Random(),  # noqa: S311 - a pause, no secret
        )
        contacts, references = Contacts(context, name), References(context, name)
        standing = Standing(context, name, pacer)
        hearing = Hearing(context, account=name, number=number, contacts=contacts, references=references)
        identity = Identity(
            name, number, self._session.path, pairs_by_code=settings[config.PAIRING.name] == "code"
        )
        life = Life(
            context,
            identity,
            open_account=type(self).open_account,
            standing=standing,
            hearing=hearing,
            waits=self.waits,
        )
        self._sending = Sending(
            context,
            life=life,
            standing=standing,
            pacer=pacer,
            contacts=contacts,
            references=references,
            first_contact=settings[config.FIRST_CONTACT.name],
        )
        hearing.wait_for_sends = self._sending.wait_until_idle
        hearing.is_sending = lambda: self._sending.is_under_way
        for part in (pacer, contacts, references, hearing, life):
            await part.load()
        self._tasks = [
            asyncio.create_task(life.run(), name="account's life"),
            asyncio.create_task(life.keep_telling(), name="account's limits"),
            asyncio.create_task(hearing.keep_reporting(), name="account's receipts"),
        ]
        return [_describe(name, number)]

    def stopping(self) -> None:
        """Begin nothing more: who waits for his turn is sent by the next process."""
        self._sending.stopping.set()

    async def stop(self, grace_s: float) -> None:
        """End the connection; the session stays paired."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=grace_s * SHARE_FOR_LIBRARY)
        self._session.close()

    async def send(self, command: SendCommand) -> Outcome:
        """Send one message."""
        return await self._sending.send(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """Find out what became of a command, as far as that can be known."""
        return await self._sending.recover(command)


def _describe(name: str, number: str) -> DeviceDescription:
    address = DeviceAddress(channel=CHANNEL_WHATSAPP, number=number, ready=True)
    return DeviceDescription(
        key=name,
        name=name,
        addresses=[address],
        window=0,
        state=DEVICE_STATE_DEGRADED,
        features=DeviceFeatures(groups=True, read_reports=True),
    )
