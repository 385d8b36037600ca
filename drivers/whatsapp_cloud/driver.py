"""The driver of numbers on Meta's Cloud API: those of whatsapp.toml, in one process.

Owns the settings and which number a command is for. Everything about one number is in `number`, everything that comes
in through `webhook`.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from drivers.runtime import (
    Context,
    CutShort,
    Driver,
    Failed,
    Outcome,
    SendAgain,
    Setting,
    StartRefused,
    Submitted,
)
from drivers.runtime import settings as read
from drivers.runtime.config_file import setting_reader
from drivers.runtime.control_socket import ControlSocket
from drivers.runtime.hooks import HookListener
from drivers.whatsapp_cloud.callback_data import CallbackData
from drivers.whatsapp_cloud.config import Config, WebhookConfig, read_config
from drivers.whatsapp_cloud.control import SOCKET_NAME, Requests
from drivers.whatsapp_cloud.counts import Counts
from drivers.whatsapp_cloud.deadlines import EXPIRED, left_s
from drivers.whatsapp_cloud.evidence import Evidence
from drivers.whatsapp_cloud.graph import Graph
from drivers.whatsapp_cloud.number import Number
from drivers.whatsapp_cloud.replies import Replies
from drivers.whatsapp_cloud.statuses import Statuses
from drivers.whatsapp_cloud.troubles import Timing
from drivers.whatsapp_cloud.webhook import Webhook
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT

HOOK_BYTES_MAX = 4 * 1024 * 1024
"""Meta's webhooks have up to 3 MB."""
HOOKS_AT_ONCE = 32
NOT_IN_FILE = "The number is no longer in whatsapp.toml."


CONFIG = Setting(
    "INFINIREACH_WHATSAPP_CONFIG",
    setting_reader(read_config),
    "The file that says which numbers there are; docs/whatsapp-cloud.md.",
    "whatsapp.toml",
)
RECOVER_S = Setting(
    "INFINIREACH_WHATSAPP_RECOVER_S",
    read.number(0, 3600),
    "Seconds after a crash to wait for a status of a message whose answer was lost, before it counts as unknown.",
    "60",
)


class WhatsAppCloudDriver(Driver):
    """Numbers on Meta's Cloud API."""

    kind = "whatsapp_cloud"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_CANCEL,
    })
    settings = (CONFIG, RECOVER_S)
    groups_at_once = 50
    timing: ClassVar[Timing] = Timing()
    """How long numbers pause."""

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Listen for webhooks, announce all numbers and look each up."""
        self._context = context
        config: Config = context.settings[CONFIG.name]
        for file in config.exposed:
            context.log.warning("config.exposed", file=file, remedy=f"chmod o-rwx {file}")
        replies, callback_data = Replies(context), CallbackData()
        await replies.load()
        await callback_data.load(context)
        self._evidence = Evidence()
        self._graph = Graph(config.graph)
        await self._graph.open()
        self._numbers = {
            each.name: Number(
                context,
                each,
                self._graph,
                replies=replies,
                evidence=self._evidence,
                callback_data=callback_data,
                timing=self.timing,
            )
            for each in config.numbers
        }
        self.counts = Counts(context)
        webhook = Webhook(
            context,
            config.webhook,
            {number.config.phone_number_id: number for number in self._numbers.values()},
            statuses=Statuses(
                context, replies, self._evidence, callback_data=callback_data, counts=self.counts
            ),
            replies=replies,
            counts=self.counts,
        )
        self._listener = HookListener(
            webhook.answer, body_bytes_max=HOOK_BYTES_MAX, requests_at_once=HOOKS_AT_ONCE
        )
        await self._open_webhook(context, config.webhook)
        requests = Requests(list(self._numbers.values()), self.counts, lambda: self.webhook_port)
        self._control = ControlSocket(requests.carry_out)
        await self._control.open_or_log(context.var_folder / SOCKET_NAME, context.log)
        self._lives = [
            asyncio.create_task(number.run(), name=f"number {name}") for name, number in self._numbers.items()
        ]
        return [number.describe() for number in self._numbers.values()]

    async def _open_webhook(self, context: Context, config: WebhookConfig) -> None:
        try:
            await self._listener.open(
                config.host, config.port, cert_file=config.cert_file, key_file=config.key_file
            )
        except (OSError, UnicodeError) as error:
            remedy = "mend host, port, cert_file and key_file of [webhook] in whatsapp.toml"
            reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            context.log.error("webhook.not_open", error=reason, remedy=remedy)
            await self._graph.close()
            raise StartRefused from error
        context.log.info("webhook.listens", port=self.webhook_port, path=config.path)

    @property
    def webhook_port(self) -> int:
        """Where webhooks come in."""
        return self._listener.port

    def stopping(self) -> None:
        """Begin no further request, and let no `recover` wait: the next process goes on with both."""
        self._evidence.stop()

    async def stop(self, grace_s: float) -> None:
        """Close the listener and every connection."""
        for life in self._lives:
            life.cancel()
        await self._listener.close()
        await self._control.close()
        await self._graph.close()

    async def send(self, command: SendCommand) -> Outcome:
        """Send from the number that the command names."""
        number = self._numbers.get(command.device_key)
        if number is None:
            return Failed(FAILURE_REASON_DEVICE_FAULT, detail=NOT_IN_FILE)
        return await number.send(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """What became of a command: the journal's mark, or a status that names it, tells."""
        wait_s: float = self._context.settings[RECOVER_S.name]
        marks = await self._context.segments(command.command_id)
        if marks and marks[0].taken:
            return Submitted([marks[0].reference])
        if marks:
            said = await self._evidence.wait_for(command.command_id, wait_s)
        elif (rest_s := left_s(command, self._context.clock.wall_ns())) <= 0:
            said = EXPIRED
        else:  # Graph was not asked yet
            if number := self._numbers.get(command.device_key):
                await self._evidence.until(number.is_ready.wait(), min(wait_s, rest_s))
            said = SendAgain()
        if self._evidence.is_stopped and not isinstance(said, Submitted | Failed):
            raise CutShort
        return said
