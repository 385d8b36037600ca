"""A message that comes in keeps what a person would see in it, whatever its kind."""

from typing import Any

import pytest

from drivers.whatsapp_cloud.inbound import Malformed, to_inbound
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import (
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_STICKER,
    MEDIA_TYPE_UNSPECIFIED,
    MEDIA_TYPE_VIDEO,
    Media,
    MediaType,
)

USER_ID = "US.13491208655302741918"


def read(message: dict[str, Any], *contacts: dict[str, Any]) -> InboundMessage:
    return to_inbound(
        {"from": "15551230000", "id": "wamid.1", "timestamp": "1760000000", **message},
        list(contacts),
        device_key="main",
        number="+15559876543",
        command_of={"wamid.ours": "cmd-1"}.get,  # pyright: ignore[reportArgumentType]
    )


def text_of(**message: Any) -> str:
    return read(message).text


def test_text_comes_with_everything_that_is_known_of_it() -> None:
    inbound = read(
        {
            "type": "text",
            "text": {"body": "Grüße 👋"},
            "context": {"id": "wamid.ours", "from": "15559876543"},
            "group_id": "Y2FwaV9ncm91cDox",
        },
        {"wa_id": "15550000000", "profile": {"name": "somebody else"}},
        {"wa_id": "15551230000", "profile": {"name": "Ada"}, "user_id": USER_ID},
    )
    assert (inbound.source, inbound.destination, inbound.device_key) == (
        "+15551230000",
        "+15559876543",
        "main",
    )
    assert (inbound.text, inbound.sender_name) == ("Grüße 👋", "Ada")
    assert inbound.network_time.seconds == 1760000000
    assert inbound.group_id == "Y2FwaV9ncm91cDox@g.us"
    assert inbound.reply_to_command_id == "cmd-1"
    assert not inbound.HasField("media")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("image", MEDIA_TYPE_IMAGE),
        ("video", MEDIA_TYPE_VIDEO),
        ("audio", MEDIA_TYPE_AUDIO),
        ("voice", MEDIA_TYPE_AUDIO),
        ("document", MEDIA_TYPE_DOCUMENT),
        ("sticker", MEDIA_TYPE_STICKER),
    ],
)
def test_file_comes_with_what_fetches_it(kind: str, expected: MediaType) -> None:
    content = {"id": "30001", "mime_type": "a/b", "filename": "f.pdf", "caption": "see", "sha256": "x"}
    inbound = read({"type": kind, kind: content})
    assert inbound.media == Media(type=expected, filename="f.pdf", mime_type="a/b", network_id="30001")
    assert inbound.text == "see"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            {"type": "location", "location": {"latitude": 48.1, "longitude": 11.5, "name": "Office"}},
            "[location] Office: 48.1, 11.5",
        ),
        ({"type": "location", "location": {"latitude": 48.1, "longitude": 11}}, "[location] 48.1, 11"),
        (
            {
                "type": "contacts",
                "contacts": [{"name": {"formatted_name": "Ada"}, "phones": [{"phone": "+1 555"}]}, {}],
            },
            "[contacts]\nAda, +1 555",
        ),
        ({"type": "button", "button": {"text": "Yes", "payload": "YES"}}, "Yes"),
        (
            {
                "type": "interactive",
                "interactive": {"type": "list_reply", "list_reply": {"title": "A", "description": "b"}},
            },
            "A\nb",
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}},
            },
            "{}",
        ),
        ({"type": "reaction", "reaction": {"message_id": "wamid.ours", "emoji": "👍"}}, "[reaction] 👍"),
        ({"type": "reaction", "reaction": {"message_id": "wamid.ours"}}, "[reaction withdrawn]"),
        (
            {
                "type": "order",
                "order": {"text": "soon", "product_items": [{"quantity": 2, "product_retailer_id": "x1"}]},
            },
            "[order]\nsoon\n2 x x1",
        ),
        ({"type": "system", "system": {"body": "Changed the number."}}, "Changed the number."),
    ],
)
def test_other_kinds_become_text_that_can_be_read(message: dict[str, Any], text: str) -> None:
    inbound = read(message)
    assert inbound.text == text
    assert not inbound.HasField("media")


def test_reaction_names_the_message_that_it_is_to() -> None:
    inbound = read({"type": "reaction", "reaction": {"message_id": "wamid.ours", "emoji": "👍"}})
    assert inbound.reply_to_command_id == "cmd-1"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "hologram", "hologram": {"a": 1}}, "[hologram]"),
        (
            {"type": "unsupported", "errors": [{"code": 131051, "title": "Not supported"}]},
            "[unsupported: Not supported]",
        ),
        ({"type": "text"}, "[text]"),
        ({}, "[unknown]"),
    ],
)
def test_what_has_no_form_is_marked_and_not_lost(message: dict[str, Any], text: str) -> None:
    inbound = read(message)
    assert inbound.text == text
    assert inbound.HasField("media")
    assert inbound.media.type == MEDIA_TYPE_UNSPECIFIED


@pytest.mark.parametrize(
    ("message", "contact", "source"),
    [
        ({"from": None, "from_user_id": USER_ID}, {}, USER_ID),
        ({"from": None}, {"user_id": USER_ID}, USER_ID),
        ({"from": None}, {"user_id": USER_ID, "wa_id": "15551230000"}, "+15551230000"),
        ({"from": USER_ID}, {}, USER_ID),
        ({"from": "+15551230000"}, {}, "+15551230000"),
        ({"from": None, "from_user_id": "US.ENT." + "1" * 128}, {}, "US.ENT." + "1" * 128),
    ],
)
def test_source_is_the_number_or_else_the_id_of_who_hides_it(
    message: dict[str, Any], contact: dict[str, Any], source: str
) -> None:
    assert read({"type": "text", "text": {"body": "a"}, **message}, contact).source == source


@pytest.mark.parametrize(
    ("message", "contact", "name"),
    [
        ({"from": None, "from_user_id": USER_ID}, {"wa_id": "15551230000"}, ""),
        ({"from": "15551230001"}, {"wa_id": "15551230000"}, ""),
        ({"from": None, "from_user_id": USER_ID}, {"user_id": USER_ID}, "Ada"),
        ({"from": USER_ID}, {"user_id": USER_ID}, "Ada"),
        ({"from": "15551230001"}, {"wa_id": "+15551230001"}, "Ada"),
        ({"from": None}, {"wa_id": "15551230001"}, "Ada"),
    ],
)
def test_sender_has_the_name_of_no_other_contact(
    message: dict[str, Any], contact: dict[str, Any], name: str
) -> None:
    assert read(message, contact | {"profile": {"name": "Ada"}}).sender_name == name


@pytest.mark.parametrize("sender", [None, "", "12", "abc", "US." + "1" * 129, "1" * 16])
def test_message_without_a_sender_is_malformed(sender: str | None) -> None:
    with pytest.raises(Malformed):
        read({"type": "text", "text": {"body": "a"}, "from": sender})


def test_texts_are_cut_and_cleaned_so_that_a_database_takes_them() -> None:
    assert len(text_of(type="text", text={"body": "x" * 30_000})) == 20_000
    assert text_of(type="text", text={"body": "a\0b\ud83d"}) == "a\ufffdb?"
    inbound = read({
        "type": "document",
        "document": {"filename": "f" * 500, "mime_type": "m" * 500, "id": "i" * 500},
    })
    assert [len(inbound.media.filename), len(inbound.media.mime_type), len(inbound.media.network_id)] == [
        240,
        100,
        255,
    ]


def test_largest_message_fits_a_fact() -> None:
    inbound = read(
        {"type": "text", "text": {"body": "👋" * 30_000}, "group_id": "g" * 999},
        {"wa_id": "15551230000", "profile": {"name": "n" * 999}},
    )
    assert inbound.ByteSize() < 100 * 1024
