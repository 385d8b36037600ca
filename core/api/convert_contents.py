"""Contents of messages and features of devices: proto to values and back.

Owns that one conversion, for callers and for drivers; no rules.
"""

from core.contents import Features, Media, Template
from infinireach.v1 import device_pb2, message_pb2

MEDIA_TYPES = {
    message_pb2.MEDIA_TYPE_IMAGE: "image",
    message_pb2.MEDIA_TYPE_VIDEO: "video",
    message_pb2.MEDIA_TYPE_AUDIO: "audio",
    message_pb2.MEDIA_TYPE_DOCUMENT: "document",
    message_pb2.MEDIA_TYPE_STICKER: "sticker",
}
_MEDIA_TYPE_NUMBERS = {word: number for number, word in MEDIA_TYPES.items()}


def read_template(given: message_pb2.Template) -> Template:
    """A template."""
    return Template(given.name, given.language, given.components_json)


def read_media(given: message_pb2.Media) -> Media:
    """A file; of a type that is not known here, its type is empty."""
    return Media(
        MEDIA_TYPES.get(given.type, ""), given.url, given.filename, given.mime_type, given.network_id
    )


def template(content: Template) -> message_pb2.Template:
    """A template."""
    return message_pb2.Template(
        name=content.name, language=content.language, components_json=content.components
    )


def media(content: Media) -> message_pb2.Media:
    """A file."""
    return message_pb2.Media(
        type=_MEDIA_TYPE_NUMBERS.get(content.type),
        url=content.url,
        filename=content.filename,
        mime_type=content.mime_type,
        network_id=content.network_id,
    )


def read_features(given: device_pb2.DeviceFeatures) -> Features:
    """What a device can; types of files that are not known here are left out."""
    return Features(
        templates=given.templates,
        media=tuple(word for number, word in MEDIA_TYPES.items() if number in given.media),
        groups=given.groups,
        text_characters_max=given.text_characters_max,
        read_reports=given.read_reports,
    )


def features(can: Features | None) -> device_pb2.DeviceFeatures | None:
    """What a device can; None if its driver does not say."""
    if can is None:
        return None
    return device_pb2.DeviceFeatures(
        templates=can.templates,
        media=[_MEDIA_TYPE_NUMBERS[word] for word in can.media],
        groups=can.groups,
        text_characters_max=can.text_characters_max,
        read_reports=can.read_reports,
    )
