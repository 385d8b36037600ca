"""The driver of phones at work in the test's own process, with a fake phone and a small core."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.android.config import Config, read_config
from drivers.android.driver import CONFIG, AndroidDriver
from drivers.android.fake_smsgate import NUMBER, Conditions, FakeSmsGate
from drivers.android.timing import Timing
from drivers.runtime.engine import Engine
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import CommandReport, DeviceChanged
from infinireach.v1.message_pb2 import CHANNEL_SMS, FAILURE_REASON_NO_SERVICE
from tests.fakes.core_stub import StubCore
from tests.fakes.driver_at_work import address_of, driver_at_work
from tools.engines.ports import free_port

FAST = Timing(
    examine_s=0.02,
    sweep_s=0.02,
    catch_up_s=0.02,
    locked_s=0.05,
    stuck_s=0.2,
    overtime_s=0.2,
    again_s=0.02,
    pace_look_s=0.02,
    down_s=0.05,
)
DESTINATION = "+15551230000"
RADIO = Conditions(radio_s=0.0, report_s=0.01, limit_parts=None)


class FastAndroidDriver(AndroidDriver):
    timing = FAST


@dataclass
class Gateway:
    """A driver at work, and what the core hears of it."""

    core: StubCore
    driver: AndroidDriver
    engine: Engine

    def offer(
        self,
        text: str = "hello",
        *,
        source: str = NUMBER,
        parts: int = 1,
        not_after_s: int | None = None,
        wants_report: bool = True,
        destination: str = DESTINATION,
    ) -> str:
        command = SendCommand(
            command_id=f"cmd-{secrets.token_hex(8)}",
            device_key="phone",
            channel=CHANNEL_SMS,
            source=source,
            destination=destination,
            text=TextContent(body=text, segments=parts),
            delivery_report_wanted=wants_report,
            not_after=None if not_after_s is None else Timestamp(seconds=not_after_s),
        )
        self.core.offer([command])
        return command.command_id

    def reports(self, command_id: str) -> list[CommandReport]:
        return self.core.commands[command_id].reports

    async def until_state(self, command_id: str, state: str) -> None:
        await self.core.until(lambda: self.core.states()[command_id] == state)

    async def until_reason(self, reason: str) -> DeviceChanged:
        """Wait until the phone's last condition is this one."""
        changes = self.core.device_changes
        await self.core.until(lambda: bool(changes) and changes[-1].reason == reason)
        return changes[-1]

    async def until_all_are_over(self, phone: FakeSmsGate) -> set[str]:
        """Wait for every command's end. Each went out once, or was given back for another try; those that did."""
        await self.core.until(lambda: all(s in ("delivered", "failed") for s in self.core.states().values()))
        states = self.core.states()
        for command_id in [each for each, state in states.items() if state == "failed"]:
            assert self.reports(command_id)[0].failed.reason == FAILURE_REASON_NO_SERVICE
        sent = {command_id for command_id, state in states.items() if state == "delivered"}
        assert sorted(part.message_id for part in phone.sent) == sorted(sent)
        return sent

    async def until_ready(self) -> None:
        await self.core.until(lambda: self.core.window("phone") > 0)


def configured(folder: Path, text: str) -> Config:
    file = folder / "phones.toml"
    file.write_text(text)
    file.chmod(0o600)
    return read_config(file)


@asynccontextmanager
async def gateway(
    core: StubCore,
    folder: Path,
    phone: FakeSmsGate,
    *,
    limit: int = 10_000,
    webhook: bool = False,
    text: str = "",
) -> AsyncGenerator[Gateway]:
    """Run the driver on a phone. A second time in the same folder is a restart."""
    text = f"{text or phone.config('phone')}\npoll_s = 0.05\nparts_per_30_min = {limit}\n"
    if webhook:
        port = free_port()
        text += f'[webhook]\nurl = "http://127.0.0.1:{port}/phones"\nport = {port}\n'
    config = configured(folder, text)
    driver = FastAndroidDriver()
    settings, instance = {CONFIG.name: config}, secrets.token_hex(8)
    async with driver_at_work(
        driver, folder, address_of(core), name="phones", instance=instance, settings=settings
    ) as work:
        yield Gateway(core, driver, work.engine)
