"""What a record says: which event, and what it refers to; its body stays in the database.

Owns the format and its version. A field that is added may be missing in records of before; a change that old workers
would read wrongly needs a new version, which they put aside.
"""

from typing import Annotated

import msgspec

from core.events import PublishedEvent

VERSION = 1

_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z-]{1,64}\Z")]


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    v: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    id: _Id
    tenant: _Id
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    at: int
    message: _Id | None = None
    device: _Id | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Record).decode


class Unreadable(Exception):
    """A record that is none of ours, or of a version that this worker does not know."""


def key_of(event: PublishedEvent) -> bytes:
    """Events with the same key keep their order: those of one device, or else of one message."""
    return (event.device_id or event.message_id or event.tenant_id).encode()


def encode(event: PublishedEvent) -> bytes:
    """The record of an event."""
    return _encode(
        _Record(
            VERSION,
            event.id,
            event.tenant_id,
            event.type,
            event.created_ms,
            event.message_id,
            event.device_id,
        )
    )


def decode(value: bytes | None) -> PublishedEvent:
    """The event that a record tells of. Raises Unreadable."""
    if value is None:
        raise Unreadable("the record is empty")
    try:
        record = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
    return PublishedEvent(record.id, record.tenant, record.type, record.message, record.device, record.at)
