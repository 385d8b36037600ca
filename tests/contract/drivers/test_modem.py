"""The driver of modems passes the contract, with an emulated modem."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drivers.modem.emulator import NUMBER, Emulator
from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from infinireach.v1.message_pb2 import CHANNEL_SMS

DEVICE = "stick"
TIME_SCALE = 10
"""How many times as fast the driver waits for its modem."""


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        emulator.network.radio_s = 0.0
        emulator.network.report_after_s = 0.1
        yield emulator


class TestModemDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest_asyncio.fixture
    async def subject(self, tmp_path: Path, emulator: Emulator) -> Subject:
        config = tmp_path / "modems.toml"
        values = {"name": DEVICE, "port": str(await emulator.open_pty()), "number": NUMBER}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        config.write_text("\n".join(["[[modem]]", *lines]))

        async def come_in(text: str) -> None:
            # The network and the modem's memory keep it for as long as nobody takes it.
            emulator.deliver(text)

        return Subject(
            argv=[sys.executable, "-m", "drivers.modem", "run"],
            device_key=DEVICE,
            channel=CHANNEL_SMS,
            source=NUMBER,
            destination="+15551112222",
            taken=lambda: [message.text for message in emulator.network.messages],
            environment={
                "INFINIREACH_MODEM_CONFIG": str(config),
                "INFINIREACH_MODEM_TIME_SCALE": str(TIME_SCALE),
            },
            come_in=come_in,
        )
