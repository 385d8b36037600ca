"""Bad input on every route of the running system: always the documented body, never a 5xx."""

import json
from typing import Any

import pytest

from rest_facade.route import Route
from rest_facade.route_table import ROUTES
from tests.e2e.gateway import Answer, Client, message, new_id
from tests.e2e.routes import GUARDED, named, path_of

ON_EVERY_DATABASE = True
WITH_BODY = [route for route in GUARDED if route.body]
WITH_QUERY = [route for route in GUARDED if route.query]
OPTIONAL_BODY = {route.operation for route in WITH_BODY if route.body and not route.body.required}
PATHS = {route.path for route in ROUTES}

RAW_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \n",
    "half an object": b'{"to": "+1',
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a number": b"1",
    "invalid UTF-8": b'{"message": "\xff\xfe"}',
    "an overlong sequence": b'{"message": "\xc0\xaf"}',
    "a raw surrogate": b'{"message": "\xed\xa0\x80"}',
    "an escaped lone surrogate": b'{"message": "\\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"message": "x"}'.encode("utf-16"),
    "a repeated key": b'{"name": "a", "name": "b"}',
    "an escaped repeated key": b'{"name": "a", "n\\u0061me": "b"}',
    "a repeated key deep inside": b'{"x": [{"y": 1, "y": 2}]}',
    "NaN": b'{"x": NaN}',
    "Infinity": b'{"x": -Infinity}',
    "a huge exponent": b'{"x": 1e99999}',
    "a comment": b'{"x": 1 /* no */}',
    "a trailing comma": b'{"x": 1,}',
    "two objects": b"{}{}",
    "deep nesting": b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "an unescaped control character": b'{"name": "a\nb"}',
}
MESSAGE_FAULTS: dict[str, Any] = {
    "to": [
        None,
        "",
        1,
        True,
        [],
        {},
        "12345678",
        "+0123456",
        "+1" * 60,
        "abc@g.us",
        "+123456\u0000",
        "\ud7ff",
    ],
    "message": [None, "", " \t\n", 1, [], "x" * 1601, "a\u0000b", "\u0007"],
    "from": [None, "", 7, "nobody", "+1", "+" + "9" * 40],
    "channel": [None, "", "telegram", "SMS ", 1, ["sms"]],
    "externalId": ["", 1, "x" * 256, "a\nb", "\u0085", {}],
    "deviceId": ["", 1, "x" * 65, "a\tb"],
}
TEMPLATE: dict[str, Any] = {"name": "order_shipped", "language": "en_US"}
MEDIA: dict[str, Any] = {"type": "image", "url": "https://example.com/a.png"}
CONTENT_FAULTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"template": 1}, {"template"}),
    ({"template": {}}, {"template.name", "template.language"}),
    ({"template": {"name": "A", "language": "e", "components": {}}, "to": "x"},
     {"template.name", "template.language", "template.components", "to"}),
    ({"template": {**TEMPLATE, "components": [{"a": "x" * 16_384}]}}, {"template.components"}),
    ({"template": {**TEMPLATE, "components": [5]}, "from": None}, {"template.components", "from"}),
    ({"template": TEMPLATE, "message": "x"}, {"message"}),
    ({"template": TEMPLATE, "text": ""}, {"message"}),
    ({"template": TEMPLATE, "media": MEDIA}, {"media"}),
    ({"template": TEMPLATE, "channel": "sms"}, {"template"}),
    ({"media": []}, {"media"}),
    ({"media": {"type": "file", "url": "ftp://example.com/a"}}, {"media.type", "media.url"}),
    ({"media": {**MEDIA, "url": "https://user:pass@example.com/"}}, {"media.url"}),
    ({"media": {**MEDIA, "url": "https://example.com/" + "x" * 2048}}, {"media.url"}),
    ({"media": {**MEDIA, "filename": "a.png"}}, {"media.filename"}),
    ({"media": {**MEDIA, "type": "document", "filename": "a\u0000"}}, {"media.filename"}),
    ({"media": MEDIA, "message": "x" * 1025}, {"message"}),
    ({"media": {**MEDIA, "type": "audio"}, "message": "x"}, {"message"}),
    ({"media": MEDIA, "channel": "sms"}, {"media"}),
    ({"message": "x" * 4097}, {"message"}),
    ({"message": "x", "to": "us.1349"}, {"to"}),
]  # fmt: skip
OTHER_FAULTS: dict[str, list[tuple[dict[str, Any], set[str]]]] = {
    "updateDevice": [
        ({"name": 1, "enabled": "yes"}, {"name", "enabled"}),
        ({"name": "", "enabled": None}, {"name"}),
        ({"name": "x" * 101}, {"name"}),
        ({"name": "a\u0000b", "enabled": 1}, {"name", "enabled"}),
    ],
    "createDriverToken": [({}, {"name"}), ({"name": []}, {"name"}), ({"name": "x" * 101}, {"name"})],
    "createWebhook": [
        (
            {"url": 1, "events": "all", "timeoutSeconds": 31, "ordered": "no", "description": "x" * 256},
            {"url", "events", "timeoutSeconds", "ordered", "description"},
        ),
        ({"events": ["nothing"], "timeoutSeconds": 10**30}, {"url", "events", "timeoutSeconds"}),
        ({"url": "ftp://example.com"}, {"url"}),
        ({"url": "https://example.com/" + "x" * 2048}, {"url"}),
        (
            {"url": "https://example.com", "events": ["message.inbound", "message.received"]},
            {"events"},
        ),
        ({"url": "http://169.254.169.254/latest"}, {"url"}),
        ({"url": "https://user:pass@example.com/"}, {"url"}),
    ],
    "updateWebhook": [
        ({"url": "", "enabled": 0, "timeoutSeconds": 0.5}, {"url", "enabled", "timeoutSeconds"}),
        ({"events": {}, "ordered": []}, {"events", "ordered"}),
    ],
    "enableWebhook": [({"skipBacklog": "yes"}, {"skipBacklog"})],
    "sendMessages": [
        ({}, {"messages"}),
        ({"messages": {}}, {"messages"}),
        ({"messages": []}, {"messages"}),
        ({"messages": [1] * 1001}, {"messages"}),
    ],
}
QUERY_FAULTS = ["", "x", "-1", "0", "1e3", "99999999999999999999", "%00", "%ff", "a" * 600, "%0d%0aX: y"]


def assert_documented(answer: Answer, *statuses: int) -> None:
    """An error has one of the statuses and the one body of all errors."""
    assert answer.status in statuses, answer
    facts = answer.json
    assert set(facts) - {"details"} == {"success", "error", "message", "code", "requestId"}
    assert facts["success"] is False
    assert facts["error"] == facts["message"]
    assert isinstance(facts["error"], str)
    assert facts["error"]
    assert facts["requestId"] == answer.headers["X-Request-Id"]
    for detail in facts.get("details", []):
        assert set(detail) == {"field", "issue"}
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.operation)
@pytest.mark.parametrize("kind", RAW_BODIES)
async def test_a_body_that_is_no_json_object_is_refused(kind: str, route: Route, owner: Client) -> None:
    answer = await owner.request(route.method, path_of(route), raw=RAW_BODIES[kind])
    if kind == "nothing" and route.operation in OPTIONAL_BODY:
        assert_documented(answer, 404)
        return
    assert_documented(answer, 400)
    assert answer.json["code"] == "invalid_json"


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.operation)
async def test_other_content_types_and_large_bodies_are_refused(route: Route, owner: Client) -> None:
    for content_type in ("text/plain", "application/xml", "application/json; charset=utf-16", "multipart/x"):
        answer = await owner.request(
            route.method, path_of(route), raw=b"{}", headers={"Content-Type": content_type}
        )
        assert_documented(answer, 415)
        assert answer.json["code"] == "unsupported_media_type"
    body = b'{"name": "' + b"x" * 10_000_000 + b'"}'
    answer = await owner.request(route.method, path_of(route), raw=body)
    assert_documented(answer, 413)
    assert answer.json["code"] == "payload_too_large"


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/messages/preview"])
@pytest.mark.parametrize("field", MESSAGE_FAULTS)
async def test_each_bad_value_of_a_message_is_named(field: str, path: str, owner: Client) -> None:
    for value in MESSAGE_FAULTS[field]:
        body = message() | {field: value}
        answer = await owner.request("POST", path, body)
        assert_documented(answer, 400, 404)
        if answer.status == 404:
            assert (field, answer.json["code"]) in {
                ("from", "device_not_found"),
                ("deviceId", "device_not_found"),
            }
        else:
            assert [detail["field"] for detail in answer.json["details"]] == [field], value


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/messages/preview"])
async def test_each_bad_template_or_file_is_named_by_its_path(path: str, owner: Client) -> None:
    bare = {name: value for name, value in message(channel="whatsapp").items() if name != "message"}
    for changes, fields in CONTENT_FAULTS:
        answer = await owner.request("POST", path, bare | changes)
        assert_documented(answer, 400)
        assert {detail["field"] for detail in answer.json["details"]} == fields, changes


async def test_all_faulty_fields_of_a_message_are_named_at_once(owner: Client) -> None:
    body = {"to": 1, "message": "", "from": [], "channel": "fax", "externalId": {}, "deviceId": ""}
    for sent, fields in ((body, set(body)), ({}, {"to", "message", "from", "channel"})):
        for path in ("/api/v1/messages", "/api/v1/messages/preview"):
            answer = await owner.request("POST", path, sent)
            assert_documented(answer, 400)
            assert {detail["field"] for detail in answer.json["details"]} == fields


async def test_a_bad_item_of_a_batch_has_its_own_error_and_spoils_nothing(owner: Client) -> None:
    items: list[Any] = [message(), 1, message(to="x", channel="fax"), message(**{"from": "+15550009999"})]
    items += [[], None, message(message="\ud7ff ok"), message(message="x" * 1601)]
    answer = await owner.request("POST", "/api/v1/messages/batch", {"messages": items})
    assert answer.status == 200
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 400, 400, 404, 400, 400, 201, 400]
    assert {detail["field"] for detail in results[2]["details"]} == {"to", "channel"}
    assert (answer.json["accepted"], answer.json["failed"]) == (2, 6)


@pytest.mark.parametrize("operation", OTHER_FAULTS)
async def test_all_faulty_fields_of_other_bodies_are_named_at_once(operation: str, owner: Client) -> None:
    route = next(route for route in ROUTES if route.operation == operation)
    for body, fields in OTHER_FAULTS[operation]:
        answer = await owner.request(route.method, path_of(route), body)
        assert_documented(answer, 400)
        assert answer.json["code"] == "invalid_request"
        assert {detail["field"] for detail in answer.json["details"]} == fields, body
        assert ".." not in answer.json["error"]


def test_every_route_with_a_body_has_bad_values() -> None:
    operations = {route.operation for route in WITH_BODY}
    assert operations == {*OTHER_FAULTS, "sendMessage", "previewMessage"}


@pytest.mark.parametrize("route", WITH_QUERY, ids=lambda route: route.operation)
async def test_bad_queries_are_refused_and_named(route: Route, owner: Client) -> None:
    path = path_of(route)
    for field in route.query:
        for value in QUERY_FAULTS:
            answer = await owner.request("GET", f"{path}?{field.name}={value}")
            if answer.status == 200:
                continue
            assert_documented(answer, 400, 404)
            if answer.json["code"] == "invalid_request":
                # What is no text at all is the fault of the query as a whole.
                expected = "query" if value == "%ff" else field.name
                assert [detail["field"] for detail in answer.json["details"]] == [expected]
    wrong = "&".join(f"{field.name}=%00" for field in route.query)
    answer = await owner.request("GET", f"{path}?{wrong}")
    assert_documented(answer, 400)
    assert {detail["field"] for detail in answer.json["details"]} == {field.name for field in route.query}


@pytest.mark.parametrize("route", [route for route in GUARDED if named(route)], ids=lambda r: r.operation)
async def test_ids_that_nothing_can_have_are_not_found(route: Route, owner: Client) -> None:
    odd = ["x", "0", "-1", "%00", "%ff", "..%2f..", "' or 1=1", "a" * 2000, "job-", f"job-job-{new_id()}"]
    for value in odd:
        body = {} if route.body else None
        answer = await owner.request(route.method, route.path.replace(f"{{{named(route)}}}", value), body)
        assert_documented(answer, 400, 404)


async def test_unknown_routes_and_wrong_methods_are_answered_in_json(owner: Client) -> None:
    for path in ("/", "/api/v1", "/api/v2/messages", "/admin", "/api/v1/messages/x/y/z"):
        assert_documented(await owner.request("GET", path), 404)
    for path in PATHS:
        answer = await owner.request("PUT", path.replace("{", "").replace("}", ""))
        assert_documented(answer, 405)
        assert answer.headers["Allow"]


async def test_a_key_is_asked_for_before_the_body_is_looked_at(owner: Client) -> None:
    for route in GUARDED:
        headers = {"X-API-Key": "irk_nonsense"}
        answer = await owner.request(
            route.method, path_of(route), raw=b"{" if route.body else None, headers=headers
        )
        assert_documented(answer, 401)
        assert answer.json["code"] == "unauthorized"


async def test_numbers_that_look_almost_right_are_taken_as_documented(owner: Client) -> None:
    spaced = await owner.request("POST", "/api/v1/messages", message(**{"from": "+1 (555) 987-6543"}))
    assert spaced.status == 201
    aliases = {"to": "+15551230000", "text": "Hello", "e164From": "+15559876543", "channel": "sms"}
    assert (await owner.request("POST", "/api/v1/messages", aliases)).status == 201
    extra = json.dumps(message() | {"unknown": {"deep": [1e300]}}).encode()
    assert (await owner.request("POST", "/api/v1/messages", raw=extra)).status == 201
