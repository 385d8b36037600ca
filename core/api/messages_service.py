"""MessagesService: accept messages, look at them.

Owns the walk of one call: validate, one use case, convert. The rules are in core.messages and core.api.validate.
"""

# ruff: noqa: N802 - methods are named as in the proto

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from core import messages
from core.api import convert_messages as convert
from core.api import paging, validate
from core.api.guard import Caller, Identity, rpc
from core.clock import Clock
from core.errors import FieldViolation, InfiniReachError, InvalidArgument
from core.ids import is_id
from core.messages import Accepted, NewMessage
from core.segments import unicode_characters
from core.sessions.dispatcher import Dispatcher
from core.store import messages as queries
from core.store.engine import Store
from infinireach.v1 import message_pb2
from infinireach.v1 import messages_service_pb2 as pb
from infinireach.v1 import messages_service_pb2_grpc as pb_grpc

Outcome = Accepted | InfiniReachError

TIMELINE_ENTRIES_MAX = 1000
"""Steps in one answer; of more the newest are told, and that there were others."""

TIMELINE_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of the steps in one answer, far below what callers take."""


class MessagesService(pb_grpc.MessagesServiceServicer):
    """See messages_service.proto."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        clock: Clock,
        *,
        dispatcher: Dispatcher,
        wake_relay: Callable[[], None],
        ttl_s: int,
    ) -> None:
        self.identity = identity
        self._store = store
        self._clock = clock
        self._dispatcher = dispatcher
        self._wake_relay = wake_relay
        self._ttl_ms = ttl_s * 1000

    @rpc(scope="messages:send")
    async def CreateMessage(
        self, request: pb.CreateMessageRequest, caller: Caller
    ) -> pb.CreateMessageResponse:
        """Accepts one message."""
        new = validate.new_message(request.message, caller.tenant_id)
        (outcome,) = await self._accept([new])
        if isinstance(outcome, InfiniReachError):
            raise outcome
        return pb.CreateMessageResponse(message_id=outcome.message_id, created=outcome.created)

    @rpc(scope="messages:send", tenantless=True)
    async def BatchCreateMessages(
        self, request: pb.BatchCreateMessagesRequest, caller: Caller
    ) -> pb.BatchCreateMessagesResponse:
        """Accepts many messages; one that is refused leaves the others alone."""
        if not 1 <= len(request.items) <= messages.BATCH_MAX:
            raise InvalidArgument([FieldViolation("items", f"must be 1 to {messages.BATCH_MAX}")])
        outcomes: list[Outcome | NewMessage] = [_read_item(item, caller) for item in request.items]
        valid = [outcome for outcome in outcomes if isinstance(outcome, NewMessage)]
        accepted = iter(await self._accept(valid) if valid else ())
        settled = [next(accepted) if isinstance(outcome, NewMessage) else outcome for outcome in outcomes]
        refused = sum(isinstance(outcome, InfiniReachError) for outcome in settled)
        caller.count(items=len(settled), refused=refused)
        return pb.BatchCreateMessagesResponse(results=map(_result, settled))

    @rpc(scope="messages:send")
    async def PreviewMessage(
        self, request: pb.PreviewMessageRequest, caller: Caller
    ) -> pb.PreviewMessageResponse:
        """Counts a text; stores nothing."""
        new = validate.new_message(request.message, caller.tenant_id)
        device_id = await self._store.read(messages.owner_of, new)
        counted = messages.count(new.channel, new.text)
        return pb.PreviewMessageResponse(
            encoding=convert.encoding(counted.encoding),
            segments=counted.segments,
            units=counted.units,
            unicode_characters=unicode_characters(new.text) if counted.encoding == "ucs2" else [],
            device_id=device_id,
        )

    @rpc(scope="messages:read")
    async def GetMessage(self, request: pb.GetMessageRequest, caller: Caller) -> pb.GetMessageResponse:
        """One message."""
        message_id = validate.id_of("message", "message_id", request.message_id)
        row = await self._store.read(messages.get, caller.tenant_id, message_id)
        return pb.GetMessageResponse(message=convert.message(row))

    @rpc(scope="messages:read")
    async def ListMessages(self, request: pb.ListMessagesRequest, caller: Caller) -> pb.ListMessagesResponse:
        """One page, newest first."""
        validate.list_messages(request)
        limit = paging.page_size(request.page_size)
        wanted = convert.message_filter(request, paging.decode(request.page_token))
        rows, before_id = await self._store.read(messages.list_messages, caller.tenant_id, wanted, limit)
        return pb.ListMessagesResponse(
            messages=map(convert.message, rows),
            next_page_token=paging.encode(before_id) if before_id else "",
        )

    @rpc(scope="messages:read")
    async def GetMessageTimeline(
        self, request: pb.GetMessageTimelineRequest, caller: Caller
    ) -> pb.GetMessageTimelineResponse:
        """The newest steps, oldest first, as many as one answer takes."""
        message_id = validate.id_of("message", "message_id", request.message_id)
        entries = await self._store.read(_timeline, caller.tenant_id, message_id)
        return pb.GetMessageTimelineResponse(entries=entries)

    @rpc(scope="messages:send")
    async def CancelMessage(
        self, request: pb.CancelMessageRequest, caller: Caller
    ) -> pb.CancelMessageResponse:
        """Withdraws a waiting message."""
        message_id = validate.id_of("message", "message_id", request.message_id)
        row = await self._store.run(messages.cancel, caller.tenant_id, message_id, self._clock.now_ms())
        self._wake_relay()
        return pb.CancelMessageResponse(message=convert.message(row))

    async def _accept(self, new: Sequence[NewMessage]) -> list[Outcome]:
        outcomes = await self._store.run(messages.accept, new, self._clock.now_ms(), self._ttl_ms)
        self._dispatcher.accepted({o.device_id for o in outcomes if isinstance(o, Accepted) and o.created})
        return outcomes


def _read_item(item: pb.BatchCreateMessagesRequest.Item, caller: Caller) -> NewMessage | InfiniReachError:
    try:
        tenant_id = item.tenant_id or caller.tenant_id
        if not is_id(tenant_id) or (item.tenant_id and not caller.is_service):
            raise InvalidArgument([FieldViolation("tenant_id", "only a service names it, and it must")])
        return validate.new_message(item.message, tenant_id)
    except InvalidArgument as error:
        return error


def _result(outcome: Outcome) -> pb.BatchCreateMessagesResponse.Result:
    if isinstance(outcome, Accepted):
        return pb.BatchCreateMessagesResponse.Result(message_id=outcome.message_id, created=outcome.created)
    error = pb.ItemError(reason=outcome.reason, message=outcome.message)
    if isinstance(outcome, InvalidArgument):
        error.reason = "INVALID_MESSAGE"
        for violation in outcome.violations:
            error.field_violations.add(field=violation.field, description=violation.description)
    return pb.BatchCreateMessagesResponse.Result(error=error)


def _timeline(session: Session, tenant_id: str, message_id: str) -> list[message_pb2.TimelineEntry]:
    row = messages.get(session, tenant_id, message_id)
    first = [convert.accepted_step(row)] if row.direction == "outbound" else []
    one_too_many = TIMELINE_ENTRIES_MAX + 1
    steps = [convert.step(step) for step in queries.timeline_of(session, message_id, one_too_many)]
    attempts = queries.webhook_attempts_of(session, message_id, one_too_many)
    told = [convert.attempt_step(*attempt) for attempt in attempts]
    entries = sorted([*reversed(steps), *reversed(told)], key=_time_of)
    shown = _newest(entries)
    if len(shown) < len(entries):
        first.append(convert.shortened_step(shown[0]))
    return sorted([*first, *shown], key=_time_of)


def _time_of(entry: message_pb2.TimelineEntry) -> tuple[int, int]:
    return entry.time.seconds, entry.time.nanos


def _newest(entries: list[message_pb2.TimelineEntry]) -> list[message_pb2.TimelineEntry]:
    """As many of the last ones as one answer takes, and at least one."""
    room = TIMELINE_BYTES_MAX
    count = 0
    for entry in reversed(entries[-TIMELINE_ENTRIES_MAX:]):
        room -= entry.ByteSize()
        if room < 0 and count:
            break
        count += 1
    return entries[len(entries) - count :]
