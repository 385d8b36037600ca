"""MessagesService over gRPC: accepting, looking, cancelling, and what bad input is told."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.dispatch import ReadyDevice, claim
from core.facts import DriverFacts, Report, apply_facts
from core.message_state import Evidence
from core.store.messages import append_steps, step
from infinireach.v1 import message_pb2
from infinireach.v1 import messages_service_pb2 as pb
from tests.fakes.database import TENANT_B
from tests.fakes.messages_api import SENDER, TTL_S, MessagesApi, messages_api
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

RECIPIENT = "+1234567890"
ELSEWHERE: dict[str, Any] = {"from": "+19990000000"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[MessagesApi]:
    async with messages_api(tmp_path) as api:
        yield api


def new_message(**changes: Any) -> pb.NewMessage:
    fields: dict[str, Any] = {
        "to": RECIPIENT,
        "text": "Hello",
        "from": SENDER,
        "channel": message_pb2.CHANNEL_SMS,
        **changes,
    }
    return pb.NewMessage(**fields)


async def create(api: MessagesApi, **changes: Any) -> pb.CreateMessageResponse:
    request = pb.CreateMessageRequest(message=new_message(**changes))
    return await api.stub.CreateMessage(request, metadata=api.facade())


async def create_refused(api: MessagesApi, **changes: Any) -> Any:
    request = pb.CreateMessageRequest(message=new_message(**changes))
    return await refusal(api.stub.CreateMessage(request, metadata=api.facade()))


async def get(api: MessagesApi, message_id: str) -> message_pb2.Message:
    answer = await api.stub.GetMessage(pb.GetMessageRequest(message_id=message_id), metadata=api.facade())
    return answer.message


async def test_an_accepted_message_can_be_looked_at(api: MessagesApi) -> None:
    created = await create(api, external_id="order-1")
    message = await get(api, created.message_id)
    assert created.created
    assert message.state == message_pb2.MESSAGE_STATE_QUEUED
    assert (message.source, message.destination, message.text) == (SENDER, RECIPIENT, "Hello")
    assert (message.external_id, message.device_id) == ("order-1", api.device_id)
    assert message.create_time.ToMilliseconds() == api.clock.now_ms()


async def test_a_hundred_calls_with_one_external_id_make_one_message(api: MessagesApi) -> None:
    answers = await asyncio.gather(*(create(api, external_id="order-1") for _ in range(100)))
    assert len({answer.message_id for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1


async def test_an_external_id_with_other_content_is_a_conflict(api: MessagesApi) -> None:
    await create(api, external_id="order-1")
    refused = await create_refused(api, external_id="order-1", text="Something else")
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "EXTERNAL_ID_CONFLICT")


async def test_a_number_of_nobody_and_one_of_another_tenant_look_alike(api: MessagesApi) -> None:
    nobody = await create_refused(api, **{"from": "+15550000000"})
    request = pb.CreateMessageRequest(message=new_message())
    foreign = await refusal(api.stub.CreateMessage(request, metadata=api.facade(TENANT_B)))
    assert nobody.code == foreign.code == "NOT_FOUND"
    assert nobody.reason == foreign.reason == "DEVICE_NOT_FOUND"
    assert foreign.text == f"No device found with phone number {SENDER} for your account."


async def test_a_device_that_does_not_own_the_number_is_not_found(api: MessagesApi) -> None:
    refused = await create_refused(api, device_id="3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    assert refused.reason == "DEVICE_NOT_FOUND"


async def test_every_faulty_field_is_named_at_once(api: MessagesApi) -> None:
    refused = await create_refused(
        api, to="nowhere", text=" ", channel=0, external_id="x" * 256, **{"from": "abc"}
    )
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.fields == ["channel", "external_id", "from", "text", "to"]


async def test_one_bad_item_of_a_batch_leaves_the_others_alone(api: MessagesApi) -> None:
    items = [
        new_message(text="one"),
        new_message(to=""),
        new_message(**{"from": "+15550000000"}),
        new_message(text="two"),
    ]
    request = pb.BatchCreateMessagesRequest(
        items=[pb.BatchCreateMessagesRequest.Item(message=item) for item in items]
    )
    answer = await api.stub.BatchCreateMessages(request, metadata=api.facade())
    assert [bool(result.message_id) for result in answer.results] == [True, False, False, True]
    assert [result.error.reason for result in answer.results] == [
        "",
        "INVALID_MESSAGE",
        "DEVICE_NOT_FOUND",
        "",
    ]
    assert [v.field for v in answer.results[1].error.field_violations] == ["to"]
    assert (await get(api, answer.results[3].message_id)).text == "two"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_1_to_1000_items(api: MessagesApi, count: int) -> None:
    items = [pb.BatchCreateMessagesRequest.Item(message=new_message())] * count
    request = pb.BatchCreateMessagesRequest(items=items)
    refused = await refusal(api.stub.BatchCreateMessages(request, metadata=api.facade()))
    assert refused.fields == ["items"]


async def test_a_batch_may_hold_messages_of_several_tenants(api: MessagesApi) -> None:
    item = pb.BatchCreateMessagesRequest.Item
    request = pb.BatchCreateMessagesRequest(
        items=[item(message=new_message()), item(message=new_message(), tenant_id=TENANT_B)]
    )
    answer = await api.stub.BatchCreateMessages(request, metadata=api.facade())
    assert [result.error.reason for result in answer.results] == ["", "DEVICE_NOT_FOUND"]


async def test_a_preview_counts_and_stores_nothing(api: MessagesApi) -> None:
    request = pb.PreviewMessageRequest(message=new_message(text="x" * 160 + "漢"))
    preview = await api.stub.PreviewMessage(request, metadata=api.facade())
    assert (preview.encoding, preview.segments, preview.units) == (message_pb2.ENCODING_UCS2, 3, 161)
    assert list(preview.unicode_characters) == ["漢"]
    assert preview.device_id == api.device_id
    listed = await api.stub.ListMessages(pb.ListMessagesRequest(), metadata=api.facade())
    assert not listed.messages


async def test_lists_page_newest_first_and_filter(api: MessagesApi) -> None:
    ids = [(await create(api, text=f"message {n}")).message_id for n in range(5)]
    first = await api.stub.ListMessages(pb.ListMessagesRequest(page_size=3), metadata=api.facade())
    rest = await api.stub.ListMessages(
        pb.ListMessagesRequest(page_size=3, page_token=first.next_page_token), metadata=api.facade()
    )
    assert [m.id for m in (*first.messages, *rest.messages)] == ids[::-1]
    assert not rest.next_page_token
    for narrow in (
        pb.ListMessagesRequest(state=message_pb2.MESSAGE_STATE_SENT),
        pb.ListMessagesRequest(channel=message_pb2.CHANNEL_WHATSAPP),
        pb.ListMessagesRequest(direction=message_pb2.DIRECTION_INBOUND),
        pb.ListMessagesRequest(to="+19990000000"),
        pb.ListMessagesRequest(**ELSEWHERE),
        pb.ListMessagesRequest(until_time=Timestamp(seconds=1)),
    ):
        assert not (await api.stub.ListMessages(narrow, metadata=api.facade())).messages
    foreign = await api.stub.ListMessages(pb.ListMessagesRequest(), metadata=api.facade(TENANT_B))
    assert not foreign.messages


@pytest.mark.parametrize("token", ["nonsense", "MTox", "é" * 200])
async def test_a_page_token_that_nobody_gave_is_refused(api: MessagesApi, token: str) -> None:
    request = pb.ListMessagesRequest(page_token=token)
    refused = await refusal(api.stub.ListMessages(request, metadata=api.facade()))
    assert refused.fields == ["page_token"]


async def test_a_message_must_be_named(api: MessagesApi) -> None:
    refused = await refusal(api.stub.GetMessage(pb.GetMessageRequest(), metadata=api.facade()))
    assert refused.fields == ["message_id"]


@pytest.mark.parametrize("message_id", ["0" * 24, "x", "\0", "é" * 1000])
async def test_what_does_not_exist_is_not_found_in_the_same_words(api: MessagesApi, message_id: str) -> None:
    own = (await create(api)).message_id
    calls = {
        api.stub.GetMessage: pb.GetMessageRequest,
        api.stub.GetMessageTimeline: pb.GetMessageTimelineRequest,
        api.stub.CancelMessage: pb.CancelMessageRequest,
    }
    for call, request in calls.items():
        missing = await refusal(call(request(message_id=message_id), metadata=api.facade()))
        foreign = await refusal(call(request(message_id=own), metadata=api.facade(TENANT_B)))
        assert missing.code == foreign.code == "NOT_FOUND"
        assert missing.text == foreign.text


async def test_a_waiting_message_can_be_cancelled_once(api: MessagesApi) -> None:
    message_id = (await create(api)).message_id
    request = pb.CancelMessageRequest(message_id=message_id)
    cancelled = await api.stub.CancelMessage(request, metadata=api.facade())
    assert cancelled.message.state == message_pb2.MESSAGE_STATE_CANCELLED
    assert cancelled.message.failure.reason == message_pb2.FAILURE_REASON_CANCELLED
    assert api.wakes
    again = await refusal(api.stub.CancelMessage(request, metadata=api.facade()))
    assert (again.code, again.reason) == ("FAILED_PRECONDITION", "NOT_CANCELLABLE")


async def test_the_timeline_tells_every_step_in_order(api: MessagesApi) -> None:
    message_id = (await create(api)).message_id
    await api.store.run(_claim_all, api.device_id, api.clock.now_ms())
    driver_id, epoch = await api.store.read(_driver)
    reports = [
        Report(1, f"{message_id}-1", Evidence.SUBMITTED, references=("7",)),
        Report(2, f"{message_id}-1", Evidence.DELIVERED),
    ]
    await api.store.run(apply_facts, [DriverFacts(driver_id, epoch, reports)], api.clock.now_ms())
    request = pb.GetMessageTimelineRequest(message_id=message_id)
    timeline = await api.stub.GetMessageTimeline(request, metadata=api.facade())
    assert [entry.step for entry in timeline.entries] == ["accepted", "claimed", "submitted", "delivered"]
    assert all(entry.description for entry in timeline.entries)
    assert timeline.entries[2].attributes["references"] == "7"


async def test_of_a_long_timeline_the_newest_steps_are_told_and_that_there_are_others(
    api: MessagesApi,
) -> None:
    message_id = (await create(api)).message_id
    await api.store.run(_add_steps, message_id, [{"number": str(number)} for number in range(1000)])
    request = pb.GetMessageTimelineRequest(message_id=message_id)
    whole = (await api.stub.GetMessageTimeline(request, metadata=api.facade())).entries
    assert [entry.step for entry in whole] == ["accepted", *["retry"] * 1000]
    await api.store.run(_add_steps, message_id, [{"number": "1000"}])
    entries = (await api.stub.GetMessageTimeline(request, metadata=api.facade())).entries
    assert [entry.step for entry in entries] == ["accepted", "shortened", *["retry"] * 1000]
    assert [entry.attributes["number"] for entry in entries[2:]] == [str(number) for number in range(1, 1001)]
    assert "left out" in entries[1].description


async def test_a_timeline_of_large_steps_fits_one_answer(api: MessagesApi) -> None:
    message_id = (await create(api)).message_id
    await api.store.run(_add_steps, message_id, [{"references": "7" * 100_000}] * 100)
    request = pb.GetMessageTimelineRequest(message_id=message_id)
    timeline = await api.stub.GetMessageTimeline(request, metadata=api.facade())
    assert [entry.step for entry in timeline.entries[:3]] == ["accepted", "shortened", "retry"]
    assert 4_000_000 < timeline.ByteSize() < 4_300_000


def _add_steps(session: Session, message_id: str, attributes: list[dict[str, str]]) -> None:
    append_steps(session, [step(message_id, START_MS, "retry", each) for each in attributes])


async def test_a_message_expires_after_the_time_that_the_settings_give(api: MessagesApi) -> None:
    message_id = (await create(api)).message_id
    (deadline,) = await api.store.read(_deadline, message_id)
    assert deadline == api.clock.now_ms() + TTL_S * 1000


def _claim_all(session: Session, device_id: str, now_ms: int) -> None:
    driver_id, epoch = _driver(session)
    claim(session, [ReadyDevice(device_id, driver_id, epoch, 10)], now_ms)


def _driver(session: Session) -> tuple[str, int]:
    return tuple(session.execute(text("SELECT id, epoch FROM driver")).one())


def _deadline(session: Session, message_id: str) -> tuple[int]:
    return tuple(
        session.execute(text("SELECT not_after_ms FROM message WHERE id = :id"), {"id": message_id}).one()
    )
