"""Two tenants on every RPC: what one has, the other cannot tell from what never was."""

from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from infinireach.v1 import accounts_service_pb2 as accounts
from infinireach.v1 import devices_service_pb2 as devices
from infinireach.v1 import message_pb2, webhook_pb2
from infinireach.v1 import messages_service_pb2 as messages
from infinireach.v1 import webhooks_service_pb2 as webhooks
from tests.e2e.estate import CANARY, Estate
from tests.e2e.gateway import NUMBER, Client, Gateway, Tenant, new_id
from tests.e2e.rpcs import RPCS, Rpcs, rpcs

ON_EVERY_DATABASE = True


def new_message(device_id: str = "") -> messages.NewMessage:
    values: dict[str, Any] = {
        "to": "+15551230000",
        "text": "Hello",
        "from": NUMBER,
        "channel": message_pb2.CHANNEL_SMS,
        "device_id": device_id,
    }
    return messages.NewMessage(**values)


NAMING: dict[str, tuple[str, Callable[[str], Message]]] = {
    "GetMessage": ("messageId", lambda id_: messages.GetMessageRequest(message_id=id_)),
    "GetMessageTimeline": ("messageId", lambda id_: messages.GetMessageTimelineRequest(message_id=id_)),
    "CancelMessage": ("messageId", lambda id_: messages.CancelMessageRequest(message_id=id_)),
    "CreateMessage": ("deviceId", lambda id_: messages.CreateMessageRequest(message=new_message(id_))),
    "PreviewMessage": ("deviceId", lambda id_: messages.PreviewMessageRequest(message=new_message(id_))),
    "GetDevice": ("deviceId", lambda id_: devices.GetDeviceRequest(device_id=id_)),
    "UpdateDevice": (
        "deviceId",
        lambda id_: devices.UpdateDeviceRequest(
            device_id=id_, name="Taken over", update_mask=FieldMask(paths=["name"])
        ),
    ),
    "DeleteDevice": ("deviceId", lambda id_: devices.DeleteDeviceRequest(device_id=id_)),
    "DeleteDriverToken": (
        "driverTokenId",
        lambda id_: devices.DeleteDriverTokenRequest(driver_token_id=id_),
    ),
    "GetWebhook": ("webhookId", lambda id_: webhooks.GetWebhookRequest(webhook_id=id_)),
    "UpdateWebhook": (
        "webhookId",
        lambda id_: webhooks.UpdateWebhookRequest(
            webhook=webhook_pb2.Webhook(id=id_, description="Taken over"),
            update_mask=FieldMask(paths=["description"]),
        ),
    ),
    "DeleteWebhook": ("webhookId", lambda id_: webhooks.DeleteWebhookRequest(webhook_id=id_)),
    "EnableWebhook": ("webhookId", lambda id_: webhooks.EnableWebhookRequest(webhook_id=id_)),
    "TestWebhook": ("webhookId", lambda id_: webhooks.TestWebhookRequest(webhook_id=id_)),
    "ListDeliveries": ("webhookId", lambda id_: webhooks.ListDeliveriesRequest(webhook_id=id_)),
    "GetDelivery": ("deliveryId", lambda id_: webhooks.GetDeliveryRequest(delivery_id=id_)),
    "RedeliverDelivery": (
        "deliveryId",
        lambda id_: webhooks.RedeliverDeliveryRequest(delivery_id=id_),
    ),
    "RevokeApiKey": ("apiKeyId", lambda id_: accounts.RevokeApiKeyRequest(api_key_id=id_)),
}
"""RPCs that name a resource: what they name, and their request."""
LISTING: dict[str, Callable[[Estate], Message]] = {
    "BatchCreateMessages": lambda _: messages.BatchCreateMessagesRequest(
        items=[messages.BatchCreateMessagesRequest.Item(message=new_message())]
    ),
    "ListMessages": lambda estate: messages.ListMessagesRequest(to=estate.recipient),
    "ListDevices": lambda _: devices.ListDevicesRequest(),
    "CreateDriverToken": lambda _: devices.CreateDriverTokenRequest(name="Its own"),
    "ListDriverTokens": lambda _: devices.ListDriverTokensRequest(),
    "CreateWebhook": lambda _: webhooks.CreateWebhookRequest(
        webhook=webhook_pb2.Webhook(url="http://127.0.0.1:9099/its-own", enabled=True)
    ),
    "ListWebhooks": lambda _: webhooks.ListWebhooksRequest(),
    "ListEvents": lambda estate: webhooks.ListEventsRequest(after=estate.event_cursor, page_size=1000),
    "CreateApiKey": lambda _: accounts.CreateApiKeyRequest(name="Its own", scopes=["messages:read"]),
    "ListApiKeys": lambda _: accounts.ListApiKeysRequest(),
    "ResolveApiKey": lambda _: accounts.ResolveApiKeyRequest(key="irk_x"),
}
"""RPCs that name no resource."""
SCOPES = {
    "messages:send": {
        *("CreateMessage", "BatchCreateMessages", "PreviewMessage", "CancelMessage"),
    },
    "messages:read": {"GetMessage", "ListMessages", "GetMessageTimeline", "ListEvents"},
    "devices": {
        *("ListDevices", "GetDevice", "UpdateDevice", "DeleteDevice"),
        *("CreateDriverToken", "ListDriverTokens", "DeleteDriverToken"),
    },
    "webhooks": {
        *("CreateWebhook", "GetWebhook", "ListWebhooks", "UpdateWebhook", "DeleteWebhook"),
        *("EnableWebhook", "TestWebhook", "ListDeliveries", "GetDelivery", "RedeliverDelivery"),
    },
}
"""What a key must hold; RPCs of no scope here are for admin or services only."""


def unknown(kind: str) -> str:
    """An id of the right shape that nothing has."""
    if kind == "deviceId":
        return str(uuid4())
    return new_id()[: 8 if kind in {"driverTokenId", "apiKeyId"} else 24]


@pytest.fixture
async def caller(running: Gateway, other_tenant: Tenant) -> AsyncGenerator[Rpcs]:
    """The other tenant's admin."""
    async with rpcs(running.run["grpc"], other_tenant.key) as calls:
        yield calls


@pytest.fixture
def ids(estate: Estate) -> dict[str, list[str]]:
    """The demo tenant's ids by what they name."""
    return {**estate.ids, "apiKeyId": [estate.key_id]}


def test_the_matrix_has_every_rpc() -> None:
    assert set(NAMING) | set(LISTING) == set(RPCS)
    assert not set(NAMING) & set(LISTING)
    for name, (_, request) in NAMING.items():
        assert request("").DESCRIPTOR is RPCS[name].input_type
    unscoped = set(RPCS).difference(*SCOPES.values())
    assert unscoped == {"CreateApiKey", "ListApiKeys", "RevokeApiKey", "ResolveApiKey"}


@pytest.mark.parametrize("name", NAMING)
async def test_anothers_resource_is_like_one_that_never_was(
    name: str, caller: Rpcs, ids: dict[str, list[str]], estate: Estate
) -> None:
    kind, request = NAMING[name]
    for theirs in ids[kind]:
        outcome = await caller.call(name, request(theirs))
        assert outcome.code == "NOT_FOUND"
        assert outcome == await caller.call(name, request(unknown(kind)))
        estate.assert_unseen(repr(outcome))


@pytest.mark.parametrize("name", LISTING)
async def test_no_rpc_shows_anything_of_another_tenant(name: str, caller: Rpcs, estate: Estate) -> None:
    outcome = await caller.call(name, LISTING[name](estate))
    assert outcome.code == ("PERMISSION_DENIED" if name == "ResolveApiKey" else "OK"), outcome
    estate.assert_unseen(repr(outcome))


async def test_a_key_says_whose_call_it_is_not_the_request(
    running: Gateway, caller: Rpcs, estate: Estate
) -> None:
    before = len(running.radio())
    item = messages.BatchCreateMessagesRequest.Item(message=new_message(), tenant_id=running.run["tenant"])
    outcome = await caller.call("BatchCreateMessages", messages.BatchCreateMessagesRequest(items=[item]))
    if outcome.code == "OK":
        assert isinstance(outcome.answer, messages.BatchCreateMessagesResponse)
        assert [result.message_id for result in outcome.answer.results] == [""]
    else:
        assert outcome.code in {"INVALID_ARGUMENT", "PERMISSION_DENIED"}
    assert len(running.radio()) == before
    estate.assert_unseen(repr(outcome))


async def test_nothing_was_changed_by_the_other_tenants_calls(
    owner: Client, caller: Rpcs, ids: dict[str, list[str]], estate: Estate
) -> None:
    for name, (kind, request) in NAMING.items():
        for theirs in ids[kind]:
            await caller.call(name, request(theirs))
    await estate.assert_intact(owner)


async def test_its_owner_does_see_it(running: Gateway, owner: Client, estate: Estate) -> None:
    async with rpcs(running.run["grpc"], owner.key) as own:
        for name in ("ListMessages", "ListDevices", "ListDriverTokens", "ListWebhooks"):
            assert CANARY in str((await own.call(name, LISTING[name](estate))).answer)


@pytest.mark.parametrize("name", RPCS)
async def test_a_key_without_the_scope_is_refused(
    name: str, running: Gateway, estate: Estate, scoped_keys: dict[str, str]
) -> None:
    scope = next((scope for scope, names in SCOPES.items() if name in names), "")
    kind, request = NAMING.get(name, ("", None))
    sent = request(unknown(kind)) if request else LISTING[name](estate)
    refused_keys = [scoped_keys[f"not {scope}"]] if scope else [scoped_keys[each] for each in SCOPES]
    for key in refused_keys:
        async with rpcs(running.run["grpc"], key) as calls:
            outcome = await calls.call(name, sent)
        assert (outcome.code, outcome.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
        assert scope in outcome.text
    if scope:
        async with rpcs(running.run["grpc"], scoped_keys[scope]) as calls:
            assert (await calls.call(name, sent)).code in {"OK", "NOT_FOUND"}


@pytest.mark.parametrize("key", ["", "irk_nonsense", "irk_" + "a" * 46])
async def test_without_a_live_key_every_rpc_is_refused(key: str, running: Gateway, estate: Estate) -> None:
    async with rpcs(running.run["grpc"], key) as calls:
        for name in RPCS:
            kind, request = NAMING.get(name, ("", None))
            outcome = await calls.call(name, request(unknown(kind)) if request else LISTING[name](estate))
            assert (name, outcome.code, outcome.reason) == (name, "UNAUTHENTICATED", "UNAUTHENTICATED")
