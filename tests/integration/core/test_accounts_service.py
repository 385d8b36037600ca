"""AccountsService over gRPC: whose a key is, a tenant's own keys, and who may ask."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from core import accounts, credentials
from core.accounts import NewApiKey
from infinireach.v1.accounts_service_pb2 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    ListApiKeysRequest,
    ResolveApiKeyRequest,
    RevokeApiKeyRequest,
)
from tests.fakes.core_apis import CoreApis, core_apis
from tests.fakes.database import TENANT_A, TENANT_B
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

IMPORTED = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
async def apis(tmp_path: Path) -> AsyncGenerator[CoreApis]:
    async with core_apis(tmp_path) as apis:
        yield apis


async def create(apis: CoreApis, tenant_id: str = TENANT_A, **fields: Any) -> CreateApiKeyResponse:
    given: dict[str, Any] = {"scopes": ["messages:send"]} | fields
    return await apis.call("accounts.CreateApiKey", CreateApiKeyRequest(**given), apis.service(tenant_id))


async def resolve(apis: CoreApis, key: str) -> Any:
    return await apis.call("accounts.ResolveApiKey", ResolveApiKeyRequest(key=key), apis.service(None))


async def revoke(apis: CoreApis, key_id: str, tenant_id: str = TENANT_A) -> Any:
    request = RevokeApiKeyRequest(api_key_id=key_id)
    return await apis.call("accounts.RevokeApiKey", request, apis.service(tenant_id))


async def test_a_key_that_was_made_resolves_to_its_record(apis: CoreApis) -> None:
    made = await create(
        apis,
        name="Shop",
        scopes=["webhooks", "messages:send"],
        expire_time=Timestamp(seconds=START_MS // 1000 + 9),
    )
    assert made.key.startswith("irk_" + made.api_key.id)
    found = (await resolve(apis, made.key)).api_key
    assert (found.id, found.tenant_id, found.name) == (made.api_key.id, TENANT_A, "Shop")
    assert list(found.scopes) == ["messages:send", "webhooks"]
    assert (found.per_minute, found.expire_time.seconds) == (100, START_MS // 1000 + 9)
    assert found.create_time.ToMilliseconds() == START_MS
    assert not found.HasField("revoke_time")


async def test_a_key_can_have_a_rate_of_its_own(apis: CoreApis) -> None:
    made = await create(apis, per_minute=7)
    assert (await resolve(apis, made.key)).api_key.per_minute == 7


async def test_an_imported_key_resolves(apis: CoreApis) -> None:
    await apis.store.run(accounts.import_api_key, NewApiKey(TENANT_B, ["admin"]), IMPORTED, START_MS)
    assert (await resolve(apis, IMPORTED)).api_key.tenant_id == TENANT_B


UNKNOWN_KEY = pytest.param(credentials.new_credential("irk_"), id="one that nobody was given")


@pytest.mark.parametrize("key", ["", "irk_", "x" * 10_000, "a b", "\0", UNKNOWN_KEY])
async def test_what_is_no_live_key_does_not_resolve(apis: CoreApis, key: str) -> None:
    refused = await refusal(resolve(apis, key))
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


async def test_a_revoked_key_does_not_resolve_from_that_moment(apis: CoreApis) -> None:
    made = await create(apis)
    await resolve(apis, made.key)
    revoked = await revoke(apis, made.api_key.id)
    assert revoked.api_key.revoke_time.ToMilliseconds() == START_MS
    assert (await refusal(resolve(apis, made.key))).code == "UNAUTHENTICATED"


async def test_the_last_use_of_a_key_is_shown(apis: CoreApis) -> None:
    made = await create(apis)
    assert not made.api_key.HasField("last_use_time")
    await resolve(apis, made.key)
    [listed] = (
        await apis.call("accounts.ListApiKeys", ListApiKeysRequest(), apis.service(TENANT_A))
    ).api_keys
    assert listed.last_use_time.ToMilliseconds() == START_MS


async def test_a_tenant_sees_and_revokes_only_its_own_keys(apis: CoreApis) -> None:
    own, other = await create(apis, TENANT_A), await create(apis, TENANT_B)
    for tenant_id, key_id in ((TENANT_A, own.api_key.id), (TENANT_B, other.api_key.id)):
        answer = await apis.call("accounts.ListApiKeys", ListApiKeysRequest(), apis.service(tenant_id))
        assert [key.id for key in answer.api_keys] == [key_id]
    refused = await refusal(revoke(apis, own.api_key.id, TENANT_B))
    never = await refusal(revoke(apis, "nobodys1", TENANT_B))
    assert (refused.code, refused.reason, refused.text) == (never.code, never.reason, never.text)
    assert refused.code == "NOT_FOUND"
    assert await resolve(apis, own.key)


async def test_a_key_with_the_scope_admin_keeps_its_tenants_keys(apis: CoreApis) -> None:
    admin = await apis.key(TENANT_B, "admin")
    made = await apis.call("accounts.CreateApiKey", CreateApiKeyRequest(scopes=["devices"]), admin)
    assert made.api_key.tenant_id == TENANT_B


async def test_a_key_without_the_scope_admin_may_not_keep_keys(apis: CoreApis) -> None:
    every_other = await apis.key(TENANT_A, "messages:send", "messages:read", "devices", "webhooks")
    calls = {
        "CreateApiKey": CreateApiKeyRequest(scopes=["admin"]),
        "ListApiKeys": ListApiKeysRequest(),
        "RevokeApiKey": RevokeApiKeyRequest(api_key_id="nobodys1"),
    }
    for method, request in calls.items():
        refused = await refusal(apis.call(f"accounts.{method}", request, every_other))
        assert (refused.code, refused.metadata) == ("PERMISSION_DENIED", {"scope": "admin"})


async def test_only_a_service_may_ask_whose_a_key_is(apis: CoreApis) -> None:
    admin = await apis.key(TENANT_A, "admin")
    refused = await refusal(apis.call("accounts.ResolveApiKey", ResolveApiKeyRequest(key=admin[0][1]), admin))
    assert refused.code == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 101),
        ("name", "a\0b"),
        ("scopes", []),
        ("scopes", ["root"]),
        ("per_minute", -1),
        ("per_minute", 1_000_001),
        ("expire_time", Timestamp(seconds=1)),
        ("expire_time", Timestamp(nanos=-1)),
    ],
)
async def test_a_faulty_field_is_named(apis: CoreApis, field: str, value: Any) -> None:
    refused = await refusal(create(apis, **{field: value}))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_every_faulty_field_is_named_at_once(apis: CoreApis) -> None:
    refused = await refusal(create(apis, name="\n", scopes=["root"], per_minute=-1))
    assert refused.fields == ["name", "per_minute", "scopes"]


async def test_the_key_to_revoke_must_be_named(apis: CoreApis) -> None:
    assert (await refusal(revoke(apis, ""))).fields == ["api_key_id"]
    assert (await refusal(revoke(apis, "' OR 1=1"))).code == "NOT_FOUND"


async def test_no_key_is_logged(apis: CoreApis) -> None:
    with capture_logs() as events:
        made = await create(apis)
        await resolve(apis, made.key)
        await refusal(resolve(apis, made.key[:-1]))
    assert [event["status"] for event in events] == ["OK", "OK", "UNAUTHENTICATED"]
    assert made.key[12:40] not in str(events)
