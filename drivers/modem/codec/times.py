"""Times in PDUs: service centre time stamps and validity periods (3GPP TS 23.040 §9.2.3.11 and §9.2.3.12.1).

Owns their form. Knows nothing of messages.
"""

from datetime import UTC, datetime, timedelta, timezone

TIMESTAMP_OCTETS = 7
_QUARTER = timedelta(minutes=15)
_ZONE_SIGN = 0x08
_CENTURY_TURN = 90
"""Two-digit years from here on belong to the last century: there was no SMS before."""


def encode_timestamp(moment: datetime) -> bytes:
    """Local time with its zone, cut to the second; UTC if the zone is not of whole quarters. `moment` is aware."""
    offset = moment.utcoffset()
    assert offset is not None, "a time without a zone"
    if offset % _QUARTER:
        moment, offset = moment.astimezone(UTC), timedelta()
    fields = (moment.year % 100, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    zone = _swapped(abs(offset) // _QUARTER) | (_ZONE_SIGN if offset < timedelta() else 0)
    return bytes([*(_swapped(field) for field in fields), zone])


def decode_timestamp(octets: bytes) -> datetime | None:
    """The moment in UTC; None if the seven octets cannot be one, which networks do write."""
    *fields, zone = octets
    quarters = _number(zone & ~_ZONE_SIGN)
    numbers = [number for field in fields if (number := _number(field)) is not None]
    if quarters is None or len(numbers) < len(fields):
        return None
    year, month, day, hour, minute, second = numbers
    offset = quarters * (-_QUARTER if zone & _ZONE_SIGN else _QUARTER)
    try:
        return datetime(
            year + (1900 if year >= _CENTURY_TURN else 2000),
            month,
            day,
            hour,
            minute,
            second,
            tzinfo=timezone(offset),
        ).astimezone(UTC)
    except ValueError:
        return None


def _swapped(number: int) -> int:
    """A number below 100 as two decimal digits, the tens in the low half."""
    return number % 10 << 4 | number // 10


def _number(octet: int) -> int | None:
    tens, ones = octet & 0xF, octet >> 4
    return 10 * tens + ones if tens <= 9 and ones <= 9 else None


_MINUTES_5, _MINUTES_30, _DAY, _WEEK = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(days=1),
    timedelta(weeks=1),
)


def encode_validity(validity: timedelta) -> int:
    """The longest relative validity period that is not longer; five minutes for less, 63 weeks for more."""
    if validity <= 12 * timedelta(hours=1):
        return max(validity // _MINUTES_5 - 1, 0)
    if validity <= _DAY:
        return 143 + (validity - timedelta(hours=12)) // _MINUTES_30
    if validity <= 30 * _DAY:
        return max(166 + validity // _DAY, 167)
    return min(max(192 + validity // _WEEK, 196), 255)


def decode_validity(value: int) -> timedelta:
    """The time that a relative validity period stands for."""
    if value <= 143:
        return (value + 1) * _MINUTES_5
    if value <= 167:
        return timedelta(hours=12) + (value - 143) * _MINUTES_30
    if value <= 196:
        return (value - 166) * _DAY
    return (value - 192) * _WEEK
