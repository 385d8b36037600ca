"""The example of docs/writing-a-driver.md passes the contract, which shows that a small driver can."""

import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import Rig, Subject
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

    async def test_file_whose_name_is_not_utf_8_comes_in_like_any_other(
        self, rig: Rig, tmp_path: Path
    ) -> None:
        await rig.start()
        draft = tmp_path / "file" / "draft"
        draft.write_text(json.dumps({"from": "+15551112222", "text": "hello"}))
        path = os.fsencode(tmp_path / "file" / "inbox") + b"/name-\xff.json"
        os.rename(draft, path)
        await rig.until(lambda: not os.path.exists(path))
        assert [inbound.text for inbound in rig.core.inbound] == ["hello"]
        rig.terminate()
        assert await rig.exit_status() == 0
