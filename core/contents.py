"""What a message carries besides plain text, and what a device can send.

Owns the stored form of both, in one column each, and which message a device can send. Knows neither proto nor
transport, and looks nothing up.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from core.errors import FieldViolation

MEDIA_TYPES = ("image", "video", "audio", "document", "sticker")

GROUP_SUFFIX = "@g.us"
"""How the id of a WhatsApp group ends."""

CHARACTERS_SURE = 160
"""A text up to this length goes out through every device: no SMS that fits one segment is longer."""

CHARACTERS_UNSAID = 1600
"""Longest text for a device whose driver does not say what it can."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text that the channel's operator has approved. `components`: a JSON array as it was given; may be empty."""

    name: str
    language: str
    components: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A file. `type`: one of MEDIA_TYPES; empty: it came in and has no form here. `url`: outbound only."""

    type: str
    url: str = ""
    filename: str = ""
    mime_type: str = ""
    network_id: str = ""


Content = Template | Media


def write(content: Content | None) -> str | None:
    """The stored form; None for plain text."""
    match content:
        case None:
            return None
        case Template():
            return json.dumps({"template": asdict(content)}, ensure_ascii=False)
        case Media():
            given = {name: value for name, value in asdict(content).items() if value or name == "type"}
            return json.dumps({"media": given}, ensure_ascii=False)


def read(stored: str | None) -> Content | None:
    """What was stored; what a later version added to it is passed over."""
    if stored is None:
        return None
    fields: dict[str, Any] = json.loads(stored)
    kind = Template if "template" in fields else Media
    return kind(**_known(kind, fields["template" if kind is Template else "media"]))


def is_same(one: Content | None, other: Content | None) -> bool:
    """Whether both say the same; how the JSON of a template is laid out says nothing."""
    if isinstance(one, Template) and isinstance(other, Template):
        named = (one.name, one.language) == (other.name, other.language)
        return named and _components(one) == _components(other)
    return one == other


def _components(template: Template) -> str:
    """Written in one way: Python takes 1, 1.0 and true for equal, the network does not."""
    return json.dumps(json.loads(template.components) if template.components else [], sort_keys=True)


@dataclass(frozen=True, slots=True)
class Features:
    """What a device can send besides plain text to one person. `text_characters_max`: 0 for what its channel allows."""

    templates: bool = False
    media: tuple[str, ...] = ()
    groups: bool = False
    text_characters_max: int = 0
    read_reports: bool = False


UNSAID = Features(groups=True, text_characters_max=CHARACTERS_UNSAID)
"""What the devices of drivers can that say nothing of it, as those of earlier versions."""


def write_features(features: Features | None) -> str:
    """The stored form; empty for a driver that does not say."""
    return "" if features is None else json.dumps(asdict(features))


def read_features(stored: str) -> Features | None:
    """What was stored; what a later version added to it is passed over."""
    if not stored:
        return None
    fields: dict[str, Any] = json.loads(stored)
    return Features(**_known(Features, fields | {"media": tuple(fields["media"])}))


def _known(kind: type[Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in kind.__slots__ if name in fields}


class Message(Protocol):
    """What decides whether a device can send a message."""

    @property
    def to(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def content(self) -> Content | None: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that was accepted, as far as it decides whether a device can send it."""

    to: str
    text: str
    content: Content | None


def needs_features(message: Message) -> bool:
    """Whether it takes a look at the device to know that it can send `message`."""
    return (
        message.content is not None
        or len(message.text) > CHARACTERS_SURE
        or message.to.endswith(GROUP_SUFFIX)
    )


def violations(message: Message, stored_features: str) -> list[FieldViolation]:
    """Why a device with these features cannot send `message`, by field; none: it can."""
    can = read_features(stored_features) or UNSAID
    found: list[FieldViolation] = []
    match message.content:
        case Template() if not can.templates:
            found.append(FieldViolation("template", "the device cannot send templates"))
        case Media(type=kind) if kind not in can.media:
            listed = ", ".join(can.media)
            known = f"; it can send {listed}" if listed else ""
            found.append(FieldViolation("media", f"the device cannot send files of this type{known}"))
        case _:
            pass
    if can.text_characters_max and len(message.text) > can.text_characters_max:
        sentence = (
            f"the device sends at most {can.text_characters_max} characters; it has {len(message.text)}"
        )
        found.append(FieldViolation("text", sentence))
    if message.to.endswith(GROUP_SUFFIX) and not can.groups:
        found.append(FieldViolation("to", "the device cannot send to groups"))
    return found
