"""Frames of the driver stream as tests write and read them.

Owns defaults of the frames; the values that stand behind them are those of core_fixtures.
"""

from collections.abc import Iterable
from typing import Any

from infinireach.driver.v1 import driver_service_pb2, fact_pb2, session_pb2
from infinireach.v1 import device_pb2, message_pb2
from tests.core_fixtures import JOURNAL, NUMBER, RECIPIENT

Request = driver_service_pb2.ConnectRequest
Response = driver_service_pb2.ConnectResponse
SMS = message_pb2.CHANNEL_SMS
ONLINE = device_pb2.DEVICE_STATE_ONLINE


def device_description(
    key: str = "modem-1", *numbers: str, window: int = 3, **changes: Any
) -> session_pb2.DeviceDescription:
    """A device in a hello; without numbers it has NUMBER."""
    addresses = [
        device_pb2.DeviceAddress(channel=SMS, number=number, slot=slot, ready=True)
        for slot, number in enumerate(numbers or (NUMBER,), 1)
    ]
    values: dict[str, Any] = {"name": f"Device {key}", "addresses": addresses, "state": ONLINE}
    return session_pb2.DeviceDescription(key=key, window=window, **values | changes)


def hello_frame(*devices: session_pb2.DeviceDescription, **changes: Any) -> Request:
    """A driver's first frame; without devices it offers one with NUMBER."""
    values: dict[str, Any] = {
        "driver_name": "driver-1",
        "driver_kind": "simulated",
        "driver_version": "1.0",
        "instance_id": "instance-1",
        "journal_id": JOURNAL,
        "first_unacknowledged_sequence": 1,
        "last_sequence": 0,
        "capabilities": [session_pb2.CAPABILITY_DELIVERY_REPORTS, session_pb2.CAPABILITY_INBOUND],
        "devices": devices or (device_description(),),
    }
    return Request(hello=session_pb2.Hello(**values | changes))


def facts_frame(*facts: fact_pb2.Fact) -> Request:
    """Facts in one frame."""
    return Request(facts=fact_pb2.FactBatch(facts=facts))


def report_fact(sequence: int, command_id: str, **outcome: Any) -> fact_pb2.Fact:
    """A report on a command; submitted unless it says otherwise."""
    values = outcome or {"submitted": fact_pb2.Submitted(segment_references=["17"])}
    return fact_pb2.Fact(
        sequence=sequence, command_report=fact_pb2.CommandReport(command_id=command_id, **values)
    )


def inbound_fact(sequence: int, text: str = "Hi", **changes: Any) -> fact_pb2.Fact:
    """A message that came in."""
    values: dict[str, Any] = {
        "device_key": "modem-1",
        "channel": SMS,
        "source": RECIPIENT,
        "destination": NUMBER,
        "text": text,
        "segments": 1,
    }
    return fact_pb2.Fact(sequence=sequence, inbound_message=fact_pb2.InboundMessage(**values | changes))


def change_fact(sequence: int, **changes: Any) -> fact_pb2.Fact:
    """A device that is not as it was."""
    values: dict[str, Any] = {
        "device_key": "modem-1",
        "state": ONLINE,
        "window": 3,
        "signal_percent": 70,
        "battery_percent": -1,
    }
    return fact_pb2.Fact(sequence=sequence, device_changed=fact_pb2.DeviceChanged(**values | changes))


def heartbeat_frame() -> Request:
    """A sign of life."""
    return Request(heartbeat=session_pb2.Heartbeat())


def goodbye_frame() -> Request:
    """The driver leaves."""
    return Request(goodbye=session_pb2.Goodbye(reason="restart", reconnect_expected=True))


def kinds(frames: Iterable[Response]) -> list[str | None]:
    """What the frames are."""
    return [frame.WhichOneof("frame") for frame in frames]


def command_ids(frames: Iterable[Response]) -> list[str]:
    """The commands in all of them, in order."""
    return [command.command_id for frame in frames for command in frame.send_commands.commands]
