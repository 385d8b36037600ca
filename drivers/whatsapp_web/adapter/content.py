"""What is in a message of WhatsApp's, as text, file and what it answers. (waE2E in whatsmeow's protocol files.)

Owns which kinds there are and how those that are neither text nor file read to people. Does no I/O.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message as Content

from infinireach.v1.message_pb2 import (
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_STICKER,
    MEDIA_TYPE_VIDEO,
    Media,
    MediaType,
)

WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "editedMessage",
    "lottieStickerMessage",
    "groupMentionedMessage",
    "associatedChildMessage",
)
"""Messages around a message."""
WRAPPERS_DEEP = 5
FILES: dict[str, MediaType] = {
    "imageMessage": MEDIA_TYPE_IMAGE,
    "videoMessage": MEDIA_TYPE_VIDEO,
    "ptvMessage": MEDIA_TYPE_VIDEO,
    "audioMessage": MEDIA_TYPE_AUDIO,
    "documentMessage": MEDIA_TYPE_DOCUMENT,
    "stickerMessage": MEDIA_TYPE_STICKER,
}
SILENT = frozenset({
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "messageContextInfo",
    "protocolMessage",
    "deviceSentMessage",
    "keepInChatMessage",
    "pinInChatMessage",
    "encReactionMessage",
    "pollUpdateMessage",
    "messageHistoryBundle",
    "messageHistoryNotice",
    "stickerSyncRmrMessage",
    "placeholderMessage",
})
"""Talk between WhatsApp's programs, and what cannot be read here; not for people."""


@dataclass(slots=True, frozen=True)
class Found:
    """What a message says."""

    text: str = ""
    media: Media | None = None
    answers: str = ""
    """WhatsApp's id of the message that it quotes or reacts to."""


def read_content(content: Content) -> Found | None:
    """What the message says; None if it says nothing to people. Deleted and edited messages are said to be so."""
    content, is_edit = _unwrapped(content)
    if content.HasField("protocolMessage"):
        return _protocol(content)
    found = _plain(content) or _file(content) or _other(content)
    if found is None or not is_edit:
        return found
    return Found(f"[edited] {found.text}".rstrip(), found.media, found.answers)


def _first(content: Content, names: Iterable[str]) -> str | None:
    """The first of these fields that the message has."""
    present = {field.name for field, _ in content.ListFields()}
    return next((name for name in names if name in present), None)


def _unwrapped(content: Content) -> tuple[Content, bool]:
    is_edit = False
    for _ in range(WRAPPERS_DEEP):
        wrapper = _first(content, WRAPPERS)
        if wrapper is None:
            break
        is_edit = is_edit or wrapper == "editedMessage"
        content = getattr(content, wrapper).message
    return content, is_edit


def _protocol(content: Content) -> Found | None:
    """An edit, or the deletion of a message by its sender; all else is between programs."""
    protocol = content.protocolMessage
    kind = type(protocol)
    if not protocol.HasField("type"):
        return None
    if protocol.type == kind.REVOKE:
        return Found("[deleted a message]", answers=protocol.key.ID)
    if protocol.type == kind.MESSAGE_EDIT:
        edited = read_content(protocol.editedMessage)
        return None if edited is None else Found(f"[edited] {edited.text}", edited.media, protocol.key.ID)
    return None


def _plain(content: Content) -> Found | None:
    if content.HasField("conversation"):
        return Found(content.conversation)
    if content.HasField("extendedTextMessage"):
        text = content.extendedTextMessage
        return Found(text.text, answers=_answers(text))
    return None


def _file(content: Content) -> Found | None:
    name = _first(content, FILES)
    if name is None:
        return None
    file: Any = getattr(content, name)
    media = Media(
        type=FILES[name],
        filename=_text_of(file, "fileName") or _text_of(file, "title"),
        mime_type=_text_of(file, "mimetype"),
        network_id=_text_of(file, "directPath"),
    )
    return Found(_text_of(file, "caption"), media, _answers(file))


def _text_of(message: Any, field: str) -> str:
    """A field that not every kind of file has."""
    return getattr(message, field, "")


def _answers(message: Any) -> str:
    context: ContextInfo = message.contextInfo
    return context.stanzaID


def _other(content: Content) -> Found | None:
    """What is neither text nor file. Of a kind that is not known here, at least that it came."""
    name = _first(content, OTHERS)
    if name is not None:
        return OTHERS[name](getattr(content, name))
    kinds = [field.name for field, _ in content.ListFields() if field.name not in SILENT]
    return Found(f"[{kinds[0].removesuffix('Message')}]", Media()) if kinds else None


def _reaction(reaction: Any) -> Found:
    text = f"[reacted {reaction.text}]" if reaction.text else "[took the reaction back]"
    return Found(text, answers=reaction.key.ID)


def _location(place: Any) -> Found:
    words = " ".join(filter(None, [place.name, place.address]))
    point = f"{place.degreesLatitude:.6f},{place.degreesLongitude:.6f}"
    return Found(f"[location {point}] {words}".rstrip(), answers=_answers(place))


def _contact(contact: Any) -> Found:
    return Found(f"[contact] {contact.displayName}\n{contact.vcard}".rstrip(), answers=_answers(contact))


def _contacts(contacts: Any) -> Found:
    cards = [f"{contact.displayName}\n{contact.vcard}" for contact in contacts.contacts]
    return Found("\n".join(["[contacts]", *cards]), answers=_answers(contacts))


def _poll(poll: Any) -> Found:
    options = ", ".join(option.optionName for option in poll.options)
    return Found(f"[poll] {poll.name}: {options}", answers=_answers(poll))


OTHERS: dict[str, Callable[[Any], Found]] = {
    "reactionMessage": _reaction,
    "locationMessage": _location,
    "liveLocationMessage": lambda place: Found(
        f"[live location {place.degreesLatitude:.6f},{place.degreesLongitude:.6f}]", answers=_answers(place)
    ),
    "contactMessage": _contact,
    "contactsArrayMessage": _contacts,
    "pollCreationMessage": _poll,
    "pollCreationMessageV2": _poll,
    "pollCreationMessageV3": _poll,
    "buttonsResponseMessage": lambda chosen: Found(chosen.selectedDisplayText, answers=_answers(chosen)),
    "templateButtonReplyMessage": lambda chosen: Found(chosen.selectedDisplayText, answers=_answers(chosen)),
    "listResponseMessage": lambda chosen: Found(chosen.title, answers=_answers(chosen)),
}
