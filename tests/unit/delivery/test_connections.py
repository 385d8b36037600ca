"""Which attempts share a connection, and when connections end."""

import asyncio

import pytest

from core.delivery import connections
from core.delivery.sender import ErrorClass, WebhookSender
from tests.fakes.webhook_receiver import (
    Connection,
    ReceivedRequest,
    Reply,
    SendBytes,
    WebhookReceiver,
    say_nothing,
)
from tests.unit.delivery.attempts import ENOUGH_FOR_A_HEAD_S, new_request, new_sender

OK_THEN_CLOSE = SendBytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then="close")


class Gate:
    """A behaviour that answers 200 when the test says so."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        await self.opened.wait()
        await Reply()(request, connection)


async def reset_when_used_again(request: ReceivedRequest, connection: Connection) -> None:
    """Answer the first request of a connection and reset it at the second."""
    if connection.requests == 1:
        await Reply()(request, connection)
    else:
        connection.reset()


async def test_attempts_of_one_endpoint_share_a_connection(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    for _ in range(5):
        await sender.send(new_request(receiver.url))
    assert [request.connection for request in receiver.requests] == [1] * 5


async def test_another_version_of_the_configuration_gets_another_connection(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    for config_version in (1, 1, 2, 2):
        await sender.send(new_request(receiver.url, config_version=config_version))
    assert [request.connection for request in receiver.requests] == [1, 1, 2, 2]


async def test_another_endpoint_gets_another_connection_even_for_the_same_url(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    for endpoint_id in ("a", "b", "a", "b"):
        await sender.send(new_request(receiver.url, endpoint_id=endpoint_id))
    assert [request.connection for request in receiver.requests] == [1, 2, 1, 2]


async def test_another_url_gets_another_connection_even_in_the_same_version(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    for query in ("?a", "?a", "?b"):
        await sender.send(new_request(receiver.url + query))
    assert [request.connection for request in receiver.requests] == [1, 1, 2]
    assert [request.target for request in receiver.requests] == ["/hook?a", "/hook?a", "/hook?b"]


async def test_a_superseded_version_closes_its_connections(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    async with WebhookReceiver() as moved_to:
        await sender.send(new_request(receiver.url, config_version=1))
        await sender.send(new_request(moved_to.url, config_version=2))
        await receiver.wait_until_unconnected()
        assert moved_to.connections_open == 1


async def test_an_attempt_under_way_outlives_a_change_of_configuration(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    gate = Gate()
    receiver.respond_with(gate)
    async with WebhookReceiver() as moved_to:
        under_way = asyncio.create_task(sender.send(new_request(receiver.url, config_version=1)))
        await receiver.wait_for(1)
        await sender.send(new_request(moved_to.url, config_version=2))
        gate.opened.set()
        assert (await under_way).status == 200
        await receiver.wait_until_unconnected()


async def test_idle_connections_are_closed(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S_MAX", 0.05)
    async with new_sender() as sender:
        await sender.send(new_request(receiver.url))
        await receiver.wait_until_unconnected()


async def test_closing_the_sender_closes_everything(receiver: WebhookReceiver) -> None:
    async with new_sender() as sender:
        for endpoint_id in ("a", "b", "c"):
            await sender.send(new_request(receiver.url, endpoint_id=endpoint_id))
        assert receiver.connections_open == 3
    await receiver.wait_until_unconnected()


async def test_the_least_recently_used_idle_endpoint_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ENDPOINTS_MAX", 2)
    gate = Gate()
    async with (
        WebhookReceiver() as busy,
        WebhookReceiver() as old,
        WebhookReceiver() as new,
        new_sender() as sender,
    ):
        busy.respond_with(gate)
        under_way = asyncio.create_task(sender.send(new_request(busy.url, endpoint_id="busy")))
        await busy.wait_for(1)
        await sender.send(new_request(old.url, endpoint_id="old"))
        await sender.send(new_request(new.url, endpoint_id="new"))
        await old.wait_until_unconnected()
        assert (busy.connections_open, new.connections_open) == (1, 1)
        gate.opened.set()
        assert (await under_way).status == 200


async def test_attempts_to_more_endpoints_than_the_limit_succeed_and_share_later_on(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ENDPOINTS_MAX", 2)
    gate = Gate()
    receiver.respond_with(gate)
    async with new_sender() as sender:
        requests = [new_request(receiver.url, endpoint_id=endpoint_id) for endpoint_id in "abcd"]
        under_way = [asyncio.create_task(sender.send(request)) for request in requests]
        await receiver.wait_for(4)
        gate.opened.set()
        assert [(await task).status for task in under_way] == [200] * 4
        assert (await sender.send(new_request(receiver.url, endpoint_id="d"))).status == 200
        assert receiver.connections_opened == 4
        assert (await sender.send(new_request(receiver.url, endpoint_id="e"))).status == 200
        while receiver.connections_open > 2:  # noqa: ASYNC110 - there is nothing that would tell
            await asyncio.sleep(0)


async def test_many_attempts_at_once_share_few_connections(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    results = await asyncio.gather(*(sender.send(new_request(receiver.url)) for _ in range(100)))
    assert {result.status for result in results} == {200}
    assert len(receiver.requests) == 100
    assert receiver.connections_opened == connections.CONNECTIONS_PER_ENDPOINT_MAX


async def test_a_receiver_that_closes_after_each_answer_loses_no_attempt(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(OK_THEN_CLOSE)
    results = [await sender.send(new_request(receiver.url)) for _ in range(20)]
    assert [result.status for result in results] == [200] * 20
    assert len(receiver.requests) == 20


async def test_a_connection_that_dies_when_it_is_used_again_is_replaced_once(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(), SendBytes(b"", then="reset"))
    assert (await sender.send(new_request(receiver.url))).status == 200
    assert (await sender.send(new_request(receiver.url))).error_class is ErrorClass.RESET
    assert [request.connection for request in receiver.requests] == [1, 1, 2]


async def test_the_replacement_is_a_fresh_connection_and_not_another_idle_one(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(reset_when_used_again)
    at_once = await asyncio.gather(*(sender.send(new_request(receiver.url)) for _ in range(4)))
    assert {result.status for result in at_once} == {200}
    assert receiver.connections_open == 4
    assert (await sender.send(new_request(receiver.url))).status == 200


async def test_a_fresh_connection_that_dies_is_not_replaced(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(SendBytes(b"", then="reset"))
    assert (await sender.send(new_request(receiver.url))).error_class is ErrorClass.RESET
    assert len(receiver.requests) == 1


async def test_both_tries_share_one_deadline(sender: WebhookSender, receiver: WebhookReceiver) -> None:
    receiver.respond_with(Reply(), SendBytes(b"", then="close"), say_nothing)
    await sender.send(new_request(receiver.url))
    result = await sender.send(new_request(receiver.url, deadline_s=ENOUGH_FOR_A_HEAD_S))
    assert result.error_class is ErrorClass.TIMEOUT
    assert len(receiver.requests) == 3
