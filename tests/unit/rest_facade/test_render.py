"""The core's messages to public JSON."""

import json

import jsonschema_rs
import pytest

from infinireach.v1 import device_pb2, event_pb2, message_pb2, webhook_pb2
from rest_facade import examples, openapi, render, words
from rest_facade.route_table import ROUTES
from rest_facade.schemas import components


def test_accepted_body_has_exactly_four_keys_with_real_booleans() -> None:
    assert json.loads(render.accepted_body("6741234567890abcdef12345")) == {
        "success": True,
        "queued": True,
        "messageId": "6741234567890abcdef12345",
        "jobId": "job-6741234567890abcdef12345",
    }


def test_times_are_rfc_3339_with_milliseconds_and_absent_ones_null() -> None:
    record = message_pb2.Message()
    record.create_time.FromJsonString("2024-10-25T10:30:00.123456789Z")
    record.send_time.FromJsonString("2024-10-25T10:30:00Z")
    rendered = render.message(record)
    assert rendered["createdAt"] == "2024-10-25T10:30:00.123Z"
    assert rendered["sentAt"] == "2024-10-25T10:30:00.000Z"
    assert rendered["deliveredAt"] is None


def test_absent_text_is_null_and_absent_failure_has_no_reason() -> None:
    rendered = render.message(message_pb2.Message(state=message_pb2.MESSAGE_STATE_QUEUED))
    assert [rendered[name] for name in ("externalId", "deviceId", "reason", "holdReason")] == [None] * 4


def test_status_words_are_the_public_ones() -> None:
    assert list(words.STATUSES.values()) == [
        "queued", "scheduled", "sending", "sent", "delivered", "failed", "expired", "cancelled", "unknown",
    ]  # fmt: skip


def test_failure_tells_reason_detail_and_the_networks_code() -> None:
    failure = message_pb2.Failure(
        reason=message_pb2.FAILURE_REASON_DESTINATION_INVALID, network_code="500", detail="No such number."
    )
    rendered = render.message(message_pb2.Message(state=message_pb2.MESSAGE_STATE_FAILED, failure=failure))
    assert (rendered["reason"], rendered["networkCode"], rendered["reasonDetail"]) == (
        "destination_invalid",
        "500",
        "No such number.",
    )


def test_value_of_a_newer_core_is_other() -> None:
    record = message_pb2.Message.FromString(message_pb2.Message(state=99).SerializeToString())  # pyright: ignore[reportArgumentType]
    assert render.message(record)["status"] == "other"


def test_device_shows_sim_slots_and_all_numbers() -> None:
    record = device_pb2.Device(
        id="11111111-1111-4111-8111-111111111111",
        state=device_pb2.DEVICE_STATE_ONLINE,
        addresses=[
            device_pb2.DeviceAddress(channel=message_pb2.CHANNEL_SMS, number="+1555", slot=2, ready=True),
            device_pb2.DeviceAddress(channel=message_pb2.CHANNEL_WHATSAPP, number="+1666"),
        ],
    )
    rendered = render.device(record)
    assert rendered["channels"] == ["sms", "whatsapp"]
    assert rendered["simSlots"] == [{"slot": 2, "phoneNumber": "+1555", "smsReady": True}]
    assert [number["number"] for number in rendered["numbers"]] == ["+1555", "+1666"]
    assert rendered["numbers"][1]["slot"] is None
    assert rendered["signalPercent"] is None


BEFORE = (
    "id", "messageId", "status", "channel", "direction", "from", "to", "message", "deviceId", "externalId", "segments",
    "encoding", "createdAt", "sentAt", "deliveredAt", "failedAt", "reason", "reasonDetail", "networkCode", "holdReason",
    "holdUntil",
)  # fmt: skip
"""The keys of every message, in their order."""


def test_message_without_anything_more_has_the_keys_that_it_always_had() -> None:
    assert tuple(render.message(message_pb2.Message())) == BEFORE
    assert "features" not in render.device(device_pb2.Device())


def test_what_a_message_has_more_comes_after_the_keys_that_it_always_had() -> None:
    record = message_pb2.Message(
        template=message_pb2.Template(name="n", language="en", components_json='[{"type":"body"}]'),
        media=message_pb2.Media(type=message_pb2.MEDIA_TYPE_IMAGE, url="https://example.com/a"),
        group_id="1@g.us",
        reply_to_message_id="6741234567890abcdef12345",
        sender_name="Ada",
    )
    record.read_time.FromJsonString("2024-10-25T10:30:00Z")
    rendered = json.loads(render.encode(render.message(record)))
    assert tuple(rendered)[: len(BEFORE)] == BEFORE
    assert {name: rendered[name] for name in list(rendered)[len(BEFORE) :]} == {
        "template": {"name": "n", "language": "en", "components": [{"type": "body"}]},
        "media": {
            "type": "image",
            "url": "https://example.com/a",
            "filename": None,
            "mimeType": None,
            "networkId": None,
        },
        "readAt": "2024-10-25T10:30:00.000Z",
        "groupId": "1@g.us",
        "replyTo": "6741234567890abcdef12345",
        "senderName": "Ada",
    }


def test_template_without_components_shows_none() -> None:
    rendered = render.message(message_pb2.Message(template=message_pb2.Template(name="n", language="en")))
    assert json.loads(render.encode(rendered["template"]))["components"] == []


def test_what_came_in_without_a_form_of_its_own_has_a_file_without_type() -> None:
    media = message_pb2.Media(mime_type="application/x", network_id="42")
    rendered = render.message(message_pb2.Message(media=media))["media"]
    assert (rendered["type"], rendered["mimeType"], rendered["networkId"]) == (None, "application/x", "42")


def test_device_tells_what_it_can_if_its_driver_does() -> None:
    features = device_pb2.DeviceFeatures(
        templates=True, media=[message_pb2.MEDIA_TYPE_IMAGE, message_pb2.MEDIA_TYPE_STICKER], groups=True
    )
    assert render.device(device_pb2.Device(features=features))["features"] == {
        "templates": True,
        "media": ["image", "sticker"],
        "groups": True,
        "readReports": False,
        "textMax": None,
    }
    limited = device_pb2.DeviceFeatures(text_characters_max=700, read_reports=True)
    rendered = render.device(device_pb2.Device(features=limited))["features"]
    assert (rendered["textMax"], rendered["readReports"], rendered["media"]) == (700, True, [])


def test_device_without_any_signal_shows_nought_and_not_nothing() -> None:
    rendered = render.device(device_pb2.Device(signal_percent=0, battery_percent=80))
    assert (rendered["signalPercent"], rendered["batteryPercent"]) == (0, 80)


def test_event_holds_the_very_bytes_of_its_webhook() -> None:
    body = '{"event":"message.inbound","data":{"body":"é\\u2028","n":1.0}}'.encode()
    rendered = render.encode({
        "events": [render.event(event_pb2.Event(id="e1", type="message.inbound", body=body))]
    })
    assert body in rendered
    json.loads(rendered)


def test_tested_attempt_shows_nothing_of_the_answer() -> None:
    record = webhook_pb2.DeliveryAttempt(number=1, status=200, response="internal")
    assert "internal" not in str(render.attempt(record, with_response=False))
    assert render.attempt(record, with_response=True)["response"] == "internal"


@pytest.mark.parametrize("name", examples.ANSWERS)
def test_example_is_what_its_schema_says(name: str) -> None:
    document = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": components()}}
    jsonschema_rs.validator_for(document, validate_formats=True).validate(examples.ANSWERS[name])


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.body], ids=lambda route: route.operation
)
def test_example_of_a_body_is_what_its_schema_says(route: openapi.Route) -> None:
    assert route.body
    document = {"$ref": f"#/components/schemas/{route.body.schema}", "components": {"schemas": components()}}
    validator = jsonschema_rs.validator_for(document)
    for example in (route.body.example, *route.body.others.values()):
        validator.validate(example)
