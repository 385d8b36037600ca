"""The Android driver passes the contract, with a fake phone on which the app runs."""

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from drivers.android.fake_smsgate import NUMBER, Conditions, FakeSmsGate
from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from infinireach.v1.message_pb2 import CHANNEL_SMS


class TestAndroidDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        conditions = Conditions(radio_s=0.0, report_s=0.05, limit_parts=None)
        async with FakeSmsGate(conditions=conditions) as phone:
            config = tmp_path / "phones.toml"
            config.write_text(f"{phone.config('phone')}\npoll_s = 0.05\nparts_per_30_min = 100000\n")
            config.chmod(0o600)

            def taken() -> Sequence[str]:
                return [part.text for part in phone.sent]

            async def come_in(text: str) -> None:
                phone.deliver_inbound(text)

            yield Subject(
                argv=[sys.executable, "-m", "drivers.android"],
                device_key="phone",
                channel=CHANNEL_SMS,
                source=NUMBER,
                destination="+15551230000",
                taken=taken,
                environment={"INFINIREACH_ANDROID_CONFIG": str(config)},
                come_in=come_in,
            )
