"""The scheduler: endpoints whose breaker is open."""

from core.delivery.breaker import OPEN_MS_FIRST
from core.delivery.claims import Claimed, Endpoint
from core.delivery.scheduler import Scheduler
from tests.unit.delivery.scheduled import LIMITS, delivery, endpoint, finish, give, start_all


def open_breaker(scheduler: Scheduler, to: Endpoint) -> None:
    for _ in range(5):
        give(scheduler, [delivery(to)])
        (flight,) = start_all(scheduler)
        finish(scheduler, flight, success=False, due_ms=5_000)
    assert scheduler.open_breakers == 1


def test_an_open_breaker_defers_everything_and_gives_back_what_was_claimed() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    waiting = [delivery(to) for _ in range(12)]
    give(scheduler, waiting)
    for _ in range(5):
        flight = start_all(scheduler)[0]
        finish(scheduler, flight, success=False, due_ms=5_000)
    assert scheduler.open_breakers == 1
    assert len(scheduler.returned()) > 0
    scheduler.wake("a", 10_000, first=True, again=True)
    scheduler.advance(10_000)
    assert scheduler.wants(10_000) == []


def test_a_half_open_breaker_lets_one_probe_through_the_slow_lane() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    open_breaker(scheduler, to)
    scheduler.advance(OPEN_MS_FIRST)
    (want,) = scheduler.wants(OPEN_MS_FIRST)
    assert (want.first, want.again) == (1, 1)
    old, new = delivery(to, attempt=2), delivery(to)
    scheduler.claimed([want], Claimed([new, old]), OPEN_MS_FIRST, asked_ms=OPEN_MS_FIRST)
    (probe,) = start_all(scheduler, OPEN_MS_FIRST)
    assert (probe.probe, probe.slow) == (True, True)
    assert probe.delivery is old, "the oldest due one"


def test_a_probe_that_succeeds_closes_the_breaker_and_work_goes_on() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    open_breaker(scheduler, to)
    scheduler.advance(OPEN_MS_FIRST)
    wants = scheduler.wants(OPEN_MS_FIRST)
    scheduler.claimed(wants, Claimed([delivery(to)]), OPEN_MS_FIRST, asked_ms=OPEN_MS_FIRST)
    (probe,) = start_all(scheduler, OPEN_MS_FIRST)
    finish(scheduler, probe, OPEN_MS_FIRST + 5)
    assert scheduler.open_breakers == 0
    (want,) = scheduler.wants(OPEN_MS_FIRST + 5)
    assert want.first > 1


def test_a_probe_that_fails_opens_the_breaker_for_twice_as_long() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    open_breaker(scheduler, to)
    scheduler.advance(OPEN_MS_FIRST)
    wants = scheduler.wants(OPEN_MS_FIRST)
    scheduler.claimed(wants, Claimed([delivery(to)]), OPEN_MS_FIRST, asked_ms=OPEN_MS_FIRST)
    (probe,) = start_all(scheduler, OPEN_MS_FIRST)
    finish(scheduler, probe, OPEN_MS_FIRST, success=False, due_ms=40_000)
    scheduler.advance(3 * OPEN_MS_FIRST - 1)
    assert scheduler.wants(3 * OPEN_MS_FIRST - 1) == []
    scheduler.advance(3 * OPEN_MS_FIRST)
    assert len(scheduler.wants(3 * OPEN_MS_FIRST)) == 1


def test_what_arrives_from_a_claim_after_the_breaker_opened_is_given_back() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    give(scheduler, [delivery(to) for _ in range(5)])
    flights = start_all(scheduler)
    scheduler.wake("a", 0, first=True, again=True)
    for flight in flights:
        finish(scheduler, flight, success=False)
    wants = scheduler.wants(0)
    finish(scheduler, start_all(scheduler)[0], success=False)
    scheduler.returned()
    late = delivery(to)
    scheduler.claimed(wants, Claimed([late]), 0, asked_ms=0)
    assert wants
    assert scheduler.returned() == [late.delivery_id]


def test_after_a_change_of_its_endpoint_an_open_breaker_lets_one_attempt_try() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    open_breaker(scheduler, to)
    scheduler.renew("a", 10)
    scheduler.wake("a", 10, first=True, again=True)
    wants = scheduler.wants(10)
    scheduler.claimed(wants, Claimed([delivery(to), delivery(to)]), 10, asked_ms=10)
    (probe,) = start_all(scheduler, 10)
    scheduler.renew("a", 20)
    assert start_all(scheduler, 20) == []
    finish(scheduler, probe, 20)
    assert scheduler.open_breakers == 0
