"""Two tenants: whatever B calls, it sees and changes nothing of A's. The table below must name every method."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from core import events
from core.accounts import NewApiKey, create_api_key, create_driver_token
from core.ids import new_id, new_uuid
from core.store.rows import AddressRow, DeliveryRow, DeviceRow, DriverRow
from core.webhooks import NewWebhook, create_webhook
from infinireach.v1 import accounts_service_pb2, devices_service_pb2, webhooks_service_pb2
from tests.fakes.core_apis import VAULT, CoreApis, Metadata, core_apis
from tests.fakes.database import TENANT_A, TENANT_B
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

CANARY = "canary-of-tenant-a"
SERVICES = {
    "accounts": (accounts_service_pb2, "AccountsService"),
    "devices": (devices_service_pb2, "DevicesService"),
    "webhooks": (webhooks_service_pb2, "WebhooksService"),
}
NEEDS_A_SERVICE = {"accounts.ResolveApiKey"}


@dataclass(frozen=True)
class Things:
    """Ids of what a tenant has; every text in it is the canary."""

    api_key: str
    driver_token: str
    device: str
    webhook: str
    delivery: str


def fill(session: Session, tenant_id: str) -> Things:
    """Give a tenant one of everything."""
    key, _ = create_api_key(session, NewApiKey(tenant_id, ["admin"], name=CANARY), START_MS)
    token, _ = create_driver_token(session, tenant_id, CANARY, START_MS)
    driver = DriverRow(
        id=new_uuid(),
        tenant_id=tenant_id,
        name=CANARY,
        kind="simulated",
        version="1",
        token_id=token.id,
        instance_id="",
        journal_id="",
        epoch=1,
        applied_sequence=0,
        connected=True,
        lease_until_ms=START_MS,
        seen_ms=START_MS,
        created_ms=START_MS,
    )
    session.add(driver)
    session.flush()
    device = DeviceRow(
        id=new_uuid(),
        tenant_id=tenant_id,
        driver_id=driver.id,
        key="1",
        name=CANARY,
        state="online",
        window=1,
        seen_ms=START_MS,
        created_ms=START_MS,
    )
    session.add(device)
    session.flush()
    session.add(
        AddressRow(
            channel="sms", number="+15559876543", tenant_id=tenant_id, device_id=device.id, slot=1, ready=True
        )
    )
    new = NewWebhook(tenant_id, f"https://{CANARY}.example/", (), 10, ordered=False, description=CANARY)
    webhook, _ = create_webhook(session, new, VAULT, START_MS)
    event = events.new_event("message.sent", tenant_id=tenant_id, at_ms=START_MS, data={"canary": CANARY})
    events.append(session, [event])
    events.mark_published(session, [event["id"]])
    delivery = DeliveryRow(
        id=new_id(START_MS),
        tenant_id=tenant_id,
        webhook_id=webhook.id,
        event_id=event["id"],
        event_type="message.sent",
        state="dead",
        due_ms=START_MS,
        created_ms=START_MS,
    )
    session.add(delivery)
    return Things(key.row.id, token.id, device.id, webhook.id, delivery.id)


def request(method: str, **fields: Any) -> Any:
    """The request message of `service.Method`."""
    service, name = method.split(".")
    return getattr(SERVICES[service][0], f"{name}Request")(**fields)


# Of A's things: whoever is not A must find nothing.
BY_ID: dict[str, Callable[[Things], dict[str, Any]]] = {
    "accounts.RevokeApiKey": lambda a: {"api_key_id": a.api_key},
    "devices.GetDevice": lambda a: {"device_id": a.device},
    "devices.UpdateDevice": lambda a: {
        "device_id": a.device,
        "name": "stolen",
        "update_mask": FieldMask(paths=["name", "enabled"]),
    },
    "devices.DeleteDevice": lambda a: {"device_id": a.device},
    "devices.DeleteDriverToken": lambda a: {"driver_token_id": a.driver_token},
    "webhooks.GetWebhook": lambda a: {"webhook_id": a.webhook},
    "webhooks.UpdateWebhook": lambda a: {
        "webhook": {"id": a.webhook, "url": "https://stolen.example/"},
        "update_mask": FieldMask(paths=["url", "enabled"]),
    },
    "webhooks.DeleteWebhook": lambda a: {"webhook_id": a.webhook},
    "webhooks.EnableWebhook": lambda a: {"webhook_id": a.webhook},
    "webhooks.TestWebhook": lambda a: {"webhook_id": a.webhook},
    "webhooks.ListDeliveries": lambda a: {"webhook_id": a.webhook},
    "webhooks.GetDelivery": lambda a: {"delivery_id": a.delivery},
    "webhooks.RedeliverDelivery": lambda a: {"delivery_id": a.delivery},
}

# Lists: whoever is not A gets his own, which is empty but for the key that he calls with.
LISTS = (
    "accounts.ListApiKeys",
    "devices.ListDevices",
    "devices.ListDriverTokens",
    "webhooks.ListWebhooks",
    "webhooks.ListEvents",
)

# Makes something of the caller's own; nothing of another's can be named in it.
MAKES: dict[str, dict[str, Any]] = {
    "accounts.CreateApiKey": {"scopes": ["admin"]},
    "devices.CreateDriverToken": {"name": "own"},
    "webhooks.CreateWebhook": {"webhook": {"url": "https://own.example/"}},
}


@pytest.fixture
async def apis(tmp_path: Path) -> AsyncGenerator[CoreApis]:
    async with core_apis(tmp_path) as apis:
        yield apis


async def callers(apis: CoreApis) -> list[Metadata]:
    """Tenant B through the facade, with a key of its own, and with that key while it names tenant A."""
    key = await apis.key(TENANT_B, "admin")
    return [apis.service(TENANT_B), key, (*key, ("x-tenant-id", TENANT_A))]


async def shown_to_a(apis: CoreApis, a: Things) -> list[str]:
    """Everything that A can see."""
    reads = [(method, {}) for method in LISTS]
    reads += [
        (method, BY_ID[method](a))
        for method in (
            "devices.GetDevice",
            "webhooks.GetWebhook",
            "webhooks.ListDeliveries",
            "webhooks.GetDelivery",
        )
    ]
    return [
        str(await apis.call(method, request(method, **fields), apis.service(TENANT_A)))
        for method, fields in reads
    ]


def test_the_table_names_every_method_of_every_service() -> None:
    methods = {
        f"{service}.{method.name}"
        for service, (module, name) in SERVICES.items()
        for method in module.DESCRIPTOR.services_by_name[name].methods
    }
    assert methods == {*BY_ID, *LISTS, *MAKES} | NEEDS_A_SERVICE


async def test_a_thing_of_another_tenant_looks_like_one_that_never_existed(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    never = Things("nobodys1", "nobodys1", new_uuid(), "f" * 24, "f" * 24)
    before = await shown_to_a(apis, a)
    for caller in await callers(apis):
        for method, fields in BY_ID.items():
            refused = await refusal(apis.call(method, request(method, **fields(a)), caller))
            unknown = await refusal(apis.call(method, request(method, **fields(never)), caller))
            assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND"), method
            assert (refused.text, refused.metadata) == (unknown.text, unknown.metadata), method
    assert await shown_to_a(apis, a) == before
    assert apis.sends.requests == []
    assert (apis.woken, apis.hinted, apis.relay_wakes) == ([], [], [])


async def test_the_lists_of_one_tenant_hold_nothing_of_another(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    marks = [CANARY, *vars(a).values()]
    assert all(any(mark in shown for mark in marks) for shown in await shown_to_a(apis, a))
    for caller in await callers(apis):
        for method in LISTS:
            shown = str(await apis.call(method, request(method), caller))
            assert not any(mark in shown for mark in marks), method


async def test_what_a_tenant_makes_is_its_own(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    before = await shown_to_a(apis, a)
    for caller in await callers(apis):
        for method, fields in MAKES.items():
            await apis.call(method, request(method, **fields), caller)
    assert await shown_to_a(apis, a) == before


async def test_no_method_answers_a_caller_without_a_credential(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    calls = {method: fields(a) for method, fields in BY_ID.items()} | MAKES
    calls |= {method: {} for method in (*LISTS, *NEEDS_A_SERVICE)}
    for method, fields in calls.items():
        for caller in ((), (("x-tenant-id", TENANT_A),), (("x-api-key", "irk_wrong"),)):
            refused = await refusal(apis.call(method, request(method, **fields), caller))
            assert refused.code == "UNAUTHENTICATED", method


async def test_every_method_needs_its_scope(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    scopes = {"accounts": "admin", "devices": "devices", "webhooks": "webhooks"}
    calls = {method: fields(a) for method, fields in BY_ID.items()} | MAKES | {method: {} for method in LISTS}
    for method, fields in calls.items():
        scope = "messages:read" if method == "webhooks.ListEvents" else scopes[method.partition(".")[0]]
        others = {"messages:send", "messages:read", "devices", "webhooks"} - {scope}
        caller = await apis.key(TENANT_A, *others)
        refused = await refusal(apis.call(method, request(method, **fields), caller))
        assert (refused.code, refused.metadata) == ("PERMISSION_DENIED", {"scope": scope}), method


async def test_what_is_logged_of_a_call_holds_no_number_name_or_address(apis: CoreApis) -> None:
    a = await apis.store.run(fill, TENANT_A)
    with capture_logs() as logged:
        await shown_to_a(apis, a)
        for method in sorted(BY_ID, key=lambda method: ".Delete" in method):
            await apis.call(method, request(method, **BY_ID[method](a)), apis.service(TENANT_A))
    assert len(logged) == len(LISTS) + 4 + len(BY_ID)
    assert {event["status"] for event in logged} == {"OK"}
    assert not any(text in str(logged) for text in (CANARY, "5559876543", "stolen"))
