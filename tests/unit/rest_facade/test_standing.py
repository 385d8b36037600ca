"""When a core that does not answer is put aside, and when it is let back."""

from rest_facade.standing import ASIDE_S, CHECK_EVERY_S, Standing


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_s(self) -> float:
        """Seconds."""
        return self.s


def test_two_missed_deadlines_in_a_row_put_a_core_aside_once() -> None:
    standing = Standing(Clock().now_s)
    assert not standing.missed()
    assert not standing.is_aside
    assert standing.missed()
    assert standing.is_aside
    assert not standing.missed()


def test_an_answer_in_between_keeps_it() -> None:
    standing = Standing(Clock().now_s)
    for _ in range(5):
        assert not standing.missed()
        standing.answered()
    assert not standing.is_aside


def test_it_is_left_alone_for_a_while_and_then_asked_until_it_answers() -> None:
    clock = Clock()
    standing = Standing(clock.now_s)
    standing.missed()
    standing.missed()
    assert standing.check_in_s == ASIDE_S
    clock.s += ASIDE_S + 1
    assert standing.check_in_s == 0
    standing.checked(is_back=False)
    assert standing.is_aside
    assert standing.check_in_s == CHECK_EVERY_S
    standing.checked(is_back=True)
    assert not standing.is_aside


def test_a_late_answer_alone_does_not_let_it_back_and_afterwards_it_counts_anew() -> None:
    standing = Standing(Clock().now_s)
    standing.missed()
    standing.missed()
    standing.answered()
    assert standing.is_aside
    standing.checked(is_back=True)
    assert not standing.missed()
    assert standing.missed()
