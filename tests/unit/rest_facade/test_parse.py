"""Public JSON to the core's messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinireach.v1 import message_pb2
from rest_facade import parse
from rest_facade.errors import ApiError
from rest_facade.field_tables import LIST_EVENTS_FIELDS, LIST_MESSAGES_FIELDS
from rest_facade.fields import read_query

MESSAGE: dict[str, Any] = {
    "to": "+1234567890",
    "message": "Hello",
    "from": "+15559876543",
    "channel": "sms",
}


WHATSAPP: dict[str, Any] = {**MESSAGE, "channel": "whatsapp"}
BARE = {name: kept for name, kept in WHATSAPP.items() if name != "message"}
TEMPLATE: dict[str, Any] = {"name": "order_shipped", "language": "en_US"}
MEDIA: dict[str, Any] = {"type": "image", "url": "https://example.com/a.png"}


def faults_of(body: dict[str, Any]) -> dict[str, str]:
    """Every fault of a message by field."""
    _, faults = parse.new_message(body, "")
    return {fault.field: fault.issue for fault in faults}


def query_faults(query: str) -> list[str]:
    """The faulty fields of a query."""
    with pytest.raises(ApiError) as refused:
        read_query(LIST_MESSAGES_FIELDS, query)
    return [fault.field for fault in refused.value.details]


def test_message_of_the_quick_start_is_read() -> None:
    message = parse.required_message({**MESSAGE, "externalId": "order-1", "deviceId": "d1"}, "")
    assert (message.to, message.text, getattr(message, "from")) == ("+1234567890", "Hello", "+15559876543")
    assert message.channel == message_pb2.CHANNEL_SMS
    assert (message.external_id, message.device_id) == ("order-1", "d1")


@pytest.mark.parametrize(
    ("missing", "alias", "value"),
    [
        ("message", "body", "Hi"),
        ("message", "text", "Hi"),
        ("from", "e164From", "+15550001111"),
        ("deviceId", "device_id", "d2"),
    ],
)
def test_alias_is_taken_where_the_field_is_absent_or_null(missing: str, alias: str, value: str) -> None:
    names = {"message": "text", "from": "from", "deviceId": "device_id"}
    without = {name: kept for name, kept in MESSAGE.items() if name != missing}
    for body in ({**without, alias: value}, {**without, missing: None, alias: value}):
        assert getattr(parse.required_message(body, ""), names[missing]) == value


def test_body_goes_before_text_and_message_before_both() -> None:
    assert parse.required_message({**MESSAGE, "body": "b", "text": "t"}, "").text == "Hello"
    without = {name: kept for name, kept in MESSAGE.items() if name != "message"}
    assert parse.required_message({**without, "text": "t", "body": "b"}, "").text == "b"


def test_alias_does_not_excuse_a_faulty_field() -> None:
    assert set(faults_of({**MESSAGE, "message": "", "body": "b"})) == {"message"}


def test_every_fault_is_named_at_once() -> None:
    assert faults_of({"message": 5, "from": [], "channel": "fax", "externalId": "", "deviceId": True}) == {
        "to": "is required",
        "message": "must be a string",
        "from": "must be a string",
        "channel": "must be one of sms, whatsapp",
        "externalId": "must be 1 to 255 characters",
        "deviceId": "must be a string",
    }


def test_unknown_keys_are_ignored() -> None:
    assert faults_of({**MESSAGE, "priority": 9, "": {}, "TO": None}) == {}


def test_group_is_a_recipient_on_whatsapp_only() -> None:
    group = {**MESSAGE, "to": "group:i1:120363025246125486@g.us"}
    assert set(faults_of(group)) == {"to"}
    assert parse.required_message({**group, "channel": "whatsapp"}, "").to == "120363025246125486@g.us"


def test_text_of_whatsapp_may_be_longer_than_that_of_sms() -> None:
    long = "x" * 4096
    assert parse.required_message({**WHATSAPP, "message": long}, "").text == long
    assert faults_of({**WHATSAPP, "message": long + "x"}) == {"message": "must be 1 to 4096 characters"}
    assert faults_of({**MESSAGE, "message": "x" * 1601}) == {"message": "must be 1 to 1600 characters"}
    assert faults_of({**MESSAGE, "message": "x" * 1601, "channel": "fax"}).keys() == {"message", "channel"}


def test_user_who_hides_the_number_is_a_recipient_on_whatsapp_only() -> None:
    hidden = {"to": "US.13491208655302741918"}
    assert parse.required_message({**WHATSAPP, **hidden}, "").to == hidden["to"]
    assert faults_of({**MESSAGE, **hidden}).keys() == {"to"}


def test_template_takes_the_place_of_the_text() -> None:
    components = [{"type": "body", "parameters": [{"type": "text", "text": "ä"}]}]
    message = parse.required_message({**BARE, "template": {**TEMPLATE, "components": components}}, "")
    assert (message.text, message.HasField("media")) == ("", False)
    assert (message.template.name, message.template.language) == ("order_shipped", "en_US")
    assert json.loads(message.template.components_json) == components
    bare = parse.required_message({**BARE, "template": TEMPLATE, "media": None, "message": None}, "")
    assert (bare.HasField("template"), bare.template.components_json) == (True, "")


@pytest.mark.parametrize("alias", ["message", "body", "text"])
def test_file_has_the_text_as_its_caption(alias: str) -> None:
    message = parse.required_message({**BARE, alias: "Your label.", "media": MEDIA, "externalId": "x"}, "")
    assert (message.text, message.external_id, message.HasField("template")) == ("Your label.", "x", False)
    assert (message.media.type, message.media.url) == (message_pb2.MEDIA_TYPE_IMAGE, MEDIA["url"])


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
def test_file_needs_no_caption(kind: str) -> None:
    message = parse.required_message({**BARE, "media": {**MEDIA, "type": kind}}, "")
    assert message.media.type == message_pb2.MediaType.Value(f"MEDIA_TYPE_{kind.upper()}")
    assert message.text == ""


def test_document_may_have_a_name() -> None:
    document = {**MEDIA, "type": "document", "filename": "Rechnung ä.pdf"}
    assert parse.required_message({**BARE, "media": document}, "").media.filename == "Rechnung ä.pdf"
    assert faults_of({**BARE, "media": {**document, "type": "image"}}).keys() == {"media.filename"}


@pytest.mark.parametrize(
    ("body", "faulty"),
    [
        ({**BARE, "template": 5}, {"template"}),
        ({**BARE, "template": {}}, {"template.name", "template.language"}),
        (
            {**BARE, "template": {"name": "A b", "language": "english!", "components": [1]}},
            {"template.name", "template.language", "template.components"},
        ),
        ({**BARE, "to": "1", "template": {"name": ""}}, {"to", "template.name", "template.language"}),
        ({**WHATSAPP, "template": TEMPLATE}, {"message"}),
        ({**BARE, "body": "", "template": TEMPLATE}, {"message"}),
        ({**BARE, "media": MEDIA, "template": TEMPLATE}, {"media"}),
        (
            {**WHATSAPP, "media": MEDIA, "template": {}},
            {"media", "message", "template.name", "template.language"},
        ),
        ({**BARE, "channel": "sms", "template": TEMPLATE}, {"template"}),
        ({**BARE, "channel": "sms", "media": MEDIA}, {"media"}),
        ({**BARE, "channel": "fax", "media": MEDIA}, {"channel"}),
        ({**BARE, "media": "https://example.com/a.png"}, {"media"}),
        ({**BARE, "media": {}}, {"media.type", "media.url"}),
        ({**BARE, "media": {"type": "gif", "url": "http://a.example/"}}, {"media.type", "media.url"}),
        ({**WHATSAPP, "media": {**MEDIA, "type": "audio"}}, {"message"}),
        ({**WHATSAPP, "media": {**MEDIA, "type": "sticker"}}, {"message"}),
        ({**WHATSAPP, "message": "x" * 1025, "media": MEDIA}, {"message"}),
        ({"media": MEDIA}, {"to", "from", "channel"}),
    ],
)
def test_every_fault_of_a_template_or_file_is_named_by_its_path(
    body: dict[str, Any], faulty: set[str]
) -> None:
    assert faults_of(body).keys() == faulty


@pytest.mark.parametrize("external_id", ["x", "x" * 255, "order 4711/ä", "😀"])
def test_external_id_is_opaque(external_id: str) -> None:
    assert parse.required_message({**MESSAGE, "externalId": external_id}, "").external_id == external_id


@pytest.mark.parametrize("external_id", ["", "x" * 256, "a\nb", "a\x00", "\u2028", 5, ["a"]])
def test_external_id_is_1_to_255_printable_characters(external_id: object) -> None:
    assert set(faults_of({**MESSAGE, "externalId": external_id})) == {"externalId"}


@pytest.mark.parametrize(
    ("header", "carried"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("", False),
        (None, False),
    ],
)
def test_trace_context_is_carried_if_it_is_one(header: str | None, carried: bool) -> None:
    assert parse.traceparent(header) == (header if carried else "")


def test_job_id_is_an_id_of_its_message() -> None:
    assert parse.message_id("job-" + "a" * 24) == parse.message_id("a" * 24) == "a" * 24


@pytest.mark.parametrize(
    "text", ["", "job-", "A" * 24, "a" * 23, "a" * 25, "job-job-" + "a" * 24, "a" * 23 + "\n", "..", "%2e"]
)
def test_what_can_be_no_id_is_not_found(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse.message_id(text)
    assert refused.value.code.name == "not_found"


def test_device_id_is_a_uuid_in_either_case() -> None:
    assert parse.device_id("11111111-1111-4111-8111-11111111111A") == "11111111-1111-4111-8111-11111111111a"
    with pytest.raises(ApiError):
        parse.device_id("device-123")


@pytest.mark.parametrize(
    "body", [{}, {"messages": None}, {"messages": {}}, {"messages": []}, {"messages": [1] * 1001}]
)
def test_batch_has_1_to_1000_messages(body: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        parse.batch_items(body)
    assert [fault.field for fault in refused.value.details] == ["messages"]


def test_query_is_read_into_a_filter() -> None:
    query = (
        "limit=20&cursor=abc&status=sent&channel=whatsapp&direction=inbound"
        "&from=%2B1555&to=Info&since=2024-10-25T10:30:00Z"
    )
    request = parse.message_filter(read_query(LIST_MESSAGES_FIELDS, query))
    assert (request.page_size, request.page_token) == (20, "abc")
    assert request.state == message_pb2.MESSAGE_STATE_SENT
    assert request.channel == message_pb2.CHANNEL_WHATSAPP
    assert request.direction == message_pb2.DIRECTION_INBOUND
    assert (getattr(request, "from"), request.to) == ("+1555", "Info")
    assert request.since_time.seconds == 1_729_852_200
    assert not request.HasField("until_time")


@pytest.mark.parametrize(
    "written", ["%2B15559876543", "+15559876543", "15559876543", "+1%20(555)%20987-6543"]
)
def test_number_in_a_query_is_understood_with_or_without_encoded_plus(written: str) -> None:
    request = parse.message_filter(read_query(LIST_MESSAGES_FIELDS, f"from={written}"))
    assert getattr(request, "from") == "+15559876543"


def test_time_in_a_query_is_understood_with_an_unencoded_plus() -> None:
    request = parse.message_filter(read_query(LIST_MESSAGES_FIELDS, "until=2024-10-25T12:30:00+02:00"))
    assert request.until_time.seconds == 1_729_852_200


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("limit=0", ["limit"]),
        ("limit=201", ["limit"]),
        ("limit=", ["limit"]),
        ("limit=1e1", ["limit"]),
        ("limit=" + "9" * 5000, ["limit"]),
        ("limit=٣", ["limit"]),
        ("status=open", ["status"]),
        ("status=sent&status=sent", ["status"]),
        ("channel=fax&direction=up&since=now&until=then", ["channel", "direction", "since", "until"]),
        ("from=&to=%20", ["from", "to"]),
        ("cursor=", ["cursor"]),
        ("cursor=%00", ["cursor"]),
        ("from=%ff", ["query"]),
        ("&".join(["a=1"] * 101), ["query"]),
    ],
)
def test_every_fault_of_a_query_is_named(query: str, faulty: list[str]) -> None:
    assert query_faults(query) == faulty


def test_unknown_names_in_a_query_are_ignored() -> None:
    assert read_query(LIST_MESSAGES_FIELDS, "page=2&page=3&limit=5") == {"limit": 5}


def test_event_types_are_separated_by_commas() -> None:
    assert read_query(LIST_EVENTS_FIELDS, "types=message.sent,message.failed")["types"] == [
        "message.sent",
        "message.failed",
    ]
    assert read_query(LIST_EVENTS_FIELDS, "types=")["types"] == []
    assert read_query(LIST_EVENTS_FIELDS, "types=message.read")["types"] == ["message.read"]
    with pytest.raises(ApiError):
        read_query(LIST_EVENTS_FIELDS, "types=message.sent,,")


def test_change_of_a_webhook_names_what_it_changes() -> None:
    request = parse.webhook_update("w1", {"events": [], "timeoutSeconds": 5, "ordered": None})
    assert list(request.update_mask.paths) == ["events", "timeout_s"]
    assert (request.webhook.id, request.webhook.timeout_s) == ("w1", 5)


def test_change_of_nothing_is_refused() -> None:
    for body in ({}, {"name": None}, {"colour": "red"}):
        with pytest.raises(ApiError) as refused:
            parse.device_update("d1", body)
        assert "name, enabled" in refused.value.sentence


@pytest.mark.parametrize(
    "events",
    [["message.inbound", "message.received"], ["message.sent", "message.sent"], ["x"], "message.sent", [1]],
)
def test_webhook_wants_known_events_each_by_one_name(events: object) -> None:
    with pytest.raises(ApiError) as refused:
        parse.new_webhook({"url": "https://example.com", "events": events})
    assert [fault.field for fault in refused.value.details] == ["events"]


@pytest.mark.parametrize(
    "url", ["", "example.com", "ftp://example.com", "https://", "https://a b", "https://a\n", "x" * 2049, 5]
)
def test_webhook_url_is_http_or_https(url: object) -> None:
    with pytest.raises(ApiError):
        parse.new_webhook({"url": url})


@given(
    st.dictionaries(
        st.sampled_from(["to", "message", "body", "from", "channel", "externalId", "deviceId"]),
        st.text(max_size=30) | st.integers() | st.none() | st.lists(st.text(max_size=3), max_size=2),
    ),
    st.dictionaries(
        st.sampled_from(["template", "media"]),
        st.sampled_from([None, 5, {}, TEMPLATE, MEDIA]),
    ),
)
def test_any_body_is_a_message_or_has_faults(body: dict[str, Any], more: dict[str, Any]) -> None:
    message, faults = parse.new_message(body | more, "")
    assert (message is None) == bool(faults)
