"""Under every seed: nothing lost, nothing sent twice, nothing started behind the fence. And planted mistakes show."""

import os
from collections.abc import Callable

import pytest

from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, Committed
from infinireach.driver.v1.driver_service_pb2 import ConnectResponse
from tests.unit.drivers.runtime.world import World

SEEDS = int(os.environ.get("INFINIREACH_TEST_SEEDS", "200"))
STEPS = 600


def run(world: World) -> None:
    for _ in range(STEPS):
        world.step()
    world.heal()
    world.check()


@pytest.mark.parametrize("groups_at_once", [1, 3])
def test_nothing_is_lost_and_nothing_is_sent_twice_under_any_seed(groups_at_once: int) -> None:
    for seed in range(SEEDS // 2):
        try:
            run(World(seed, groups_at_once=groups_at_once))
        except Exception as error:
            raise AssertionError(f"seed {seed}, groups_at_once {groups_at_once}: {error!r}") from error


class StartsWithoutTheJournal(World):
    """Hands commands over although the journal does not say that they are started."""

    def commit(self, batch: Batch) -> Committed:
        batch.hold, batch.start, held = [], [], batch.hold
        committed = super().commit(batch)
        super().commit(Batch(hold=held))
        return committed


class LosesResults(World):
    """Answers before the facts are on disk."""

    def commit(self, batch: Batch) -> Committed:
        kept = batch.facts[::2] if len(batch.facts) > 1 else batch.facts
        lost = [fact for fact in batch.facts if fact not in kept]
        batch.facts = kept
        committed = super().commit(batch)
        batch.facts = kept + lost
        last = self.driver.facts.last + len(kept)
        later = range(last + 1, last + 1 + len(lost))
        return Committed(known=committed.known, sequences=[*committed.sequences, *later])


class ForgetsWhatItSent(World):
    """Its journal does not know a settled command again."""

    def commit(self, batch: Batch) -> Committed:
        committed = super().commit(batch)
        return Committed(known={}, sequences=committed.sequences)


class IgnoresTheFence(DriverProtocol):
    """Starts for as long as a stream seems to be open."""

    def may_start(self) -> bool:
        return self.session is not None and self.session.welcome is not None


class SkipsFacts(DriverProtocol):
    """Takes it that the core has every fact when a stream opens."""

    def receive(self, frame: ConnectResponse) -> None:
        super().receive(frame)
        if frame.WhichOneof("frame") == "welcome":
            self.facts.resume_after(self.facts.last)


@pytest.mark.parametrize("world_class", [StartsWithoutTheJournal, LosesResults, ForgetsWhatItSent])
def test_mistake_planted_in_the_journal_is_found(world_class: type[World]) -> None:
    assert is_found(world_class)


@pytest.mark.parametrize("protocol_class", [IgnoresTheFence, SkipsFacts])
def test_mistake_planted_in_the_protocol_is_found(protocol_class: type[DriverProtocol]) -> None:
    assert is_found(lambda seed: World(seed, protocol_class=protocol_class))


def is_found(world: Callable[[int], World]) -> bool:
    """Whether one of some seeds goes wrong."""
    for seed in range(100):
        try:
            run(world(seed))
        except (AssertionError, KeyError, ValueError):
            return True
    return False
