"""The fields of every body and query of the public API, one table each.

Owns which fields there are, their aliases, help and examples. A single value's shape is in `shapes`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rest_facade import shapes, words
from rest_facade.errors import FieldFault
from rest_facade.fields import Field, ObjectFault, object_of
from rest_facade.shapes import Shape, ShapeFault
from rest_facade.words import by_word

CHANNELS: Mapping[str, Any] = by_word(words.CHANNELS)
DIRECTIONS: Mapping[str, Any] = by_word(words.DIRECTIONS)
STATUSES: Mapping[str, Any] = by_word(words.STATUSES)
DELIVERY_STATUSES: Mapping[str, Any] = by_word(words.DELIVERY_STATUSES)
EVENT_TYPES = (
    "message.inbound",
    "message.received",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "device.online",
    "device.offline",
    "device.attention",
    "webhook.disabled",
)
INBOUND_NAMES = ("message.inbound", "message.received")
"""Two names of one event; an endpoint chooses one."""
BATCH_MESSAGES_MAX = 1_000
MEDIA_TYPES: Mapping[str, Any] = by_word(words.MEDIA_TYPES)
TYPES_WITHOUT_CAPTION = ("audio", "sticker")
COMPONENTS_BYTES_MAX = 16_384
FILENAME_CHARACTERS_MAX = 240

_CHANNEL = shapes.one_of(tuple(CHANNELS))

TEMPLATE_FIELDS = (
    Field(
        "name",
        shapes.pattern(
            "^[a-z0-9_]{1,512}$", maximum=512, issue="must be 1 to 512 of a-z, 0-9 and underscore"
        ),
        "Its name as the operator of the channel approved it.",
        required=True,
        example="order_shipped",
    ),
    Field(
        "language",
        shapes.pattern(
            "^[A-Za-z][0-9A-Za-z_-]{1,15}$",
            maximum=16,
            issue="must be a language such as en or en_US",
        ),
        "Its language as the operator writes it.",
        required=True,
        example="en_US",
    ),
    Field(
        "components",
        shapes.json_objects(COMPONENTS_BYTES_MAX),
        "What goes into its places: a list of objects in the operator's own form, at most 16 KiB as JSON. It is "
        "passed on as it is.",
        example=[{"type": "body", "parameters": [{"type": "text", "text": "4711"}]}],
    ),
)
MEDIA_FIELDS = (
    Field(
        "type", shapes.one_of(tuple(MEDIA_TYPES)), "What kind of file it is.", required=True, example="image"
    ),
    Field(
        "url",
        shapes.MEDIA_URL,
        "Where the channel's network fetches it: an https URL that it can reach, at most 2048 characters.",
        required=True,
        example="https://example.com/files/label.png",
    ),
    Field(
        "filename",
        shapes.name(FILENAME_CHARACTERS_MAX),
        "Its name for the recipient, at most 240 characters; with `document` only.",
    ),
)
_MEDIA = object_of(MEDIA_FIELDS)


def _check_media(value: object) -> dict[str, Any]:
    media: dict[str, Any] = _MEDIA.check(value)
    if "filename" in media and media["type"] != "document":
        raise ObjectFault([FieldFault("filename", "must be given with document only")])
    return media


_NAMED_MEDIA = Shape(
    _check_media,
    {
        **_MEDIA.schema,
        "anyOf": [
            {"properties": {"type": {"const": "document"}}},
            {"properties": {"filename": {"type": "null"}}},
        ],
    },
)
_TO = Field(
    "to",
    shapes.DESTINATION,
    "Recipient: a phone number in E.164 form; with `whatsapp` also a group id, `<id>@g.us`, or the id that WhatsApp "
    "gives a user who hides the number.",
    required=True,
    example="+1234567890",
)
_MESSAGE = Field(
    "message",
    shapes.SMS,
    "The text: with `sms` 1 to 1600 characters, with `whatsapp` 1 to 4096; with `media` what is written under it, at "
    "most 1024. Required without `template` and `media`. If it is absent, `body`, then `text`, is taken in its place.",
    required=True,
    aliases=("body", "text"),
    example="Hello from Infini Reach!",
)
_WHATSAPP_TO = replace(_TO, shape=shapes.WHATSAPP_DESTINATION)
_TEMPLATE = Field(
    "template",
    object_of(TEMPLATE_FIELDS),
    "In place of a text, on `whatsapp`: a template that its operator has approved.",
    required=True,
)
_MEDIA_FIELD = Field("media", _NAMED_MEDIA, "A file, on `whatsapp`.", required=True)
_SENDING = (
    Field(
        "from",
        shapes.SENDER,
        "Phone number of one of your devices. If it is absent, `e164From` is taken.",
        required=True,
        aliases=("e164From",),
        example="+15559876543",
    ),
    Field("channel", _CHANNEL, "Network that carries the message.", required=True, example="sms"),
    Field(
        "externalId",
        shapes.printable(1, shapes.EXTERNAL_ID_CHARACTERS_MAX),
        "Your own id of the message. A repeat with the same content is answered with the first message and sends "
        "nothing; with other content it is refused.",
        example="order-4711",
    ),
    Field(
        "deviceId",
        shapes.printable(1, 64),
        "A hint: if it is given and this device does not own `from`, the answer is 404.",
        aliases=("device_id",),
    ),
)
SMS_FIELDS = (_TO, _MESSAGE, *_SENDING)
WHATSAPP_FIELDS = (_WHATSAPP_TO, replace(_MESSAGE, shape=shapes.WHATSAPP), *_SENDING)
TEMPLATE_MESSAGE_FIELDS = (_WHATSAPP_TO, *_SENDING, _TEMPLATE)
MEDIA_MESSAGE_FIELDS = (
    _WHATSAPP_TO,
    replace(_MESSAGE, shape=shapes.CAPTION, required=False),
    *_SENDING,
    _MEDIA_FIELD,
)
MESSAGE_FIELDS = (
    _WHATSAPP_TO,
    replace(_MESSAGE, shape=shapes.WHATSAPP, required=False),
    *_SENDING,
    replace(_TEMPLATE, required=False),
    replace(_MEDIA_FIELD, required=False),
)
"""What any message may have; the tables before it are the kinds that there are."""
TEXT_NAMES = ("message", *_MESSAGE.aliases)
DEVICE_FIELDS = (
    Field("name", shapes.NAME, "Name for people.", example="Front desk"),
    Field("enabled", shapes.FLAG, "false: messages wait in the device's queue.", example=True),
)
DRIVER_TOKEN_FIELDS = (Field("name", shapes.NAME, "Name for people.", required=True, example="Office modem"),)
_TYPES = shapes.list_of(shapes.one_of(EVENT_TYPES), maximum=len(EVENT_TYPES))


def _check_events(value: object) -> list[str]:
    names: list[str] = _TYPES.check(value)
    if all(name in names for name in INBOUND_NAMES):
        raise ShapeFault("must not name one event by both its names, " + " and ".join(INBOUND_NAMES))
    return names


_EVENTS = Shape(
    _check_events,
    {
        **_TYPES.schema,
        "not": {"type": "array", "allOf": [{"contains": {"const": name}} for name in INBOUND_NAMES]},
    },
)
_WEBHOOK_OPTIONS = (
    Field(
        "events",
        _EVENTS,
        "Types that the endpoint wants; empty: all but `message.read`. Of `message.inbound` and "
        "`message.received`, two names of one event, at most one.",
        example=["message.inbound", "message.delivered", "message.failed"],
    ),
    Field("timeoutSeconds", shapes.whole_number(1, 30), "Seconds for one attempt as a whole.", example=10),
    Field("ordered", shapes.FLAG, "true: strictly one event after the other; the first that fails blocks."),
    Field("description", shapes.printable(0, shapes.DESCRIPTION_CHARACTERS_MAX), "Name for people."),
)
_WEBHOOK_URL = (
    "Where events are posted, at most 2048 characters. In production https only; internal addresses and unusual ports "
    "are refused unless the operator has allowed them."
)
NEW_WEBHOOK_FIELDS = (
    Field("url", shapes.URL, _WEBHOOK_URL, required=True, example="https://example.com/hooks/infini-reach"),
    *_WEBHOOK_OPTIONS,
)
WEBHOOK_FIELDS = (
    Field("url", shapes.URL, _WEBHOOK_URL, example="https://example.com/hooks/infini-reach"),
    Field("enabled", shapes.FLAG, "false: deliveries pile up as paused."),
    *_WEBHOOK_OPTIONS,
)
ENABLE_WEBHOOK_FIELDS = (
    Field(
        "skipBacklog", shapes.FLAG, "true: what piled up is dropped; false: it is delivered.", example=False
    ),
)


def _from_text(shape: Shape, convert: Callable[[str], Any]) -> Shape:
    """The shape of a query value: text first."""

    def check(value: str) -> Any:
        return shape.check(convert(value))

    return Shape(check, shape.schema)


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ShapeFault("must be a whole number")
    return int(text)


def _comma_separated(text: str) -> list[str]:
    return text.split(",") if text else []


def _check_party(text: str) -> str:
    """A number as people write it, or what networks give in its place; an unencoded + arrives as a space."""
    try:
        return str(shapes.SENDER.check(text))
    except ShapeFault:
        return str(_PARTY_NAME.check(text)).strip()


_PARTY_NAME = shapes.name(shapes.WHATSAPP_DESTINATION_CHARACTERS_MAX)
_PARTY = Shape(_check_party, _PARTY_NAME.schema)
_TIME = _from_text(shapes.TIME, lambda text: text.replace(" ", "+"))
_CURSOR = shapes.printable(1, 512)


def _limit(maximum: int) -> Shape:
    return _from_text(shapes.whole_number(1, maximum), _integer)


CURSOR_FIELD = Field("cursor", _CURSOR, "`nextCursor` of the page before.")
PAGE_FIELD = Field("limit", _limit(200), "Entries of a page; 50 if it is absent.", example=50)
LIST_MESSAGES_FIELDS = (
    PAGE_FIELD,
    CURSOR_FIELD,
    Field("status", shapes.one_of(tuple(STATUSES)), "Only this status."),
    Field("channel", _CHANNEL, "Only this channel."),
    Field("direction", shapes.one_of(tuple(DIRECTIONS)), "Only this direction."),
    Field("from", _PARTY, "Only this sender."),
    Field("to", _PARTY, "Only this recipient."),
    Field("since", _TIME, "Only messages created at this time or later."),
    Field("until", _TIME, "Only messages created before this time."),
)
LIST_DELIVERIES_FIELDS = (
    PAGE_FIELD,
    CURSOR_FIELD,
    Field("status", shapes.one_of(tuple(DELIVERY_STATUSES)), "Only this status."),
)
LIST_EVENTS_FIELDS = (
    Field("after", _CURSOR, "`nextCursor` of an earlier answer; if it is absent, from the oldest event."),
    Field(
        "types",
        _from_text(_TYPES, _comma_separated),
        "Only these types, separated by commas.",
    ),
    Field("limit", _limit(1_000), "Events of a page; 100 if it is absent.", example=100),
)
