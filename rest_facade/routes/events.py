"""Events, pulled: the same that webhooks carry, for clients that were down or cannot be called.

Owns the handler of /api/v1/events and what documents it.
"""

from infinireach.v1 import webhooks_service_pb2
from rest_facade import render, rpcs
from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.field_tables import LIST_EVENTS_FIELDS
from rest_facade.fields import read_query
from rest_facade.route import Route, Success
from rest_facade.wire import Answer


async def show_list(call: Call) -> Answer:
    """Events after a cursor, in the order of their publication."""
    query = read_query(LIST_EVENTS_FIELDS, call.request.query_string)
    request = webhooks_service_pb2.ListEventsRequest(
        after=query.get("after", ""), types=query.get("types", []), page_size=query.get("limit", 0)
    )
    answer = await call.core.call(rpcs.LIST_EVENTS, request, call)
    events = [render.event(event) for event in answer.events]
    return json_answer(200, {"success": True, "events": events, "nextCursor": answer.next_cursor})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/events",
        handler=show_list,
        operation="listEvents",
        tag="Events",
        summary="Pull events",
        description="Oldest first. Keep `nextCursor` and send it as `after` the next time: nothing is missed and "
        "nothing comes twice. `payload` is the body that a webhook gets.",
        scope="messages:read",
        query=LIST_EVENTS_FIELDS,
        success={200: Success("A page; `nextCursor` is set even if there was nothing new.", "EventPage")},
        errors=(
            "invalid_request",
            "cursor_not_found",
        ),
    ),
)
