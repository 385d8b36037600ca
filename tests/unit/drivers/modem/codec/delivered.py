"""SMS-DELIVER PDUs put together octet by octet, for what no encoder of ours would write."""

from datetime import UTC, datetime

from drivers.modem import codec
from drivers.modem.codec import Deliver, coding, times

MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
STAMP = times.encode_timestamp(MOMENT).hex()


def delivered(
    user_data: str,
    *,
    length: int | None = None,
    data_coding: int = 0,
    protocol: int = 0,
    first_octet: int = 0x04,
    originator: str = "0281" + "21",
    stamp: str = STAMP,
) -> Deliver:
    """What a network's octets are read as; `length` is that of user data in octets if it is not given."""
    user_data_length = len(user_data) // 2 if length is None else length
    pdu = f"00{first_octet:02x}{originator}{protocol:02x}{data_coding:02x}{stamp}{user_data_length:02x}"
    answer = codec.decode_incoming(pdu + user_data)
    assert isinstance(answer, Deliver), answer
    return answer


def with_header(
    elements: str, units: str = "", *, data_coding: int = coding.OCTETS, protocol: int = 0
) -> Deliver:
    """8 bit data, or what `data_coding` says, behind a header of such elements."""
    header = f"{len(elements) // 2:02x}{elements}"
    return delivered(header + units, first_octet=0x44, data_coding=data_coding, protocol=protocol)


def behind(header: bytes, septets: bytes) -> Deliver:
    """A message in septets behind a header, which has its length in front; packed bit by bit."""
    bits = int.from_bytes(header, "little")
    first = -(-len(header) * 8 // 7)
    for position, septet in enumerate(septets, start=first):
        bits |= septet << 7 * position
    length = first + len(septets)
    octets = bits.to_bytes((7 * length + 7) // 8, "little")
    return delivered(octets.hex(), length=length, first_octet=0x44)
