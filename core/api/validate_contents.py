"""What a message carries, read: a text, a template, or a file with its caption.

Owns the rules for these fields of a new message. What the device can send is for core.messages to say.
"""

import json
import re
from typing import Any

from core.api import convert_contents as convert
from core.api.checks import Faults
from core.contents import Content, Media, Template
from infinireach.v1 import message_pb2, messages_service_pb2

SMS_CHARACTERS_MAX = 1600
WHATSAPP_CHARACTERS_MAX = 4096
CAPTION_CHARACTERS_MAX = 1024
COMPONENTS_BYTES_MAX = 16_384
COMPONENTS_LEVELS_MAX = 16
"""Lists and objects within each other; the operators' own forms have about six."""

URL_CHARACTERS_MAX = 2048
FILENAME_CHARACTERS_MAX = 240
WITHOUT_CAPTION = ("audio", "sticker")

_TEMPLATE_NAME = re.compile("[a-z0-9_]{1,512}")
_LANGUAGE = re.compile("[A-Za-z][A-Za-z0-9_-]{1,15}")
_URL = re.compile(r"(?i:https)://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!-~]*)?")


def read(faults: Faults, given: messages_service_pb2.NewMessage, channel: str) -> tuple[str, Content | None]:
    """The text or caption, and what else the message carries. `channel`: empty if it is not known."""
    template = _template(faults, given.template) if given.HasField("template") else None
    media = _media(faults, given.media) if given.HasField("media") else None
    for name, content in (("template", template), ("media", media)):
        if content and channel == "sms":
            faults.add(name, "can only be sent on whatsapp")
    if template:
        if media or given.text:
            faults.add("template", "must come without text and media")
        return given.text, template
    if media:
        _caption(faults, given.text, media)
    else:
        _text(faults, given.text, SMS_CHARACTERS_MAX if channel == "sms" else WHATSAPP_CHARACTERS_MAX)
    return given.text, media


def _text(faults: Faults, value: str, characters_max: int) -> None:
    if not value:
        faults.add("text", "is required")
    elif len(value) > characters_max:
        faults.add("text", f"must be at most {characters_max} characters; it has {len(value)}")
    elif value.isspace():
        faults.add("text", "must not be only white space")
    elif "\0" in value:
        faults.add("text", "must not contain the character NUL")


def _caption(faults: Faults, value: str, media: Media) -> None:
    if value and media.type in WITHOUT_CAPTION:
        faults.add("text", f"must be empty: {media.type} has no caption")
    elif value:
        _text(faults, value, CAPTION_CHARACTERS_MAX)


def _template(faults: Faults, given: message_pb2.Template) -> Template:
    if not _TEMPLATE_NAME.fullmatch(given.name):
        faults.add("template.name", "must be 1 to 512 characters of a-z, 0-9 and underscore")
    if not _LANGUAGE.fullmatch(given.language):
        faults.add("template.language", "must be a language such as en or en_US")
    if given.components_json:
        issue = _components_issue(given.components_json)
        if issue:
            faults.add("template.components_json", issue)
    return convert.read_template(given)


def _components_issue(text: str) -> str | None:
    if len(text.encode()) > COMPONENTS_BYTES_MAX:
        return f"must be at most {COMPONENTS_BYTES_MAX} bytes"
    try:
        components: Any = json.loads(text)
        # What Python takes and others do not: half of a surrogate pair, and numbers without end.
        json.dumps(components, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return "must be JSON"
    if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
        return "must be a list of objects"
    if _is_deeper(components, COMPONENTS_LEVELS_MAX):
        return f"must be at most {COMPONENTS_LEVELS_MAX} levels deep"
    return None


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    inner: Any = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _media(faults: Faults, given: message_pb2.Media) -> Media:
    media = convert.read_media(given)
    if not media.type:
        faults.add("media.type", f"must be one of {', '.join(convert.MEDIA_TYPES.values())}")
    if not media.url:
        faults.add("media.url", "is required")
    elif len(media.url) > URL_CHARACTERS_MAX or not _URL.fullmatch(media.url):
        faults.add("media.url", f"must be an https URL of at most {URL_CHARACTERS_MAX} characters")
    if media.filename and media.type not in ("document", ""):
        faults.add("media.filename", "only a document has one")
    else:
        faults.note("media.filename", media.filename, characters_max=FILENAME_CHARACTERS_MAX)
    for name, value in (("mime_type", media.mime_type), ("network_id", media.network_id)):
        if value:
            faults.add(f"media.{name}", "is the network's to say; leave it out")
    return media
