"""The modem driver passes the contract, with an emulated modem on a terminal and the network behind it."""

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from drivers.modem.emulator import Emulator
from drivers.modem.emulator.clock import LoopClock
from drivers.modem.emulator.network import Network
from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from infinireach.v1.message_pb2 import CHANNEL_SMS

NUMBER = "+15559876543"
TIME_SCALE = "8"
"""Fast enough not to wait for, and slow enough that a modem on a busy machine is set up before anything is over."""


class TestModemDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        network = Network(LoopClock(), radio_s=0.0, report_after_s=0.05)
        async with Emulator(network=network) as emulator:
            port = await emulator.open_pty()
            config = tmp_path / "modems.toml"
            config.write_text(f'[[modem]]\nname = "alpha"\nport = "{port}"\nnumber = "{NUMBER}"\n')

            def taken() -> Sequence[str]:
                return [message.text for message in network.messages]

            async def come_in(text: str) -> None:
                emulator.deliver(text, sender="+15551112222")

            yield Subject(
                argv=[sys.executable, "-m", "drivers.modem"],
                device_key="alpha",
                channel=CHANNEL_SMS,
                source=NUMBER,
                destination="+15551230000",
                taken=taken,
                environment={
                    "INFINIREACH_MODEM_CONFIG": str(config),
                    "INFINIREACH_MODEM_TIME_SCALE": TIME_SCALE,
                },
                come_in=come_in,
            )
