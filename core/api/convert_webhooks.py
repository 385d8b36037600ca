"""Endpoints, deliveries and events: rows to proto. Owns that one conversion; no rules."""

from collections.abc import Mapping

from core.api.convert_messages import timestamp
from core.delivery.sender import AttemptResult
from core.delivery.subscriptions import body_under
from core.store.rows import AttemptRow, DeliveryRow, EventRow, WebhookRow
from infinireach.v1 import event_pb2, webhook_pb2

STATES = {
    webhook_pb2.DELIVERY_STATE_PENDING: "pending",
    webhook_pb2.DELIVERY_STATE_DELIVERED: "delivered",
    webhook_pb2.DELIVERY_STATE_DEAD: "dead",
    webhook_pb2.DELIVERY_STATE_PAUSED: "paused",
    webhook_pb2.DELIVERY_STATE_SKIPPED: "skipped",
}
_STATE_NUMBERS = {word: number for number, word in STATES.items()}


def webhook(row: WebhookRow) -> webhook_pb2.Webhook:
    """An endpoint without its secret."""
    return webhook_pb2.Webhook(
        id=row.id,
        url=row.url,
        events=row.events.split(),
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        timeout_s=row.timeout_s,
        ordered=row.ordered,
        create_time=timestamp(row.created_ms),
        update_time=timestamp(row.updated_ms),
        description=row.description,
    )


def delivery(row: DeliveryRow) -> webhook_pb2.Delivery:
    """A delivery. One of an ordered endpoint waits for its retry behind a lease that nobody has."""
    next_ms = max(row.due_ms, row.lease_until_ms or 0) if row.lease_token is None else row.due_ms
    return webhook_pb2.Delivery(
        id=row.id,
        event_id=row.event_id,
        event_type=row.event_type,
        webhook_id=row.webhook_id,
        state=_STATE_NUMBERS[row.state],
        attempts=row.attempts,
        next_attempt_time=timestamp(next_ms if row.state == "pending" else None),
        create_time=timestamp(row.created_ms),
        finish_time=timestamp(row.finished_ms),
        message_id=row.message_id or "",
    )


def attempt(row: AttemptRow) -> webhook_pb2.DeliveryAttempt:
    """An attempt with the beginning of the answer."""
    return webhook_pb2.DeliveryAttempt(
        number=row.number,
        time=timestamp(row.at_ms),
        status=row.status,
        error=row.error,
        duration_ms=row.duration_ms,
        response=row.response,
    )


def attempt_of_test(result: AttemptResult, at_ms: int) -> webhook_pb2.DeliveryAttempt:
    """How a test went, without anything of the answer's body."""
    return webhook_pb2.DeliveryAttempt(
        number=1,
        time=timestamp(at_ms),
        status=result.status or 0,
        error=result.error_class.value if result.error_class else "",
        duration_ms=result.duration_ms,
    )


def event(row: EventRow, names: Mapping[str, str]) -> event_pb2.Event:
    """An event, under the name that the reader chose for its type if it chose one."""
    name = names.get(row.type, row.type)
    return event_pb2.Event(
        id=row.id, type=name, create_time=timestamp(row.created_ms), body=body_under(name, row.body)
    )
