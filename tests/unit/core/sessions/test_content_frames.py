"""Contents, features, and reports of reading, on their way through the frames of the driver stream."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from core import contents
from core.contents import Content, Features, Media, Template
from core.dispatch import Command
from core.errors import ProtocolViolation
from core.fact_values import Fact, Inbound, Report
from core.message_state import Evidence
from core.sessions.frames import (
    COMMANDS_BYTES_MAX,
    COMMANDS_PER_FRAME,
    read_facts,
    read_hello,
    write_commands,
)
from infinireach.driver.v1 import command_pb2, driver_service_pb2, fact_pb2
from infinireach.v1 import device_pb2, message_pb2
from tests.core_fixtures import NOW_MS, NUMBER, RECIPIENT
from tests.driver_frames import (
    command_ids,
    device_description,
    facts_frame,
    hello_frame,
    inbound_fact,
    report_fact,
)
from tests.fakes.database import TENANT_A

COMMAND = "0" * 24 + "-1"
FRAME_BYTES_MAX = 1_000_000


def read_one(fact: fact_pb2.Fact) -> Fact:
    (read,) = read_facts(facts_frame(fact).facts)
    return read


def features_of(**description: Any) -> str:
    frame = hello_frame(device_description(**description))
    (device,) = read_hello(frame.hello, tenant_id=TENANT_A, token_id="token").devices
    return device.features


# Features


def test_a_device_can_what_its_driver_says() -> None:
    said = device_pb2.DeviceFeatures(
        templates=True,
        media=[message_pb2.MEDIA_TYPE_STICKER, message_pb2.MEDIA_TYPE_IMAGE],
        groups=True,
        text_characters_max=4096,
        read_reports=True,
    )
    assert contents.read_features(features_of(features=said)) == Features(
        templates=True, media=("image", "sticker"), groups=True, text_characters_max=4096, read_reports=True
    )


def test_saying_nothing_is_not_saying_that_it_can_nothing() -> None:
    assert features_of() == ""
    assert contents.read_features(features_of(features=device_pb2.DeviceFeatures())) == Features()


def test_a_type_of_file_that_the_core_does_not_know_is_passed_over() -> None:
    said = device_pb2.DeviceFeatures(media=[0, message_pb2.MEDIA_TYPE_VIDEO, 99])  # pyright: ignore[reportArgumentType]
    assert contents.read_features(features_of(features=said)) == Features(media=("video",))


@pytest.mark.parametrize("characters", [-1, 1, 159, 20_001])
def test_a_length_that_no_text_can_have_or_that_every_device_exceeds_is_refused(characters: int) -> None:
    with pytest.raises(ProtocolViolation, match=r"hello\.devices\.features\.text_characters_max"):
        features_of(features=device_pb2.DeviceFeatures(text_characters_max=characters))


# Facts


def test_a_report_of_reading_is_read() -> None:
    fact = report_fact(3, COMMAND, delivered=fact_pb2.Delivered(is_read=True))
    assert read_one(fact) == Report(3, COMMAND, Evidence.DELIVERED, is_read=True)


@pytest.mark.parametrize(
    ("delay", "delay_ms"),
    [
        (None, None),
        (Duration(seconds=90, nanos=500_000_000), 90_500),
        (Duration(nanos=1_000_000), 1),
        (Duration(seconds=86_400), 86_400_000),
        (Duration(seconds=86_400, nanos=1_000_000), None),
        (Duration(seconds=2**62), None),
        (Duration(), None),
        (Duration(nanos=999_999), None),
        (Duration(seconds=-1), None),
        (Duration(seconds=-(2**62)), None),
        (Duration(seconds=1, nanos=-1), None),
        (Duration(seconds=1, nanos=10**9), None),
    ],
)
def test_a_wait_is_taken_if_it_is_more_than_none_and_at_most_a_day(
    delay: Duration | None, delay_ms: int | None
) -> None:
    failed = message_pb2.Failure(reason=message_pb2.FAILURE_REASON_RATE_LIMITED)
    report = read_one(report_fact(3, COMMAND, failed=failed, retry_delay=delay))
    assert isinstance(report, Report)
    assert report.retry_delay_ms == delay_ms


def test_an_inbound_message_is_read_with_what_came_with_it() -> None:
    media = message_pb2.Media(
        type=message_pb2.MEDIA_TYPE_DOCUMENT,
        url="https://internal.example/secret",
        filename="a\0b" + "x" * 300,
        mime_type="m" * 101,
        network_id="n" * 256,
    )
    fact = read_one(
        inbound_fact(5, media=media, reply_to_command_id=COMMAND, sender_name="Ana\0" + "x" * 100)
    )
    assert isinstance(fact, Inbound)
    assert contents.read(fact.content) == Media("document", "", "ab" + "x" * 238, "m" * 100, "n" * 255)
    assert (fact.reply_to_command_id, fact.sender_name) == (COMMAND, "Ana" + "x" * 97)


def test_what_has_no_form_here_is_a_file_without_a_type() -> None:
    fact = read_one(inbound_fact(5, media=message_pb2.Media()))
    assert isinstance(fact, Inbound)
    assert contents.read(fact.content) == Media("")


def test_the_longest_id_of_a_user_is_a_source() -> None:
    fact = read_one(inbound_fact(5, source="U" * 140))
    assert isinstance(fact, Inbound)
    assert fact.source == "U" * 140


# Commands


def command(number: int, body: str = "", content: Content | None = None, **changes: Any) -> Command:
    values: dict[str, Any] = {
        "command_id": f"{number:024x}-1",
        "message_id": f"{number:024x}",
        "driver_id": "driver",
        "device_id": "device-id",
        "channel": "whatsapp",
        "source": NUMBER,
        "destination": RECIPIENT,
        "body": body,
        "encoding": "none",
        "segments": 1,
        "not_after_ms": NOW_MS,
        "traceparent": None,
        "content": content,
    }
    return Command(**values | changes)


def written(*commands: Command) -> list[driver_service_pb2.ConnectResponse]:
    return write_commands(commands, {"device-id": "phone"})


def write_one(command: Command) -> command_pb2.SendCommand:
    (frame,) = written(command)
    (sent,) = frame.send_commands.commands
    return sent


def test_a_command_carries_a_template() -> None:
    sent = write_one(command(1, "", Template("order_ready", "en_US", '[{"type": "body"}]')))
    assert sent.WhichOneof("content") == "template"
    assert (sent.template.name, sent.template.language) == ("order_ready", "en_US")
    assert sent.template.components_json == '[{"type": "body"}]'


@pytest.mark.parametrize("caption", ["", "See here"])
def test_a_command_carries_a_file_with_its_caption(caption: str) -> None:
    sent = write_one(command(1, caption, Media("document", "https://example.com/a.pdf", "a.pdf")))
    assert sent.WhichOneof("content") == "media"
    assert sent.media.caption == caption
    assert sent.media.media == message_pb2.Media(
        type=message_pb2.MEDIA_TYPE_DOCUMENT, url="https://example.com/a.pdf", filename="a.pdf"
    )


def test_a_plain_text_is_a_text_also_if_it_has_no_encoding() -> None:
    sent = write_one(command(1, "Hello"))
    assert sent.WhichOneof("content") == "text"
    assert (sent.text.body, sent.text.encoding, sent.text.segments) == ("Hello", 0, 1)


@pytest.mark.parametrize(
    "largest",
    [
        command(1, "\U0001f600" * 4096),
        command(1, "", Template("x" * 512, "en_US", "x" * 16_384)),
        command(1, "漢" * 1024, Media("document", "https://a.example/" + "x" * 2030, "漢" * 240)),
    ],
)
def test_frames_of_the_largest_commands_stay_small_and_in_order(largest: Command) -> None:
    count = 3 * COMMANDS_PER_FRAME
    commands = [command(n, largest.body, largest.content, traceparent="t" * 55) for n in range(1, count + 1)]
    frames = written(*commands)
    assert command_ids(frames) == [each.command_id for each in commands]
    assert max(frame.ByteSize() for frame in frames) < FRAME_BYTES_MAX
    assert max(len(frame.send_commands.commands) for frame in frames) <= COMMANDS_PER_FRAME


def test_a_frame_is_begun_only_when_the_one_before_is_full() -> None:
    texts = [command(n, "x" * 4096) for n in range(250)]
    assert [len(frame.send_commands.commands) for frame in written(*texts)] == [100, 100, 50]
    long = [command(n, "\U0001f600" * 4096) for n in range(100)]
    full, rest = written(*long)
    assert full.ByteSize() + rest.send_commands.commands[0].ByteSize() > COMMANDS_BYTES_MAX
