"""The contract suite is a library, so pytest has to be told to explain its assertions too."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.core_stub import StubCore

pytest.register_assert_rewrite("drivers.runtime.contract_kit.suite", "drivers.runtime.contract_kit.subject")


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where the simulated driver may listen. A socket's path is short, and pytest's own folders may be deep."""
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder) / "simulated.sock"
