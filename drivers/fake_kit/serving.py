"""A fake as a process of its own: it ends in order at a signal, and can be told something meanwhile."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from drivers.runtime.control_socket import CarryOut, ControlSocket


def stop_signal() -> asyncio.Event:
    """What is set by SIGTERM and SIGINT from now on, which end nothing by themselves any more."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def listen(stack: AsyncExitStack, path: Path, carry_out: CarryOut) -> None:
    """Take orders at a control socket until the stack is left. Raises SocketUnusable."""
    control = ControlSocket(carry_out)
    await control.open(path)
    stack.push_async_callback(control.close)
