"""DriverService: authenticates a driver, runs its session, ends the stream once.

Owns the credential and the status that a stream ends with. What happens in between is the session's.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog
from grpc_status import rpc_status

from core import credentials
from core.accounts import find_driver_token, resolve_driver_token, use_is_due
from core.api.identity import AUTHORIZATION, request_id, text_of
from core.api.status import status_of
from core.credentials import DRIVER_TOKEN_PREFIX
from core.errors import InfiniReachError, Unauthenticated, Unavailable
from core.sessions.session import DriverSession, SessionDependencies
from infinireach.driver.v1 import driver_service_pb2, driver_service_pb2_grpc

log = structlog.get_logger()

Context = Any
"""grpc.aio.ServicerContext; its published types lack what is used here."""

STREAMS_OPENING_MAX = 1000
"""Streams that have not said hello, or are about to end; each may hold a frame as large as gRPC allows."""

END_OF_STREAM: Any = grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue] - not in the published types


class DriverService(driver_service_pb2_grpc.DriverServiceServicer):
    """Serves driver streams. Written as a coroutine with one reader and one writer: a generator could write only
    when it yields."""

    def __init__(self, shared: SessionDependencies) -> None:
        self._shared = shared
        self._streams = 0
        self.stopping = False

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
        if self.stopping:
            raise Unavailable("The core is about to stop; connect again.")
        if self._streams - len(self._shared.registry) >= STREAMS_OPENING_MAX:
            raise Unavailable("Too many drivers connect at the same time; connect again shortly.")
        self._streams += 1
        try:
            await self._run_session(context)
        finally:
            self._streams -= 1

    async def _run_session(self, context: Context) -> None:
        tenant_id, token_id = await self._authenticate(context)
        session = DriverSession(
            self._shared,
            tenant_id=tenant_id,
            token_id=token_id,
            read=lambda: _read(context),
            write=context.write,
        )
        await session.run()

    async def _authenticate(self, context: Context) -> tuple[str, str]:
        given = text_of(context.invocation_metadata() or ()).get(AUTHORIZATION, "")
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("A driver presents its token as `authorization: Bearer <token>`.")
        if credentials.parse(token.strip(), DRIVER_TOKEN_PREFIX) is None:
            raise Unauthenticated("The driver token is malformed.")
        shared = self._shared
        row = await shared.store.read(
            find_driver_token, token.strip()
        )  # strangers must not fill the writer's queue
        if use_is_due(row, shared.clock.now_ms()):
            await shared.store.run(resolve_driver_token, token.strip(), shared.clock.now_ms())
        return row.tenant_id, row.id


async def _read(context: Context) -> driver_service_pb2.ConnectRequest | None:
    frame = await context.read()
    return None if frame is END_OF_STREAM else frame
