"""Who may do what: keys, scopes, tenants, limits."""

import asyncio
import re
from typing import Any

import pytest

from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from tests.integration.rest_facade.conftest import MESSAGE, Api, Start
from tests.integration.rest_facade.stub_world import EVERY_SCOPE, TENANT, key_record

KEYED = [route for route in ROUTES if route.scope is not None]


def path_of(route: Route) -> str:
    """A path of the route that leads to nothing."""
    return re.sub(
        r"\{deviceId\}",
        "0" * 8 + "-0000-4000-8000-" + "0" * 12,
        re.sub(r"\{(?!deviceId)\w+\}", "f" * 24, route.path),
    )


def body_of(route: Route) -> Any:
    """A body that the route takes."""
    return dict(route.body.example) if route.body is not None else None


async def test_key_is_accepted_in_either_header(api: Api) -> None:
    assert (await api.call("GET", "/api/v1/devices")).status == 200
    bearer = await api.call("GET", "/api/v1/devices", key=None, headers={"Authorization": "Bearer key-of-a"})
    assert bearer.status == 200


@pytest.mark.parametrize("route", KEYED, ids=lambda route: route.operation)
async def test_route_needs_a_key_and_its_scope(api: Api, route: Route) -> None:
    others = [scope for scope in EVERY_SCOPE if scope != route.scope]
    api.world.keys["others"] = key_record("others", scopes=others)
    for key in (None, "unknown"):
        answer = await api.call(route.method, path_of(route), key=key, json=body_of(route))
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert "X-RateLimit-Limit" not in answer.headers
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    refused = await api.call(route.method, path_of(route), key="others", json=body_of(route))
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert str(route.scope) in refused.json["error"]
    for key in ("key-of-a", "admin-key"):
        allowed = await api.call(route.method, path_of(route), key=key, json=body_of(route))
        assert allowed.status in {200, 201, 404}


@pytest.mark.parametrize("route", KEYED, ids=lambda route: route.operation)
async def test_every_call_names_the_tenant_and_key_of_its_caller(api: Api, route: Route) -> None:
    await api.call(route.method, path_of(route), json=body_of(route), headers={"X-Request-Id": "request-1"})
    made = [given for given in api.world.metadata if given.get("x-tenant-id")]
    assert all(
        (given["x-tenant-id"], given["x-api-key-id"], given["x-request-id"])
        == (TENANT, "keyofa00", "request-1")
        for given in made
    )
    assert made or api.world.batches


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
async def test_probes_and_documents_need_no_key(api: Api, path: str) -> None:
    answer = await api.call("GET", path, key=None)
    assert answer.status == 200
    assert "X-RateLimit-Limit" not in answer.headers


async def test_hundred_posts_at_once_ask_for_the_key_once(start: Start) -> None:
    api = await start(failed_auth_per_minute=1)
    answers = await asyncio.gather(*(api.send() for _ in range(100)))
    assert {answer.status for answer in answers} == {201}
    assert api.world.resolved == ["key-of-a"]


async def test_revoked_key_stops_working(start: Start) -> None:
    api = await start(key_cache_s=0)
    assert (await api.send()).status == 201
    del api.world.keys["key-of-a"]
    assert (await api.send()).status == 401


async def test_failed_authentications_are_limited_by_address(start: Start) -> None:
    api = await start(failed_auth_per_minute=3, proxies=1)
    await api.send()
    statuses = [
        (
            await api.call(
                "GET", "/api/v1/devices", key=f"guess-{number}", headers={"X-Forwarded-For": "192.0.2.1"}
            )
        ).status
        for number in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    limited = await api.call(
        "GET", "/api/v1/devices", key="guess-9", headers={"X-Forwarded-For": "192.0.2.1"}
    )
    assert (limited.json["code"], int(limited.headers["Retry-After"]) > 0) == ("rate_limited", True)
    assert len(api.world.resolved) == 4
    in_use = await api.call("GET", "/api/v1/devices", headers={"X-Forwarded-For": "192.0.2.1"})
    assert in_use.status == 200
    elsewhere = await api.call(
        "GET", "/api/v1/devices", key="admin-key", headers={"X-Forwarded-For": "192.0.2.2"}
    )
    assert elsewhere.status == 200


async def test_plan_of_the_key_limits_its_requests(api: Api) -> None:
    answers = [await api.call("GET", "/api/v1/devices", key="slow-plan") for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    for used, answer in enumerate(answers, start=1):
        left = max(0, 5 - used)
        assert answer.headers["RateLimit-Policy"] == '"default";q=5;w=60'
        assert re.fullmatch(rf'"default";r={left};t=[1-9][0-9]?', answer.headers["RateLimit"])
        assert answer.headers["X-RateLimit-Limit"] == "5"
        assert answer.headers["X-RateLimit-Remaining"] == str(left)
        assert int(answer.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert answers[-1].json["code"] == "rate_limited"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert (await api.send()).status == 201


async def test_refused_requests_count_and_show_the_limit_too(api: Api) -> None:
    wrong = await api.post_raw(b"{", key="slow-plan")
    assert (wrong.status, wrong.headers["X-RateLimit-Remaining"]) == (400, "4")
    missing = await api.call("GET", f"/api/v1/messages/{'f' * 24}", key="slow-plan")
    assert (missing.status, missing.headers["X-RateLimit-Remaining"]) == (404, "3")


async def test_batch_counts_as_many_requests_as_it_has_messages(api: Api) -> None:
    async def send(count: int) -> Any:
        return await api.call(
            "POST", "/api/v1/messages/batch", key="slow-plan", json={"messages": [MESSAGE] * count}
        )

    first = await send(3)
    assert (first.status, first.headers["X-RateLimit-Remaining"]) == (200, "2")
    second = await send(3)
    assert (second.status, second.json["code"]) == (429, "rate_limited")
    assert len(api.world.messages) == 3
    third = await send(1)
    assert third.status == 200


async def test_batch_that_no_minute_of_the_plan_could_take_is_a_mistake(api: Api) -> None:
    answer = await api.call(
        "POST", "/api/v1/messages/batch", key="slow-plan", json={"messages": [MESSAGE] * 6}
    )
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    [fault] = answer.json["details"]
    assert fault["field"] == "messages"
    assert "5" in fault["issue"]
    assert api.world.messages == {}


async def test_unknown_route_and_wrong_method_are_told_in_the_common_form(api: Api) -> None:
    missing = await api.call("GET", "/api/v2/messages", key=None)
    assert (missing.status, missing.json["code"]) == (404, "not_found")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        wrong = await api.call(method, "/api/v1/messages", key=None)
        assert (wrong.status, wrong.json["code"]) == (405, "method_not_allowed")
        assert wrong.headers["Allow"] == "GET, HEAD, POST"
        assert wrong.json["error"] == wrong.json["message"]
        assert wrong.headers["X-Request-Id"] == wrong.json["requestId"]


async def test_metrics_are_not_on_the_public_port(api: Api) -> None:
    assert (await api.call("GET", "/metrics")).status == 404


async def test_head_is_answered_as_get_without_the_body(api: Api) -> None:
    got = await api.call("GET", "/api/v1/devices")
    headed = await api.call("HEAD", "/api/v1/devices")
    assert (headed.status, headed.body) == (200, b"")
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


async def test_every_answer_names_its_request(api: Api) -> None:
    given = await api.call("GET", "/healthz", headers={"X-Request-Id": "my-request/1"})
    assert given.headers["X-Request-Id"] == "my-request/1"
    for insane in ("a b", "x" * 129):
        answer = await api.call("GET", "/nowhere", headers={"X-Request-Id": insane})
        assert re.fullmatch("[0-9a-f]{24}", answer.headers["X-Request-Id"])
        assert answer.json["requestId"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nowhere", "/api/v1/messages"])
async def test_every_answer_has_the_security_headers(api: Api, path: str) -> None:
    answer = await api.call("GET", path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Server" not in answer.headers


async def test_problem_details_are_sent_to_those_who_ask(api: Api) -> None:
    for path in ("/nowhere", f"/api/v1/messages/{'f' * 24}"):
        answer = await api.call("GET", path, headers={"Accept": "application/problem+json"})
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json["status"], answer.json["code"], answer.json["success"]) == (
            404,
            "not_found",
            False,
        )


async def test_browsers_may_not_call_unless_their_origin_is_named(start: Start) -> None:
    closed = await start()
    answer = await closed.call("GET", "/healthz", headers={"Origin": "https://app.example"})
    assert not any(name.lower().startswith("access-control") for name in answer.headers)
    opened = await start(cors_origins=("https://app.example",))
    allowed = await opened.call("GET", "/api/v1/devices", headers={"Origin": "https://app.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert allowed.headers["Vary"] == "Origin"
    preflight = await opened.call(
        "OPTIONS", "/api/v1/messages", key=None, headers={"Origin": "https://app.example"}
    )
    assert preflight.status == 204
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    stranger = await opened.call(
        "OPTIONS", "/api/v1/messages", key=None, headers={"Origin": "https://evil.example"}
    )
    assert "Access-Control-Allow-Origin" not in stranger.headers


async def test_log_has_one_line_for_a_request_and_nothing_of_its_content(api: Api) -> None:
    sent = await api.send()
    await api.call("GET", "/nowhere")
    line, lost = api.log
    assert (line["route"], line["status"]) == ("POST /api/v1/messages", 201)
    assert (line["caller"].tenant_id, line["caller"].key_id) == (TENANT, "keyofa00")
    assert line["request_id"] == sent.headers["X-Request-Id"]
    assert (lost["route"], lost["status"]) == ("none", 404)
