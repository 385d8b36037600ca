"""A hook listener on a free port of this machine, and a desk that answers what comes in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from drivers.runtime.hooks import HookAnswer, HookListener, HookRequest

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1000
NEVER_S = 3600.0


class Desk:
    """Answers requests, and keeps them; `hold` makes it wait until `go_on` is set."""

    def __init__(self) -> None:
        self.requests: list[HookRequest] = []
        self.answer = HookAnswer(200, b"taken")
        self.error: Exception | None = None
        self.hold = False
        self.has_some = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, request: HookRequest) -> HookAnswer:
        self.requests.append(request)
        self.has_some.set()
        if self.hold:
            await self.go_on.wait()
        self.ended.set()
        if self.error is not None:
            raise self.error
        return self.answer


@asynccontextmanager
async def listening(desk: Desk) -> AsyncGenerator[HookListener]:
    """A listener with small limits."""
    listener = HookListener(desk, body_bytes_max=BODY_BYTES_MAX, requests_at_once=2)
    await listener.open(HOST, 0)
    yield listener
    desk.go_on.set()
    await listener.close()


def url(listener: HookListener, path: str = "/hook") -> str:
    return f"http://{HOST}:{listener.port}{path}"


async def said(listener: HookListener, request: bytes) -> bytes:
    """Everything that the listener answers to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer
