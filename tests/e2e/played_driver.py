"""A driver that a test plays frame by frame over a real gRPC stream.

Owns the stream, its hello and how it ended. What is said on it is the test's.
"""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from infinireach.driver.v1 import driver_service_pb2_grpc
from tests.driver_frames import Request, Response, device_description, hello_frame
from tests.e2e.gateway import WAIT_S_MAX, new_id
from tests.fakes.rpc_outcome import Refusal


def new_number() -> str:
    """A number that no device has: one that was offered keeps its device."""
    return f"+1555{secrets.randbelow(10**9):09d}"


def hello(**changes: Any) -> Request:
    """A hello of a driver and a journal that nobody had before."""
    unique = new_id()
    values = {"driver_name": f"driver-{unique}", "journal_id": unique, "instance_id": unique}
    devices = changes.pop("devices", (device_description("modem-1", new_number()),))
    frame = hello_frame(*devices, **values | changes)
    if not devices:
        frame.hello.ClearField("devices")
    return frame


class PlayedDriver:
    """The driver's end of one stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._received: AsyncIterator[Response] = aiter(stream)
        self.frames: list[Response] = []

    async def send(self, *frames: Request) -> None:
        """Send frames, as far as the stream is still open."""
        for frame in frames:
            try:
                await self._stream.write(frame)
            except (grpc.aio.AioRpcError, grpc.aio.UsageError):
                return

    async def frame(self, kind: str) -> Response:
        """The next frame of a kind."""
        async for frame in self._received:
            self.frames.append(frame)
            if frame.WhichOneof("frame") == kind:
                return frame
        raise AssertionError(f"the stream ended before a frame {kind}")

    async def end(self) -> Refusal:
        """How the core ended the stream; frames before that are kept."""
        try:
            async for frame in self._received:
                self.frames.append(frame)
        except grpc.aio.AioRpcError as error:
            return Refusal(error)
        raise AssertionError("the core ended the stream without an error")

    def rejections(self) -> list[str]:
        """The reasons for which facts were put aside."""
        kinds = (frame for frame in self.frames if frame.WhichOneof("frame") == "fact_rejected")
        return [frame.fact_rejected.reason for frame in kinds]


@asynccontextmanager
async def played_driver(
    target: str, token: str | None, frames: Iterable[Request] = ()
) -> AsyncGenerator[PlayedDriver]:
    """A stream with a token, or with none, on which `frames` were sent; it is over after a while in any case."""
    metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
    async with grpc.aio.insecure_channel(target) as channel:
        stub = driver_service_pb2_grpc.DriverServiceStub(channel)
        stream = stub.Connect(metadata=metadata, timeout=WAIT_S_MAX)
        driver = PlayedDriver(stream)
        try:
            await driver.send(*frames)
            yield driver
        finally:
            stream.cancel()
