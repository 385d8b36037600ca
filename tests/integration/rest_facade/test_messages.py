"""Messages through real HTTP and real gRPC."""

from tests.integration.rest_facade.conftest import Api


async def test_accepted_message_is_answered_with_four_keys(api: Api) -> None:
    answer = await api.send()
    assert answer.status == 201
    identifier = answer.json["messageId"]
    assert answer.json == {"success": True, "queued": True, "messageId": identifier, "jobId": f"job-{identifier}"}
