"""Seeded worlds of deliveries with crashes, stalls and bad receivers: every delivery comes to its end, on record.

More worlds than usual: INFINIREACH_TEST_SEEDS=10000. A seed that ever failed is kept in FAILED_ONCE.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from core.delivery.backoff import ATTEMPTS_MAX
from tests.fakes.database import memory_session
from tests.fakes.delivery_rows import attempts, deliveries
from tests.simulation.delivery_world import World

SEEDS = int(os.environ.get("INFINIREACH_TEST_SEEDS", "200"))
SEEDS_PER_TEST = 20
FAILED_ONCE: tuple[int, ...] = ()


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with memory_session() as session:
        yield session


def check(world: World) -> None:
    """What must hold once everything has come to its end."""
    settled = Counter(world.settled)
    for row in deliveries(world.session):
        assert row.state in {"delivered", "dead"}, row.state
        assert row.lease_token is None
        recorded = attempts(world.session, row.id)
        assert [one.number for one in recorded] == list(range(1, row.attempts + 1))
        assert row.attempts == settled[row.id], "an attempt is not on record"
        if row.state == "delivered":
            assert row.id in world.accepted
            assert any(200 <= one.status <= 299 for one in recorded)
        else:
            assert row.attempts >= ATTEMPTS_MAX
    assert all(len(bodies) == 1 for bodies in world.bodies.values()), "other bytes under the same id"


def run(session: Session, seed: int) -> None:
    world = World(session, seed)
    try:
        world.run()
        check(world)
    except AssertionError as error:
        raise AssertionError(f"seed {seed} at {world.now_ms} ms: {error}") from error


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_every_delivery_ends_delivered_or_dead_whatever_dies(session: Session, first: int) -> None:
    for seed in range(first, min(first + SEEDS_PER_TEST, SEEDS)):
        run(session, seed)


def test_the_worlds_that_failed_once_hold(session: Session) -> None:
    for seed in FAILED_ONCE:
        run(session, seed)
