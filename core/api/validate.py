"""Requests read: every field checked and normalised, all faults told at once.

Owns the rules for the fields of each request. Answers what the use cases take; what can only be known by
looking into the database is theirs. Raises InvalidArgument and nothing else, but for ids: one of another form
names nothing, so it raises NotFound like one that does not exist.
"""

import re
from collections.abc import Callable

from core.accounts import SCOPES, NewApiKey
from core.api import paging, validate_contents
from core.api.checks import E164, Faults
from core.api.convert_messages import CHANNELS
from core.device_admin import DeviceChange
from core.errors import NotFound
from core.ids import is_id
from core.messages import NewMessage
from infinireach.v1 import accounts_service_pb2, devices_service_pb2, message_pb2, messages_service_pb2

EXTERNAL_ID_CHARACTERS_MAX = 255
DEVICE_ID_CHARACTERS_MAX = 64
TRACEPARENT_CHARACTERS_MAX = 55
PEER_CHARACTERS_MAX = 140
PER_MINUTE_MAX = 1_000_000

GROUP_ID = re.compile(r"[0-9A-Za-z_-]{1,64}@g\.us")
USER_ID = re.compile(r"[A-Z]{2}\.[0-9A-Za-z]{1,128}|[0-9]{1,32}@lid")
"""What WhatsApp calls a user who hides the number: its business API by country, its clients by a number of its own."""

_SEPARATORS = str.maketrans("", "", " \u00a0().-/")
_DIGITS = re.compile("[1-9][0-9]{6,14}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_NUMBER_FORM = "must be a number in E.164 form, such as +15551234567"


def id_of(noun: str, field: str, value: str) -> str:
    """The id of a `noun`. Raises InvalidArgument if it is empty, NotFound if it cannot be one."""
    return _id(noun, field, value, is_valid=is_id)


def device_id(value: str) -> str:
    """The id of a device, a UUID. Raises InvalidArgument if it is empty, NotFound if it cannot be one."""
    return _id("device", "device_id", value.lower(), is_valid=lambda text: _UUID.fullmatch(text) is not None)


def credential_id(noun: str, field: str, value: str) -> str:
    """The public id of a key or token. Raises InvalidArgument if it is empty, NotFound if it is none."""
    return _id(noun, field, value, is_valid=lambda text: len(text) == 8 and text.isascii() and text.isalnum())


def _id(noun: str, field: str, value: str, *, is_valid: Callable[[str], bool]) -> str:
    if not value:
        faults = Faults()
        faults.add(field, "is required")
        faults.check()
    if not is_valid(value):
        raise NotFound(f"There is no such {noun}.")
    return value


# Messages


def new_message(given: messages_service_pb2.NewMessage, tenant_id: str) -> NewMessage:
    """A message to accept, its recipient and sender normalised."""
    faults = Faults()
    channel = CHANNELS.get(given.channel, "")
    if not channel:
        faults.add("channel", "must be sms or whatsapp")
    text, content = validate_contents.read(faults, given, channel)
    message = NewMessage(
        tenant_id,
        to=_recipient(faults, given.to, channel),
        text=text,
        sender=_sender(faults, getattr(given, "from")),
        channel=channel,
        external_id=_optional(faults, "external_id", given.external_id, EXTERNAL_ID_CHARACTERS_MAX),
        device_id=_optional(faults, "device_id", given.device_id.lower(), DEVICE_ID_CHARACTERS_MAX),
        traceparent=_traceparent(faults, given.traceparent),
        content=content,
    )
    faults.check()
    return message


def list_messages(request: messages_service_pb2.ListMessagesRequest) -> None:
    """Check the filters of a list of messages."""
    faults = Faults()
    faults.number("page_size", request.page_size, least=1, most=paging.PAGE_SIZE_MAX, zero=0)
    faults.enum("state", request.state, message_pb2.MessageState.values())
    faults.enum("channel", request.channel, message_pb2.Channel.values())
    faults.enum("direction", request.direction, message_pb2.Direction.values())
    faults.note("from", getattr(request, "from"), characters_max=PEER_CHARACTERS_MAX)
    faults.note("to", request.to, characters_max=PEER_CHARACTERS_MAX)
    faults.time("since_time", request.since_time)
    faults.time("until_time", request.until_time)
    faults.check()


def _recipient(faults: Faults, value: str, channel: str) -> str:
    if E164.fullmatch(value):
        return value
    if not value:
        faults.add("to", "is required")
    elif channel == "whatsapp":
        if USER_ID.fullmatch(value):
            return value
        group_id = value.rpartition(":")[2]
        if len(value) <= PEER_CHARACTERS_MAX and GROUP_ID.fullmatch(group_id):
            return group_id
        faults.add("to", f"{_NUMBER_FORM}, a group id that ends in @g.us, or WhatsApp's id of a user")
    else:
        faults.add("to", _NUMBER_FORM)
    return value


def _sender(faults: Faults, value: str) -> str:
    """The sender's number; people write it with separators and without a plus sign."""
    if E164.fullmatch(value):
        return value
    if not value:
        faults.add("from", "is required")
        return value
    digits = value.translate(_SEPARATORS).removeprefix("+")
    if len(value) > PEER_CHARACTERS_MAX or not _DIGITS.fullmatch(digits):
        faults.add("from", _NUMBER_FORM)
    return f"+{digits}"


def _optional(faults: Faults, field: str, value: str, characters_max: int) -> str | None:
    return faults.note(field, value, characters_max=characters_max) if value else None


def _traceparent(faults: Faults, value: str) -> str | None:
    """W3C Trace Context, 3.2: a header that cannot be read is as good as none."""
    if len(value) > TRACEPARENT_CHARACTERS_MAX:
        faults.add("traceparent", f"must be at most {TRACEPARENT_CHARACTERS_MAX} characters")
    return value if _TRACEPARENT.fullmatch(value) else None


# Accounts and devices


def new_api_key(request: accounts_service_pb2.CreateApiKeyRequest, tenant_id: str) -> NewApiKey:
    """An API key to make."""
    faults = Faults()
    if not request.scopes:
        faults.add("scopes", f"must name at least one of {', '.join(SCOPES)}")
    new = NewApiKey(
        tenant_id,
        faults.words("scopes", request.scopes, SCOPES),
        name=faults.note("name", request.name, characters_max=100),
        per_minute=faults.number("per_minute", request.per_minute, least=1, most=PER_MINUTE_MAX, zero=0),
        expires_ms=(
            faults.time("expire_time", request.expire_time) if request.HasField("expire_time") else None
        ),
    )
    faults.check()
    return new


def device_change(request: devices_service_pb2.UpdateDeviceRequest) -> DeviceChange:
    """What to change of a device."""
    changed_id = device_id(request.device_id)
    faults = Faults()
    changed = faults.mask("update_mask", request.update_mask, ("name", "enabled"))
    change = DeviceChange(
        changed_id,
        name=faults.name("name", request.name) if "name" in changed else None,
        enabled=request.enabled if "enabled" in changed else None,
    )
    faults.check()
    return change


def token_name(request: devices_service_pb2.CreateDriverTokenRequest) -> str:
    """The name of a driver token."""
    faults = Faults()
    name = faults.name("name", request.name)
    faults.check()
    return name
