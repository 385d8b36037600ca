"""externalId against the real processes: one message whatever repeats, also over a restart."""

import asyncio

from tests.e2e.gateway import Client, Gateway, new_id

ON_EVERY_DATABASE = True
REPEATS = 100


async def test_100_posts_at_once_are_one_message_that_goes_out_once(running: Gateway, owner: Client) -> None:
    external_id = f"order-{new_id()}"
    body = {
        "to": "+15551230001",
        "message": "Only once",
        "from": "+15559876543",
        "channel": "sms",
        "externalId": external_id,
    }
    answers = await asyncio.gather(*(owner.request("POST", "/api/v1/messages", body) for _ in range(REPEATS)))
    assert sorted(answer.status for answer in answers) == [200] * (REPEATS - 1) + [201]
    assert len({answer.body for answer in answers}) == 1
    message_id = answers[0].json["messageId"]
    await owner.message_in(message_id, "delivered")
    assert len(running.radio(message_id=message_id)) == 1

    running.restart()

    async with running.client() as after:
        again = await after.request("POST", "/api/v1/messages", body)
        assert (again.status, again.body) == (200, answers[0].body)
        other = await after.request("POST", "/api/v1/messages", {**body, "message": "Something else"})
        assert (other.status, other.json["code"]) == (409, "external_id_conflict")
        # What is sent after it on the same device shows that nothing of it waits before.
        later = await after.send(to="+15551230001")
        await after.message_in(later, "delivered")
        page = await after.get("/api/v1/messages?to=%2B15551230001")
        assert [message["id"] for message in page["messages"]] == [later, message_id]
    taken = [entry["message_id"] for entry in running.radio() if entry["destination"] == "+15551230001"]
    assert taken == [message_id, later]


async def test_tenants_have_external_ids_of_their_own(owner: Client, other: Client) -> None:
    external_id = f"order-{new_id()}"
    await owner.send(externalId=external_id)
    answer = await other.request(
        "POST",
        "/api/v1/messages",
        {
            "to": "+15551230000",
            "message": "x",
            "from": "+15559876543",
            "channel": "sms",
            "externalId": external_id,
        },
    )
    assert (answer.status, answer.json["code"]) == (404, "device_not_found")
