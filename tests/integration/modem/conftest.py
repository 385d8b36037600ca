"""A core for the modem driver, and a folder whose path is short enough for a socket."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.core_stub import StubCore


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder)
