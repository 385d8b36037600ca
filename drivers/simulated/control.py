"""How a message is made to come in to a simulated device: the requests to the control socket (docs/sandbox.md)."""

import re
from collections.abc import Sequence
from typing import Any

from drivers.runtime import Context, JournalUnwritable
from drivers.runtime.control_socket import RequestRefused
from drivers.simulated.devices import CHANNELS
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.driver.v1.session_pb2 import DeviceDescription

TEXT_CHARACTERS_MAX = 20_000
SOURCE_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}")
"""E.164, a short code or an alphanumeric name."""
NUMBER_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}")


class Requests:
    """Hands inbound messages to the runtime."""

    def __init__(self, context: Context, devices: Sequence[DeviceDescription]) -> None:
        self._context = context
        self._devices = {
            (address.channel, address.number): device for device in devices for address in device.addresses
        }

    async def carry_out(self, request: Any) -> dict[str, Any]:
        """The fields of the answer. Raises RequestRefused."""
        try:
            receipt = await self._context.received(self._inbound(request))
        except JournalUnwritable as error:
            raise RequestRefused("journal_unwritable", str(error)) from None
        return {"sequence": receipt.sequence}

    def _inbound(self, request: Any) -> InboundMessage:
        fields: Any = request.get("inbound") if isinstance(request, dict) else None
        if not isinstance(fields, dict):
            raise RequestRefused("invalid_request", 'The request must be {"inbound": {…}}.')
        channel = fields.get("channel", "sms")
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise RequestRefused("invalid_channel", f"channel must be one of {', '.join(CHANNELS)}.")
        source, destination, text = fields.get("from"), fields.get("to"), fields.get("body")
        if not isinstance(source, str) or not SOURCE_PATTERN.fullmatch(source):
            raise RequestRefused("invalid_from", "from must be E.164, a short code or a name of letters.")
        if not isinstance(destination, str) or not NUMBER_PATTERN.fullmatch(destination):
            raise RequestRefused("invalid_to", "to must be E.164: a plus sign and 7 to 15 digits.")
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
            raise RequestRefused(
                "invalid_body", f"body must be a text of at most {TEXT_CHARACTERS_MAX} characters."
            )
        device = self._devices.get((CHANNELS[channel], destination))
        if device is None:
            raise RequestRefused(
                "unknown_device", f"No simulated {channel} device has the number {destination}."
            )
        try:
            return InboundMessage(
                device_key=device.key,
                channel=CHANNELS[channel],
                source=source,
                destination=destination,
                text=text,
                segments=1,
            )
        except (UnicodeEncodeError, ValueError):
            raise RequestRefused("invalid_body", "body must be valid Unicode.") from None
