"""What Graph looks at before it accepts a message: the body of POST /<phone_number_id>/messages.

After Meta's reference of that call. What is refused at once is an answer; what is found out later is a status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.whatsapp_cloud.fake_graph.refusals import Refused

TEXT_CHARACTERS_MAX = 4096
CAPTION_CHARACTERS_MAX = 1024
CALLBACK_DATA_CHARACTERS_MAX = 512
MEDIA_TYPES = {"image", "video", "audio", "document", "sticker"}
TYPES = {"text", "template", *MEDIA_TYPES}
_KEYS = {
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "biz_opaque_callback_data",
    "context",
    *TYPES,
}
_MEDIA_KEYS = {
    "image": {"id", "link", "caption"},
    "video": {"id", "link", "caption"},
    "document": {"id", "link", "caption", "filename"},
    "audio": {"id", "link", "voice"},
    "sticker": {"id", "link"},
}
_NUMBER = re.compile(r"\+?[1-9][0-9 ()-]{5,20}")
_GROUP_ID = re.compile(r"[A-Za-z0-9_=-]{1,128}")
_USER_ID = re.compile(r"[A-Z]{2}(\.ENT)?\.[A-Za-z0-9]{1,128}")


@dataclass(slots=True, frozen=True)
class Template:
    """A template that the business has, in one language."""

    name: str
    language: str = "en_US"
    parameters: int = 0
    """How many its body takes."""


@dataclass(slots=True, frozen=True)
class Posted:
    """A message whose form is right."""

    body: dict[str, Any]
    type: str
    to: str
    """What it was addressed to, as it was written."""
    recipient: str
    """Digits of a number, the id of a user who hides it, or the id of a group."""
    is_group: bool
    is_user_id: bool
    callback_data: str | None


def check(body: object, templates: Mapping[tuple[str, str], Template]) -> Posted:
    """Raises Refused."""
    if not isinstance(body, dict):
        raise Refused(100, "The body must be a JSON object.")
    if unknown := sorted(set(body) - _KEYS):
        raise Refused(100, f"Unexpected key {unknown[0]!r} on the message.")
    if body.get("messaging_product") != "whatsapp":
        raise Refused(100, "The parameter messaging_product must be 'whatsapp'.")
    kind = body.get("type", "text")
    if kind not in TYPES:
        raise Refused(100, f"Param type must be one of {', '.join(sorted(TYPES))}.")
    content = body.get(kind)
    if not isinstance(content, dict):
        raise Refused(131008, f"Parameter {kind!r} is mandatory for type {kind!r}.")
    _check_content(kind, content, templates)
    to, is_user_id = _address(body)
    is_group = body.get("recipient_type", "individual") == "group"
    callback_data = body.get("biz_opaque_callback_data")
    if callback_data is not None and (
        not isinstance(callback_data, str) or len(callback_data) > CALLBACK_DATA_CHARACTERS_MAX
    ):
        raise Refused(
            100, f"Param biz_opaque_callback_data: at most {CALLBACK_DATA_CHARACTERS_MAX} characters."
        )
    recipient = to if is_user_id or is_group else re.sub("[^0-9]", "", to)
    return Posted(body, kind, to, recipient, is_group, is_user_id, callback_data)


def _address(body: dict[str, Any]) -> tuple[str, bool]:
    """To whom, and whether that is the id of a user; `to` wins where both are given."""
    recipient_type = body.get("recipient_type", "individual")
    if recipient_type not in {"individual", "group"}:
        raise Refused(100, "Param recipient_type must be one of individual, group.")
    to = body.get("to")
    if to is None and recipient_type == "individual":
        user = body.get("recipient")
        if not isinstance(user, str):
            raise Refused(100, "The parameter to is required.")
        if not _USER_ID.fullmatch(user):
            raise Refused(131009, "recipient is not the id of a user.")
        return user, True
    if not isinstance(to, str) or not to:
        raise Refused(100, "The parameter to is required.")
    if recipient_type == "individual" and not _NUMBER.fullmatch(to):
        raise Refused(131009, "to is not a phone number.")
    if recipient_type == "group" and not _GROUP_ID.fullmatch(to):
        raise Refused(131009, "to is not the id of a group.")
    return to, False


def _check_content(kind: str, content: dict[str, Any], templates: Mapping[tuple[str, str], Template]) -> None:
    if kind == "text":
        _check_text(content)
    elif kind == "template":
        _check_template(content, templates)
    else:
        _check_media(kind, content)


def _check_text(content: dict[str, Any]) -> None:
    if unknown := sorted(set(content) - {"body", "preview_url"}):
        raise Refused(100, f"Unexpected key {unknown[0]!r} on param 'text'.")
    text = content.get("body")
    if not isinstance(text, str) or not text:
        raise Refused(131008, "Parameter 'text.body' is mandatory for type 'text'.")
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Refused(100, f"Param text['body'] must be at most {TEXT_CHARACTERS_MAX} characters long.")
    if not isinstance(content.get("preview_url", False), bool):
        raise Refused(100, "Param text['preview_url'] must be a boolean.")


def _check_media(kind: str, content: dict[str, Any]) -> None:
    if unknown := sorted(set(content) - _MEDIA_KEYS[kind]):
        raise Refused(100, f"Unexpected key {unknown[0]!r} on param {kind!r}.")
    link, media_id = content.get("link"), content.get("id")
    if (link is None) == (media_id is None):
        raise Refused(100, f"Exactly one of id and link is needed on param {kind!r}.")
    if link is not None and not (isinstance(link, str) and re.match("https?://", link)):
        raise Refused(100, f"Param {kind}['link'] is not a valid URL.")
    caption = content.get("caption", "")
    if not isinstance(caption, str) or len(caption) > CAPTION_CHARACTERS_MAX:
        raise Refused(
            100, f"Param {kind}['caption'] must be at most {CAPTION_CHARACTERS_MAX} characters long."
        )


def _check_template(content: dict[str, Any], templates: Mapping[tuple[str, str], Template]) -> None:
    if unknown := sorted(set(content) - {"name", "language", "components"}):
        raise Refused(100, f"Unexpected key {unknown[0]!r} on param 'template'.")
    name, language = content.get("name"), content.get("language")
    if not isinstance(name, str) or not isinstance(language, dict) or "code" not in language:
        raise Refused(131008, "Parameters 'template.name' and 'template.language.code' are mandatory.")
    template = templates.get((name, str(language["code"])))
    if template is None:
        raise Refused(132001, f"Template name ({name}) does not exist in {language['code']}.")
    components = content.get("components", [])
    if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
        raise Refused(100, "Param template['components'] must be an array of objects.")
    given = sum(
        len(each.get("parameters", [])) for each in components if str(each.get("type")).lower() == "body"
    )
    if given != template.parameters:
        raise Refused(
            132000,
            f"body: number of localizable_params ({given}) does not match the expected number of params "
            f"({template.parameters}).",
        )
