"""The table of routes and the documents made from it."""

import re

import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from rest_facade import errors, openapi, rpcs
from rest_facade.auth import ALL_SCOPES
from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from rest_facade.rpcs import Rpc
from rest_facade.schemas import components
from rest_facade.site import Site

SITE = Site(ROUTES, "")
KEYLESS = {"/healthz", "/readyz", "/openapi.json", "/docs"}


def by_operation(route: Route) -> str:
    """How a test names a route."""
    return route.operation


def test_every_route_of_the_contract_is_served() -> None:
    assert {route.label for route in ROUTES} == {
        "POST /api/v1/messages",
        "GET /api/v1/messages",
        "GET /api/v1/messages/{messageId}",
        "GET /api/v1/messages/{messageId}/timeline",
        "POST /api/v1/messages/{messageId}/cancel",
        "POST /api/v1/messages/batch",
        "POST /api/v1/messages/preview",
        "GET /api/v1/devices",
        "GET /api/v1/devices/{deviceId}",
        "PATCH /api/v1/devices/{deviceId}",
        "DELETE /api/v1/devices/{deviceId}",
        "POST /api/v1/driver-tokens",
        "GET /api/v1/driver-tokens",
        "DELETE /api/v1/driver-tokens/{driverTokenId}",
        "POST /api/v1/webhooks",
        "GET /api/v1/webhooks",
        "GET /api/v1/webhooks/{webhookId}",
        "PATCH /api/v1/webhooks/{webhookId}",
        "DELETE /api/v1/webhooks/{webhookId}",
        "POST /api/v1/webhooks/{webhookId}/test",
        "POST /api/v1/webhooks/{webhookId}/enable",
        "GET /api/v1/webhooks/{webhookId}/deliveries",
        "GET /api/v1/deliveries/{deliveryId}",
        "POST /api/v1/deliveries/{deliveryId}/redeliver",
        "GET /api/v1/events",
        "GET /openapi.json",
        "GET /docs",
        "GET /healthz",
        "GET /readyz",
    }


def test_names_of_operations_are_unique() -> None:
    operations = [route.operation for route in ROUTES]
    assert len(set(operations)) == len(operations)


@pytest.mark.parametrize("route", ROUTES, ids=by_operation)
def test_only_probes_and_documents_need_no_key(route: Route) -> None:
    assert (route.scope is None) == (route.path in KEYLESS)
    assert route.scope is None or route.scope in ALL_SCOPES


@pytest.mark.parametrize("route", ROUTES, ids=by_operation)
def test_route_is_documented(route: Route) -> None:
    document = openapi.document(ROUTES, "/")
    operation = document["paths"][route.path][route.method.lower()]
    schemas = components()
    named = re.findall(r"#/components/schemas/(\w+)", str(operation))
    assert set(named) <= set(schemas)
    assert {str(status) for status in route.success} <= set(operation["responses"])
    assert bool(operation["security"]) == (route.scope is not None)
    assert all(name in errors.CODES for name in route.errors)
    page = SITE.page(None).decode()
    assert f'id="{route.operation}"' in page
    assert route.summary in page


def test_links_lead_to_operations_and_their_parameters() -> None:
    by_name = {route.operation: route for route in ROUTES}
    for route in ROUTES:
        for link in route.links.values():
            assert set(link["parameters"]) <= set(openapi.path_names(by_name[link["operationId"]]))


def test_page_documents_every_code_and_needs_nothing_from_elsewhere() -> None:
    page = SITE.page(None).decode()
    for name in errors.CODES:
        assert f'id="error-{name}"' in page
    assert not re.search(r"<(script|img|link|iframe)|@import|url\(|src=", page)
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("gateway.example:8080", "http://gateway.example:8080/api/v1/messages"),
        ("[::1]:8080", "http://[::1]:8080/api/v1/messages"),
        (None, "http://127.0.0.1:8080/api/v1/messages"),
        ('"><script>alert(1)</script>', "http://127.0.0.1:8080/api/v1/messages"),
        ("user@evil", "http://127.0.0.1:8080/api/v1/messages"),
    ],
)
def test_page_calls_the_address_that_was_asked_if_it_is_one(host: str | None, shown: str) -> None:
    page = SITE.page(host).decode()
    assert shown in page
    assert "<script" not in page


def test_public_url_goes_before_the_address_that_was_asked() -> None:
    site = Site(ROUTES, "https://api.example.com/")
    assert "https://api.example.com/api/v1/messages" in site.page("10.0.0.1").decode()
    assert b'"servers":[{"url":"https://api.example.com"}]' in site.openapi


@pytest.mark.parametrize("name", [name for name, value in vars(rpcs).items() if isinstance(value, Rpc)])
def test_called_method_exists_in_the_protocol(name: str) -> None:
    rpc: Rpc[Message, Message] = getattr(rpcs, name)
    service, _, method = rpc.path[1:].rpartition("/")
    described = Default().FindServiceByName(service).FindMethodByName(method)
    assert described.input_type.full_name == rpc.request.DESCRIPTOR.full_name
    assert described.output_type.full_name == rpc.response.DESCRIPTOR.full_name
