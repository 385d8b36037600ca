"""DriverService: runs a driver's session and ends the stream once.

Owns how many streams may open at a time, when those that may not should come again, and the status that a stream ends
with. Who opens one is told by
core.api.driver_identity; what happens in between is the session's.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog
from grpc_status import rpc_status

from core.api.driver_identity import DriverIdentity
from core.api.identity import request_id, text_of
from core.api.status import status_of
from core.errors import InfiniReachError, TooManyOpening, Unavailable
from core.sessions.session import DriverSession, SessionDependencies
from infinireach.driver.v1 import driver_service_pb2, driver_service_pb2_grpc

log = structlog.get_logger()

Context = Any
"""grpc.aio.ServicerContext; its published types lack what is used here."""

STREAMS_OPENING_MAX = 1000
"""Streams that have not said hello, or are about to end; each may hold a frame as large as gRPC allows."""

OPENINGS_PER_S = 300
"""Drivers that are told to come in one second: what a core opens beside its other work."""

AWAY_S_MIN = 1.0
AWAY_S_MAX = 60.0
"""How long a driver may be told to wait."""

END_OF_STREAM: Any = grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue] - not in the published types


class Door:
    """What the listeners of one core share: how many streams there are, and whether and when new ones may come."""

    def __init__(self) -> None:
        self.streams = 0
        self.is_closed = False
        self._turn_s = 0.0

    def check(self, open_streams: int, now_s: float) -> None:
        """Raises Unavailable if the core is about to stop, TooManyOpening if too many streams open already.

        Drivers that are turned away get turns one after the other, so that they do not come back as one.
        """
        if self.is_closed:
            raise Unavailable("The core is about to stop; connect again.")
        if self.streams - open_streams >= STREAMS_OPENING_MAX:
            turn_s = max(self._turn_s, now_s + AWAY_S_MIN) + 1 / OPENINGS_PER_S
            self._turn_s = min(turn_s, now_s + AWAY_S_MAX)
            raise TooManyOpening(self._turn_s - now_s)


class DriverService(driver_service_pb2_grpc.DriverServiceServicer):
    """Serves driver streams. Written as a coroutine with one reader and one writer: a generator could write only
    when it yields."""

    def __init__(self, shared: SessionDependencies, door: Door, identity: DriverIdentity) -> None:
        self._shared = shared
        self._door = door
        self._identity = identity

    async def Connect(  # noqa: N802 - the proto's name
        self, request_iterator: AsyncIterator[driver_service_pb2.ConnectRequest], context: Context
    ) -> None:
        """One stream is one session; see driver_service.proto."""
        error: InfiniReachError | None = None
        try:
            await self._serve(context)
        except InfiniReachError as ended:
            error = ended
        if error is not None:  # abort raises; nothing may follow it
            status = rpc_status.to_status(
                status_of(error, request_id(text_of(context.invocation_metadata() or ())))
            )
            await context.abort_with_status(status)

    async def _serve(self, context: Context) -> None:
        door = self._door
        door.check(len(self._shared.registry), self._shared.clock.monotonic_s())
        door.streams += 1
        try:
            await self._run_session(context)
        finally:
            door.streams -= 1

    async def _run_session(self, context: Context) -> None:
        token = await self._identity.authenticate(context)
        session = DriverSession(
            self._shared,
            tenant_id=token.tenant_id,
            token_id=token.id,
            read=lambda: _read(context),
            write=context.write,
        )
        await session.run()


async def _read(context: Context) -> driver_service_pb2.ConnectRequest | None:
    frame = await context.read()
    return None if frame is END_OF_STREAM else frame
