"""The scheduler: whose turn it is, and how many slots each may take."""

from collections import Counter

from core.delivery.mailboxes import SLOW_MS, FairRing
from core.delivery.scheduler import Limits, Scheduler
from tests.unit.delivery.scheduled import LIMITS, delivery, endpoint, finish, give, names, start_all


def test_the_ring_gives_tenants_turns_and_then_their_endpoints() -> None:
    ring = FairRing()
    for name, tenant in (("a1", "A"), ("a2", "A"), ("a3", "A"), ("b1", "B"), ("c1", "C"), ("c2", "C")):
        ring.add(name, tenant)
    assert [ring.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert len(ring) == 0


def test_an_endpoint_stands_in_a_ring_once_and_can_leave_it() -> None:
    ring = FairRing()
    ring.add("a", "A")
    ring.add("a", "A")
    ring.add("b", "B")
    ring.discard("a")
    ring.discard("a")
    assert (len(ring), ring.take()) == (1, "b")


def test_at_most_four_are_in_flight_to_one_endpoint() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint("a")) for _ in range(10)])
    flights = start_all(scheduler)
    assert len(flights) == 4
    finish(scheduler, flights[0])
    assert len(start_all(scheduler)) == 1


def test_slots_go_to_tenants_in_turn_however_much_one_of_them_has() -> None:
    scheduler = Scheduler(Limits(slots=8, per_endpoint=4))
    noisy = [endpoint(f"noisy-{n}", tenant="noisy") for n in range(10)]
    quiet = [endpoint(f"quiet-{n}", tenant="quiet") for n in range(2)]
    give(scheduler, [delivery(to) for to in [*noisy, *quiet] for _ in range(4)])
    tenants = Counter(flight.delivery.endpoint.tenant_id for flight in start_all(scheduler))
    assert tenants == {"noisy": 3, "quiet": 3}


def test_retries_take_at_most_a_quarter_of_the_slots() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint(f"e{n}"), attempt=2) for n in range(16)])
    assert len(start_all(scheduler)) == 4


def test_replays_take_at_most_a_quarter_of_the_slots() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint(f"e{n}"), replay=1) for n in range(16)])
    assert len(start_all(scheduler)) == 4


def test_first_attempts_find_their_slots_however_many_retries_wait() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint(f"e{n}"), attempt=2) for n in range(16)])
    start_all(scheduler)
    give(scheduler, [delivery(endpoint(f"e{n}")) for n in range(16)])
    assert [flight.delivery.attempt for flight in start_all(scheduler)] == [1] * 12


def test_a_slow_endpoint_is_served_by_the_slow_lane() -> None:
    scheduler = Scheduler(LIMITS)
    slow = [endpoint(f"slow-{n}") for n in range(8)]
    give(scheduler, [delivery(to) for to in slow])
    for flight in start_all(scheduler):
        finish(scheduler, flight, SLOW_MS + 1)
    now_ms = SLOW_MS + 1
    give(scheduler, [delivery(to) for to in slow for _ in range(2)], now_ms=now_ms)
    assert [flight.slow for flight in start_all(scheduler, now_ms)] == [True] * 4


def test_attempts_that_hang_give_the_fast_lane_back_within_two_seconds() -> None:
    scheduler = Scheduler(LIMITS)
    hanging = [endpoint(f"hang-{n}") for n in range(3)]
    give(scheduler, [delivery(to) for to in hanging for _ in range(8)])
    assert len(start_all(scheduler)) == LIMITS.fast == 12
    healthy = [endpoint(f"ok-{n}") for n in range(12)]
    give(scheduler, [delivery(to) for to in healthy])
    assert start_all(scheduler) == []
    assert scheduler.next_timer_ms() == SLOW_MS
    scheduler.advance(SLOW_MS)
    assert sorted(names(start_all(scheduler, SLOW_MS))) == sorted(to.webhook_id for to in healthy)
    # What was claimed ahead for those that hang is given back, for when they answer.
    assert len(scheduler.returned()) == 12
