"""Two tenants on every route: what one has, the other cannot tell from what never was."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from tests.e2e.estate import CANARY, Estate
from tests.e2e.gateway import NUMBER, Answer, Client, Gateway, message
from tests.e2e.routes import GUARDED, named, unknown

ON_EVERY_DATABASE = True
BODIES: dict[str, Any] = {
    "updateDevice": {"name": "Taken over"},
    "updateWebhook": {"description": "Taken over", "enabled": False},
    "enableWebhook": {"skipBacklog": True},
}
"""Bodies of routes that name a resource in their path."""
WITHOUT_ID: dict[str, Any] = {
    "sendMessage": message(),
    "listMessages": None,
    "sendMessages": {"messages": [message(), message(channel="whatsapp")]},
    "previewMessage": message(),
    "listDevices": None,
    "createDriverToken": {"name": "Its own"},
    "listDriverTokens": None,
    "createWebhook": {"url": "http://127.0.0.1:9099/its-own"},
    "listWebhooks": None,
    "listEvents": None,
}
"""Routes that name no resource in their path, and a body that is valid for a tenant with the demo tenant's number."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """What an answer says, without what differs by design."""

    status: int
    facts: str
    headers: tuple[str, ...]


def comparable(answer: Answer, *given: str) -> Comparable:
    """An answer without request ids and without what the caller had `given` itself."""
    facts = {name: value for name, value in answer.json.items() if name != "requestId"}
    text = json.dumps(facts)
    for value in given:
        text = text.replace(value, "<given>")
    return Comparable(answer.status, text, tuple(sorted(answer.headers)))


def test_the_matrix_has_every_route(running: Gateway) -> None:
    without_id = {route.operation for route in GUARDED if not named(route)}
    assert without_id == set(WITHOUT_ID)
    with_body = {route.operation for route in GUARDED if named(route) and route.body}
    assert with_body == set(BODIES)
    assert {named(route) for route in GUARDED} - {""} == {
        "messageId",
        "deviceId",
        "driverTokenId",
        "webhookId",
        "deliveryId",
    }


async def test_the_matrix_has_every_operation_of_the_published_description(owner: Client) -> None:
    document = await owner.get("/openapi.json")
    published = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert published == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", [route for route in GUARDED if named(route)], ids=lambda r: r.operation)
async def test_anothers_resource_looks_like_one_that_never_was(
    route: Route, other: Client, estate: Estate
) -> None:
    parameter = named(route)
    body = BODIES.get(route.operation)
    for theirs in estate.ids[parameter]:
        random = unknown(parameter)
        answer = await other.request(route.method, route.path.replace(f"{{{parameter}}}", theirs), body)
        never = await other.request(route.method, route.path.replace(f"{{{parameter}}}", random), body)
        assert answer.status == 404
        assert comparable(answer, theirs) == comparable(never, random)
        estate.assert_unseen(answer.body)


@pytest.mark.parametrize("route", [route for route in GUARDED if not named(route)], ids=lambda r: r.operation)
async def test_nothing_of_another_tenant_is_in_any_answer(
    route: Route, other: Client, estate: Estate
) -> None:
    answer = await other.request(route.method, route.path, WITHOUT_ID[route.operation])
    assert answer.status in {200, 201, 404}
    estate.assert_unseen(answer.body)


@pytest.mark.parametrize(
    "path", ["messages", "devices", "driver-tokens", "webhooks", "events?types=message.inbound&limit=1000"]
)
async def test_its_owner_does_see_it(path: str, owner: Client, estate: Estate) -> None:
    assert CANARY.encode() in (await owner.request("GET", f"/api/v1/{path}")).body
    with pytest.raises(AssertionError):
        estate.assert_unseen(CANARY)


QUERIES = [
    "/api/v1/messages?from={number}",
    "/api/v1/messages?to={recipient}",
    "/api/v1/messages?direction=inbound",
    "/api/v1/messages?cursor={message_cursor}",
    "/api/v1/events?after={event_cursor}",
    "/api/v1/events?types=message.inbound,message.delivered,device.online",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_filters_and_cursors_of_another_tenant_show_nothing(
    query: str, other: Client, estate: Estate
) -> None:
    values = {
        "number": NUMBER,
        "recipient": estate.recipient,
        "message_cursor": estate.message_cursor,
        "event_cursor": estate.event_cursor,
    }
    path = query.format(**{name: quote(value, safe="") for name, value in values.items()})
    answer = await other.request("GET", path)
    assert answer.status in {200, 404}, answer
    estate.assert_unseen(answer.body)


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/messages/preview"])
async def test_sending_from_anothers_number_is_like_sending_from_nobodys(
    path: str, running: Gateway, other: Client
) -> None:
    before = len(running.radio())
    for device in ({}, {"deviceId": running.run["devices"][0]["id"]}):
        theirs = await other.request("POST", path, message(**device))
        nobodys = await other.request("POST", path, message(**{"from": "+15550009999"}, **device))
        assert theirs.status == 404
        assert theirs.json["code"] == "device_not_found"
        assert theirs.json["error"] == f"No device found with phone number {NUMBER} for your account."
        assert comparable(theirs, NUMBER) == comparable(nobodys, "+15550009999")
    assert len(running.radio()) == before


async def test_a_batch_from_anothers_number_is_like_one_from_nobodys(other: Client) -> None:
    theirs = await other.request("POST", "/api/v1/messages/batch", {"messages": [message()]})
    nobodys = await other.request(
        "POST", "/api/v1/messages/batch", {"messages": [message(**{"from": "+15550009999"})]}
    )
    assert theirs.json["accepted"] == 0
    assert theirs.json["results"][0]["code"] == "device_not_found"
    assert comparable(theirs, NUMBER) == comparable(nobodys, "+15550009999")


async def test_the_estate_is_as_it_was(owner: Client, other: Client, estate: Estate) -> None:
    for route in GUARDED:
        for theirs in estate.ids.get(named(route), []):
            path = route.path.replace(f"{{{named(route)}}}", theirs)
            await other.request(route.method, path, BODIES.get(route.operation))
    await estate.assert_intact(owner)


@pytest.mark.parametrize("route", GUARDED, ids=lambda r: r.operation)
async def test_a_key_without_the_scope_is_refused_and_one_with_it_is_not(
    route: Route, running: Gateway, scoped_keys: dict[str, str]
) -> None:
    path = route.path
    if parameter := named(route):
        path = path.replace(f"{{{parameter}}}", unknown(parameter))
    body = BODIES.get(route.operation) or WITHOUT_ID.get(route.operation)
    assert route.scope is not None
    async with (
        running.client(scoped_keys[f"not {route.scope}"]) as without,
        running.client(scoped_keys[route.scope]) as with_it,
    ):
        refused, allowed = await asyncio.gather(
            without.request(route.method, path, body), with_it.request(route.method, path, body)
        )
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert route.scope in refused.json["error"]
    assert allowed.status in {200, 201, 404}
