"""A command as the body of POST /<phone_number_id>/messages (Meta's "Messages API").

Owns the form of what goes out and what is refused before Meta is asked.
"""

import json
import re
from typing import Any

from drivers.runtime import Failed
from infinireach.driver.v1.command_pb2 import MediaContent, SendCommand
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_TEMPLATE_REJECTED,
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_STICKER,
    MEDIA_TYPE_VIDEO,
    MediaType,
    Template,
)

Body = dict[str, Any]

MEDIA_NAMES: dict[MediaType, str] = {
    MEDIA_TYPE_IMAGE: "image",
    MEDIA_TYPE_VIDEO: "video",
    MEDIA_TYPE_AUDIO: "audio",
    MEDIA_TYPE_DOCUMENT: "document",
    MEDIA_TYPE_STICKER: "sticker",
}
WITH_CAPTION = frozenset({MEDIA_TYPE_IMAGE, MEDIA_TYPE_VIDEO, MEDIA_TYPE_DOCUMENT})

GROUP_SUFFIX = "@g.us"
"""How ids of groups end on our side of the driver; Meta's do not."""

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_USER_ID = re.compile(r"[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}")
"""Meta's "Business-scoped user IDs"."""


class Unsendable(Exception):
    """The command cannot be sent from here, whatever Meta would say."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.detail)
        self.failed = failed


def is_group(destination: str) -> bool:
    """Whether a destination is neither a number nor an id of a user, so a group's."""
    return not (_NUMBER.fullmatch(destination) or is_user_id(destination) or destination.endswith("@lid"))


def is_user_id(text: str) -> bool:
    """Whether it is an id that stands for a user who hides the number."""
    return _USER_ID.fullmatch(text) is not None


def build(command: SendCommand, callback_data: str, *, groups: bool) -> bytes:
    """The body, JSON; statuses bring `callback_data` back. Raises Unsendable."""
    body = {
        "messaging_product": "whatsapp",
        **_address(command.destination, groups=groups),
        **_content(command),
        "biz_opaque_callback_data": callback_data,
    }
    try:
        return json.dumps(body).encode()
    except RecursionError:
        detail = "The components are nested too deeply."
        raise Unsendable(Failed(FAILURE_REASON_TEMPLATE_REJECTED, detail=detail)) from None


def _address(destination: str, *, groups: bool) -> Body:
    if _NUMBER.fullmatch(destination):
        return {"recipient_type": "individual", "to": destination}
    if is_user_id(destination):
        return {"recipient_type": "individual", "recipient": destination}
    if destination.endswith("@lid"):
        detail = "Meta's Cloud API does not know ids of WhatsApp Web."
        raise Unsendable(Failed(FAILURE_REASON_DESTINATION_INVALID, detail=detail))
    if not groups:
        detail = "The number does not write to groups: `groups` in whatsapp.toml."
        raise Unsendable(Failed(FAILURE_REASON_DESTINATION_INVALID, detail=detail))
    return {"recipient_type": "group", "to": destination.removesuffix(GROUP_SUFFIX)}


def _content(command: SendCommand) -> Body:
    match command.WhichOneof("content"):
        case "text":
            return {"type": "text", "text": {"preview_url": False, "body": command.text.body}}
        case "template":
            return {"type": "template", "template": _template(command.template)}
        case "media":
            return _media(command.media)
        case _:
            detail = "The driver does not know this kind of content."
            raise Unsendable(Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail=detail))


def _template(template: Template) -> Body:
    body: Body = {"name": template.name, "language": {"code": template.language}}
    if template.components_json:
        try:
            components = json.loads(template.components_json)
        except (ValueError, RecursionError):
            components = None
        if not isinstance(components, list):
            detail = "The components are no JSON array."
            raise Unsendable(Failed(FAILURE_REASON_TEMPLATE_REJECTED, detail=detail))
        body["components"] = components
    return body


def _media(content: MediaContent) -> Body:
    name = MEDIA_NAMES.get(content.media.type)
    if name is None:
        detail = "The driver does not know this kind of file."
        raise Unsendable(Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail=detail))
    file: Body = {"link": content.media.url}
    if content.caption and content.media.type in WITH_CAPTION:
        file["caption"] = content.caption
    if content.media.filename and content.media.type == MEDIA_TYPE_DOCUMENT:
        file["filename"] = content.media.filename
    return {"type": name, name: file}
