"""What callers are told when the core is slow, away, or in doubt."""

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.integration.rest_facade.conftest import Api, Start
from tests.integration.rest_facade.stub_core import StubCore
from tests.integration.rest_facade.stub_world import CREDENTIAL, World


async def test_core_that_cannot_commit_is_unavailable_and_nothing_was_accepted(api: Api) -> None:
    await api.send()
    api.world.failures = [(grpc.StatusCode.UNAVAILABLE, "Nothing was accepted.", "UNAVAILABLE")]
    answer = await api.send(externalId="order-1")
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert len(api.world.messages) == 1


@pytest.mark.parametrize(
    "failure",
    [
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", ""),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2", ""),
        (grpc.StatusCode.CANCELLED, "", ""),
        (grpc.StatusCode.UNKNOWN, "Stream removed", ""),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", ""),
        RuntimeError("a crash in the core"),
    ],
)
async def test_failure_without_the_cores_word_leaves_the_outcome_unknown(api: Api, failure: object) -> None:
    await api.send()
    api.world.failures = [failure]  # pyright: ignore[reportAttributeAccessIssue]
    answer = await api.send()
    assert (answer.status, answer.json["code"]) == (503, "outcome_unknown")
    assert "Retry-After" in answer.headers
    assert b"crash" not in answer.body


async def test_message_with_an_external_id_is_sent_again_by_itself(api: Api) -> None:
    await api.send()
    api.world.failures = [(grpc.StatusCode.CANCELLED, "", "")]
    answer = await api.send(externalId="order-1")
    assert answer.status == 201
    assert len(api.world.messages) == 2


async def test_core_in_doubt_itself_says_so(api: Api) -> None:
    await api.send()
    api.world.failures = [(grpc.StatusCode.UNKNOWN, "It is not known.", "OUTCOME_UNKNOWN")] * 2
    answer = await api.send(externalId="order-1")
    assert (answer.status, answer.json["code"]) == (503, "outcome_unknown")


async def test_lost_read_is_made_again(api: Api) -> None:
    await api.call("GET", "/api/v1/devices")
    api.world.failures = [(grpc.StatusCode.UNAVAILABLE, "Socket closed", "")]
    assert (await api.call("GET", "/api/v1/devices")).status == 200


async def test_lost_change_is_not_made_again(api: Api) -> None:
    await api.call("GET", "/api/v1/devices")
    api.world.failures = [(grpc.StatusCode.UNAVAILABLE, "Socket closed", "")]
    answer = await api.call("POST", "/api/v1/driver-tokens", json={"name": "Office"})
    assert (answer.status, answer.json["code"]) == (503, "outcome_unknown")


async def test_reason_that_nobody_foresaw_is_internal_and_shows_nothing(api: Api) -> None:
    await api.call("GET", "/api/v1/devices")
    api.world.failures = [(grpc.StatusCode.INTERNAL, "no such table: secrets", "INTERNAL")]
    answer = await api.call("GET", "/api/v1/devices")
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert b"secrets" not in answer.body


async def test_core_that_is_away_is_told_after_the_grace(core: StubCore, start: Start) -> None:
    api = await start(core_grace_s=0.05)
    await api.send()
    await core.stop()
    for answer in (await api.send(), await api.call("GET", "/api/v1/devices")):
        assert answer.status == 503
    ready = await api.call("GET", "/readyz", key=None)
    assert (ready.status, ready.json["code"]) == (503, "unavailable")
    assert (await api.call("GET", "/healthz", key=None)).status == 200


async def test_core_that_comes_back_within_the_grace_is_waited_for(core: StubCore, start: Start) -> None:
    api = await start(core_grace_s=30)
    await api.send()
    await core.stop()
    waiting = asyncio.create_task(api.send())
    await core.start()
    assert (await waiting).status == 201
    assert (await api.call("GET", "/readyz", key=None)).status == 200


async def test_facade_may_start_before_its_core(core: StubCore, start: Start) -> None:
    await core.stop()
    api = await start(core_grace_s=30)
    waiting = asyncio.create_task(api.send())
    await core.start()
    assert (await waiting).status == 201


async def test_core_that_does_not_serve_is_not_ready(api: Api) -> None:
    await api.send()
    api.world.serves = False
    assert (await api.call("GET", "/readyz", key=None)).status == 503


async def test_credential_may_appear_after_the_start(start: Start, tmp_path: Path) -> None:
    api = await start(service_credential="", var=tmp_path)
    assert (await api.call("GET", "/readyz", key=None)).status == 503
    (tmp_path / "service.credential").write_text(CREDENTIAL)
    assert (await api.send()).status == 201


async def test_credential_that_changed_is_read_again(start: Start, tmp_path: Path) -> None:
    (tmp_path / "service.credential").write_text("of an earlier installation")
    api = await start(service_credential="", var=tmp_path)
    (tmp_path / "service.credential").write_text(CREDENTIAL)
    assert (await api.send()).status == 201


async def test_wrong_credential_is_not_blamed_on_the_caller(start: Start) -> None:
    api = await start(service_credential="wrong")
    answer = await api.send()
    assert (answer.status, answer.json["code"]) == (503, "unavailable")


async def test_a_core_that_refuses_the_credential_is_not_ready_until_it_is_the_right_one(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "service.credential").write_text("of another installation")
    api = await start(service_credential="", var=tmp_path)
    assert (await api.call("GET", "/readyz", key=None)).status == 503
    (tmp_path / "service.credential").write_text(CREDENTIAL)
    assert (await api.call("GET", "/readyz", key=None)).status == 200


async def test_readiness_asks_for_the_credential_once_and_again_after_a_refusal(api: Api) -> None:
    for _ in range(3):
        assert (await api.call("GET", "/readyz", key=None)).status == 200
    assert len(api.world.metadata) == 1
    api.world.credential = "changed"
    assert (await api.send()).status == 503
    assert (await api.call("GET", "/readyz", key=None)).status == 503


async def test_a_call_that_one_core_refuses_for_the_credential_is_made_of_the_next(
    core: StubCore, start: Start
) -> None:
    ahead = StubCore(World(credential="known here only"))
    await ahead.start()
    try:
        api = await start(core_address=f"127.0.0.1:{ahead.port},127.0.0.1:{core.port}")
        assert (await api.call("GET", "/readyz", key=None)).status == 200
        for _ in range(4):
            assert (await api.send()).status == 201
    finally:
        await ahead.stop()
    assert len(ahead.world.metadata) > 0


async def test_full_queue_is_unavailable_and_the_rest_goes_through(start: Start) -> None:
    api = await start(queue_messages_max=5, batch_messages_max=1, batches_in_flight_max=1)
    await api.send()
    api.world.gate.clear()
    posts = [asyncio.create_task(api.send()) for _ in range(20)]
    done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    refused = next(iter(done)).result()
    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    api.world.gate.set()
    answers = await asyncio.gather(*posts)
    accepted = sum(answer.status == 201 for answer in answers)
    assert {answer.status for answer in answers} == {201, 503}
    assert len(api.world.messages) == accepted + 1


async def test_batch_that_does_not_fit_the_queue_is_refused_as_a_whole(start: Start) -> None:
    api = await start(queue_messages_max=5)
    messages = [{"to": "+1234567890", "message": "Hi", "from": "+15559876543", "channel": "sms"}] * 6
    answer = await api.call("POST", "/api/v1/messages/batch", json={"messages": messages})
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert api.world.messages == {}


async def test_call_without_an_answer_ends_at_its_deadline(start: Start) -> None:
    api = await start(core_timeout_s=0.2)
    await api.call("GET", "/api/v1/devices")
    api.world.gate.clear()
    answer = await api.send()
    api.world.gate.set()
    assert (answer.status, answer.json["code"]) == (503, "outcome_unknown")


async def test_a_proxy_of_the_environment_is_not_asked_for_the_core(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    api = await start(core_grace_s=30)
    assert (await api.send()).status == 201
