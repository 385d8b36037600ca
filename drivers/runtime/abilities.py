"""Which commands a device can carry out, by what its driver says of it (`DeviceDescription.features`).

Owns the last look before `send`. The core looks too, when a message is posted and when it is claimed; but a command may
lie in the journal while the device changes, and a driver that is asked for what it does not know must not send half of
it.
"""

from collections.abc import Iterable

from drivers.runtime.outcomes import Failed
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceFeatures
from infinireach.v1.message_pb2 import FAILURE_REASON_CONTENT_UNSUPPORTED

GROUP_SUFFIX = "@g.us"
"""How the id of a WhatsApp group ends."""

UNSAID = DeviceFeatures(groups=True, text_characters_max=1600)
"""What a device can whose driver does not say: what it could before drivers said it."""


def refusal(command: SendCommand, devices: Iterable[DeviceDescription]) -> Failed | None:
    """Why the command's device cannot carry it out; None if it can, or if the driver has no such device.

    What a device that is gone means for its commands, the driver knows.
    """
    device = next((device for device in devices if device.key == command.device_key), None)
    if device is None:
        return None
    lacking = _lacking(command, device.features if device.HasField("features") else UNSAID)
    if lacking is None:
        return None
    return Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail=f"The device cannot send {lacking}.")


def _lacking(command: SendCommand, can: DeviceFeatures) -> str | None:
    kind = command.WhichOneof("content")
    text = command.media.caption if kind == "media" else command.text.body
    if kind is None:
        return "content of a kind that this version does not know"
    if kind == "template" and not can.templates:
        return "templates"
    if kind == "media" and command.media.media.type not in can.media:
        return "files of this type"
    if can.text_characters_max and len(text) > can.text_characters_max:
        return f"texts of more than {can.text_characters_max} characters"
    if command.destination.endswith(GROUP_SUFFIX) and not can.groups:
        return "to groups"
    return None
