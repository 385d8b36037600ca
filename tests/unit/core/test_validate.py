"""Requests read: what every field may hold, how it is normalised, and that all faults are told at once."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from core.api import validate
from core.device_admin import DeviceChange
from core.errors import InvalidArgument, NotFound
from core.messages import NewMessage
from infinireach.v1 import message_pb2
from infinireach.v1.accounts_service_pb2 import CreateApiKeyRequest
from infinireach.v1.devices_service_pb2 import CreateDriverTokenRequest, UpdateDeviceRequest
from infinireach.v1.messages_service_pb2 import ListMessagesRequest
from infinireach.v1.messages_service_pb2 import NewMessage as GivenMessage

TENANT = "a" * 24
CONTROL_CHARACTERS = ["\0", "\n", "\x1b", "\x7f", "\u0085", "\u2028", "\u202e"]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def faulty_fields(read: Callable[[], object]) -> list[str]:
    """The fields that `read` refuses, sorted."""
    with pytest.raises(InvalidArgument) as refused:
        read()
    assert all(violation.description for violation in refused.value.violations)
    return sorted(violation.field for violation in refused.value.violations)


def message(**changes: Any) -> GivenMessage:
    fields: dict[str, Any] = {
        "to": "+1234567890",
        "text": "Hello from Infini Reach!",
        "from": "+15559876543",
        "channel": message_pb2.CHANNEL_SMS,
    }
    return GivenMessage(**fields | changes)


def read(**changes: Any) -> NewMessage:
    return validate.new_message(message(**changes), TENANT)


def faults_of(**changes: Any) -> list[str]:
    return faulty_fields(lambda: read(**changes))


# Messages


def test_a_plain_message_is_taken_as_it_is() -> None:
    assert read() == NewMessage(
        TENANT, to="+1234567890", text="Hello from Infini Reach!", sender="+15559876543", channel="sms"
    )


def test_the_optional_fields_are_taken() -> None:
    new = read(
        external_id="order 1234/ä", device_id="3F2504E0-4F89-41D3-9A0C-0305E82C3301", traceparent=TRACEPARENT
    )
    assert (new.external_id, new.device_id, new.traceparent) == (
        "order 1234/ä",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        TRACEPARENT,
    )


def test_every_faulty_field_is_named_at_once() -> None:
    faults = faulty_fields(lambda: validate.new_message(GivenMessage(external_id="\n"), TENANT))
    assert faults == ["channel", "external_id", "from", "text", "to"]


def test_a_description_never_quotes_the_input() -> None:
    with pytest.raises(InvalidArgument) as refused:
        read(**{"to": "canary-1", "from": "canary-2", "text": "\0canary-3", "external_id": "\ncanary-4"})
    assert len(refused.value.violations) == 4
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("to", ["+1234567", "+123456789012345", "+491701234567"])
@pytest.mark.parametrize("channel", [message_pb2.CHANNEL_SMS, message_pb2.CHANNEL_WHATSAPP])
def test_a_recipient_in_e164_form_is_taken_on_every_channel(to: str, channel: message_pb2.Channel) -> None:
    assert read(to=to, channel=channel).to == to


NO_NUMBERS = [
    "",
    "+",
    "+123456",
    "+1234567890123456",
    "+0123456789",
    "1234567890",
    "00491701234567",
    "+49 170 1234567",
    " +491701234567",
    "+491701234567\n",
    "+4917012345a7",
    "+١٢٣٤٥٦٧٨٩٠",
    "tel:+491701234567",
    "+1234567890,+1234567891",
    "\0",
    "+" + "1" * 100_000,
]


@pytest.mark.parametrize("to", [*NO_NUMBERS, "120363025246125888@g.us"])
def test_a_recipient_of_sms_in_another_form_is_refused(to: str) -> None:
    assert faults_of(to=to) == ["to"]


@pytest.mark.parametrize(
    ("to", "group_id"),
    [
        ("120363025246125888@g.us", "120363025246125888@g.us"),
        ("4917012345678-1512345678@g.us", "4917012345678-1512345678@g.us"),
        ("instance-1:120363025246125888@g.us", "120363025246125888@g.us"),
        ("group:instance-1:120363025246125888@g.us", "120363025246125888@g.us"),
        ("group:a:b:c:120363025246125888@g.us", "120363025246125888@g.us"),
    ],
)
def test_a_whatsapp_group_is_normalised_to_the_part_after_the_last_colon(to: str, group_id: str) -> None:
    assert read(to=to, channel=message_pb2.CHANNEL_WHATSAPP).to == group_id


@pytest.mark.parametrize(
    "to",
    [
        *NO_NUMBERS,
        "@g.us",
        "group:@g.us",
        "120363025246125888@g.us:",
        "120363025246125888@g.us\n",
        "120363 025246@g.us",
        "120363025246125888@s.whatsapp.net",
        "1" * 65 + "@g.us",
        "x" * 140 + ":120363025246125888@g.us",
    ],
)
def test_a_whatsapp_recipient_in_another_form_is_refused(to: str) -> None:
    assert faults_of(to=to, channel=message_pb2.CHANNEL_WHATSAPP) == ["to"]


@pytest.mark.parametrize("text", ["x", " x ", "ä" * 1600, "🦤" * 1600, "line\none\ttab", "€[]{}"])
def test_a_text_of_1_to_1600_code_points_is_taken_unchanged(text: str) -> None:
    assert read(text=text).text == text


@pytest.mark.parametrize("text", ["", " ", "\n\t \u00a0\u3000", "x" * 1601, "🦤" * 1601, "a\0b"])
def test_a_text_that_is_empty_blank_too_long_or_has_a_nul_is_refused(text: str) -> None:
    assert faults_of(text=text) == ["text"]


@pytest.mark.parametrize(
    "sender",
    [
        "+15559876543",
        "15559876543",
        "+1 (555) 987-6543",
        "+1.555.987.6543",
        "+1 555 987/6543",
        "+1\u00a0555\u00a0987\u00a06543",
    ],
)
def test_a_sender_is_compared_by_its_digits(sender: str) -> None:
    assert read(**{"from": sender}).sender == "+15559876543"


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_sender_in_e164_form_stays_as_it_is(sender: str) -> None:
    assert read(**{"from": sender}).sender == sender


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "+",
        "-",
        "InfiniReach",
        "+123456",
        "+0123456789",
        "00491701234567",
        "++15559876543",
        "1" * 16,
        "+1\n5559876543",
        "+" + "-" * 140 + "15559876543",
        "+١٢٣٤٥٦٧٨٩٠",
        "\0",
    ],
)
def test_a_sender_in_another_form_is_refused(sender: str) -> None:
    assert faults_of(**{"from": sender}) == ["from"]


@pytest.mark.parametrize("channel", [message_pb2.CHANNEL_UNSPECIFIED, 3, 99, -1])
def test_a_channel_that_is_missing_or_unknown_is_refused(channel: Any) -> None:
    assert faults_of(channel=channel) == ["channel"]


@pytest.mark.parametrize("external_id", ["x" * 256, *(f"a{character}b" for character in CONTROL_CHARACTERS)])
def test_an_external_id_is_at_most_255_printable_characters(external_id: str) -> None:
    assert faults_of(external_id=external_id) == ["external_id"]
    assert read(external_id="x" * 255).external_id == "x" * 255


@pytest.mark.parametrize(
    "text", ["\U0001f468\u200d\U0001f469", "a\u00a0b", "\u0645\u06cc\u200c\u062e", "\ue000"]
)
def test_joined_emoji_and_what_other_scripts_need_are_printable(text: str) -> None:
    assert read(external_id=text).external_id == text
    assert validate.token_name(CreateDriverTokenRequest(name=text)) == text


@pytest.mark.parametrize("device_id", ["x" * 65, "a\nb", "\0"])
def test_a_device_id_is_at_most_64_printable_characters(device_id: str) -> None:
    assert faults_of(device_id=device_id) == ["device_id"]


def test_a_device_id_of_another_form_is_left_to_be_not_found() -> None:
    assert read(device_id="device-123").device_id == "device-123"


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "garbage",
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        "ff" + TRACEPARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        TRACEPARENT[:-1] + "\n",
    ],
)
def test_a_trace_context_that_cannot_be_read_is_as_good_as_none(traceparent: str) -> None:
    assert read(traceparent=traceparent).traceparent is None


def test_a_trace_context_that_is_too_long_is_refused() -> None:
    assert faults_of(traceparent=TRACEPARENT + "0") == ["traceparent"]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.integers(-(2**31), 2**31 - 1))
def test_no_input_makes_reading_a_message_fail_otherwise(
    to: str, sender: str, text: str, channel: int
) -> None:
    with contextlib.suppress(InvalidArgument):
        new = read(**{"to": to, "from": sender, "text": text, "channel": channel})
        assert new.text == text


# Lists of messages


def test_a_list_without_filters_is_taken() -> None:
    validate.list_messages(ListMessagesRequest())
    validate.list_messages(
        ListMessagesRequest(page_size=200, to="+1234567890", since_time=Timestamp(seconds=1))
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("page_size", -1),
        ("page_size", 201),
        ("state", 10),
        ("state", -1),
        ("channel", 3),
        ("direction", 3),
        ("from", "x" * 141),
        ("from", "\0"),
        ("to", "x" * 141),
        ("to", "a\nb"),
        ("since_time", Timestamp(seconds=10**12)),
        ("since_time", Timestamp(seconds=-(10**12))),
        ("until_time", Timestamp(nanos=-1)),
        ("until_time", Timestamp(nanos=1_000_000_000)),
    ],
)
def test_a_faulty_filter_is_refused(field: str, value: Any) -> None:
    assert faulty_fields(lambda: validate.list_messages(ListMessagesRequest(**{field: value}))) == [field]


# Ids


def test_ids_of_their_form_are_taken() -> None:
    assert validate.id_of("webhook", "webhook_id", "0" * 24) == "0" * 24
    assert (
        validate.device_id("3F2504E0-4F89-41D3-9A0C-0305E82C3301") == "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    )
    assert validate.credential_id("API key", "api_key_id", "aB345678") == "aB345678"


def read_ids(value: str) -> list[Callable[[], str]]:
    return [
        lambda: validate.id_of("webhook", "webhook_id", value),
        lambda: validate.device_id(value),
        lambda: validate.credential_id("API key", "api_key_id", value),
    ]


@pytest.mark.parametrize(
    "value", ["x", "0" * 23, "0" * 25, "G" * 24, "\0", "ä" * 8, "' OR 1=1 --", "0" * 24 + "\n"]
)
def test_an_id_of_another_form_looks_like_one_that_does_not_exist(value: str) -> None:
    for read_id in read_ids(value):
        with pytest.raises(NotFound, match=r"^There is no such (webhook|device|API key)\.$"):
            read_id()


def test_an_id_that_is_missing_is_a_faulty_field() -> None:
    assert [faulty_fields(read_id) for read_id in read_ids("")] == [
        ["webhook_id"],
        ["device_id"],
        ["api_key_id"],
    ]


# API keys, devices, driver tokens


def read_key(**fields: Any) -> Any:
    given_fields: dict[str, Any] = {"scopes": ["devices"]} | fields
    return validate.new_api_key(CreateApiKeyRequest(**given_fields), TENANT)


def test_an_api_key_is_taken_with_each_scope_once() -> None:
    new = read_key(
        name="Shop",
        scopes=["webhooks", "devices", "webhooks"],
        per_minute=7,
        expire_time=Timestamp(seconds=5),
    )
    assert (new.name, new.scopes, new.per_minute, new.expires_ms) == (
        "Shop",
        ["webhooks", "devices"],
        7,
        5000,
    )
    assert read_key().expires_ms is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 101),
        ("name", "a\nb"),
        ("scopes", []),
        ("scopes", [""]),
        ("scopes", ["devices", "root"]),
        ("scopes", ["DEVICES"]),
        ("per_minute", -1),
        ("per_minute", 1_000_001),
        ("expire_time", Timestamp(nanos=-1)),
    ],
)
def test_a_faulty_field_of_an_api_key_is_refused(field: str, value: Any) -> None:
    assert faulty_fields(lambda: read_key(**{field: value})) == [field]


DEVICE_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def device_change(*paths: str, name: str = "Office") -> DeviceChange:
    request = UpdateDeviceRequest(
        device_id=DEVICE_ID, name=name, enabled=False, update_mask=FieldMask(paths=paths)
    )
    return validate.device_change(request)


def test_a_device_changes_in_what_the_mask_names() -> None:
    assert device_change("name") == DeviceChange(DEVICE_ID, name="Office")
    assert device_change("enabled") == DeviceChange(DEVICE_ID, enabled=False)
    assert device_change("name", "enabled") == DeviceChange(DEVICE_ID, name="Office", enabled=False)


@pytest.mark.parametrize("paths", [[], ["state"], ["name", "driver"], [""], ["*"]])
def test_a_mask_names_at_least_one_field_and_only_known_ones(paths: list[str]) -> None:
    assert faulty_fields(lambda: device_change(*paths)) == ["update_mask"]


@pytest.mark.parametrize("name", ["", " ", "\u3000", "x" * 101, *(f"a{c}b" for c in CONTROL_CHARACTERS)])
def test_a_name_is_1_to_100_printable_characters(name: str) -> None:
    assert faulty_fields(lambda: device_change("name", name=name)) == ["name"]
    assert faulty_fields(lambda: validate.token_name(CreateDriverTokenRequest(name=name))) == ["name"]
    assert validate.token_name(CreateDriverTokenRequest(name="x" * 100)) == "x" * 100
