"""Deliveries: one event on its way to one endpoint.

Owns the handlers under /api/v1/deliveries and what documents them.
"""

from infinireach.v1 import webhooks_service_pb2
from rest_facade import parse, render, rpcs
from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.route import Route, Success
from rest_facade.wire import Answer


async def show(call: Call) -> Answer:
    """One delivery with every attempt."""
    request = webhooks_service_pb2.GetDeliveryRequest(delivery_id=parse.record_id(call.path["deliveryId"]))
    answer = await call.core.call(rpcs.GET_DELIVERY, request, call)
    attempts = [render.attempt(attempt, with_response=True) for attempt in answer.attempts]
    return json_answer(
        200, {"success": True, "delivery": render.delivery(answer.delivery), "attempts": attempts}
    )


async def redeliver(call: Call) -> Answer:
    """Make a delivery due now."""
    request = webhooks_service_pb2.RedeliverDeliveryRequest(
        delivery_id=parse.record_id(call.path["deliveryId"])
    )
    answer = await call.core.call(rpcs.REDELIVER_DELIVERY, request, call)
    return json_answer(200, {"success": True, "delivery": render.delivery(answer.delivery)})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/deliveries/{deliveryId}",
        handler=show,
        operation="getDelivery",
        tag="Webhooks",
        summary="Look at a delivery",
        description="With every attempt and the beginning of what the endpoint answered.",
        scope="webhooks",
        success={200: Success("The delivery.", "DeliveryDetail")},
        errors=("not_found",),
    ),
    Route(
        method="POST",
        path="/api/v1/deliveries/{deliveryId}/redeliver",
        handler=redeliver,
        operation="redeliverDelivery",
        tag="Webhooks",
        summary="Deliver again",
        description="Makes a delivery due now, whatever its status: the same event id, the same bytes.",
        scope="webhooks",
        success={200: Success("The delivery as it is now.", "DeliveryAnswer")},
        errors=("not_found", "outcome_unknown"),
    ),
)
