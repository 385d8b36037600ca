"""The owner's reset command ends in its time, with all that it has started."""

import asyncio
import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.modem.life.reset_command import run_reset_command

LONG_S = 600.0


@pytest.fixture
def pipe(tmp_path: Path) -> Generator[int]:
    """The reading end of a pipe `pipe` in the folder: it ends once the last process has that has opened the other."""
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def script(folder: Path) -> tuple[str, ...]:
    """A command that starts another, says so, and would go on for long."""
    return ("sh", "-c", f"exec >'{folder}/pipe'; sleep {LONG_S} & echo started; sleep {LONG_S}")


async def what_comes(pipe: int) -> bytes:
    """The next bytes; none once every writer has ended."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(pipe, is_readable.set)
    try:
        async with asyncio.timeout(30):
            await is_readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, 100)


async def test_a_command_that_takes_too_long_is_killed_with_what_it_has_started(
    tmp_path: Path, pipe: int
) -> None:
    assert await run_reset_command(script(tmp_path), within_s=0.5) is None
    while await what_comes(pipe):
        pass


async def test_a_command_does_not_outlive_the_driver(tmp_path: Path, pipe: int) -> None:
    running = asyncio.create_task(run_reset_command(script(tmp_path), within_s=LONG_S), name="command")
    assert await what_comes(pipe) == b"started\n"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await what_comes(pipe) == b""


async def test_the_status_of_a_command_is_told() -> None:
    assert await run_reset_command(("sh", "-c", "exit 3"), within_s=LONG_S) == 3


async def test_a_command_gets_none_of_the_drivers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_DRIVER_TOKEN", "secret")
    lacks_it = 'test -z "$INFINIREACH_DRIVER_TOKEN" && test -n "$PATH"'
    assert await run_reset_command(("sh", "-c", lacks_it), within_s=LONG_S) == 0


async def test_a_command_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run_reset_command((str(tmp_path / "none"),), within_s=LONG_S)
