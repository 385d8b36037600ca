"""Facts of all sessions: bounded by their bytes while they wait."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.facts import DriverFacts
from core.sessions import applier as applier_module
from core.sessions.applier import FactApplier
from core.store.engine import Store
from tests.fakes.database import file_store
from tests.fakes.set_clock import SetClock

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


async def test_facts_that_wait_are_bounded_by_their_bytes(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(applier_module, "BYTES_WAITING_MAX", 100)
    applier = FactApplier(store, SetClock(), on_applied=lambda: None)
    large = applier.submit(DriverFacts("driver", 1, [], size=500))
    with pytest.raises(Unavailable):
        applier.submit(DriverFacts("driver", 1, [], size=1))
    large.cancel()
    await asyncio.sleep(0)
    applier.submit(DriverFacts("driver", 1, [], size=1)).cancel()
