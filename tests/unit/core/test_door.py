"""The door of driver streams: how many may open at a time, and when the others are told to come again."""

import pytest
from google.rpc import error_details_pb2

from core.api import driver_service
from core.api.driver_service import AWAY_S_MAX, AWAY_S_MIN, OPENINGS_PER_S, STREAMS_OPENING_MAX, Door
from core.api.status import status_of
from core.errors import TooManyOpening, Unavailable

NOW_S = 1000.0


def turned_away(door: Door, now_s: float = NOW_S) -> float:
    """How long a driver has to wait that comes to a full door."""
    with pytest.raises(TooManyOpening) as refusal:
        door.check(0, now_s)
    return refusal.value.retry_after_s


@pytest.fixture
def full() -> Door:
    door = Door()
    door.streams = STREAMS_OPENING_MAX
    return door


def test_streams_that_are_open_do_not_stand_in_the_door(full: Door) -> None:
    full.streams += 9000
    full.check(9001, NOW_S)
    assert turned_away(full) >= AWAY_S_MIN


def test_drivers_that_are_turned_away_come_again_one_after_the_other(full: Door) -> None:
    delays_s = [turned_away(full) for _ in range(3 * OPENINGS_PER_S)]
    assert delays_s == sorted(delays_s)
    for second in range(3):
        due = [each for each in delays_s if second < each - AWAY_S_MIN <= second + 1]
        assert len(due) == pytest.approx(OPENINGS_PER_S, abs=1)


def test_turns_pass_with_the_time(full: Door) -> None:
    first_s = turned_away(full)
    for _ in range(100):
        turned_away(full)
    assert turned_away(full, NOW_S + 60) == pytest.approx(first_s)


def test_nobody_is_sent_away_for_longer_than_the_limit(full: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_service, "OPENINGS_PER_S", 0.1)
    assert max(turned_away(full) for _ in range(20)) == AWAY_S_MAX


def test_a_core_that_stops_lets_nobody_in() -> None:
    door = Door()
    door.is_closed = True
    with pytest.raises(Unavailable, match="about to stop"):
        door.check(0, NOW_S)


def test_a_driver_is_told_when_to_come_again() -> None:
    status = status_of(TooManyOpening(2.5), "request")
    reason, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(reason) for detail in status.details)
    assert any(detail.Unpack(delay) for detail in status.details)
    assert (reason.reason, delay.retry_delay.ToTimedelta().total_seconds()) == ("TOO_MANY_OPENING", 2.5)
