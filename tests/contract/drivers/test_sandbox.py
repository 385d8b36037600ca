"""The sandbox numbers do what docs/sandbox.md says, seen from the core."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from drivers.runtime.contract_kit.subject import Rig, Subject
from infinireach.driver.v1.command_pb2 import MediaContent, SendCommand, TextContent
from infinireach.v1.message_pb2 import (
    CHANNEL_SMS,
    CHANNEL_WHATSAPP,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_WINDOW_CLOSED,
    MEDIA_TYPE_IMAGE,
    FailureReason,
    Media,
    Template,
)

NUMBER = "+15559876543"
SANDBOX = "+1500555000"


@pytest.fixture
def subject(tmp_path: Path, socket_path: Path) -> Subject:
    def taken() -> list[str]:
        lines = (tmp_path / "simulated-radio.log").read_text().splitlines()
        return [json.loads(line)["command_id"] for line in lines]

    return Subject(
        argv=[sys.executable, "-m", "drivers.simulated"],
        device_key="phone",
        channel=CHANNEL_SMS,
        source=NUMBER,
        destination="+15551230000",
        taken=taken,
        environment={
            "INFINIREACH_SIMULATED_SOCKET": str(socket_path),
            "INFINIREACH_SIMULATED_DELAY_S": "0.02",
        },
    )


def command(destination: str, *, segments: int = 1, wants_report: bool = True) -> SendCommand:
    return SendCommand(
        command_id=destination[-4:],
        message_id=destination,
        device_key="phone",
        channel=CHANNEL_SMS,
        source=NUMBER,
        destination=destination,
        text=TextContent(body="hello", segments=segments),
        delivery_report_wanted=wants_report,
    )


def on_whatsapp(command_id: str, destination: str, **content: Any) -> SendCommand:
    return SendCommand(
        command_id=command_id,
        message_id=command_id,
        device_key="whatsapp",
        channel=CHANNEL_WHATSAPP,
        source=NUMBER,
        destination=destination,
        delivery_report_wanted=True,
        **content or {"text": TextContent(body="hello", segments=1)},
    )


def outcomes(rig: Rig, command_id: str) -> list[str]:
    reports = rig.core.commands[command_id].reports
    return [report.WhichOneof("outcome") or "" for report in reports]


def failure(rig: Rig, command_id: str) -> FailureReason:
    return rig.core.commands[command_id].reports[-1].failed.reason


async def test_each_number_does_to_a_message_what_is_written(subject: Subject, tmp_path: Path) -> None:
    async with Rig(subject, tmp_path) as rig:
        await rig.start()
        rig.core.offer(command(f"{SANDBOX}{last}", segments=1 + last % 2) for last in range(10))
        rig.core.offer([command("+15551239999", segments=3), command("+15551238888", wants_report=False)])
        expected = {
            "0000": "delivered",
            "0001": "failed",
            "0002": "failed",
            "0003": "failed",
            "0004": "submitted",
            "0005": "delivered",
            "0006": "outcome_unknown",
            "0007": "delivered",
            "0008": "failed",
            "0009": "delivered",
            "9999": "delivered",
            "8888": "submitted",
        }
        await rig.core.until(lambda: rig.core.states() == expected)
        await rig.core.until(lambda: len(outcomes(rig, "0009")) == 10)

        assert failure(rig, "0001") == FAILURE_REASON_DESTINATION_INVALID
        assert failure(rig, "0002") == FAILURE_REASON_DESTINATION_UNREACHABLE
        assert failure(rig, "0003") == FAILURE_REASON_NETWORK_REJECTED
        assert outcomes(rig, "0008") == ["submitted", "failed"]
        assert outcomes(rig, "0009")[:5] == ["delivered"] * 4 + ["submitted"]
        assert Counter(outcomes(rig, "0009")) == {"delivered": 8, "submitted": 2}
        assert outcomes(rig, "9999") == ["submitted", "delivered", "delivered", "delivered"]
        segments = [list(report.delivered.segments) for report in rig.core.commands["9999"].reports[1:]]
        assert segments == [[1], [2], [3]]
        # 0007 broke the stream once; what was refused never reached the network; nothing went out twice.
        assert len(rig.core.hellos) == 2
        assert Counter(subject.taken()) == {i: 1 for i in expected if i not in {"0001", "0002", "0003"}}


async def test_whatsapp_reads_what_it_gets_and_takes_only_templates_after_a_day(
    subject: Subject, tmp_path: Path
) -> None:
    read, closed = "+15005550010", "+15005550011"
    template = {"template": Template(name="order_ready", language="en_US")}
    image = Media(type=MEDIA_TYPE_IMAGE, url="https://example.com/a.png")
    media = {"media": MediaContent(media=image, caption="See here")}
    async with Rig(subject, tmp_path) as rig:
        await rig.start()
        rig.core.offer([
            command(read),
            command(closed),
            on_whatsapp("read", read),
            on_whatsapp("read file", read, **media),
            on_whatsapp("closed", closed),
            on_whatsapp("closed file", closed, **media),
            on_whatsapp("template", closed, **template),
        ])
        expected = {
            "0010": "delivered",
            "0011": "delivered",
            "read": "delivered",
            "read file": "delivered",
            "closed": "failed",
            "closed file": "failed",
            "template": "delivered",
        }
        await rig.core.until(lambda: rig.core.states() == expected)
        await rig.core.until(lambda: all(len(outcomes(rig, each)) == 3 for each in ("read", "read file")))
        was_read = {
            each: any(report.delivered.is_read for report in rig.core.commands[each].reports)
            for each in expected
        }
        assert was_read == {each: each.startswith("read") for each in expected}
        assert failure(rig, "closed") == failure(rig, "closed file") == FAILURE_REASON_WINDOW_CLOSED
        assert Counter(subject.taken()) == {each: 1 for each in expected if not each.startswith("closed")}
