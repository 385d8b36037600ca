"""The example of docs/writing-a-driver.md passes the contract, which shows that a small driver can."""

import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import Subject
from drivers.runtime.contract_kit.suite import DriverContract, InboundContract
from infinireach.v1.message_pb2 import CHANNEL_SMS


class TestExampleFileDriver(InboundContract, DriverContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        folder = tmp_path / "file"

        def taken() -> Sequence[str]:
            return [json.loads(line)["text"] for line in (folder / "outbox.jsonl").read_text().splitlines()]

        async def come_in(text: str) -> None:
            name = uuid.uuid4().hex
            draft = folder / f"{name}.draft"
            draft.write_text(json.dumps({"from": "+15551112222", "text": text}))
            os.rename(draft, folder / "inbox" / f"{name}.json")

        return Subject(
            argv=[sys.executable, "-m", "drivers.example_file"],
            device_key="file",
            channel=CHANNEL_SMS,
            source="+15550001111",
            destination="+15551230000",
            taken=taken,
            come_in=come_in,
        )
