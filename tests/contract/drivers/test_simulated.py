"""The simulated driver passes the contract."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from infinireach.v1.message_pb2 import CHANNEL_SMS

NUMBER = "+15559876543"


class TestSimulatedDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest.fixture
    def subject(self, tmp_path: Path, socket_path: Path) -> Subject:
        radio_log = tmp_path / "simulated-radio.log"

        def taken() -> Sequence[str]:
            return [json.loads(line)["command_id"] for line in radio_log.read_text().splitlines()]

        async def come_in(text: str) -> None:
            request = {"inbound": {"from": "+15551112222", "to": NUMBER, "body": text}}
            answer = await ask(socket_path, request)
            while answer.get("code") == "journal_unwritable":
                answer = await ask(socket_path, request)

        return Subject(
            argv=[sys.executable, "-m", "drivers.simulated"],
            device_key="phone",
            channel=CHANNEL_SMS,
            source=NUMBER,
            destination="+15005550000",
            taken=taken,
            environment={"INFINIREACH_SIMULATED_SOCKET": str(socket_path)},
            come_in=come_in,
        )


async def ask(socket_path: Path, request: object) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(socket_path)
    writer.write(json.dumps(request).encode() + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return answer
