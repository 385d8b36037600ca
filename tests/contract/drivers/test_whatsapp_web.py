"""The WhatsApp web driver passes the contract, with a network that is a folder in place of WhatsApp."""

import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.runtime.contract_kit.subject import Rig, Subject
from drivers.runtime.contract_kit.suite import DeliveryReportContract, DriverContract, InboundContract
from drivers.runtime.main import EXIT_FAILED
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP
from tests import repository
from tests.fakes.whatsapp_web import FOLDER

NUMBER = "+15559876543"


class TestWhatsAppWebDriver(InboundContract, DeliveryReportContract, DriverContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        network = tmp_path / "network"
        (network / "inbox").mkdir(parents=True)

        def taken() -> Sequence[str]:
            path = network / "taken.jsonl"
            lines = path.read_text().split("\n")[:-1] if path.exists() else []
            return [json.loads(line)["text"] for line in lines]

        async def come_in(text: str) -> None:
            name = uuid.uuid4().hex
            draft = network / f"{name}.draft"
            draft.write_text(json.dumps({"text": text}))
            os.rename(draft, network / "inbox" / f"{name}.json")

        return Subject(
            argv=[sys.executable, "-P", str(repository.ROOT / "tests/fakes/whatsapp_web.py")],
            device_key="whatsapp-web",
            channel=CHANNEL_WHATSAPP,
            source=NUMBER,
            destination="+15551230000",
            taken=taken,
            environment={
                FOLDER: str(network),
                "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK": "yes",
                "INFINIREACH_WHATSAPP_WEB_NUMBER": NUMBER,
                "INFINIREACH_WHATSAPP_WEB_PAUSE_S": "0",
                "INFINIREACH_WHATSAPP_WEB_PER_DAY": "10000",
                "INFINIREACH_WHATSAPP_WEB_FIRST_CONTACT": "yes",
            },
            come_in=come_in,
        )

    async def test_second_process_on_the_same_session_stops_and_says_why(
        self, rig: Rig, subject: Subject, tmp_path: Path
    ) -> None:
        await rig.start()
        other = tmp_path / "other"
        other.mkdir()
        session = tmp_path / "whatsapp-web" / "whatsapp-web" / "session.db"
        subject.environment = {**subject.environment, "INFINIREACH_WHATSAPP_WEB_SESSION": str(session)}
        async with Rig(subject, other) as second:
            await second.start_without_waiting()
            assert await second.exit_status() == EXIT_FAILED
            assert "in use by another process" in second.log_text()

    async def test_process_that_is_told_to_stop_in_a_pause_sends_what_waited_after_the_next_start(
        self, rig: Rig, subject: Subject
    ) -> None:
        subject.environment = {**subject.environment, "INFINIREACH_WHATSAPP_WEB_PAUSE_S": "3000"}
        await rig.start()
        (command_id,) = rig.offer(1)
        await rig.core.until(lambda: rig.core.commands[command_id].is_accepted)
        rig.terminate()
        assert await rig.exit_status() == 0
        assert not subject.taken()
        subject.environment = {**subject.environment, "INFINIREACH_WHATSAPP_WEB_PAUSE_S": "0"}
        await rig.start()
        await rig.until_settled()
        assert subject.taken() == [command_id]
        rig.check_nothing_lost_nor_doubled()
