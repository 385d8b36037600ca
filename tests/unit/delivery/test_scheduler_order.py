"""The scheduler: order within a message, and within an ordered endpoint."""

from core.delivery.claims import Claimed
from core.delivery.scheduler import Scheduler
from tests.unit.delivery.scheduled import LIMITS, delivery, endpoint, finish, give, start_all


def test_two_deliveries_of_one_message_are_never_in_flight_together() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    sent, delivered = delivery(to, message="m"), delivery(to, message="m")
    other = delivery(to, message="n")
    give(scheduler, [sent, delivered, other])
    flights = start_all(scheduler)
    assert [flight.delivery for flight in flights] == [sent, other]
    finish(scheduler, flights[0], success=False, due_ms=5_000)
    # It waits for the first attempt of the earlier one, not for its success.
    assert [flight.delivery for flight in start_all(scheduler)] == [delivered]


def test_a_retry_waits_while_a_later_delivery_of_its_message_is_in_flight() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a")
    give(scheduler, [delivery(to, message="m"), delivery(to, message="m", attempt=2)])
    (flight,) = start_all(scheduler)
    finish(scheduler, flight)
    assert [flight.delivery.attempt for flight in start_all(scheduler)] == [2]


def test_an_ordered_endpoint_waits_until_its_head_is_settled() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a", ordered=True)
    head, following = delivery(to), delivery(to)
    give(scheduler, [head, following])
    (flight,) = start_all(scheduler)
    scheduler.ended(flight, 0, success=True)
    assert start_all(scheduler) == []
    scheduler.settled(head, 0, due_ms=None, closed=False)
    assert [flight.delivery for flight in start_all(scheduler)] == [following]


def test_behind_a_head_that_failed_nothing_stays_here_and_only_the_database_says_when_it_goes_on() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a", ordered=True)
    head, following = delivery(to), delivery(to)
    give(scheduler, [head, following])
    (flight,) = start_all(scheduler)
    finish(scheduler, flight, success=False, due_ms=5_000)
    assert start_all(scheduler) == []
    assert scheduler.returned() == [following.delivery_id]
    (want,) = scheduler.wants(0)
    scheduler.claimed([want], Claimed(), 0, asked_ms=0)
    assert scheduler.wants(0) == []
    scheduler.wake("a", 10, first=False, again=True)  # its owner had it redelivered, through another process
    (want,) = scheduler.wants(10)
    scheduler.claimed([want], Claimed(), 10, asked_ms=10)
    scheduler.advance(5_000)
    assert [want.webhook_id for want in scheduler.wants(5_000)] == ["a"]


def test_an_ordered_endpoint_is_claimed_from_only_when_nothing_of_it_is_here() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint("a", ordered=True)) for _ in range(2)])
    scheduler.wake("a", 0, first=True, again=True)
    assert scheduler.wants(0) == []
    for _ in range(2):
        (flight,) = start_all(scheduler)
        scheduler.ended(flight, 0, success=True)
        assert scheduler.wants(0) == []
        scheduler.settled(flight.delivery, 0, due_ms=None, closed=False)
    assert len(scheduler.wants(0)) == 1


def test_a_full_run_of_an_ordered_endpoint_is_followed_by_another_whatever_it_is_made_of() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a", ordered=True)
    give(scheduler, [delivery(to)])
    finish(scheduler, start_all(scheduler)[0])
    scheduler.wake("a", 0, first=True, again=True)
    (want,) = scheduler.wants(0)
    run = [delivery(to, replay=n % 2) for n in range(max(want.first, want.again))]
    scheduler.claimed([want], Claimed(run), 0, asked_ms=0)
    for _ in run:
        assert scheduler.wants(0) == []
        finish(scheduler, start_all(scheduler)[0])
    assert len(scheduler.wants(0)) == 1
