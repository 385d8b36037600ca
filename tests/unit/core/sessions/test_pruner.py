"""Turns of the pruner: they end, go on where the last one ended, and survive a database that is away."""

import asyncio
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from core import retention
from core.errors import Unavailable
from core.ids import first_id
from core.retention import DAY_MS, Retention
from core.sessions import pruner as module
from core.sessions.pruner import Pruner
from core.store.engine import Store
from core.store.rows import MessageRow
from tests.fakes.database import TENANT_A, file_store
from tests.fakes.set_clock import START_MS, SetClock

pytestmark = pytest.mark.usefixtures("database")

OLD_MS = START_MS - 100 * DAY_MS
KEEP = Retention(days=90, delivery_days=30)
_message: Any = MessageRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Store]:
    monkeypatch.setattr(retention, "LOOK_MAX", 2)
    monkeypatch.setattr(module, "STEPS_PER_TURN_MAX", 2)
    monkeypatch.setattr(module, "PAUSE_S_MIN", 0.0)
    with file_store(tmp_path) as store:
        yield store


def put(session: Session, state: str, count: int, first: int = 0) -> None:
    """Old messages."""
    values = {
        "tenant_id": TENANT_A, "direction": "outbound", "channel": "sms", "device_id": "d", "source": "+1",
        "destination": "+2", "body": "x", "state": state, "encoding": "gsm7", "segments": 1,
        "segments_delivered": 0, "attempt": 0, "events": 0, "not_after_ms": OLD_MS, "created_ms": OLD_MS,
    }  # fmt: skip
    rows = [{**values, "id": f"{first_id(OLD_MS)[:12]}{n:012x}"} for n in range(first, first + count)]
    session.execute(insert(_message), rows)


class TurnsClock(SetClock):
    """Says when it was looked at for the third time: two turns are over then."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0
        self.third_look = asyncio.Event()

    def now_ms(self) -> int:
        """The time that was set."""
        self._looks += 1
        if self._looks == 3:
            self.third_look.set()
        return super().now_ms()


def left(session: Session) -> int:
    return session.execute(select(func.count()).select_from(_message)).scalar_one()


async def test_a_turn_ends_and_the_next_goes_on_behind_what_had_to_stay(store: Store) -> None:
    await store.run(put, "queued", 4)
    await store.run(put, "expired", 5, 4)
    told: list[tuple[str, int]] = []
    pruner = Pruner(store, SetClock(), KEEP, lambda table, count: told.append((table, count)))
    assert (await pruner.turn(), pruner.is_through) == ({}, False)
    assert (await pruner.turn(), pruner.is_through) == ({"message": 4}, False)
    assert (await pruner.turn(), pruner.is_through) == ({"message": 1}, True)
    assert told == [("message", 2), ("message", 2), ("message", 1)]
    assert await store.read(left) == 4


async def test_what_has_to_stay_is_looked_at_once_a_round_and_a_round_is_followed_by_a_rest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.run(put, "queued", 9)
    run, steps = store.run, Counter[str]()

    async def counted(step: Any, *arguments: Any) -> Any:
        steps[step.__name__] += 1
        return await run(step, *arguments)

    monkeypatch.setattr(store, "run", counted)
    pruner = Pruner(store, SetClock(), KEEP, lambda *_: None)
    for pause_s in (module.TURN_EVERY_S, module.TURN_EVERY_S, module.ROUND_EVERY_S):
        await pruner.turn()
        assert pruner.pause_s == pause_s
    assert steps == {"_deliveries": 1, "_events": 1, "_messages": 5, "_rejected_facts": 1}
    await pruner.turn()
    assert steps["_messages"] == 7


async def test_another_process_goes_on_where_one_died(store: Store) -> None:
    await store.run(put, "expired", 6)
    assert await Pruner(store, SetClock(), KEEP, lambda *_: None).turn() == {"message": 4}
    assert await Pruner(store, SetClock(), KEEP, lambda *_: None).turn() == {"message": 2}
    assert await store.read(left) == 0


async def test_two_at_once_remove_each_row_once(store: Store) -> None:
    await store.run(put, "expired", 4)
    one, two = (Pruner(store, SetClock(), KEEP, lambda *_: None) for _ in range(2))
    turns = await asyncio.gather(one.turn(), two.turn())
    assert sum(turn.get("message", 0) for turn in turns) == 4
    assert await store.read(left) == 0


async def test_nothing_is_looked_at_if_all_is_kept(store: Store) -> None:
    await store.run(put, "expired", 1)
    store.close()
    assert await Pruner(store, SetClock(), Retention(0, 0), lambda *_: None).turn() == {}


async def test_a_database_that_is_away_costs_a_turn_and_what_is_removed_is_logged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_EVERY_S", 0.0)
    monkeypatch.setattr(module, "ROUND_EVERY_S", 0.0)
    await store.run(put, "expired", 1)
    run, clock = store.run, TurnsClock()

    async def fail_once(*arguments: Any) -> Any:
        monkeypatch.setattr(store, "run", run)
        raise Unavailable("away")

    monkeypatch.setattr(store, "run", fail_once)
    pruner = Pruner(store, clock, KEEP, lambda *_: None)
    with capture_logs() as logged:
        task = asyncio.create_task(pruner.run())
        async with asyncio.timeout(30):
            await clock.third_look.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in logged] == ["retention.failed", "retention.removed"]
    assert logged[1]["message"] == 1
    assert await store.read(left) == 0
