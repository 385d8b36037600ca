"""The scheduler: what it wants to be claimed, and what it gives back."""

from core.delivery.claims import START_WITHIN_MS, Claimed, Want
from core.delivery.mailboxes import AHEAD_MAX, SLOW_MS
from core.delivery.scheduler import CLAIM_ENDPOINTS_MAX, Limits, Scheduler
from tests.unit.delivery.scheduled import LIMITS, delivery, endpoint, finish, give, start_all


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


def test_endpoints_that_the_full_slow_lane_keeps_waiting_hide_no_endpoint_behind_them() -> None:
    scheduler = Scheduler(LIMITS)
    give(scheduler, [delivery(endpoint("hanging"), attempt=2) for _ in range(LIMITS.held_max // 4)])
    for number in range(CLAIM_ENDPOINTS_MAX + 1):
        scheduler.wake(f"slow-{number}", 0, first=False, again=True)
    scheduler.wake("healthy", 0, first=True, again=False)
    assert [want.webhook_id for want in scheduler.wants(0)] == ["healthy"]


def test_one_claim_asks_for_a_limited_number_of_endpoints() -> None:
    scheduler = Scheduler(LIMITS)
    for number in range(CLAIM_ENDPOINTS_MAX + 1):
        scheduler.wake(f"e{number}", 0, first=True, again=False)
    assert len(scheduler.wants(0)) == CLAIM_ENDPOINTS_MAX
    assert len(scheduler.wants(0)) == 1


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
