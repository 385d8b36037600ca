"""The real driver as a process, between a core that a test plays and a fake phone.

Owns the two ends and what must hold between them: every message is sent once and its core knows it.
"""

import secrets
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.android.fake_smsgate import NUMBER, Conditions, FakeSmsGate, Sim
from drivers.modem.codec.segments import split_text
from drivers.runtime.contract_kit.core_model import OPEN, ModelCommand
from drivers.runtime.contract_kit.subject import WAIT_S, Rig, Subject
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.v1.message_pb2 import CHANNEL_SMS
from tests.fakes.phone_owner import TO
from tools.engines.ports import free_port

SECOND = "+15559876544"
SPEED = 50.0
"""Of the phone's days."""
FAST = Conditions(radio_s=0.5, report_s=0.5, limit_parts=None)
PHONE = "phone"
HURRIED = Path(__file__).with_name("hurried_driver.py")
PATIENCE_S = WAIT_S
"""For what takes several looks of the driver at a phone that was away; no measure of speed."""


class Bench:
    """Driver, core and phone."""

    def __init__(self, rig: Rig, phone: FakeSmsGate, *, has_webhook: bool) -> None:
        self.rig = rig
        self.core = rig.core
        self.phone = phone
        self.has_webhook = has_webhook

    def offer(self, text: str, *, source: str = NUMBER, to: str = TO) -> str:
        """Give the core a message for the driver; its command's id."""
        command = SendCommand(
            command_id=f"cmd-{secrets.token_hex(8)}",
            message_id=secrets.token_hex(12),
            device_key=PHONE,
            channel=CHANNEL_SMS,
            source=source,
            destination=to,
            text=TextContent(body=text, segments=len(split_text(text))),
            delivery_report_wanted=True,
        )
        self.core.offer([command])
        return command.command_id

    def state(self, command_id: str) -> str:
        """How far the core knows the message to be."""
        return self.core.states()[command_id]

    def command(self, command_id: str) -> ModelCommand:
        """The message as the core has it."""
        return self.core.commands[command_id]

    async def until_state(self, state: str, *command_ids: str) -> None:
        """Wait until the core knows all these messages to be in a state."""
        await self.core.until(
            lambda: all(self.state(command_id) == state for command_id in command_ids), timeout_s=PATIENCE_S
        )

    async def until_condition(self, reason: str) -> None:
        """Wait until the driver says for this reason how the phone is; empty: that all is well."""
        await self.core.until(lambda: self.reason == reason, timeout_s=PATIENCE_S)

    @property
    def reason(self) -> str:
        """Why the phone is as the core was told last; empty: all is well."""
        changes = self.core.device_changes
        return changes[-1].reason if changes else ""

    def final(self, command_id: str) -> set[str]:
        """The states in which a message may end at a phone that works."""
        parts = self.command(command_id).command.text.segments
        # The app's own record says that a message arrived when one part did: only webhooks tell of each.
        return {"delivered"} if parts == 1 or self.has_webhook else {"submitted"}

    def parts_sent(self, command_id: str) -> list[int]:
        """The parts of a message that the network took, in order."""
        return [part.part for part in self.phone.sent if part.message_id == command_id]

    def check(self) -> None:
        """Every message that the core gave went out once, whole, and none is forgotten."""
        for command_id, state in self.core.states().items():
            assert state != OPEN, f"{command_id} is forgotten"
            parts = self.command(command_id).command.text.segments
            assert self.parts_sent(command_id) == list(range(1, parts + 1)), command_id
        assert {part.message_id for part in self.phone.sent} <= set(self.core.states())

    def texts_in(self) -> list[str]:
        """What the core was told that came in, in order."""
        return [message.text for message in self.core.inbound]


@asynccontextmanager
async def bench(
    folder: Path, *, has_webhook: bool = True, settings: Mapping[str, str] | None = None, **options: Any
) -> AsyncGenerator[Bench]:
    """A driver that runs, its phone and its core. `settings` go into phones.toml; options as the phone's."""
    values = {"poll_s": "0.05", "parts_per_30_min": "100000", **(settings or {})}
    usual: dict[str, Any] = {
        "sims": [Sim(1, NUMBER), Sim(2, SECOND)],
        "speed": SPEED,
        "conditions": FAST,
    }
    phone = FakeSmsGate(**(usual | options))
    async with phone:
        lines = [phone.config(PHONE), *(f"{name} = {value}" for name, value in values.items())]
        if has_webhook:
            port = free_port()
            lines += ["[webhook]", f"port = {port}", f'url = "http://127.0.0.1:{port}"']
        config = folder / "phones.toml"
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        subject = Subject(
            argv=[sys.executable, str(HURRIED)],
            device_key=PHONE,
            channel=CHANNEL_SMS,
            source=NUMBER,
            destination=TO,
            taken=lambda: [part.message_id for part in phone.sent],
            environment={"INFINIREACH_ANDROID_CONFIG": str(config)},
        )
        async with Rig(subject, folder) as rig:
            await rig.start()
            yield Bench(rig, phone, has_webhook=has_webhook)
