"""The bodies of webhooks, as Meta's reference of the field `messages` has them. Every time in them is a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drivers.whatsapp_cloud.fake_graph.refusals import Trouble

Notice = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Number:
    """A number of the business."""

    number: str
    """E.164."""
    phone_number_id: str
    business_id: str = "200000000000001"
    """Of the WhatsApp Business Account."""


@dataclass(slots=True, frozen=True)
class Recipient:
    """Whom a message went to."""

    id: str
    is_group: bool = False
    is_user_id: bool = False


def notice(number: Number, value: dict[str, Any]) -> Notice:
    """One webhook with one change, of one number."""
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": number.business_id, "changes": [change(number, value)]}],
    }


def change(number: Number, value: dict[str, Any]) -> dict[str, Any]:
    """One change of one number."""
    return {
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": number.number.lstrip("+"),
                "phone_number_id": number.phone_number_id,
            },
            **value,
        },
        "field": "messages",
    }


def status(
    message_id: str,
    name: str,
    *,
    recipient: Recipient,
    at: float,
    callback_data: str | None,
    trouble: Trouble | None = None,
) -> dict[str, Any]:
    """One of the `statuses` of a value: `name` is sent, delivered, read or failed."""
    said: dict[str, Any] = {"id": message_id, "status": name, "timestamp": str(int(at))}
    said["recipient_user_id" if recipient.is_user_id else "recipient_id"] = recipient.id
    if recipient.is_group:
        said["recipient_type"] = "group"
    if callback_data is not None:
        said["biz_opaque_callback_data"] = callback_data
    if trouble is not None:
        said["errors"] = [trouble.in_status()]
    else:
        said["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "service", "type": "regular"}
    return said


def statuses(number: Number, each: Sequence[dict[str, Any]]) -> Notice:
    """A webhook of several statuses."""
    return notice(number, {"statuses": list(each)})


@dataclass(slots=True, frozen=True)
class Inbound:
    """A message of a user."""

    sender: str
    """E.164, or the id of a user who hides the number."""
    type: str = "text"
    content: dict[str, Any] | None = None
    """What the key named like the type has; None for a text: the text."""
    text: str = ""
    """Of a text; the caption of what has one."""
    name: str = "A user"
    """In the profile."""
    reply_to: str = ""
    """Id of the message that it answers."""
    group_id: str = ""


CAPTIONED = {"image", "video", "document"}
_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "document": "application/pdf",
    "audio": "audio/ogg; codecs=opus",
    "sticker": "image/webp",
}
FILES = tuple(_MIME_TYPES)


def inbound(number: Number, told: Inbound, *, message_id: str, at: float) -> Notice:
    """The webhook of a message that came in."""
    is_hidden = not told.sender.startswith("+")
    digits = told.sender.lstrip("+")
    user_id = told.sender if is_hidden else f"US.{int(digits) * 7919}"
    contact: dict[str, Any] = {"profile": {"name": told.name}, "user_id": user_id}
    message: dict[str, Any] = {"from_user_id": user_id, "id": message_id, "timestamp": str(int(at))}
    if is_hidden:
        contact["profile"]["username"] = "a_user"
    else:
        contact["wa_id"] = message["from"] = digits
    message |= {"type": told.type, told.type: _content(told)}
    if told.reply_to:
        message["context"] = {"from": number.number.lstrip("+"), "id": told.reply_to}
    if told.group_id:
        message["group_id"] = told.group_id
    return notice(number, {"contacts": [contact], "messages": [message]})


def _content(told: Inbound) -> Any:
    if told.content is not None:
        return told.content
    if told.type == "text":
        return {"body": told.text}
    if told.type not in _MIME_TYPES:
        return {}
    file: dict[str, Any] = {
        "mime_type": _MIME_TYPES[told.type],
        "sha256": "c2hhMjU2",
        "id": "300000000000001",
    }
    if told.type in CAPTIONED and told.text:
        file["caption"] = told.text
    if told.type == "document":
        file["filename"] = "document.pdf"
    return file
