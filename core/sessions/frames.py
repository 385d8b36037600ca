"""Driver frames to the core's own values and back.

Owns what a valid frame looks like. No I/O, no state: what is wrong with a frame as such is raised here.
"""

import re
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from core.devices import OfferedAddress, OfferedDevice
from core.dispatch import Command
from core.driver_sessions import Hello
from core.errors import ProtocolViolation
from core.facts import DeviceChange, Fact, Inbound, Report, Unreadable
from core.message_state import Evidence
from infinireach.driver.v1 import command_pb2, driver_service_pb2, fact_pb2, session_pb2
from infinireach.v1 import device_pb2, message_pb2

DEVICES_MAX = 1000
ADDRESSES_MAX = 16
"""Numbers of one device."""

OPEN_COMMANDS_MAX = 100_000
FACTS_PER_FRAME_MAX = 1000
COMMANDS_PER_FRAME = 100
"""At 1600 code points each, a frame of commands stays under 1 MB."""

SEQUENCE_MAX = 2**63 - 1
"""What a database can count to."""

WINDOW_MAX = 1000
SEGMENTS_MAX = 255
TEXT_MAX = 20_000
SOURCE_MAX = 64
KEY_MAX = 100

SECONDS_END = 253_402_300_800
"""10000-01-01, the first moment that the protocol's times cannot say."""

_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

CHANNELS = {message_pb2.CHANNEL_SMS: "sms", message_pb2.CHANNEL_WHATSAPP: "whatsapp"}
CHANNEL_NUMBERS = {word: number for number, word in CHANNELS.items()}
ENCODING_NUMBERS = {"gsm7": message_pb2.ENCODING_GSM7, "ucs2": message_pb2.ENCODING_UCS2}
REASONS = {
    number: name.removeprefix("FAILURE_REASON_").lower() for name, number in message_pb2.FailureReason.items()
}
DEVICE_STATES = {
    device_pb2.DEVICE_STATE_UNSPECIFIED: "online",
    device_pb2.DEVICE_STATE_ONLINE: "online",
    device_pb2.DEVICE_STATE_OFFLINE: "offline",
    device_pb2.DEVICE_STATE_DEGRADED: "degraded",
    device_pb2.DEVICE_STATE_ATTENTION: "attention",
}


def read_hello(hello: session_pb2.Hello, *, tenant_id: str, token_id: str) -> Hello:
    """The hello of a driver with this credential. Raises ProtocolViolation naming the faulty field."""
    _require(_NAME.fullmatch(hello.driver_name), "hello.driver_name", "1 to 64 characters of a-z 0-9 . _ -")
    _require(_NAME.fullmatch(hello.driver_kind), "hello.driver_kind", "1 to 64 characters of a-z 0-9 . _ -")
    for name in ("driver_version", "instance_id", "journal_id"):
        _require(_is_text(getattr(hello, name), 64), f"hello.{name}", "at most 64 characters without NUL")
    _require(hello.journal_id, "hello.journal_id", "required")
    _require(hello.last_sequence < SEQUENCE_MAX, "hello.last_sequence", f"below {SEQUENCE_MAX}")
    _require(1 <= len(hello.devices) <= DEVICES_MAX, "hello.devices", f"1 to {DEVICES_MAX} devices")
    _require(
        len(hello.open_commands) <= OPEN_COMMANDS_MAX, "hello.open_commands", f"at most {OPEN_COMMANDS_MAX}"
    )
    _require(
        hello.first_unacknowledged_sequence <= hello.last_sequence + 1,
        "hello.first_unacknowledged_sequence",
        "at most last_sequence + 1",
    )
    keys = [device.key for device in hello.devices]
    _require(len(set(keys)) == len(keys), "hello.devices", "every key once")
    return Hello(
        tenant_id=tenant_id,
        token_id=token_id,
        driver_name=hello.driver_name,
        driver_kind=hello.driver_kind,
        driver_version=hello.driver_version,
        instance_id=hello.instance_id,
        journal_id=hello.journal_id,
        first_unacknowledged=hello.first_unacknowledged_sequence,
        last_sequence=hello.last_sequence,
        devices=tuple(map(_read_device, hello.devices)),
        open_commands=tuple(command.command_id for command in hello.open_commands),
    )


def _read_device(device: session_pb2.DeviceDescription) -> OfferedDevice:
    rule = f"1 to {KEY_MAX} characters without NUL"
    _require(device.key and _is_text(device.key, KEY_MAX), "hello.devices.key", rule)
    _require(_is_text(device.name, 100), "hello.devices.name", "at most 100 characters without NUL")
    _require(0 <= device.window <= WINDOW_MAX, "hello.devices.window", f"0 to {WINDOW_MAX}")
    _require(len(device.addresses) <= ADDRESSES_MAX, "hello.devices.addresses", f"at most {ADDRESSES_MAX}")
    addresses = []
    for address in device.addresses:
        _require(address.channel in CHANNELS, "hello.devices.addresses.channel", "sms or whatsapp")
        _require(_E164.fullmatch(address.number), "hello.devices.addresses.number", "E.164 with a plus sign")
        addresses.append(
            OfferedAddress(CHANNELS[address.channel], address.number, address.slot, address.ready)
        )
    state = DEVICE_STATES.get(device.state, "degraded")
    return OfferedDevice(device.key, device.name, state, device.window, tuple(addresses))


def read_facts(batch: fact_pb2.FactBatch) -> list[Fact]:
    """The facts of a frame in their order; one that has no meaning here becomes Unreadable."""
    _require(
        1 <= len(batch.facts) <= FACTS_PER_FRAME_MAX, "facts", f"1 to {FACTS_PER_FRAME_MAX} facts in a frame"
    )
    _require(all(fact.sequence for fact in batch.facts), "facts.sequence", "from 1")
    return [_read_fact(fact) for fact in batch.facts]


def _read_fact(fact: fact_pb2.Fact) -> Fact:
    match fact.WhichOneof("fact"):
        case "command_report":
            return _read_report(fact.sequence, fact.command_report)
        case "inbound_message":
            return _read_inbound(fact.sequence, fact.inbound_message)
        case "device_changed":
            return _read_change(fact.sequence, fact.device_changed)
        case _:
            return Unreadable(fact.sequence, "unknown kind of fact")


def _read_report(sequence: int, report: fact_pb2.CommandReport) -> Fact:
    match report.WhichOneof("outcome"):
        case "submitted":
            given = report.submitted.segment_references[:SEGMENTS_MAX]
            references = tuple(_text(reference, 64) for reference in given)
            return Report(sequence, report.command_id, Evidence.SUBMITTED, references=references)
        case "delivered":
            segments = tuple(report.delivered.segments[:SEGMENTS_MAX])
            return Report(sequence, report.command_id, Evidence.DELIVERED, segments=segments)
        case "failed":
            failed = report.failed
            reason = REASONS.get(failed.reason, "unspecified")
            return Report(
                sequence, report.command_id, Evidence.FAILED,
                reason=reason, code=_text(failed.network_code, 64), detail=_text(failed.detail, 500),
            )  # fmt: skip
        case "cancelled":
            return Report(sequence, report.command_id, Evidence.CANCELLED)
        case "outcome_unknown":
            detail = _text(report.outcome_unknown.detail, 500)
            return Report(sequence, report.command_id, Evidence.UNKNOWN, detail=detail)
        case _:
            return Unreadable(sequence, "a report without an outcome")


def _read_inbound(sequence: int, inbound: fact_pb2.InboundMessage) -> Fact:
    if not _is_text(inbound.device_key, KEY_MAX):
        return Unreadable(sequence, "an inbound message with a device key that no device can have")
    if inbound.channel not in CHANNELS:
        return Unreadable(sequence, "an inbound message without a channel")
    source = inbound.source.replace("\x00", "")
    if not source or len(source) > SOURCE_MAX or len(inbound.group_id) > SOURCE_MAX:
        return Unreadable(sequence, f"an inbound message without a source of 1 to {SOURCE_MAX} characters")
    if not _E164.fullmatch(inbound.destination):
        return Unreadable(sequence, "an inbound message whose destination is not E.164")
    if len(inbound.text) > TEXT_MAX:
        return Unreadable(sequence, f"an inbound text of more than {TEXT_MAX} code points")
    return Inbound(
        sequence=sequence,
        device_key=inbound.device_key,
        channel=CHANNELS[inbound.channel],
        source=source,
        destination=inbound.destination,
        text=inbound.text.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        segments=max(inbound.segments, 1),
        group_id=_text(inbound.group_id, SOURCE_MAX),
        network_ms=_time_ms(inbound.network_time) if inbound.HasField("network_time") else None,
    )


def _read_change(sequence: int, change: fact_pb2.DeviceChanged) -> Fact:
    if not _is_text(change.device_key, KEY_MAX):
        return Unreadable(sequence, "a change with a device key that no device can have")
    if not 0 <= change.window <= WINDOW_MAX:
        return Unreadable(sequence, f"a window outside 0 to {WINDOW_MAX}")
    return DeviceChange(
        sequence=sequence,
        device_key=change.device_key,
        state=DEVICE_STATES.get(change.state, "degraded"),
        reason=_text(change.reason, 64),
        remedy=_text(change.remedy, 500),
        window=change.window,
        signal_percent=change.signal_percent,
        battery_percent=change.battery_percent,
        pairing_payload=_text(change.pairing_payload, 4096),
    )


def _is_text(text: str, length_max: int) -> bool:
    return len(text) <= length_max and "\x00" not in text


def _text(text: str, length_max: int) -> str:
    """What a database keeps of a text that is for people: cut, and without NUL."""
    return text.replace("\x00", "")[:length_max]


def _time_ms(time: Timestamp) -> int | None:
    """Milliseconds; None, for unknown, if it is before 1970, after 9999 or no time at all."""
    if not (0 <= time.seconds < SECONDS_END and 0 <= time.nanos < 1_000_000_000):
        return None
    return time.seconds * 1000 + time.nanos // 1_000_000


def write_commands(
    commands: Sequence[Command], keys: dict[str, str]
) -> list[driver_service_pb2.ConnectResponse]:
    """Frames that carry `commands` in their order; `keys` gives the driver's key of each device id."""
    frames = []
    for start in range(0, len(commands), COMMANDS_PER_FRAME):
        chunk = [_write_command(command, keys) for command in commands[start : start + COMMANDS_PER_FRAME]]
        frames.append(
            driver_service_pb2.ConnectResponse(send_commands=command_pb2.SendCommands(commands=chunk))
        )
    return frames


def _write_command(command: Command, keys: dict[str, str]) -> command_pb2.SendCommand:
    seconds, milliseconds = divmod(command.not_after_ms, 1000)
    return command_pb2.SendCommand(
        command_id=command.command_id,
        message_id=command.message_id,
        device_key=keys[command.device_id],
        channel=CHANNEL_NUMBERS[command.channel],
        source=command.source,
        destination=command.destination,
        text=command_pb2.TextContent(
            body=command.body, encoding=ENCODING_NUMBERS.get(command.encoding), segments=command.segments
        ),
        delivery_report_wanted=True,
        not_after=Timestamp(seconds=seconds, nanos=milliseconds * 1_000_000),
        traceparent=command.traceparent or "",
    )


def _require(holds: object, field: str, rule: str) -> None:
    if not holds:
        raise ProtocolViolation(f"{field}: {rule}")
