"""Calls of WebhooksService through the facade's credential, and deliveries to look at.

Knows no assertion.
"""

from typing import Any

from sqlalchemy.orm import Session

from core import events
from core.ids import new_id
from core.store.rows import AttemptRow, DeliveryRow
from infinireach.v1 import webhook_pb2
from infinireach.v1 import webhooks_service_pb2 as pb
from tests.fakes.core_apis import CoreApis
from tests.fakes.database import TENANT_A
from tests.fakes.set_clock import START_MS

URL = "https://example.com/hook?token=1"


async def call(apis: CoreApis, method: str, request: Any, tenant_id: str = TENANT_A) -> Any:
    """Call a method for a tenant."""
    return await apis.call(f"webhooks.{method}", request, apis.service(tenant_id))


async def create(apis: CoreApis, tenant_id: str = TENANT_A, **fields: Any) -> pb.CreateWebhookResponse:
    """Make an endpoint."""
    given: dict[str, Any] = {"url": URL} | fields
    return await call(apis, "CreateWebhook", pb.CreateWebhookRequest(webhook=given), tenant_id)


def add_deliveries(session: Session, webhook_id: str, states: list[str]) -> list[str]:
    """Deliveries of tenant A in these states, each with one failed attempt; answers their ids."""
    ids: list[str] = []
    for state in states:
        event = events.new_event("message.sent", tenant_id=TENANT_A, at_ms=START_MS, data={})
        events.append(session, [event])
        row = DeliveryRow(
            id=new_id(START_MS),
            tenant_id=TENANT_A,
            webhook_id=webhook_id,
            event_id=event["id"],
            event_type="message.sent",
            message_id="d" * 24,
            state=state,
            attempts=1,
            due_ms=START_MS + 5000,
            created_ms=START_MS,
        )
        session.add(row)
        session.add(
            AttemptRow(
                delivery_id=row.id,
                number=1,
                at_ms=START_MS,
                status=500,
                error="",
                duration_ms=3,
                response="Oops",
            )
        )
        ids.append(row.id)
    return ids


async def deliveries(apis: CoreApis, webhook_id: str, **fields: Any) -> Any:
    """List deliveries of an endpoint of tenant A."""
    return await call(apis, "ListDeliveries", pb.ListDeliveriesRequest(webhook_id=webhook_id, **fields))


async def states(apis: CoreApis, webhook_id: str) -> list[str]:
    """The states of an endpoint's deliveries, oldest first."""
    listed = (await deliveries(apis, webhook_id)).deliveries
    return [webhook_pb2.DeliveryState.Name(row.state).removeprefix("DELIVERY_STATE_") for row in listed][::-1]
