"""Benches with the driver of modems at work."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.modem.faults.bench import TIME_SCALE, Bench, bench


class Benches:
    """One bench for the tests of a module, made anew after one that has failed."""

    def __init__(self, folders: pytest.TempPathFactory, time_scale: float) -> None:
        self._folders = folders
        self._time_scale = time_scale
        self._stack = contextlib.AsyncExitStack()
        self._bench: Bench | None = None

    async def clean(self) -> Bench:
        """A bench of which it is certain how it is."""
        if self._bench is None or not self._bench.is_clean:
            await self.close()
            folder: Path = self._folders.mktemp("bench")
            self._bench = await self._stack.enter_async_context(bench(folder, time_scale=self._time_scale))
        self._bench.begin()
        return self._bench

    async def close(self) -> None:
        """Have none any more."""
        self._bench = None
        await self._stack.aclose()


@pytest.fixture(scope="module")
def time_scale() -> float:
    """How many times as fast the driver waits; a module may want another."""
    return TIME_SCALE


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def benches(tmp_path_factory: pytest.TempPathFactory, time_scale: float) -> AsyncIterator[Benches]:
    benches = Benches(tmp_path_factory, time_scale)
    yield benches
    await benches.close()


@pytest_asyncio.fixture(loop_scope="module")
async def shared(benches: Benches) -> Bench:
    """A bench that the tests of the module share: each leaves it as it found it."""
    return await benches.clean()
