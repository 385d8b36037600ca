"""Whether the facade lives and can work. For probes; no key is asked for.

Owns /healthz and /readyz.
"""

from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.errors import ApiError
from rest_facade.route import Route, Success
from rest_facade.wire import Answer


async def healthy(_call: Call) -> Answer:
    """The process answers."""
    return json_answer(200, {"status": "ok"})


async def ready(call: Call) -> Answer:
    """The core answers too, so requests can be served, and this facade is not about to stop."""
    if call.stopping.is_set():
        raise ApiError("unavailable", "This facade is about to stop.")
    if not await call.core.is_ready():
        raise ApiError("unavailable", "The core does not answer.")
    return json_answer(200, {"status": "ready"})


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        handler=healthy,
        operation="getHealth",
        tag="Operation",
        summary="Whether the process lives",
        scope=None,
        success={200: Success("It does.", "Health")},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=ready,
        operation="getReadiness",
        tag="Operation",
        summary="Whether requests can be served",
        scope=None,
        success={200: Success("They can.", "Health")},
        errors=("unavailable",),
    ),
)
