"""Messages through real HTTP and real gRPC."""

import asyncio
import io
import json
from typing import Any

import pytest
from pydantic import SecretStr

from infinireach.v1 import message_pb2
from rest_facade import parse
from rest_facade.config import Settings
from rest_facade.core_client import BatchItem, CoreClient
from rest_facade.field_tables import COMPONENTS_BYTES_MAX
from tests.integration.rest_facade.conftest import MESSAGE, Api
from tests.integration.rest_facade.stub_core import StubCore
from tests.integration.rest_facade.stub_world import CREDENTIAL, NUMBER, OTHER_TENANT, TENANT

DEVICE = "11111111-1111-4111-8111-111111111111"


async def test_accepted_message_is_answered_with_201_and_exactly_four_keys(api: Api) -> None:
    answer = await api.send()
    assert answer.status == 201
    identifier = answer.json["messageId"]
    assert answer.json == {
        "success": True,
        "queued": True,
        "messageId": identifier,
        "jobId": f"job-{identifier}",
    }
    tenant_id, stored = api.world.messages[identifier]
    assert (tenant_id, stored.text, stored.source) == (TENANT, "Hello", NUMBER)


async def test_repeated_external_id_is_answered_with_200_and_the_first_ids(api: Api) -> None:
    first = await api.send(externalId="order-1")
    second = await api.send(externalId="order-1")
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json


async def test_repeated_external_id_with_other_content_is_a_conflict(api: Api) -> None:
    await api.send(externalId="order-1")
    answer = await api.send(externalId="order-1", message="Other")
    assert answer.status == 409
    assert answer.json["code"] == "external_id_conflict"
    assert "nothing was sent" in answer.json["error"]


async def test_hundred_at_once_with_one_external_id_are_one_message(api: Api) -> None:
    answers = await asyncio.gather(*(api.send(externalId="order-1") for _ in range(100)))
    assert sorted(answer.status for answer in answers) == [200] * 99 + [201]
    assert len({answer.json["messageId"] for answer in answers}) == 1


async def test_posts_in_flight_together_become_few_calls(api: Api) -> None:
    answers = await asyncio.gather(*(api.send() for _ in range(100)))
    assert all(answer.status == 201 for answer in answers)
    assert len(api.world.messages) == 100
    assert sum(api.world.batches) == 100
    assert len(api.world.batches) < 50


@pytest.mark.parametrize("number", ["+15550000000", "+1 (555) 000-0002", "15550000002"])
async def test_sender_of_nobody_or_of_another_tenant_is_not_found_in_the_known_words(
    api: Api, number: str
) -> None:
    answer = await api.send(**{"from": number})
    assert answer.status == 404
    assert answer.json["code"] == "device_not_found"
    assert answer.json["error"] == f"No device found with phone number {number} for your account."
    assert answer.json["message"] == answer.json["error"]


async def test_sender_may_be_written_as_people_write_it(api: Api) -> None:
    assert (await api.send(**{"from": "1 (555) 987-6543"})).status == 201


@pytest.mark.parametrize("name", ["deviceId", "device_id"])
async def test_device_that_does_not_own_the_sender_is_not_found(api: Api, name: str) -> None:
    assert (await api.send(**{name: DEVICE})).status == 201
    answer = await api.send(**{name: "22222222-2222-4222-8222-222222222222"})
    assert (answer.status, answer.json["code"]) == (404, "device_not_found")


async def test_aliases_of_fields_are_understood(api: Api) -> None:
    body = {"to": "+1234567890", "text": "Hi", "e164From": NUMBER, "channel": "whatsapp"}
    answer = await api.call("POST", "/api/v1/messages", json=body)
    assert answer.status == 201
    _, stored = api.world.messages[answer.json["messageId"]]
    assert (stored.text, stored.channel) == ("Hi", message_pb2.CHANNEL_WHATSAPP)


async def test_every_faulty_field_is_named_at_once(api: Api) -> None:
    answer = await api.call("POST", "/api/v1/messages", json={"to": "123", "message": "", "channel": "fax"})
    assert answer.status == 400
    assert answer.json["code"] == "invalid_request"
    assert [fault["field"] for fault in answer.json["details"]] == ["to", "message", "from", "channel"]


async def test_fault_that_only_the_core_sees_is_told_by_its_public_name(api: Api) -> None:
    answer = await api.send(message="refused by the core")
    assert answer.status == 400
    assert answer.json["details"] == [{"field": "message", "issue": "is not wanted"}]


WHATSAPP: dict[str, Any] = {"to": "+1234567890", "from": NUMBER, "channel": "whatsapp"}
TEMPLATE: dict[str, Any] = {
    "name": "order_shipped",
    "language": "en_US",
    "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ünï 漢"}]}],
}
DOCUMENT: dict[str, Any] = {"type": "document", "url": "https://example.com/a.pdf", "filename": "a.pdf"}


async def test_template_is_sent_and_shown_as_it_was_given(api: Api) -> None:
    sent = await api.call("POST", "/api/v1/messages", json={**WHATSAPP, "template": TEMPLATE})
    assert sent.status == 201, sent.json
    shown = (await api.call("GET", f"/api/v1/messages/{sent.json['messageId']}")).json
    assert (shown["template"], shown["message"]) == (TEMPLATE, "")
    assert list(shown)[-1] == "template"


async def test_file_is_sent_with_its_caption_and_shown(api: Api) -> None:
    sent = await api.call(
        "POST", "/api/v1/messages", json={**WHATSAPP, "media": DOCUMENT, "message": "Here."}
    )
    assert sent.status == 201, sent.json
    shown = (await api.call("GET", "/api/v1/messages")).json["messages"][0]
    assert shown["media"] == {**DOCUMENT, "mimeType": None, "networkId": None}
    assert shown["message"] == "Here."


async def test_preview_and_batch_take_every_kind_of_message(api: Api) -> None:
    kinds = [
        {**WHATSAPP, "template": TEMPLATE},
        {**WHATSAPP, "media": DOCUMENT},
        {**WHATSAPP, "message": "x" * 4096},
    ]
    for kind in kinds:
        assert (await api.call("POST", "/api/v1/messages/preview", json=kind)).status == 200
    faulty = {**WHATSAPP, "template": {**TEMPLATE, "name": ""}}
    answer = await api.call("POST", "/api/v1/messages/batch", json={"messages": [*kinds, faulty, MESSAGE]})
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 201, 201, 400, 201]
    assert [fault["field"] for fault in results[3]["details"]] == ["template.name"]


async def test_what_the_device_cannot_send_is_told_by_the_callers_names(api: Api) -> None:
    body = {**WHATSAPP, "template": {**TEMPLATE, "name": "not_of_this_device"}}
    answer = await api.call("POST", "/api/v1/messages", json=body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert answer.json["details"] == [
        {"field": "template", "issue": "the device cannot send templates"},
        {"field": "template.components", "issue": "is not wanted"},
    ]


async def test_messages_as_large_as_they_may_be_fit_into_calls_together(core: StubCore) -> None:
    components = [{"text": "x" * (COMPONENTS_BYTES_MAX - len('[{"text":""}]'))}]
    template = {"name": "n" * 512, "language": "en_US", "components": components}
    client = CoreClient(
        Settings(core_address=f"127.0.0.1:{core.port}", service_credential=SecretStr(CREDENTIAL))
    )
    await client.open()
    try:
        futures = [
            client.batcher.submit(
                BatchItem(
                    tenant_id=TENANT,
                    message=parse.required_message(
                        {**WHATSAPP, "template": template, "externalId": f"{number:😀>255}"}, ""
                    ),
                ),
                idempotent=True,
            )
            for number in range(500)
        ]
        results = await asyncio.gather(*futures)
    finally:
        await client.close()
    assert all(result.created for result in results)
    assert sum(core.world.batches) == 500


async def test_text_arrives_as_it_was_sent(api: Api) -> None:
    text = 'Ünïcödé 漢字 😀 "quoted" \\ \n\t/ \u2028'
    answer = await api.send(message=text)
    assert api.world.messages[answer.json["messageId"]][1].text == text


async def test_trace_context_goes_to_the_core(api: Api) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await api.call("POST", "/api/v1/messages", json=MESSAGE, headers={"traceparent": trace})
    await api.call("POST", "/api/v1/messages", json=MESSAGE, headers={"traceparent": "nonsense"})
    assert api.world.traceparents == [trace, ""]


async def test_messages_of_two_tenants_may_share_a_call(api: Api) -> None:
    await asyncio.gather(api.send(), api.call("GET", "/api/v1/devices", key="key-of-b"))
    api.world.batches.clear()
    api.world.gate.clear()
    other = {**MESSAGE, "from": "+15550000002"}
    posts = [asyncio.create_task(api.send())]
    posts += [
        asyncio.create_task(api.call("POST", "/api/v1/messages", key="key-of-b", json=other))
        for _ in range(3)
    ]
    posts += [asyncio.create_task(api.send()) for _ in range(3)]
    api.world.gate.set()
    answers = await asyncio.gather(*posts)
    owners = [api.world.messages[answer.json["messageId"]][0] for answer in answers]
    assert owners == [TENANT, *[OTHER_TENANT] * 3, *[TENANT] * 3]


async def test_message_is_shown_by_its_id_and_by_its_jobs(api: Api) -> None:
    sent = (await api.send(externalId="order-1")).json
    by_id = await api.call("GET", f"/api/v1/messages/{sent['messageId']}")
    by_job = await api.call("GET", f"/api/v1/messages/{sent['jobId']}")
    assert by_id.status == by_job.status == 200
    assert by_id.json == by_job.json
    shown = by_id.json
    assert shown["id"] == shown["messageId"] == sent["messageId"]
    assert (shown["status"], shown["channel"], shown["direction"]) == ("queued", "sms", "outbound")
    assert (shown["from"], shown["to"], shown["message"]) == (NUMBER, "+1234567890", "Hello")
    assert (shown["externalId"], shown["deviceId"]) == ("order-1", DEVICE)
    assert shown["createdAt"] == "2024-10-25T10:30:00.123Z"
    assert shown["sentAt"] is None


@pytest.mark.parametrize("path", ["", "/timeline"])
async def test_message_of_another_tenant_looks_like_none(api: Api, path: str) -> None:
    identifier = (await api.send()).json["messageId"]
    missing = await api.call("GET", f"/api/v1/messages/{'f' * 24}{path}", headers={"X-Request-Id": "r"})
    foreign = await api.call(
        "GET", f"/api/v1/messages/{identifier}{path}", key="key-of-b", headers={"X-Request-Id": "r"}
    )
    assert (missing.status, missing.body) == (foreign.status, foreign.body)
    assert missing.json["code"] == "not_found"


async def test_id_that_cannot_exist_is_not_found_without_asking(api: Api) -> None:
    await api.call("GET", "/api/v1/messages")
    asked = len(api.world.metadata)
    for identifier in ("x", "JOB-" + "a" * 24, "a" * 24 + "%20", "%2e%2e", "a" * 5000):
        answer = await api.call("GET", f"/api/v1/messages/{identifier}")
        assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert len(api.world.metadata) == asked


async def test_list_goes_on_where_its_cursor_says(api: Api) -> None:
    sent = [(await api.send()).json["messageId"] for _ in range(5)]
    first = (await api.call("GET", "/api/v1/messages?limit=3")).json
    assert [message["id"] for message in first["messages"]] == sent[:1:-1]
    second = (await api.call("GET", f"/api/v1/messages?limit=3&cursor={first['nextCursor']}")).json
    assert [message["id"] for message in second["messages"]] == sent[1::-1]
    assert second["nextCursor"] is None


async def test_list_is_filtered(api: Api) -> None:
    await api.send()
    answer = await api.call("GET", "/api/v1/messages?status=sent&channel=sms&from=%2B15559876543")
    assert answer.json == {"success": True, "messages": [], "nextCursor": None}
    (request,) = api.world.lists
    assert request.state == message_pb2.MESSAGE_STATE_SENT
    assert getattr(request, "from") == NUMBER


async def test_cursor_that_no_answer_gave_is_not_found(api: Api) -> None:
    answer = await api.call("GET", "/api/v1/messages?cursor=nonsense")
    assert (answer.status, answer.json["code"]) == (404, "cursor_not_found")


async def test_timeline_shows_every_step(api: Api) -> None:
    identifier = (await api.send()).json["messageId"]
    answer = await api.call("GET", f"/api/v1/messages/{identifier}/timeline")
    assert answer.json == {
        "success": True,
        "messageId": identifier,
        "timeline": [
            {
                "time": "2024-10-25T10:30:00.123Z",
                "step": "accepted",
                "description": "Accepted and stored.",
                "attributes": {"segments": "1"},
            }
        ],
    }


async def test_waiting_message_is_withdrawn_once(api: Api) -> None:
    identifier = (await api.send()).json["messageId"]
    first = await api.call("POST", f"/api/v1/messages/{identifier}/cancel")
    assert (first.status, first.json["status"], first.json["reason"]) == (200, "cancelled", "cancelled")
    second = await api.call("POST", f"/api/v1/messages/{identifier}/cancel")
    assert (second.status, second.json["code"]) == (409, "not_cancellable")


async def test_preview_counts_and_sends_nothing(api: Api) -> None:
    answer = await api.call("POST", "/api/v1/messages/preview", json=MESSAGE)
    assert answer.json == {
        "success": True,
        "encoding": "ucs2",
        "segments": 2,
        "units": 81,
        "unicodeCharacters": ["漢"],
        "deviceId": DEVICE,
    }
    assert api.world.messages == {}


async def test_preview_of_a_foreign_sender_is_not_found_in_the_known_words(api: Api) -> None:
    answer = await api.call("POST", "/api/v1/messages/preview", json={**MESSAGE, "from": "+15550000002"})
    assert answer.status == 404
    assert answer.json["error"] == "No device found with phone number +15550000002 for your account."


async def test_batch_has_a_result_for_each_message_in_order(api: Api) -> None:
    messages = [
        {**MESSAGE, "externalId": "a"},
        {**MESSAGE, "externalId": "a"},
        {**MESSAGE, "to": "nobody"},
        {**MESSAGE, "from": "+15550000002"},
        "no object",
        MESSAGE,
    ]
    answer = await api.call("POST", "/api/v1/messages/batch", json={"messages": messages})
    assert answer.status == 200
    assert (answer.json["accepted"], answer.json["failed"]) == (3, 3)
    results = answer.json["results"]
    assert [result["success"] for result in results] == [True, True, False, False, False, True]
    assert [result["status"] for result in results] == [201, 200, 400, 404, 400, 201]
    assert results[0]["messageId"] == results[1]["messageId"]
    assert results[2]["details"] == [{"field": "to", "issue": results[2]["details"][0]["issue"]}]
    assert results[3]["error"] == "No device found with phone number +15550000002 for your account."


async def test_batch_of_1000_is_accepted(api: Api) -> None:
    messages = [{**MESSAGE, "message": f"{number} " + "x" * 1000} for number in range(1000)]
    body = io.BytesIO(json.dumps({"messages": messages}).encode())
    answer = await api.post_raw(body, "/api/v1/messages/batch")
    assert answer.json["accepted"] == 1000
    texts = [api.world.messages[result["messageId"]][1].text for result in answer.json["results"]]
    assert texts == [message["message"] for message in messages]
    assert max(api.world.batches) <= 500
