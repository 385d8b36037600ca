"""Which events are under way: bounded, settled when they have a position, sent again when that takes too long."""

from core.eventlog.window import EVENTS_MAX, RESEND_S, RESEND_S_MAX, Window


def test_what_was_sent_is_under_way_until_it_no_longer_waits() -> None:
    window = Window()
    window.sent(["a", "b", "c"], 0.0)
    assert window.ids == {"a", "b", "c"}
    window.settle(frozenset(["b"]))
    assert window.ids == {"b"}


def test_room_is_what_is_left_of_the_limit() -> None:
    window = Window()
    window.sent(map(str, range(EVENTS_MAX - 1)), 0.0)
    assert window.room == 1
    window.sent(["last"], 0.0)
    assert window.room == 0


def test_what_waits_too_long_is_let_go_of_and_after_each_further_time_later() -> None:
    window, now_s, waited_s = Window(), 0.0, RESEND_S
    while waited_s < RESEND_S_MAX:
        window.sent(["a"], now_s)
        assert window.let_go(now_s + waited_s - 0.001) == 0
        now_s += waited_s
        assert window.let_go(now_s) == 1
        assert window.ids == frozenset()
        waited_s = min(2 * waited_s, RESEND_S_MAX)
    window.sent(["a"], now_s)
    assert window.let_go(now_s + RESEND_S_MAX) == 1


def test_an_event_that_arrived_after_all_begins_anew() -> None:
    window = Window()
    window.sent(["a"], 0.0)
    window.let_go(RESEND_S)
    window.nothing_overdue()
    window.sent(["a"], 100.0)
    assert window.let_go(100.0 + RESEND_S) == 1
