"""Runs the owner's command that cuts a modem's power or resets its port.

Owns that it runs without a shell and without the driver's secrets, and that nothing of it outlives its time: a second
run beside the first might cut the power that the first gives back.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

SECRETS_PREFIX = "INFINIREACH_"
"""Variables that the command does not get: the driver's token is among them."""
END_TIMEOUT_S = 5.0
"""For a command that was killed to end. One that hangs in the kernel, on a dead USB port, does not."""


async def run_reset_command(command: Sequence[str], *, within_s: float) -> int | None:
    """Its exit status, negative if a signal ended it; None if it took too long and was killed with what it had started.

    The same becomes of it when the caller is cancelled. Raises OSError if it cannot be started.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS_PREFIX)}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment, start_new_session=True
    )
    try:
        async with asyncio.timeout(within_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            await _kill(process)


async def _kill(process: Process) -> None:
    """Kill all of its session; sudo's children are out of reach."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT_S):
            await process.wait()
