"""Records of events: what is written is read, and nothing else is."""

import msgspec
import pytest

from core.eventlog.kafka.records import Unreadable, decode, encode, key_of
from core.events import PublishedEvent

EVENT = PublishedEvent("e1", "t1", "message.sent", "m1", "d1", 5)
FIELDS = {"v": 1, "id": "e1", "tenant": "t1", "type": "message.sent", "at": 5}


@pytest.mark.parametrize("event", [EVENT, PublishedEvent("e1", "t1", "webhook.disabled", None, None, 5)])
def test_what_is_written_is_read(event: PublishedEvent) -> None:
    assert decode(encode(event)) == event


def test_a_record_holds_references_only() -> None:
    assert msgspec.json.decode(encode(EVENT)) == {**FIELDS, "message": "m1", "device": "d1"}


def test_fields_that_a_newer_version_adds_are_passed_over() -> None:
    assert decode(msgspec.json.encode({**FIELDS, "new": [1]})).id == "e1"


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2}, {"v": 0}, {"v": "1"}, {"id": ""}, {"id": None}, {"id": "E1"}, {"id": "a\n"}, {"id": "a" * 65},
        {"tenant": "\x00"}, {"at": "now"}, {"at": 1.5}, {"type": ""}, {"type": "x" * 65}, {"device": 7},
    ],
)  # fmt: skip
def test_a_record_with_a_faulty_field_is_unreadable(changed: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        decode(msgspec.json.encode({**FIELDS, **changed}))


@pytest.mark.parametrize(
    "value", [None, b"", b"null", b"[]", b"{", b"\xff", b'{"v":1,"id":"\xff"}', b"\x00" * 10]
)
def test_what_is_no_record_is_unreadable(value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        decode(value)


def test_the_key_is_the_device_or_else_the_message_or_else_the_tenant() -> None:
    assert key_of(EVENT) == b"d1"
    assert key_of(PublishedEvent("e1", "t1", "x", "m1", None, 5)) == b"m1"
    assert key_of(PublishedEvent("e1", "t1", "x", None, None, 5)) == b"t1"
