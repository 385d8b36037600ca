"""Driver tokens: with one, a driver brings its devices into the account.

Owns the handlers under /api/v1/driver-tokens and what documents them.
"""

from infinireach.v1 import devices_service_pb2
from rest_facade import parse, render, rpcs
from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.field_tables import DRIVER_TOKEN_FIELDS
from rest_facade.fields import require_fields
from rest_facade.route import Body, Route, Success
from rest_facade.wire import Answer


async def create(call: Call) -> Answer:
    """Make a token; it is shown only here."""
    values = require_fields(DRIVER_TOKEN_FIELDS, call.body)
    request = devices_service_pb2.CreateDriverTokenRequest(name=values["name"])
    answer = await call.core.call(rpcs.CREATE_DRIVER_TOKEN, request, call)
    token = {**render.driver_token(answer.driver_token), "token": answer.token}
    return json_answer(201, {"success": True, "driverToken": token})


async def show_list(call: Call) -> Answer:
    """Tokens that are not revoked, oldest first."""
    answer = await call.core.call(
        rpcs.LIST_DRIVER_TOKENS, devices_service_pb2.ListDriverTokensRequest(), call
    )
    tokens = [render.driver_token(token) for token in answer.driver_tokens]
    return json_answer(200, {"success": True, "driverTokens": tokens})


async def revoke(call: Call) -> Answer:
    """Revoke a token."""
    token_id = parse.public_id(call.path["driverTokenId"])
    request = devices_service_pb2.DeleteDriverTokenRequest(driver_token_id=token_id)
    await call.core.call(rpcs.DELETE_DRIVER_TOKEN, request, call)
    return json_answer(200, {"success": True})


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/driver-tokens",
        handler=create,
        operation="createDriverToken",
        tag="Drivers",
        summary="Make a driver token",
        description="A driver that presents the token brings its devices into this account. The token is shown once.",
        scope="devices",
        body=Body("NewDriverToken", {"name": "Office modem"}),
        success={201: Success("The token.", "DriverTokenCreated")},
        errors=("invalid_request", "outcome_unknown"),
        links={
            "Revoke": {
                "operationId": "deleteDriverToken",
                "parameters": {"driverTokenId": "$response.body#/driverToken/id"},
            }
        },
    ),
    Route(
        method="GET",
        path="/api/v1/driver-tokens",
        handler=show_list,
        operation="listDriverTokens",
        tag="Drivers",
        summary="List driver tokens",
        description="Those that are not revoked, without their secrets.",
        scope="devices",
        success={200: Success("The tokens, oldest first.", "DriverTokenList")},
    ),
    Route(
        method="DELETE",
        path="/api/v1/driver-tokens/{driverTokenId}",
        handler=revoke,
        operation="deleteDriverToken",
        tag="Drivers",
        summary="Revoke a driver token",
        description="Connections of drivers that use it are closed within 5 s.",
        scope="devices",
        success={200: Success("It is revoked.", "Done")},
        errors=("not_found", "outcome_unknown"),
    ),
)
