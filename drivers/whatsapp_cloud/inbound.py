"""Messages that come in, from the form of Meta's webhooks to that of the driver stream.

After Meta's reference of the webhook field `messages`. What has no form of its own here becomes a line of text, so that
nothing is lost; what is missing or of another type than Meta says is left out. Does no I/O.
"""

import re
from collections.abc import Callable

from drivers.whatsapp_cloud.fields import (
    TEXT_CHARACTERS_MAX,
    Json,
    id_in,
    object_in,
    objects_in,
    text_in,
    time_in,
)
from drivers.whatsapp_cloud.payloads import GROUP_SUFFIX, MEDIA_NAMES, is_user_id
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP, MEDIA_TYPE_AUDIO, Media, MediaType

SOURCE_CHARACTERS_MAX = 140
NAME_CHARACTERS_MAX = 100
FILENAME_CHARACTERS_MAX = 240
MIME_TYPE_CHARACTERS_MAX = 100
NETWORK_ID_CHARACTERS_MAX = 255
GROUP_ID_CHARACTERS_MAX = 123
"""With the suffix it is the 128 that a fact may have."""

_MEDIA_TYPES: dict[str, MediaType] = {name: kind for kind, name in MEDIA_NAMES.items()} | {
    "voice": MEDIA_TYPE_AUDIO
}
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")


class Malformed(ValueError):
    """It is no message; the text says what it lacks."""


def identity_of(message: Json, phone_number_id: str) -> str:
    """Number and WhatsApp's id of the message, which two numbers of a group may have in common. Raises Malformed."""
    message_id = id_in(message, "id")
    if not message_id:
        raise Malformed("a message without an id")
    return f"{phone_number_id}/{message_id}"


def to_inbound(
    message: Json,
    contacts: list[Json],
    *,
    device_key: str,
    number: str,
    command_of: Callable[[str], str],
) -> InboundMessage:
    """The message as a fact. `command_of` tells which command became a message of WhatsApp's. Raises Malformed."""
    contact = _contact_of(message, contacts)
    answered = id_in(object_in(message, "context"), "id") or id_in(
        object_in(message, "reaction"), "message_id"
    )
    group = text_in(message, "group_id", GROUP_ID_CHARACTERS_MAX)
    text, media = _content(message)
    return InboundMessage(
        device_key=device_key,
        channel=CHANNEL_WHATSAPP,
        source=_source(message, contact),
        destination=number,
        text=text,
        network_time=time_in(message),
        segments=1,
        group_id=group and group.removesuffix(GROUP_SUFFIX) + GROUP_SUFFIX,
        media=media,
        reply_to_command_id=command_of(answered) if answered else "",
        sender_name=text_in(object_in(contact, "profile"), "name", NAME_CHARACTERS_MAX),
    )


def _contact_of(message: Json, contacts: list[Json]) -> Json:
    """What the webhook tells of the sender; of one who has a name only what has the same."""
    named = _names(message, "from", "from_user_id")
    if not named:
        return contacts[0] if len(contacts) == 1 else {}
    return next((contact for contact in contacts if named & _names(contact, "wa_id", "user_id")), {})


def _names(holder: Json, *keys: str) -> set[str]:
    return {name.removeprefix("+") for key in keys if (name := text_in(holder, key))}


def _source(message: Json, contact: Json) -> str:
    """E.164, or the id of a user who hides the number."""
    for number in (text_in(message, "from", 32), text_in(contact, "wa_id", 32)):
        digits = number.removeprefix("+")
        if _DIGITS.fullmatch(digits):
            return f"+{digits}"
    for holder, key in ((message, "from_user_id"), (contact, "user_id"), (message, "from")):
        user = text_in(holder, key, SOURCE_CHARACTERS_MAX)
        if is_user_id(user):
            return user
    raise Malformed("a message without a sender")


def _content(message: Json) -> tuple[str, Media | None]:
    """Text, and the file or the mark that the text stands for something else."""
    kind = text_in(message, "type", 64)
    content = object_in(message, kind)
    if kind in _MEDIA_TYPES:
        return text_in(content, "caption"), _media(_MEDIA_TYPES[kind], content)
    read = _READERS.get(kind)
    text = _contacts(objects_in(message, kind)) if kind == "contacts" else read(content) if read else ""
    if text:
        return text, None
    title = next((text_in(error, "title", 200) for error in objects_in(message, "errors")), "")
    return f"[{kind or 'unknown'}{': ' if title else ''}{title}]", Media()


def _media(kind: MediaType, content: Json) -> Media:
    return Media(
        type=kind,
        filename=text_in(content, "filename", FILENAME_CHARACTERS_MAX),
        mime_type=text_in(content, "mime_type", MIME_TYPE_CHARACTERS_MAX),
        network_id=text_in(content, "id", NETWORK_ID_CHARACTERS_MAX),
    )


def _location(content: Json) -> str:
    place = ", ".join(filter(None, [text_in(content, "name", 1000), text_in(content, "address", 1000)]))
    point = f"{text_in(content, 'latitude', 32)}, {text_in(content, 'longitude', 32)}"
    return f"[location] {place}{': ' if place else ''}{point}"


def _interactive(content: Json) -> str:
    kind = text_in(content, "type", 64)
    reply = object_in(content, kind)
    lines = [text_in(reply, key) for key in ("title", "description", "body", "response_json")]
    return "\n".join(filter(None, lines))[:TEXT_CHARACTERS_MAX]


def _reaction(content: Json) -> str:
    emoji = text_in(content, "emoji", 64)
    return f"[reaction] {emoji}" if emoji else "[reaction withdrawn]"


def _order(content: Json) -> str:
    items = [
        f"{text_in(item, 'quantity', 32)} x {text_in(item, 'product_retailer_id', 200)}"
        for item in objects_in(content, "product_items")
    ]
    return "\n".join(filter(None, ["[order]", text_in(content, "text"), *items]))[:TEXT_CHARACTERS_MAX]


def _contacts(contacts: list[Json]) -> str:
    """Contact cards that a user shared, one in a line."""
    lines: list[str] = []
    for contact in contacts:
        phones = [text_in(phone, "phone", 64) for phone in objects_in(contact, "phones")]
        mails = [text_in(mail, "email", 200) for mail in objects_in(contact, "emails")]
        name = text_in(object_in(contact, "name"), "formatted_name", 200)
        lines.append(", ".join(filter(None, [name, *phones, *mails])))
    return "\n".join(filter(None, ["[contacts]", *lines]))[:TEXT_CHARACTERS_MAX]


_READERS: dict[str, Callable[[Json], str]] = {
    "text": lambda content: text_in(content, "body"),
    "button": lambda content: text_in(content, "text"),
    "interactive": _interactive,
    "location": _location,
    "reaction": _reaction,
    "order": _order,
    "system": lambda content: text_in(content, "body"),
}
