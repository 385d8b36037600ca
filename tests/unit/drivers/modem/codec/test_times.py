"""Service centre time stamps, as networks write them and garbage too."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.codec import times
from tests.unit.drivers.modem.codec.delivered import delivered


# Year, month, day, hour, minute, second and zone, each with its digits swapped (TS 23.040 §9.2.3.11).
@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("62504030201000", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("62504030201080", datetime(2026, 5, 4, 1, 2, 1, tzinfo=UTC)),
        ("62504030201088", datetime(2026, 5, 4, 5, 2, 1, tzinfo=UTC)),
        ("6250403020108a", datetime(2026, 5, 4, 10, 2, 1, tzinfo=UTC)),
        ("62504030201023", datetime(2026, 5, 3, 19, 2, 1, tzinfo=UTC)),
        ("99213132959500", datetime(1999, 12, 13, 23, 59, 59, tzinfo=UTC)),
        ("00000000000000", None),
        ("ffffffffffffff", None),
        ("62314030201000", None),
        ("62200330201000", None),
        ("62504042201000", None),
        ("62504030061000", None),
        ("6250403020a100", None),
        ("625040302010ff", None),
        ("625040302010a0", None),
    ],
)
def test_time_stamps(stamp: str, moment: datetime | None) -> None:
    assert delivered("61", stamp=stamp).sent_at == moment


zones = st.timedeltas(min_value=timedelta(hours=-12), max_value=timedelta(hours=14)).map(timezone)
moments = st.datetimes(datetime(1990, 1, 2), datetime(2089, 12, 30), timezones=zones)  # noqa: DTZ001


@given(moments)
def test_a_moment_comes_back_to_the_second_whatever_its_zone(moment: datetime) -> None:
    octets = times.encode_timestamp(moment)
    read = times.decode_timestamp(octets)
    assert read is not None
    assert timedelta() <= moment - read < timedelta(seconds=1)
