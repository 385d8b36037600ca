"""Templates, files, groups and reading over gRPC: from the call to the device that can or cannot, and back."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import contents
from core.contents import Features, Media
from core.driver_sessions import OpenedSession
from core.fact_values import Inbound
from core.message_state import Evidence
from infinireach.v1 import message_pb2
from infinireach.v1 import messages_service_pb2 as pb
from tests.core_fixtures import (
    NUMBER,
    OTHER_NUMBER,
    RECIPIENT,
    apply,
    claim_for,
    connect,
    offered_device,
    report,
)
from tests.fakes.messages_api import MessagesApi, messages_api
from tests.fakes.rpc_outcome import refusal

pytestmark = pytest.mark.usefixtures("database")

WHATSAPP = message_pb2.CHANNEL_WHATSAPP
GROUP = "120363021234567890@g.us"
TEMPLATE = message_pb2.Template(
    name="order_ready", language="en_US", components_json='[{"type": "body", "parameters": []}]'
)
MEDIA = message_pb2.Media(
    type=message_pb2.MEDIA_TYPE_DOCUMENT, url="https://example.com/a.pdf", filename="Grüße.pdf"
)
ALL = Features(templates=True, media=contents.MEDIA_TYPES, groups=True, read_reports=True)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[MessagesApi]:
    async with messages_api(tmp_path) as api:
        yield api


async def connected(api: MessagesApi, can: Features | None = ALL, number: str = NUMBER) -> OpenedSession:
    """A driver with a WhatsApp device that can so much."""
    device = replace(
        offered_device("phone", number, channel="whatsapp"), features=contents.write_features(can)
    )
    return await api.store.run(lambda session: connect(session, device))


def new_message(**changes: Any) -> pb.NewMessage:
    return pb.NewMessage(**{"to": RECIPIENT, "from": NUMBER, "channel": WHATSAPP} | changes)


async def create(api: MessagesApi, **changes: Any) -> str:
    request = pb.CreateMessageRequest(message=new_message(**changes))
    return (await api.stub.CreateMessage(request, metadata=api.facade())).message_id


async def refused_fields(api: MessagesApi, **changes: Any) -> list[str]:
    request = pb.CreateMessageRequest(message=new_message(**changes))
    refused = await refusal(api.stub.CreateMessage(request, metadata=api.facade()))
    assert refused.code == "INVALID_ARGUMENT"
    return refused.fields


async def get(api: MessagesApi, message_id: str) -> message_pb2.Message:
    answer = await api.stub.GetMessage(pb.GetMessageRequest(message_id=message_id), metadata=api.facade())
    return answer.message


async def steps(api: MessagesApi, message_id: str) -> list[tuple[str, str]]:
    request = pb.GetMessageTimelineRequest(message_id=message_id)
    answer = await api.stub.GetMessageTimeline(request, metadata=api.facade())
    return [(entry.step, entry.description) for entry in answer.entries]


async def test_a_template_is_shown_as_it_was_given(api: MessagesApi) -> None:
    await connected(api)
    message = await get(api, await create(api, template=TEMPLATE))
    assert (message.template, message.text, message.HasField("media")) == (TEMPLATE, "", False)
    assert (message.encoding, message.segments) == (message_pb2.ENCODING_UNSPECIFIED, 1)


async def test_a_file_is_shown_with_its_caption(api: MessagesApi) -> None:
    await connected(api)
    message = await get(api, await create(api, media=MEDIA, text="See here"))
    assert (message.media, message.text, message.HasField("template")) == (MEDIA, "See here", False)


async def test_a_message_to_a_group_names_it_and_a_plain_one_shows_nothing_more(api: MessagesApi) -> None:
    await connected(api)
    message = await get(api, await create(api, to=f"group:one:{GROUP}", text="Hello"))
    assert (message.destination, message.group_id) == (GROUP, GROUP)
    plain = await get(api, await create(api, text="Hello"))
    named = ("template", "media", "read_time")
    assert not any(plain.HasField(name) for name in named)
    assert (plain.group_id, plain.reply_to_message_id, plain.sender_name) == ("", "", "")


async def test_what_the_device_cannot_is_refused_by_its_field_and_stores_nothing(api: MessagesApi) -> None:
    await connected(api, Features(text_characters_max=1000))
    assert await refused_fields(api, template=TEMPLATE) == ["template"]
    assert await refused_fields(api, media=MEDIA) == ["media"]
    assert await refused_fields(api, text="Hello", to=GROUP) == ["to"]
    assert await refused_fields(api, text="x" * 1001) == ["text"]
    listed = await api.stub.ListMessages(pb.ListMessagesRequest(), metadata=api.facade())
    assert not listed.messages


async def test_one_item_that_the_device_cannot_leaves_the_others_alone(api: MessagesApi) -> None:
    await connected(api, Features())
    items = [new_message(text="one"), new_message(template=TEMPLATE), new_message(text="two")]
    request = pb.BatchCreateMessagesRequest(
        items=[pb.BatchCreateMessagesRequest.Item(message=item) for item in items]
    )
    answer = await api.stub.BatchCreateMessages(request, metadata=api.facade())
    assert [result.error.reason for result in answer.results] == ["", "INVALID_MESSAGE", ""]
    (violation,) = answer.results[1].error.field_violations
    assert (violation.field, violation.description) == ("template", "the device cannot send templates")


@pytest.mark.parametrize("content", [{"template": TEMPLATE}, {"media": MEDIA, "text": "See here"}])
async def test_a_preview_answers_for_what_is_no_plain_text(api: MessagesApi, content: dict[str, Any]) -> None:
    await connected(api)
    request = pb.PreviewMessageRequest(message=new_message(**content))
    preview = await api.stub.PreviewMessage(request, metadata=api.facade())
    assert (preview.encoding, preview.segments) == (message_pb2.ENCODING_UNSPECIFIED, 1)
    assert not preview.unicode_characters
    await connected(api, Features())
    refused = await refusal(api.stub.PreviewMessage(request, metadata=api.facade()))
    assert refused.fields == [next(iter(content))]


async def test_a_message_that_was_read_says_when_and_its_timeline_shows_it(api: MessagesApi) -> None:
    opened = await connected(api)
    message_id = await create(api, template=TEMPLATE)

    def be_read(session: Session) -> None:
        (command,) = claim_for(session, opened, now_ms=api.clock.now_ms()).commands
        read = report(1, command.command_id, Evidence.DELIVERED, is_read=True)
        apply(session, opened, read, now_ms=api.clock.now_ms())

    await api.store.run(be_read)
    message = await get(api, message_id)
    assert message.state == message_pb2.MESSAGE_STATE_DELIVERED
    assert message.read_time.ToMilliseconds() == api.clock.now_ms()
    names = [name for name, _ in await steps(api, message_id)]
    assert names == ["accepted", "claimed", "delivered", "read"]
    assert (await steps(api, message_id))[-1][1] == "The recipient was reported to have read it."


async def test_an_answer_shows_what_it_answers_who_sent_it_and_what_came_with_it(api: MessagesApi) -> None:
    opened = await connected(api, number=OTHER_NUMBER)
    message_id = await create(api, text="Hello?", **{"from": OTHER_NUMBER})

    def answer(session: Session) -> None:
        (command,) = claim_for(session, opened).commands
        media = Media("image", mime_type="image/jpeg", network_id="17")
        inbound = Inbound(
            1, "phone", "whatsapp", "US.1", OTHER_NUMBER, "Look", 1, "", None,
            content=contents.write(media), reply_to_command_id=command.command_id, sender_name="Ana",
        )  # fmt: skip
        apply(session, opened, inbound)

    await api.store.run(answer)
    request = pb.ListMessagesRequest(direction=message_pb2.DIRECTION_INBOUND, **{"from": "US.1"})
    (message,) = (await api.stub.ListMessages(request, metadata=api.facade())).messages
    assert (message.reply_to_message_id, message.sender_name, message.text) == (message_id, "Ana", "Look")
    assert message.media == message_pb2.Media(
        type=message_pb2.MEDIA_TYPE_IMAGE, mime_type="image/jpeg", network_id="17"
    )
