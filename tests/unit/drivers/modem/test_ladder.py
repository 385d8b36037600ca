"""A modem that does not answer gets the gentle measures first, rough ones rarely, and never none for ever."""

import itertools

import pytest

from drivers.modem.life.ladder import Ladder, Step
from drivers.modem.timing import Timing
from tests.unit.drivers.runtime.world import SetClock

TIMING = Timing()


def steps(
    ladder: Ladder, clock: SetClock, *, count: int, every_s: float = 30.0, may_reset: bool = True
) -> list[Step]:
    taken: list[Step] = []
    for _ in range(count):
        taken.append(ladder.next_step(may_reset=may_reset))
        clock.now_s += every_s
    return taken


def test_measures_get_rougher_and_end_with_a_rest() -> None:
    clock = SetClock()
    ladder = Ladder(TIMING, clock, has_command=True)
    assert steps(ladder, clock, count=5) == [Step.REOPEN, Step.RESET, Step.RUN_COMMAND, Step.REST, Step.REST]


def test_modem_without_a_command_of_its_owner_is_only_reset() -> None:
    clock = SetClock()
    assert steps(Ladder(TIMING, clock, has_command=False), clock, count=3) == [
        Step.REOPEN,
        Step.RESET,
        Step.REST,
    ]


def test_port_on_which_nobody_ever_answered_is_not_reset() -> None:
    clock = SetClock()
    ladder = Ladder(TIMING, clock, has_command=False)
    assert Step.RESET not in steps(ladder, clock, count=100, may_reset=False)


@pytest.mark.parametrize("works_s", [0.0, 20.0, 240.0])
@pytest.mark.parametrize("has_command", [True, False])
def test_rough_measures_of_a_kind_are_a_cool_down_apart_for_ever(has_command: bool, works_s: float) -> None:
    clock = SetClock()
    ladder = Ladder(TIMING, clock, has_command=has_command)
    taken: dict[Step, list[float]] = {step: [] for step in Step}
    for _ in range(2000):
        taken[ladder.next_step(may_reset=True)].append(clock.now_s)
        clock.now_s += 20
        if works_s:
            ladder.works()
            clock.now_s += works_s
    for step in [Step.RESET, Step.RUN_COMMAND] if has_command else [Step.RESET]:
        gaps = [after - before for before, after in itertools.pairwise(taken[step])]
        assert len(gaps) > 50
        assert min(gaps) >= TIMING.cool_down_s


def test_modem_that_worked_for_long_begins_at_the_bottom_again() -> None:
    clock = SetClock()
    ladder = Ladder(TIMING, clock, has_command=True)
    steps(ladder, clock, count=2)
    ladder.works()
    clock.now_s += TIMING.cool_down_s
    assert ladder.next_step(may_reset=True) is Step.REOPEN


def test_modem_that_hangs_again_at_once_gets_the_next_measure() -> None:
    clock = SetClock()
    ladder = Ladder(TIMING, clock, has_command=True)
    steps(ladder, clock, count=2)
    ladder.works()
    clock.now_s += 10
    assert ladder.next_step(may_reset=True) is Step.RUN_COMMAND
