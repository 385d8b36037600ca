"""Frames to the core's values and back: what is refused, what is read, what is cut."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from core.devices import OfferedAddress
from core.dispatch import Command
from core.errors import ProtocolViolation
from core.facts import DeviceChange, Fact, Inbound, Report, Unreadable
from core.message_state import RETRIED_REASONS, Evidence
from core.sessions.frames import COMMANDS_PER_FRAME, read_facts, read_hello, write_commands
from core.store.rows import DEVICE_STATES
from infinireach.driver.v1 import fact_pb2, session_pb2
from infinireach.v1 import device_pb2, message_pb2
from tests.core_fixtures import NOW_MS, NUMBER, RECIPIENT
from tests.driver_frames import (
    SMS,
    change_fact,
    device_description,
    facts_frame,
    hello_frame,
    inbound_fact,
    report_fact,
)
from tests.fakes.database import TENANT_A

COMMAND = "0" * 24 + "-1"
INT32 = st.integers(-(2**31), 2**31 - 1)
EXTREMES = st.one_of(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]), INT32)


def read(*facts: fact_pb2.Fact) -> list[Fact]:
    return read_facts(facts_frame(*facts).facts)


def read_one(fact: fact_pb2.Fact) -> Fact:
    (read_fact,) = read(fact)
    return read_fact


# Hello


def test_a_hello_is_read_whole() -> None:
    frame = hello_frame(
        device_description("modem-1", NUMBER, RECIPIENT, window=0),
        device_description("phone", name="", state=device_pb2.DEVICE_STATE_ATTENTION, addresses=[]),
        first_unacknowledged_sequence=4,
        last_sequence=9,
        open_commands=[
            session_pb2.OpenCommand(command_id=COMMAND, phase=session_pb2.OpenCommand.PHASE_HELD),
            session_pb2.OpenCommand(command_id="other"),
        ],
    )
    hello = read_hello(frame.hello, tenant_id=TENANT_A, token_id="token")
    assert (hello.tenant_id, hello.token_id, hello.driver_name, hello.driver_kind, hello.driver_version) == (
        TENANT_A,
        "token",
        "driver-1",
        "simulated",
        "1.0",
    )
    assert (hello.first_unacknowledged, hello.last_sequence) == (4, 9)
    assert hello.open_commands == (COMMAND, "other")
    modem, phone = hello.devices
    assert modem.addresses == (
        OfferedAddress("sms", NUMBER, 1, ready=True),
        OfferedAddress("sms", RECIPIENT, 2, ready=True),
    )
    assert (modem.key, modem.name, modem.window, modem.state) == ("modem-1", "Device modem-1", 0, "online")
    assert (phone.name, phone.state, phone.addresses) == ("", "attention", ())


def bad_address(**changes: Any) -> list[session_pb2.DeviceDescription]:
    values: dict[str, Any] = {"channel": SMS, "number": NUMBER}
    return [device_description(addresses=[device_pb2.DeviceAddress(**values | changes)])]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("driver_name", {"driver_name": ""}),
        ("driver_name", {"driver_name": "x" * 65}),
        ("driver_name", {"driver_name": "Driver"}),
        ("driver_name", {"driver_name": "a\n"}),
        ("driver_kind", {"driver_kind": "a b"}),
        ("driver_version", {"driver_version": "x" * 65}),
        ("instance_id", {"instance_id": "\x00"}),
        ("journal_id", {"journal_id": ""}),
        ("journal_id", {"journal_id": "x" * 65}),
        ("devices", {"devices": []}),
        ("devices", {"devices": [device_description(f"m{n}") for n in range(1001)]}),
        ("devices", {"devices": [device_description(), device_description()]}),
        ("devices.key", {"devices": [device_description("")]}),
        ("devices.key", {"devices": [device_description("x" * 101)]}),
        ("devices.key", {"devices": [device_description("a\x00b")]}),
        ("devices.name", {"devices": [device_description(name="x" * 101)]}),
        ("devices.window", {"devices": [device_description(window=-1)]}),
        ("devices.window", {"devices": [device_description(window=1001)]}),
        ("devices.addresses", {"devices": [device_description("m", *[NUMBER] * 17)]}),
        ("devices.addresses.channel", {"devices": bad_address(channel=0)}),
        ("devices.addresses.channel", {"devices": bad_address(channel=77)}),
        *(
            ("devices.addresses.number", {"devices": bad_address(number=number)})
            for number in ("", "15550000001", "+0555000000", "+155500", "+1234567890123456", "+1555000000a")
        ),
        ("first_unacknowledged_sequence", {"first_unacknowledged_sequence": 11, "last_sequence": 9}),
        ("last_sequence", {"last_sequence": 2**63 - 1}),
        ("last_sequence", {"last_sequence": 2**64 - 1, "first_unacknowledged_sequence": 2**64 - 1}),
    ],
)
def test_a_faulty_hello_names_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolViolation, match=f"^hello.{field}: "):
        read_hello(hello_frame(**changes).hello, tenant_id=TENANT_A, token_id="token")


def test_too_many_open_commands_are_refused() -> None:
    commands = [session_pb2.OpenCommand(command_id="x")] * 100_001
    with pytest.raises(ProtocolViolation, match="open_commands: at most 100000"):
        read_hello(hello_frame(open_commands=commands).hello, tenant_id=TENANT_A, token_id="token")


@pytest.mark.parametrize("number", ["+1555000", "+123456789012345", "+442071838750"])
def test_a_number_has_7_to_15_digits(number: str) -> None:
    hello = read_hello(hello_frame(*bad_address(number=number)).hello, tenant_id=TENANT_A, token_id="token")
    assert hello.devices[0].addresses[0].number == number


def test_a_state_that_the_core_does_not_know_is_taken_as_degraded() -> None:
    hello = read_hello(hello_frame(device_description(state=99)).hello, tenant_id=TENANT_A, token_id="token")
    assert hello.devices[0].state == "degraded"


# Facts


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            {"submitted": fact_pb2.Submitted(segment_references=["1", "x" * 65, "\x002"])},
            Report(3, COMMAND, Evidence.SUBMITTED, references=("1", "x" * 64, "2")),
        ),
        ({"submitted": fact_pb2.Submitted()}, Report(3, COMMAND, Evidence.SUBMITTED)),
        ({"delivered": fact_pb2.Delivered()}, Report(3, COMMAND, Evidence.DELIVERED)),
        (
            {"delivered": fact_pb2.Delivered(segments=[2, 1])},
            Report(3, COMMAND, Evidence.DELIVERED, segments=(2, 1)),
        ),
        (
            {
                "failed": message_pb2.Failure(
                    reason=message_pb2.FAILURE_REASON_NO_SERVICE, network_code="x" * 65, detail="y" * 501
                )
            },
            Report(3, COMMAND, Evidence.FAILED, reason="no_service", code="x" * 64, detail="y" * 500),
        ),
        ({"failed": message_pb2.Failure()}, Report(3, COMMAND, Evidence.FAILED, reason="unspecified")),
        (
            {"failed": message_pb2.Failure(reason=99)},  # pyright: ignore[reportArgumentType]
            Report(3, COMMAND, Evidence.FAILED, reason="unspecified"),
        ),
        ({"cancelled": fact_pb2.Cancelled()}, Report(3, COMMAND, Evidence.CANCELLED)),
        (
            {"outcome_unknown": fact_pb2.OutcomeUnknown(detail="cut\x00")},
            Report(3, COMMAND, Evidence.UNKNOWN, detail="cut"),
        ),
    ],
)
def test_every_outcome_is_read(outcome: dict[str, Any], expected: Report) -> None:
    assert read_one(report_fact(3, COMMAND, **outcome)) == expected


def test_long_lists_in_a_report_are_cut() -> None:
    submitted = read_one(
        report_fact(1, COMMAND, submitted=fact_pb2.Submitted(segment_references=["1"] * 1000))
    )
    delivered = read_one(report_fact(1, COMMAND, delivered=fact_pb2.Delivered(segments=[1] * 1000)))
    assert isinstance(submitted, Report)
    assert isinstance(delivered, Report)
    assert (len(submitted.references), len(delivered.segments)) == (255, 255)


def test_the_reasons_that_are_retried_are_reasons_of_the_protocol() -> None:
    numbers = message_pb2.FailureReason.values()
    named = {message_pb2.FailureReason.Name(n).removeprefix("FAILURE_REASON_").lower() for n in numbers}
    assert named >= RETRIED_REASONS | {"expired", "cancelled", "outcome_unknown", "device_removed"}


def test_an_inbound_message_is_read_whole() -> None:
    fact = inbound_fact(
        5,
        "a\x00b",
        source="INFO\x00-SMS",
        segments=0,
        network_time=Timestamp(seconds=1_700_000_000, nanos=123_999_999),
        group_id="g@g.us",
    )
    assert read_one(fact) == Inbound(
        5, "modem-1", "sms", "INFO-SMS", NUMBER, "a\N{REPLACEMENT CHARACTER}b", 1, "g@g.us", 1_700_000_000_123
    )


@pytest.mark.parametrize(
    "time",
    [
        None,
        Timestamp(seconds=-1),
        Timestamp(seconds=2**62),
        Timestamp(seconds=-(2**62)),
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=1, nanos=-1),
        Timestamp(seconds=1, nanos=10**9),
    ],
)
def test_a_time_that_no_calendar_has_is_an_unknown_time(time: Timestamp | None) -> None:
    fact = read_one(inbound_fact(1, network_time=time))
    assert isinstance(fact, Inbound)
    assert fact.network_ms is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"channel": 0}, "without a channel"),
        ({"channel": 99}, "without a channel"),
        ({"source": ""}, "without a source"),
        ({"source": "\x00"}, "without a source"),
        ({"source": "x" * 141}, "without a source"),
        ({"group_id": "x" * 65}, "group id of more than 64"),
        ({"destination": "80800"}, "not E.164"),
        ({"text": "x" * 20_001}, "more than 20000"),
        ({"device_key": "\x00"}, "device key"),
        ({"device_key": "x" * 101}, "device key"),
    ],
)
def test_an_inbound_message_without_meaning_is_unreadable(changes: dict[str, Any], problem: str) -> None:
    fact = read_one(inbound_fact(7, **changes))
    assert isinstance(fact, Unreadable)
    assert (fact.sequence, problem in fact.problem) == (7, True)


def test_a_change_of_a_device_is_read_and_cut() -> None:
    fact = change_fact(
        2,
        state=device_pb2.DEVICE_STATE_ATTENTION,
        reason="r" * 65,
        remedy="m\x00" * 501,
        pairing_payload="p" * 5000,
        window=1000,
    )
    assert read_one(fact) == DeviceChange(
        2, "modem-1", "attention", "r" * 64, "m" * 500, 1000, 70, -1, "p" * 4096
    )


@pytest.mark.parametrize("changes", [{"window": -1}, {"window": 1001}, {"device_key": "\x00"}])
def test_a_change_without_meaning_is_unreadable(changes: dict[str, Any]) -> None:
    assert isinstance(read_one(change_fact(2, **changes)), Unreadable)


def test_every_state_of_a_device_is_one_that_the_database_knows() -> None:
    states = [read_one(change_fact(1, state=number)) for number in (*device_pb2.DeviceState.values(), 99)]
    assert {fact.state for fact in states if isinstance(fact, DeviceChange)} == set(DEVICE_STATES)


@pytest.mark.parametrize(
    "fact",
    [
        fact_pb2.Fact(sequence=4),
        fact_pb2.Fact(sequence=4, command_report=fact_pb2.CommandReport(command_id=COMMAND)),
    ],
)
def test_a_fact_of_an_unknown_kind_is_unreadable(fact: fact_pb2.Fact) -> None:
    read_fact = read_one(fact)
    assert isinstance(read_fact, Unreadable)
    assert read_fact.sequence == 4


def test_a_frame_has_1_to_1000_facts() -> None:
    assert len(read(*(inbound_fact(n) for n in range(1, 1001)))) == 1000
    for count in (0, 1001):
        with pytest.raises(ProtocolViolation, match="facts: 1 to 1000"):
            read(*(inbound_fact(n) for n in range(1, count + 1)))


def test_a_fact_without_a_number_is_refused_and_not_taken_for_an_old_one() -> None:
    with pytest.raises(ProtocolViolation, match=r"facts\.sequence: from 1"):
        read(inbound_fact(1), inbound_fact(0))


# Commands


def command(number: int, **changes: Any) -> Command:
    values: dict[str, Any] = {
        "command_id": f"{number:024x}-1",
        "message_id": f"{number:024x}",
        "driver_id": "driver",
        "device_id": "device-id",
        "channel": "sms",
        "source": NUMBER,
        "destination": RECIPIENT,
        "body": "Hello",
        "encoding": "gsm7",
        "segments": 1,
        "not_after_ms": NOW_MS + 123,
        "traceparent": None,
    }
    return Command(**values | changes)


def test_a_command_says_all_that_a_driver_must_know() -> None:
    (frame,) = write_commands([command(1, traceparent="00-ab")], {"device-id": "modem-1"})
    (sent,) = frame.send_commands.commands
    assert (sent.command_id, sent.message_id, sent.device_key) == (f"{1:024x}-1", f"{1:024x}", "modem-1")
    assert (sent.source, sent.destination, sent.channel) == (NUMBER, RECIPIENT, SMS)
    assert (sent.text.body, sent.text.encoding, sent.text.segments) == ("Hello", message_pb2.ENCODING_GSM7, 1)
    assert sent.not_after.ToMilliseconds() == NOW_MS + 123
    assert (sent.delivery_report_wanted, sent.traceparent) == (True, "00-ab")
    assert len(sent.command_id) <= 40


def test_a_channel_without_encodings_names_none() -> None:
    (frame,) = write_commands([command(1, channel="whatsapp", encoding="none")], {"device-id": "phone"})
    (sent,) = frame.send_commands.commands
    assert (sent.channel, sent.text.encoding, sent.traceparent) == (message_pb2.CHANNEL_WHATSAPP, 0, "")


@pytest.mark.parametrize("count", [0, 1, COMMANDS_PER_FRAME, COMMANDS_PER_FRAME + 1, 1000])
def test_many_commands_are_several_frames_in_their_order(count: int) -> None:
    frames = write_commands([command(n, body="漢" * 1600) for n in range(count)], {"device-id": "modem-1"})
    sent = [each.message_id for frame in frames for each in frame.send_commands.commands]
    assert sent == [f"{n:024x}" for n in range(count)]
    assert all(1 <= len(frame.send_commands.commands) <= COMMANDS_PER_FRAME for frame in frames)
    assert all(frame.ByteSize() < 1_000_000 for frame in frames)
