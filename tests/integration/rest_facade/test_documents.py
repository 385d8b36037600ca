"""The documents that the facade serves about itself."""

import json
from typing import Any

import jsonschema_rs
import pytest

from infinireach.v1 import event_pb2
from rest_facade.examples import MEDIA_MESSAGE, TEMPLATE_MESSAGE
from rest_facade.route_table import ROUTES
from tests.integration.rest_facade.conftest import MESSAGE, Api
from tests.integration.rest_facade.stub_world import NOW, TENANT


async def test_every_registered_route_is_documented(api: Api) -> None:
    document = (await api.call("GET", "/openapi.json", key=None)).json
    documented = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert documented == {(route.method, route.path) for route in ROUTES}
    for method, path in documented:
        answer = await api.call("TRACE", path.replace("{", "").replace("}", ""), key=None)
        assert answer.status == 405
        assert method in answer.headers["Allow"].split(", ")


async def test_page_is_html_that_may_load_nothing(api: Api) -> None:
    answer = await api.call("GET", "/docs", key=None)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert f"http://127.0.0.1:{api.port}/api/v1/messages" in answer.body.decode()


async def answers_of_every_kind(api: Api) -> dict[str, list[tuple[int, Any]]]:
    """Real answers by operation."""
    event = event_pb2.Event(id="e" * 24, type="message.sent", create_time=NOW, body=b"{}")
    api.world.events.append((TENANT, event))
    answers: dict[str, list[tuple[int, Any]]] = {}

    async def call(operation: str, ids: dict[str, str] | None = None, **options: Any) -> Any:
        route = next(route for route in ROUTES if route.operation == operation)
        answer = await api.call(route.method, route.path.format(**(ids or {})), **options)
        answers.setdefault(operation, []).append((answer.status, answer.json))
        return answer.json

    for body in (
        {**MESSAGE, "externalId": "x"},
        {**MESSAGE, "externalId": "x"},
        {},
        {**MESSAGE, "from": "+15550000002"},
    ):
        await call("sendMessage", json=body)
    message = {"messageId": (await call("sendMessage", json=MESSAGE))["messageId"]}
    await call("sendMessage", data=b"{", headers={"Content-Type": "application/json"})
    for body in (TEMPLATE_MESSAGE, MEDIA_MESSAGE):
        await call("getMessage", {"messageId": (await call("sendMessage", json=body))["messageId"]})
    await call("sendMessages", json={"messages": [MESSAGE, {}, 5]})
    await call("previewMessage", json=MESSAGE)
    for operation in ("getMessage", "getMessageTimeline", "cancelMessage", "cancelMessage"):
        await call(operation, message)
    await call("getMessage", {"messageId": "f" * 24})
    await call("listMessages")
    device = {"deviceId": (await call("listDevices"))["devices"][0]["id"]}
    await call("getDevice", device)
    await call("updateDevice", device, json={"name": "New"})
    token = (await call("createDriverToken", json={"name": "Office"}))["driverToken"]
    await call("listDriverTokens")
    await call("deleteDriverToken", {"driverTokenId": token["id"]})
    webhook = {
        "webhookId": (await call("createWebhook", json={"url": "https://example.com"}))["webhook"]["id"]
    }
    await call("listWebhooks")
    for operation in ("getWebhook", "testWebhook", "enableWebhook"):
        await call(operation, webhook)
    await call("updateWebhook", webhook, json={"ordered": True})
    delivery = {"deliveryId": (await call("listDeliveries", webhook))["deliveries"][0]["id"]}
    await call("getDelivery", delivery)
    await call("redeliverDelivery", delivery)
    await call("deleteWebhook", webhook)
    await call("listEvents")
    await call("deleteDevice", device)
    for operation in ("getHealth", "getReadiness", "getOpenApi"):
        await call(operation)
    return answers


async def test_real_answers_are_what_the_document_says(api: Api) -> None:
    document = (await api.call("GET", "/openapi.json", key=None)).json
    answers = await answers_of_every_kind(api)
    assert set(answers) == {route.operation for route in ROUTES} - {"getDocs"}
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in answers.get(operation["operationId"], []):
                content = operation["responses"][str(status)]["content"]["application/json"]
                schema = {**content["schema"], "components": document["components"]}
                jsonschema_rs.validator_for(schema, validate_formats=True).validate(answer)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_errors_are_documented_where_keys_are_asked_for(api: Api, status: int) -> None:
    document = json.loads((await api.call("GET", "/openapi.json", key=None)).body)
    assert str(status) in document["paths"]["/api/v1/messages"]["post"]["responses"]
