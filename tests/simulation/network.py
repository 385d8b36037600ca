"""The network between drivers and cores: streams whose frames are late, in flight, lost at the end, or stuck.

Owns what a broken link looks like from each side. A stream keeps the order of its frames, as TCP does: a cut loses
the last ones, and each side learns of it at once, later, or never. Frames travel as bytes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import grpc
from grpc import aio

from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from tests.simulation.virtual_time import TIE_S

IN_FLIGHT_MAX = 16
"""Frames of one direction on their way or unread; past it a writer waits, as under HTTP/2's flow control."""

Latency = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended, as the driver sees it."""

    code: grpc.StatusCode
    details: str = ""
    metadata: tuple[tuple[str, bytes], ...] = ()

    def as_error(self) -> aio.AioRpcError:
        """What gRPC raises."""
        return aio.AioRpcError(
            self.code,
            initial_metadata=aio.Metadata(),
            trailing_metadata=aio.Metadata(*self.metadata),
            details=self.details,
        )


@dataclass(frozen=True, slots=True)
class LeftInOrder:
    """The driver has closed its side."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The stream broke, as the core sees it."""


End = Ended | LeftInOrder | Reset
LOST = Ended(grpc.StatusCode.UNAVAILABLE, "The connection was lost.")


class Pipe:
    """One direction of a stream."""

    def __init__(self, latency: Latency, on_end: Callable[[End], None]) -> None:
        self._latency = latency
        self._on_end = on_end
        self._in_flight: deque[bytes | End] = deque()
        self._arrived: deque[bytes | End] = deque()
        self._moved = asyncio.Event()
        self._last_at_s = 0.0
        self._is_silent = False
        self._stuck = 0
        self.end: End | None = None
        """Set once no frame follows any more."""

    async def write(self, data: bytes) -> None:
        """Send; waits while too much is on its way."""
        while self.end is None and self._unread() >= IN_FLIGHT_MAX:
            self._moved.clear()
            await self._moved.wait()
        if self._is_silent:
            self._stuck += 1
        elif self.end is None:
            self._send(data)

    def finish(self, end: End) -> None:
        """End the direction behind what is on its way."""
        if not self._is_silent:
            self._send(end)

    def break_off(self, end: End) -> None:
        """End the direction at once: what is on its way or unread is lost."""
        if self.end is None:
            self._in_flight.clear()
            self._arrived.clear()
            self._arrive_now(end)

    def lose(self, count: int) -> None:
        """The last frames on their way never arrive, and from now on nothing else does."""
        self._is_silent = True
        for _ in range(min(count, len(self._in_flight))):
            self._in_flight.pop()

    def on_its_way(self) -> int:
        """Frames that were sent and did not arrive yet."""
        return len(self._in_flight)

    def _unread(self) -> int:
        return len(self._in_flight) + len(self._arrived) + self._stuck

    async def read(self) -> bytes | End:
        """The next frame, or the end, again and again."""
        while not self._arrived and self.end is None:
            self._moved.clear()
            await self._moved.wait()
        if not self._arrived:
            assert self.end is not None
            return self.end
        item = self._arrived.popleft()
        self._moved.set()
        return item

    def _send(self, item: bytes | End) -> None:
        self._in_flight.append(item)
        loop = asyncio.get_running_loop()
        self._last_at_s = max(self._last_at_s + TIE_S, loop.time() + self._latency())
        loop.call_at(self._last_at_s, self._arrive)

    def _arrive(self) -> None:
        if self._in_flight and self.end is None:
            self._arrive_now(self._in_flight.popleft())

    def _arrive_now(self, item: bytes | End) -> None:
        if isinstance(item, bytes):
            self._arrived.append(item)
        else:
            self.end = item
            self._on_end(item)
        self._moved.set()


class Stream:
    """One Connect call, seen from outside."""

    def __init__(self, driver: str, latency: Latency) -> None:
        self.driver = driver
        self.up = Pipe(latency, self._ended_upwards)
        self.down = Pipe(latency, lambda _: None)
        self.core_task: asyncio.Task[None] | None = None
        self.journal_id = ""
        """From its hello."""
        self.last_sequence = 0
        """From its hello."""

    def is_open(self) -> bool:
        """Whether either side still believes in it."""
        return self.up.end is None or self.down.end is None

    def _ended_upwards(self, end: End) -> None:
        if self.core_task is not None and not isinstance(end, LeftInOrder):
            self.core_task.cancel()  # what gRPC does to a handler whose caller is gone


class Call:
    """The driver's end of a stream, as gRPC shows it."""

    def __init__(self, opening: "asyncio.Future[Stream]") -> None:
        self._opening = opening
        self._stream: Stream | None = None
        self._is_cancelled = False
        self._is_over = False

    async def _opened(self) -> Stream:
        if self._stream is None:
            self._stream = await asyncio.shield(self._opening)
        stream = self._stream
        assert stream is not None
        return stream

    async def read(self) -> Any:
        """A frame, or EOF. Raises AioRpcError if the stream failed, CancelledError if it was cancelled here."""
        if self._is_cancelled:
            raise asyncio.CancelledError
        item = await (await self._opened()).down.read()
        if isinstance(item, bytes):
            return ConnectResponse.FromString(item)
        self._is_over = True
        if self._is_cancelled:
            raise asyncio.CancelledError
        assert isinstance(item, Ended)
        if item.code is grpc.StatusCode.OK:
            return aio.EOF  # pyright: ignore[reportAttributeAccessIssue] - not in the published types
        raise item.as_error()

    async def write(self, frame: ConnectRequest) -> None:
        """Send a frame."""
        stream = await self._opened()
        if self._is_over or self._is_cancelled:
            raise asyncio.InvalidStateError("The call is over.")
        await stream.up.write(frame.SerializeToString())

    async def done_writing(self) -> None:
        """Close this side."""
        (await self._opened()).up.finish(LeftInOrder())

    def cancel(self) -> bool:
        """End the call; the core learns of it when the link lets it."""
        if self._is_over or self._is_cancelled:
            return False
        self._is_cancelled = True
        if self._stream is None:
            self._opening.cancel()
        else:
            self._stream.up.finish(Reset())
            self._stream.down.break_off(Ended(grpc.StatusCode.CANCELLED))
        return True

    def cancelled(self) -> bool:
        """Whether `cancel` ended it."""
        return self._is_cancelled


class Channel:
    """A channel whose calls go through the simulated network."""

    def __init__(self, connect: Callable[[], "asyncio.Future[Stream]"]) -> None:
        self._connect = connect

    async def __aenter__(self) -> "Channel":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def stream_stream(self, *_: object, **__: object) -> Callable[..., Call]:
        """What a generated stub asks for."""
        return lambda **_: Call(self._connect())

    def as_grpc(self) -> aio.Channel:
        """As the client's type."""
        return cast(aio.Channel, self)
