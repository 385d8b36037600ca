"""The simulated network forgets nothing when the driver dies, and owes each report until it is journalled."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.radio import Radio, TakenMessage
from infinireach.driver.v1.command_pb2 import MediaContent, SendCommand, TextContent
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP, MEDIA_TYPE_STICKER, Media, Template


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "radio.log"


def take(radio: Radio, *command_ids: str, owes: bool = True) -> list[TakenMessage]:
    commands = [
        SendCommand(
            command_id=i, message_id=f"m-{i}", destination="+15551230000", text=TextContent(segments=2)
        )
        for i in command_ids
    ]
    return radio.take(commands, [owes] * len(commands), time_s=12.5)


def owed(path: Path) -> list[str]:
    """What a new process finds owed."""
    radio = Radio(path)
    command_ids = [message.command_id for message in radio.owed()]
    radio.close()
    return command_ids


def test_every_taken_message_is_one_line_of_the_log(path: Path) -> None:
    radio = Radio(path)
    take(radio, "a", "b")
    take(radio, "a")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["command_id"] for line in lines] == ["a", "b", "a"]
    assert lines[0] == {
        "command_id": "a",
        "message_id": "m-a",
        "destination": "+15551230000",
        "time": 12.5,
        "segments": 2,
        "channel": "sms",
        "content": "text",
        "report": True,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    radio.close()


@pytest.mark.parametrize(
    ("carried", "content"),
    [
        ({"text": TextContent(body="Hello")}, "text"),
        ({"template": Template(name="order_ready")}, "template"),
        ({"media": MediaContent(media=Media(type=MEDIA_TYPE_STICKER))}, "sticker"),
    ],
)
def test_the_log_tells_the_channel_and_what_a_message_carried_and_not_what_it_said(
    path: Path, carried: dict[str, Any], content: str
) -> None:
    radio = Radio(path)
    radio.take([SendCommand(command_id="a", channel=CHANNEL_WHATSAPP, **carried)], [True], time_s=1.0)
    radio.close()
    again = Radio(path)
    (message,) = again.owed()
    assert (message.channel, message.content) == ("whatsapp", content)
    again.close()
    assert not {"Hello", "order_ready"} & set(path.read_text().split('"'))


def test_a_line_of_an_earlier_version_is_a_text_by_sms(path: Path) -> None:
    radio = Radio(path)
    take(radio, "a")
    radio.close()
    line = json.loads(path.read_text())
    del line["channel"], line["content"]
    path.write_text(json.dumps(line) + "\n")
    again = Radio(path)
    assert [(each.command_id, each.channel, each.content) for each in again.owed()] == [("a", "sms", "text")]
    again.close()


def test_reports_are_owed_after_a_crash_until_they_were_given(path: Path) -> None:
    radio = Radio(path)
    first = take(radio, "a", "b", "c")
    take(radio, "d")
    radio.reported(first[:1])
    radio.reported(first[2:])
    # "c" is owed again although it was given: better twice than never, as networks do.
    assert owed(path) == ["b", "c", "d"]
    radio.reported(first[1:2])
    assert owed(path) == ["d"]
    radio.close()


def test_owed_messages_come_back_as_they_were(path: Path) -> None:
    radio = Radio(path)
    (taken,) = take(radio, "a")
    radio.close()
    again = Radio(path)
    (message,) = again.owed()
    assert (message.command_id, message.segments, message.time_s) == ("a", 2, 12.5)
    assert message.end == taken.end
    again.reported([message])
    again.close()
    assert owed(path) == []


def test_message_that_gets_no_report_is_not_owed_and_holds_nothing_up(path: Path) -> None:
    radio = Radio(path)
    take(radio, "silent", owes=False)
    radio.reported(take(radio, "a"))
    assert owed(path) == []
    radio.close()


def test_line_that_was_cut_off_is_passed_over(path: Path) -> None:
    radio = Radio(path)
    take(radio, "a")
    radio.close()
    with path.open("ab") as log:
        log.write(b'{"command_id": "b", "mess')
    again = Radio(path)
    assert [message.command_id for message in again.owed()] == ["a"]
    take(again, "c")
    again.close()
    assert owed(path) == ["a", "c"]


def test_log_that_was_removed_begins_anew(path: Path) -> None:
    radio = Radio(path)
    radio.reported(take(radio, "a", "b", "c"))
    radio.close()
    path.unlink()
    again = Radio(path)
    assert again.owed() == []
    take(again, "d")
    again.close()
    assert owed(path) == ["d"]
