"""The scheduler: whose turn it is, what is claimed, and what time does. No database, no clock."""

from collections import Counter
from collections.abc import Iterable
from itertools import count

from core.delivery.breaker import OPEN_MS_FIRST
from core.delivery.claims import START_WITHIN_MS, Claimed, ClaimedDelivery, Endpoint, Want
from core.delivery.mailboxes import AHEAD_MAX, SLOW_MS, FairRing
from core.delivery.scheduler import Flight, Limits, Scheduler

LIMITS = Limits(slots=16, per_endpoint=4)
_numbers = count()


def endpoint(name: str, *, tenant: str = "tenant", ordered: bool = False, version: int = 1) -> Endpoint:
    return Endpoint(
        webhook_id=name, tenant_id=tenant, url="", secret=b"", version=version, timeout_s=10, ordered=ordered
    )


def delivery(
    to: Endpoint, *, attempt: int = 1, message: str | None = None, replay: int = 0
) -> ClaimedDelivery:
    number = next(_numbers)
    return ClaimedDelivery(
        delivery_id=f"{number:024x}",
        endpoint=to,
        event_id="event",
        event_type="message.sent",
        message_id=message or f"message-{number}",
        attempt=attempt,
        replay=replay,
        due_ms=number,
        body=b"",
        traceparent=None,
    )


def give(scheduler: Scheduler, deliveries: Iterable[ClaimedDelivery], *, now_ms: int = 0) -> None:
    """Have a claim give these that the scheduler never asked for."""
    deliveries = list(deliveries)
    endpoints = dict.fromkeys(one.endpoint.webhook_id for one in deliveries)
    for name in endpoints:
        scheduler.wake(name, now_ms, first=False, again=False)
    wants = [Want(name, 0, 0) for name in endpoints]
    scheduler.claimed(wants, Claimed(deliveries=deliveries), now_ms, asked_ms=now_ms)


def start_all(scheduler: Scheduler, now_ms: int = 0) -> list[Flight]:
    flights = []
    while (flight := scheduler.start(now_ms)) is not None:
        flights.append(flight)
    return flights


def finish(
    scheduler: Scheduler, flight: Flight, now_ms: int = 0, *, success: bool = True, due_ms: int | None = None
) -> None:
    scheduler.ended(flight, now_ms, success=success)
    scheduler.settled(flight.delivery, now_ms, due_ms=due_ms, closed=False)


def names(flights: Iterable[Flight]) -> list[str]:
    return [flight.delivery.endpoint.webhook_id for flight in flights]


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


def test_a_hint_makes_the_scheduler_want_deliveries_once() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=False)
    (want,) = scheduler.wants(0)
    assert want.webhook_id == "a"
    assert want.first > 0
    assert want.again == 0
    assert scheduler.wants(0) == []
    scheduler.claimed([want], Claimed(), 0, asked_ms=0)
    assert scheduler.wants(0) == []


def test_a_hint_during_a_claim_is_not_lost() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=False)
    wants = scheduler.wants(0)
    scheduler.wake("a", 0, first=True, again=False)
    scheduler.claimed(wants, Claimed(), 0, asked_ms=0)
    assert [want.webhook_id for want in scheduler.wants(0)] == ["a"]


def test_an_endpoint_that_is_not_known_yet_takes_one() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=True)
    (want,) = scheduler.wants(0)
    assert (want.first, want.again) == (1, 1)


def test_a_claim_that_failed_is_wanted_again() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=False)
    scheduler.not_claimed(scheduler.wants(0), 0)
    assert [want.webhook_id for want in scheduler.wants(0)] == ["a"]


def test_a_claim_that_gave_all_that_was_wanted_is_followed_by_another() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=False)
    (want,) = scheduler.wants(0)
    to = endpoint("a")
    scheduler.claimed([want], Claimed([delivery(to) for _ in range(want.first)]), 0, asked_ms=0)
    while not scheduler.wants(0):
        flight = scheduler.start(0)
        assert flight is not None, "it never wanted more"
        finish(scheduler, flight)


def test_a_fast_endpoint_is_claimed_ahead_and_a_slow_one_is_not() -> None:
    def ahead(latency_ms: int) -> int:
        scheduler = Scheduler(LIMITS)
        give(scheduler, [delivery(endpoint("a"))])
        (flight,) = start_all(scheduler)
        finish(scheduler, flight, latency_ms)
        scheduler.wake("a", latency_ms, first=True, again=False)
        (want,) = scheduler.wants(latency_ms)
        return want.first - LIMITS.per_endpoint

    assert ahead(5) == AHEAD_MAX
    assert 0 < ahead(200) < AHEAD_MAX
    assert ahead(SLOW_MS + 1) == 0


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


def test_claims_go_to_tenants_in_turn() -> None:
    scheduler = Scheduler(Limits(slots=4, per_endpoint=4))
    noisy = [endpoint(f"noisy-{n}", tenant="noisy") for n in range(50)]
    give(scheduler, [delivery(to) for to in [*noisy, endpoint("quiet", tenant="quiet")]])
    for flight in iter(lambda: scheduler.start(0), None):
        finish(scheduler, flight)
    for to in noisy:
        scheduler.wake(to.webhook_id, 0, first=True, again=False)
    scheduler.wake("quiet", 0, first=True, again=False)
    assert "quiet" in [want.webhook_id for want in scheduler.wants(0)][:2]


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


def test_the_head_of_an_ordered_endpoint_blocks_until_its_retry_is_due() -> None:
    scheduler = Scheduler(LIMITS)
    to = endpoint("a", ordered=True)
    head, following = delivery(to), delivery(to)
    give(scheduler, [head, following])
    (flight,) = start_all(scheduler)
    finish(scheduler, flight, success=False, due_ms=5_000)
    assert start_all(scheduler) == []
    assert scheduler.returned() == [following.delivery_id]
    scheduler.wake("a", 10, first=True, again=False)
    assert scheduler.wants(10) == []
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


def test_what_was_not_begun_in_time_is_given_back_and_wanted_again() -> None:
    scheduler = Scheduler(LIMITS)
    late = delivery(endpoint("a"))
    give(scheduler, [late])
    assert start_all(scheduler, START_WITHIN_MS) == []
    assert scheduler.returned() == [late.delivery_id]
    assert [want.webhook_id for want in scheduler.wants(START_WITHIN_MS)] == ["a"]


def test_what_waits_behind_a_full_lane_is_given_back_in_time() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint(f"e{n}"), attempt=2) for n in range(10)])
    start_all(scheduler)
    scheduler.give_back_stale(START_WITHIN_MS - 1)
    assert scheduler.returned() == []
    scheduler.give_back_stale(START_WITHIN_MS)
    assert len(scheduler.returned()) == 6
    assert scheduler.held == 0


def test_a_retry_is_looked_for_when_it_is_due_and_not_before() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint("a"))])
    (flight,) = start_all(scheduler)
    finish(scheduler, flight, success=False, due_ms=5_000)
    assert scheduler.next_timer_ms() == 5_000
    scheduler.advance(4_999)
    assert scheduler.wants(4_999) == []
    scheduler.advance(5_000)
    assert [want.webhook_id for want in scheduler.wants(5_000)] == ["a"]


def test_a_changed_configuration_gives_back_what_was_claimed_under_the_old_one() -> None:
    scheduler = Scheduler(LIMITS)
    old = [delivery(endpoint("a")) for _ in range(6)]
    give(scheduler, old)
    start_all(scheduler)
    scheduler.renew("a", 0)
    assert scheduler.returned() == [one.delivery_id for one in old[4:]]

    scheduler = Scheduler(LIMITS)
    old = [delivery(endpoint("a")) for _ in range(5)]
    give(scheduler, old)
    start_all(scheduler)
    scheduler.wake("a", 0, first=True, again=True)
    want = Want("a", 5, 5)
    scheduler.claimed([want], Claimed([delivery(endpoint("a", version=2))]), 0, asked_ms=0)
    assert scheduler.returned() == [old[4].delivery_id]


def test_an_endpoint_that_was_switched_off_keeps_nothing_here() -> None:
    scheduler = Scheduler(LIMITS)
    waiting = [delivery(endpoint("a")) for _ in range(5)]
    give(scheduler, waiting)
    flight = start_all(scheduler)[0]
    scheduler.ended(flight, 0, success=False)
    scheduler.settled(flight.delivery, 0, due_ms=None, closed=True)
    assert scheduler.returned() == [waiting[4].delivery_id]


def test_an_endpoint_that_could_not_be_claimed_from_is_asked_again_soon() -> None:
    scheduler = Scheduler(LIMITS)
    scheduler.wake("a", 0, first=True, again=True)
    wants = scheduler.wants(0)
    scheduler.claimed(wants, Claimed(unfinished={"a"}), 0, asked_ms=0)
    assert scheduler.wants(0) == []
    soon_ms = scheduler.next_timer_ms()
    assert soon_ms is not None
    assert soon_ms <= 100
    scheduler.advance(soon_ms)
    assert len(scheduler.wants(soon_ms)) == 1


def test_what_is_held_is_bounded() -> None:
    scheduler = Scheduler(Limits(slots=2, per_endpoint=4))
    for n in range(100):
        scheduler.wake(f"e{n}", 0, first=True, again=True)
    asked = [scheduler.wants(0), scheduler.wants(0), scheduler.wants(0)]
    for wants in asked:
        claimed = [delivery(endpoint(want.webhook_id)) for want in wants for _ in range(want.first)]
        scheduler.claimed(wants, Claimed(claimed), 0, asked_ms=0)
    assert 0 < scheduler.held <= scheduler.limits.held_max


def test_what_is_held_for_the_slow_lane_leaves_room_for_first_attempts() -> None:
    scheduler = Scheduler(LIMITS)
    for n in range(100):
        scheduler.wake(f"e{n}", 0, first=False, again=True)
    while wants := scheduler.wants(0):
        claimed = [
            delivery(endpoint(want.webhook_id), attempt=2) for want in wants for _ in range(want.again)
        ]
        scheduler.claimed(wants, Claimed(claimed), 0, asked_ms=0)
    assert scheduler.held <= scheduler.limits.held_max // 4
    scheduler.wake("fresh", 0, first=True, again=True)
    for n in range(100):
        scheduler.wake(f"e{n}", 0, first=False, again=True)
    assert "fresh" in [want.webhook_id for _ in range(3) for want in scheduler.wants(0)]


def test_idle_endpoints_are_forgotten_when_there_are_too_many() -> None:
    scheduler = Scheduler(LIMITS)
    for n in range(10_050):
        scheduler.wake(f"e{n}", 0, first=True, again=False)
        scheduler.claimed(scheduler.wants(0), Claimed(), 0, asked_ms=0)
    scheduler.give_back_stale(0)
    scheduler.wake("e1", 0, first=True, again=False)
    assert [want.webhook_id for want in scheduler.wants(0)] == ["e1"]
