"""The driver of Android phones: those of phones.toml, each living its own life in one process.

Owns the setting, the listener for webhooks and which phone a command is for. Everything about one phone is in `phone`.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from drivers.android.config import Config, WebhookConfig, read_config
from drivers.android.phone import Phone
from drivers.android.timing import Timing
from drivers.android.webhooks import Webhooks
from drivers.runtime import Context, Driver, Failed, Outcome, SendAgain, Setting, Unknown
from drivers.runtime.config_file import setting_reader
from drivers.runtime.hooks import HookListener
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_IDEMPOTENT_SUBMIT,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT

NOT_IN_FILE = "The phone is no longer in phones.toml."


CONFIG = Setting(
    "INFINIREACH_ANDROID_CONFIG",
    setting_reader(read_config),
    "The file that says which phones there are: docs/android.md.",
    "phones.toml",
)


class AndroidDriver(Driver):
    """Phones that run SMS Gateway for Android."""

    kind = "android"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_IDEMPOTENT_SUBMIT,
        CAPABILITY_CANCEL,
    })
    settings = (CONFIG,)
    timing: ClassVar[Timing] = Timing()
    """How long is waited for what."""

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Announce all phones at once and begin to look for each."""
        self._context = context
        config: Config = context.settings[CONFIG.name]
        self._listener: HookListener | None = None
        webhook = config.webhook
        self._phones = {each.name: Phone(context, each, webhook, self.timing) for each in config.phones}
        for phone in self._phones.values():
            await phone.load()
        if webhook is not None:
            await self._listen(webhook)
        self._lives = [
            asyncio.create_task(phone.run(), name=f"phone {name}") for name, phone in self._phones.items()
        ]
        return [phone.describe() for phone in self._phones.values()]

    async def _listen(self, webhook: WebhookConfig) -> None:
        self._listener = HookListener(Webhooks(self._phones, self._context.clock).answer)
        try:
            await self._listener.open(
                webhook.host, webhook.port, cert_file=webhook.cert_file, key_file=webhook.key_file
            )
        except OSError as error:
            # The phones are asked all the same.
            remedy = "mend host, port, cert_file and key_file of [webhook] in phones.toml"
            self._context.log.error("webhook.not_open", error=type(error).__name__, remedy=remedy)
            self._listener = None

    def stopping(self) -> None:
        """Wait for no phone any longer: the next process asks what became of its messages."""
        for phone in self._phones.values():
            phone.stopping()

    async def stop(self, grace_s: float) -> None:
        """Close every connection."""
        if self._listener is not None:
            await self._listener.close()
        for life in self._lives:
            life.cancel()
        await asyncio.wait(self._lives)
        for phone in self._phones.values():
            await phone.close()

    async def send(self, command: SendCommand) -> Outcome:
        """Send through the phone that the command names."""
        phone = self._phones.get(command.device_key)
        if phone is None:
            return Failed(FAILURE_REASON_DEVICE_FAULT, detail=NOT_IN_FILE)
        return await phone.send(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain:
        """Ask the phone that a command was for what became of it."""
        phone = self._phones.get(command.device_key)
        if phone is not None:
            return await phone.recover(command)
        if await self._context.segments(command.command_id):
            return Unknown(f"It may have been handed over. {NOT_IN_FILE}")
        return Failed(FAILURE_REASON_DEVICE_FAULT, detail=NOT_IN_FILE)
