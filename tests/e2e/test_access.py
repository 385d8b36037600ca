"""API keys on the running system: revoked, expired, limited, imported, presented in other ways."""

import time
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from infinireach.v1.accounts_service_pb2 import CreateApiKeyRequest, CreateApiKeyResponse
from tests.e2e.gateway import Answer, Client, Gateway, Tenant, eventually, message
from tests.e2e.rpcs import rpcs

LIMIT = 5
REVOKED_S_MAX = 10.0
"""Bound of the wait for a promise of 5 s, on a busy machine."""


async def refused(client: Client) -> Answer | None:
    """The answer once the key is refused."""
    answer = await client.request("GET", "/api/v1/devices")
    assert answer.status in {200, 401}
    return answer if answer.status == 401 else None


async def test_a_revoked_key_stops_working_in_rest_and_grpc(running: Gateway, other_tenant: Tenant) -> None:
    made = running.new_key(other_tenant.name, per_minute=1_000_000)
    async with running.client(made["apiKey"]) as client:
        await client.get("/api/v1/devices")
        running.command("key", "revoke", made["id"], "--tenant", other_tenant.name)
        answer = await eventually(
            lambda: refused(client), "the revoked key is refused", within_s=REVOKED_S_MAX
        )
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert (await client.request("POST", "/api/v1/messages", message())).status == 401

    async def refused_by_core() -> bool:
        async with rpcs(running.run["grpc"], made["apiKey"]) as calls:
            outcome = await calls.call("CreateApiKey", CreateApiKeyRequest(name="x", scopes=["devices"]))
        return outcome.code == "UNAUTHENTICATED"

    await eventually(refused_by_core, "the core refuses it", within_s=REVOKED_S_MAX)


async def test_a_key_stops_working_when_it_expires(running: Gateway, other_tenant: Tenant) -> None:
    expires = Timestamp()
    expires.FromDatetime(datetime.now(UTC) + timedelta(seconds=3))
    async with rpcs(running.run["grpc"], other_tenant.key) as admin:
        request = CreateApiKeyRequest(name="short", scopes=["admin"], expire_time=expires)
        answer = (await admin.call("CreateApiKey", request)).answer
    assert isinstance(answer, CreateApiKeyResponse)
    async with running.client(answer.key) as client:
        assert (await client.request("GET", "/api/v1/devices")).status == 200
        await eventually(lambda: refused(client), "the expired key is refused")


async def test_the_limit_of_a_key_is_told_and_held(running: Gateway, other_tenant: Tenant) -> None:
    key = running.new_key(other_tenant.name, per_minute=LIMIT)["apiKey"]
    async with running.client(key) as client:
        answers = [await client.request("GET", "/api/v1/devices") for _ in range(LIMIT + 2)]
        assert [answer.status for answer in answers] == [200] * LIMIT + [429] * 2
        for number, answer in enumerate(answers, 1):
            left = max(0, LIMIT - number)
            headers = answer.headers
            assert headers["X-RateLimit-Limit"] == str(LIMIT)
            assert headers["X-RateLimit-Remaining"] == str(left)
            assert 0 <= int(headers["X-RateLimit-Reset"]) - time.time() <= 61
            assert headers["RateLimit-Policy"] == f'"default";q={LIMIT};w=60'
            assert headers["RateLimit"].startswith(f'"default";r={left};t=')
        assert answers[-1].json["code"] == "rate_limited"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        posted = await client.request("POST", "/api/v1/messages", message())
        assert posted.status == 429
    async with running.client(other_tenant.key) as unlimited:
        assert (await unlimited.request("GET", "/api/v1/devices")).status == 200


async def test_a_batch_counts_as_many_requests_as_it_has_messages(
    running: Gateway, other_tenant: Tenant
) -> None:
    key = running.new_key(other_tenant.name, per_minute=LIMIT)["apiKey"]
    async with running.client(key) as client:
        first = await client.request("GET", "/api/v1/devices")
        assert first.status == 200
        whole = await client.request("POST", "/api/v1/messages/batch", {"messages": [message()] * LIMIT})
        assert (whole.status, whole.json["code"]) == (429, "rate_limited")
        never = await client.request(
            "POST", "/api/v1/messages/batch", {"messages": [message()] * (LIMIT + 1)}
        )
        assert (never.status, never.json["code"]) == (400, "invalid_request")


async def test_a_key_may_come_as_a_bearer_token_and_an_empty_header_is_none(owner: Client) -> None:
    async with Client(owner.base, "") as bare:
        for headers, status in (
            ({"Authorization": f"Bearer {owner.key}"}, 200),
            ({"Authorization": f"bearer {owner.key}"}, 200),
            ({"Authorization": f"Basic {owner.key}"}, 401),
            ({"Authorization": "Bearer "}, 401),
            ({"X-API-Key": ""}, 401),
            ({"X-API-Key": owner.key[:-1] + "x"}, 401),
            ({}, 401),
        ):
            answer = await bare.request("GET", "/api/v1/devices", headers=headers)
            assert (headers, answer.status) == (headers, status)
