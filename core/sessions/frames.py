"""Driver frames to the core's own values and back.

Owns what a valid frame looks like. No I/O, no state: what is wrong with a frame as such is raised here.
"""

import re
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from core import contents
from core.api import convert_contents
from core.devices import OfferedAddress, OfferedDevice
from core.dispatch import Command
from core.driver_sessions import Hello
from core.errors import ProtocolViolation
from core.fact_values import DeviceChange, Fact, Inbound, Report, Unreadable
from core.message_state import Evidence
from infinireach.driver.v1 import command_pb2, driver_service_pb2, fact_pb2, session_pb2
from infinireach.v1 import device_pb2, message_pb2

DEVICES_MAX = 1000
ADDRESSES_MAX = 16
"""Numbers of one device."""

OPEN_COMMANDS_MAX = 100_000
FACTS_PER_FRAME_MAX = 1000
COMMANDS_PER_FRAME = 100
COMMANDS_BYTES_MAX = 900_000
"""Commands in a frame, unless one alone has more; so it stays under 1 MB, whatever they carry."""

SEQUENCE_MAX = 2**63 - 1
"""What a database can count to."""

WINDOW_MAX = 1000
SEGMENTS_MAX = 255
TEXT_MAX = 20_000
SOURCE_MAX = 140
GROUP_MAX = 64
KEY_MAX = 100
SENDER_NAME_MAX = 100
RETRY_DELAY_MS_MAX = 86_400_000
"""A day; a longer wait is as good as none said."""

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
    features = _read_features(device.features) if device.HasField("features") else ""
    return OfferedDevice(device.key, device.name, state, device.window, tuple(addresses), features)


def _read_features(features: device_pb2.DeviceFeatures) -> str:
    characters = features.text_characters_max
    _require(
        characters == 0 or contents.CHARACTERS_SURE <= characters <= TEXT_MAX,
        "hello.devices.features.text_characters_max",
        f"0, or {contents.CHARACTERS_SURE} to {TEXT_MAX}",
    )
    return contents.write_features(convert_contents.read_features(features))


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
            return Report(
                sequence, report.command_id, Evidence.DELIVERED,
                segments=segments, is_read=report.delivered.is_read,
            )  # fmt: skip
        case "failed":
            failed = report.failed
            reason = REASONS.get(failed.reason, "unspecified")
            return Report(
                sequence, report.command_id, Evidence.FAILED,
                reason=reason, code=_text(failed.network_code, 64), detail=_text(failed.detail, 500),
                retry_delay_ms=_delay_ms(report.retry_delay) if report.HasField("retry_delay") else None,
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
    if len(inbound.group_id) > GROUP_MAX:
        return Unreadable(sequence, f"an inbound message with a group id of more than {GROUP_MAX} characters")
    if not source or len(source) > SOURCE_MAX:
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
        group_id=_text(inbound.group_id, GROUP_MAX),
        network_ms=_time_ms(inbound.network_time) if inbound.HasField("network_time") else None,
        content=_read_media(inbound.media) if inbound.HasField("media") else None,
        reply_to_command_id=inbound.reply_to_command_id,
        sender_name=_text(inbound.sender_name, SENDER_NAME_MAX),
    )


def _read_media(given: message_pb2.Media) -> str | None:
    """What is kept of a file that came in; where it lay on the way is nobody's business."""
    media = contents.Media(
        type=convert_contents.MEDIA_TYPES.get(given.type, ""),
        filename=_text(given.filename, 240),
        mime_type=_text(given.mime_type, 100),
        network_id=_text(given.network_id, 255),
    )
    return contents.write(media)


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


def _delay_ms(delay: Duration) -> int | None:
    """Milliseconds; None, for as the core thinks best, if they are none, too many or no duration at all."""
    if not (0 <= delay.seconds <= RETRY_DELAY_MS_MAX and 0 <= delay.nanos < 1_000_000_000):
        return None
    delay_ms = delay.seconds * 1000 + delay.nanos // 1_000_000
    return delay_ms if 0 < delay_ms <= RETRY_DELAY_MS_MAX else None


def write_commands(
    commands: Sequence[Command], keys: dict[str, str]
) -> list[driver_service_pb2.ConnectResponse]:
    """Frames that carry `commands` in their order; `keys` gives the driver's key of each device id."""
    chunks: list[list[command_pb2.SendCommand]] = []
    size = 0
    for command in commands:
        written = _write_command(command, keys)
        size += written.ByteSize()
        if not chunks or len(chunks[-1]) == COMMANDS_PER_FRAME or size > COMMANDS_BYTES_MAX:
            chunks.append([])
            size = written.ByteSize()
        chunks[-1].append(written)
    return [
        driver_service_pb2.ConnectResponse(send_commands=command_pb2.SendCommands(commands=chunk))
        for chunk in chunks
    ]


def _write_command(command: Command, keys: dict[str, str]) -> command_pb2.SendCommand:
    seconds, milliseconds = divmod(command.not_after_ms, 1000)
    written = command_pb2.SendCommand(
        command_id=command.command_id,
        message_id=command.message_id,
        device_key=keys[command.device_id],
        channel=CHANNEL_NUMBERS[command.channel],
        source=command.source,
        destination=command.destination,
        delivery_report_wanted=True,
        not_after=Timestamp(seconds=seconds, nanos=milliseconds * 1_000_000),
        traceparent=command.traceparent or "",
    )
    match command.content:
        case None:
            encoding = ENCODING_NUMBERS.get(command.encoding, message_pb2.ENCODING_UNSPECIFIED)
            written.text.body, written.text.encoding = command.body, encoding
            written.text.segments = command.segments
        case contents.Template() as template:
            written.template.CopyFrom(convert_contents.template(template))
        case contents.Media() as media:
            written.media.media.CopyFrom(convert_contents.media(media))
            written.media.caption = command.body
    return written


def _require(holds: object, field: str, rule: str) -> None:
    if not holds:
        raise ProtocolViolation(f"{field}: {rule}")
