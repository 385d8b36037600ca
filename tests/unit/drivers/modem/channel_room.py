"""A channel with a peer at the far end of its port, for tests of the channel."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.modem.at.results import Unsolicited
from drivers.modem.link.channel import Channel
from tests.fakes.modem_peer import MemoryPort, ModemPeer

PDU = "0011000B915155214365F700000AE8329BFD06"
HANDED_OVER = PDU + "<SUB>"
LONG_S = 30.0
"""More than any test takes."""
SHORT_S = 0.02
SILENCE_S = 0.02
OK = b"\r\nOK\r\n"
PROMPT = b"\r\n> "


class Room:
    """A channel with a peer at the far end of its port."""

    def __init__(self, *, is_in_step: bool = True, prompt_timeout_s: float = LONG_S) -> None:
        self.peer = ModemPeer({"AT": OK, "AT+CSQ": b"\r\n+CSQ: 20,99\r\n" + OK, "AT+CMGS=18": PROMPT})
        self.port = MemoryPort(self.peer)
        self.said: list[Unsolicited] = []
        self.channel = Channel(
            self.port,
            on_unsolicited=self.take,
            name="one",
            prompt_timeout_s=prompt_timeout_s,
            barrier_timeout_s=LONG_S,
            silence_s=SILENCE_S,
            is_in_step=is_in_step,
        )
        self.was_prepared = asyncio.Event()
        self._news = asyncio.Event()

    def take(self, code: Unsolicited) -> None:
        self.said.append(code)
        self._news.set()

    async def until_said(self) -> Unsolicited:
        async with asyncio.timeout(LONG_S):
            await self._news.wait()
        return self.said[-1]

    async def ask(self, command: str = "AT+CSQ", *, timeout_s: float = LONG_S, **options: Any) -> list[str]:
        return list(await self.channel.execute(command, timeout_s=timeout_s, **options))

    async def submit(
        self, *, timeout_s: float = LONG_S, before_pdu: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        async def prepare() -> None:
            self.was_prepared.set()
            if before_pdu is not None:
                await before_pdu()

        return await self.channel.submit(tpdu_octets=18, pdu=PDU, timeout_s=timeout_s, before_pdu=prepare)


@asynccontextmanager
async def opened(**options: Any) -> AsyncGenerator[Room]:
    room = Room(**options)
    try:
        yield room
    finally:
        await room.channel.close()
        assert room.port.is_closed


async def never() -> None:
    await asyncio.Event().wait()


def running(awaitable: Awaitable[Any]) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(awaitable)


async def cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
