"""Calls to the core: credential, deadlines, batches, repetition, and what its errors become.

Owns what a call means; where it goes is told by rest_facade.cores. No other module of the facade imports gRPC.
Must not know JSON or HTTP.

Whether a failed call was applied decides what the caller is told. An error that carries the core's ErrorInfo is
the core's own word. Without it, UNAVAILABLE for want of a connection was never sent; everything else may have been.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from infinireach.v1 import account_pb2, accounts_service_pb2, messages_service_pb2
from rest_facade import errors, rpcs
from rest_facade.batching import Batcher, BatchLimits
from rest_facade.config import Settings
from rest_facade.cores import Core, Cores
from rest_facade.credential import ServiceCredential
from rest_facade.errors import ApiError
from rest_facade.rpcs import Request, Response, Rpc

BatchItem = messages_service_pb2.BatchCreateMessagesRequest.Item
BatchResult = messages_service_pb2.BatchCreateMessagesResponse.Result
Metadata = tuple[tuple[str, str], ...]

READY_WAIT_S = 0.5
PARALLEL_MESSAGES_MIN = 32
"""Messages that must wait before a second call begins beside the first. A few are cheaper in the next call; so many
need not wait until the first one is on the disk."""
BATCH_BYTES_MAX = 6 * 1024 * 1024
"""Bytes of messages in one call: the core reads 8 MiB."""
MESSAGE_BYTES_MAX = 20 * 1024
"""Bytes that a message has at most: a text of 4096 code points or components of 16 KiB, and what belongs to it."""
READY_CHECK_S = 1.0
"""How long the cores, asked all at once, may take to say that they serve and take the credential."""
FIRST_DEADLINE_SHARE = 0.5
"""What a call that may go to another core waits for the first one, as a share of its usual time."""
DETAILS_KEY = "grpc-status-details-bin"
NEVER_SENT = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "errors resolving ",
)
"""How gRPC's sentence begins for a call that found no connection: to one core, to none of several, to no address."""
CREDENTIAL_REFUSED = "SERVICE_CREDENTIAL_REFUSED"
"""The core's reason if the facade's own credential, not the caller's key, is the one that it refuses."""
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
"""The core's reason if the database went away in the middle of a commit."""
REFUSED = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
"""Statuses that a server gives before it does anything, also without ErrorInfo."""


class OnBehalf(Protocol):
    """For whom a call is made."""

    @property
    def tenant_id(self) -> str:
        """The tenant; empty for none."""
        ...

    @property
    def key_id(self) -> str:
        """The API key's public id; empty for none."""
        ...

    @property
    def request_id(self) -> str:
        """The request that causes it."""
        ...


class CoreFailure(Exception):
    """A failed call in the core's terms: status and reason by name, and whether it may have been applied."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(error.details() or error.code().name)
        self.status: str = error.code().name
        self.reason: str = ""
        self.sentence: str = error.details() or ""
        self.violations: list[tuple[str, str]] = []
        self._read_details(error)
        self.never_sent: bool = self.status == "UNAVAILABLE" and self.sentence.startswith(NEVER_SENT)
        self.missed_deadline: bool = self.status == "DEADLINE_EXCEEDED" and not self.reason
        is_refused = self.reason not in ("", OUTCOME_UNKNOWN) or error.code() in REFUSED
        self.maybe_applied: bool = not (is_refused or self.never_sent)

    def _read_details(self, error: grpc.aio.AioRpcError) -> None:
        for key, value in error.trailing_metadata() or ():
            if key == DETAILS_KEY and isinstance(value, bytes):
                try:
                    self._read_status(status_pb2.Status.FromString(value))
                except DecodeError:
                    return

    def _read_status(self, status: status_pb2.Status) -> None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            bad_request = error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason = info.reason
            elif detail.Unpack(bad_request):
                self.violations = [(fault.field, fault.description) for fault in bad_request.field_violations]

    def as_api_error(self) -> ApiError:
        """What the caller is told if nothing better is known."""
        return errors.from_core(
            status=self.status, reason=self.reason, sentence=self.sentence, violations=self.violations
        )


class CoreClient:
    """Calls the cores. `open` in the loop that is going to use it, `close` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._credential = ServiceCredential(settings)
        self._cores = Cores(settings)
        self.batcher: Batcher[BatchItem, BatchResult] = Batcher(
            self._create_messages,
            BatchLimits(
                queue_items_max=settings.queue_messages_max,
                batch_items_max=settings.batch_messages_max,
                in_flight_max=settings.batches_in_flight_max,
                parallel_items_min=min(PARALLEL_MESSAGES_MIN, settings.batch_messages_max),
                wait_max_s=settings.core_timeout_s,
                batch_weight_max=BATCH_BYTES_MAX,
                item_weight_max=MESSAGE_BYTES_MAX,
            ),
            weigh=BatchItem.ByteSize,
        )

    async def open(self) -> None:
        """Begin to connect; does not wait for it. Raises OSError if a file of the TLS settings cannot be read."""
        self._cores.open()

    async def close(self) -> None:
        """Let what is in flight finish, then disconnect."""
        await self.batcher.finish()
        await self._cores.close()

    async def call(self, rpc: Rpc[Request, Response], request: Request, behalf: OnBehalf) -> Response:
        """Make one call. Raises ApiError; `outcome_unknown` if it may have been applied.

        A call that was not sent, and a repeatable one that was lost, is made once more when the core is back; a
        repeatable one whose first deadline passed is made once more of another core.
        """
        try:
            return await self._persistent(rpc, request, _behalf_metadata(behalf))
        except CoreFailure as failure:
            if failure.maybe_applied and not rpc.repeatable:
                raise ApiError("outcome_unknown") from failure
            raise failure.as_api_error() from failure

    async def resolve_api_key(self, key: str, request_id: str) -> account_pb2.ApiKey | None:
        """The key's record; None if the core does not accept the key. Raises ApiError if it cannot be asked."""
        request = accounts_service_pb2.ResolveApiKeyRequest(key=key)
        try:
            answer = await self._persistent(rpcs.RESOLVE_API_KEY, request, (("x-request-id", request_id),))
        except CoreFailure as failure:
            if failure.status == "UNAUTHENTICATED" and failure.reason != CREDENTIAL_REFUSED:
                return None
            raise failure.as_api_error() from failure
        return answer.api_key

    async def is_ready(self) -> bool:
        """Whether a core says that it serves, and takes the credential; a new connection gets a moment."""
        if not self._credential.value:
            return False
        try:
            async with asyncio.timeout(READY_WAIT_S):
                await self._cores.ready.wait()
        except TimeoutError:
            return False
        checks = [asyncio.ensure_future(self._may_use(core)) for core in self._cores]
        try:
            for answer in asyncio.as_completed(checks, timeout=READY_CHECK_S):
                if await answer:
                    return True
        except TimeoutError:
            return False
        else:
            return False
        finally:
            for check in checks:
                check.cancel()

    async def _may_use(self, core: Core) -> bool:
        """Whether the core serves and takes the credential; it is asked that only if no call has told yet.

        The question is whose an empty key is: a core that takes the credential says, without its database, nobody's.
        """
        if not await core.serves():
            return False
        while core.accepted != (shown := self._credential.value):
            with contextlib.suppress(CoreFailure):
                request = accounts_service_pb2.ResolveApiKeyRequest()
                await self._attempt(core, rpcs.RESOLVE_API_KEY, request, (), timeout_s=READY_CHECK_S)
            if core.accepted != shown:
                self._credential.refresh()
                if self._credential.value == shown:
                    return False
        return True

    async def _create_messages(self, items: list[BatchItem]) -> Sequence[BatchResult]:
        """What the batcher sends with: `outcome_unknown` if the batch may have been applied."""
        request = messages_service_pb2.BatchCreateMessagesRequest(items=items)
        try:
            answer = await self._persistent(rpcs.BATCH_CREATE_MESSAGES, request, ())
        except CoreFailure as failure:
            if failure.maybe_applied:
                raise ApiError("outcome_unknown") from failure
            raise failure.as_api_error() from failure
        return answer.results

    async def _persistent(
        self, rpc: Rpc[Request, Response], request: Request, metadata: Metadata
    ) -> Response:
        """Call, and again if the call was not sent, was lost but is repeatable, or the credential is new.

        Once more for each core: the next one may be as dead as the first, but not yet known to be, or know the
        credential that is new to the first. A core that does not answer costs a repeatable call half of its time once,
        if there is another core.
        """
        timeout_s = self._settings.core_timeout_s + rpc.takes_s
        failed: Core | None = None
        for _ in range(len(self._cores)):
            await self._wait_until_ready()
            core = self._cores.pick(failed)
            may_turn = failed is None and rpc.repeatable
            share = FIRST_DEADLINE_SHARE if may_turn and self._cores.has_another(core) else 1.0
            try:
                return await self._attempt(core, rpc, request, metadata, timeout_s=timeout_s * share)
            except CoreFailure as failure:
                turns = may_turn and failure.missed_deadline and self._cores.has_another(core)
                if not turns and not self._worth_repeating(rpc, failure):
                    raise
                failed = core
        await self._wait_until_ready()
        return await self._attempt(self._cores.pick(failed), rpc, request, metadata, timeout_s=timeout_s)

    def _worth_repeating(self, rpc: Rpc[Request, Response], failure: CoreFailure) -> bool:
        if failure.status == "UNAUTHENTICATED":
            another_may_take_it = failure.reason == CREDENTIAL_REFUSED and len(self._cores) > 1
            return self._credential.refresh() or another_may_take_it
        lost = failure.maybe_applied and failure.status == "UNAVAILABLE"
        return failure.never_sent or (lost and rpc.repeatable)

    async def _attempt(
        self,
        core: Core,
        rpc: Rpc[Request, Response],
        request: Request,
        metadata: Metadata,
        *,
        timeout_s: float,
    ) -> Response:
        method = core.callable(rpc.path, rpc.request.SerializeToString, rpc.response.FromString)
        call = cast("Callable[..., Awaitable[Response]]", method)
        credential = self._credential.value
        authorization = (("authorization", f"Bearer {credential}"),)
        try:
            answer = await call(request, timeout=timeout_s, metadata=authorization + metadata)
        except grpc.aio.AioRpcError as error:
            failure = CoreFailure(error)
            if failure.missed_deadline:
                core.note_missed_deadline()
            elif failure.reason:
                core.note_answer()
                core.accepted = "" if failure.reason == CREDENTIAL_REFUSED else credential
            raise failure from None
        core.note_answer()
        core.accepted = credential
        return answer

    async def _wait_until_ready(self) -> None:
        """Return at once if connected; otherwise give a restarting core its grace. Raises ApiError."""
        if self._cores.ready.is_set():
            return
        try:
            async with asyncio.timeout(self._settings.core_grace_s):
                await self._cores.ready.wait()
        except TimeoutError:
            raise ApiError("unavailable") from None


def _behalf_metadata(behalf: OnBehalf) -> Metadata:
    return (
        ("x-tenant-id", behalf.tenant_id),
        ("x-api-key-id", behalf.key_id),
        ("x-request-id", behalf.request_id),
    )
