"""The reader of answers, fed by hand: what depends on how the bytes are cut up and on the answers before."""

import asyncio

import pytest
from aiohttp.http_exceptions import HttpProcessingError

from core.delivery.answers import HEAD_BYTES_MAX, GuardedResponseHandler
from core.delivery.sender import WebhookSender
from tests.fakes.webhook_receiver import Reply, SendBytes, WebhookReceiver
from tests.unit.delivery.attempts import new_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class RecordedTransport(asyncio.Transport):
    """A transport that says how it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    def close(self) -> None:
        self.ended.append("closed")

    def abort(self) -> None:
        self.ended.append("aborted")

    def is_closing(self) -> bool:
        return bool(self.ended)

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


@pytest.fixture
async def transport() -> RecordedTransport:
    return RecordedTransport()


@pytest.fixture
async def handler(transport: RecordedTransport) -> GuardedResponseHandler:
    connected = GuardedResponseHandler(asyncio.get_running_loop())
    connected.connection_made(transport)
    return connected


async def read_answer(handler: GuardedResponseHandler, *parts: bytes) -> tuple[int, bytes]:
    """Status and body of the next answer on this connection, whose bytes come in these parts."""
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
    for part in parts:
        handler.data_received(part)
    message, payload = await handler.read()
    return message.code, await payload.read()


def test_closing_does_not_wait_for_the_peer(
    handler: GuardedResponseHandler, transport: RecordedTransport
) -> None:
    handler.close()
    assert transport.ended == ["aborted"]


@pytest.mark.parametrize("cut", range(1, len(OK) + 4))
async def test_an_answer_is_the_same_wherever_its_bytes_are_cut(
    handler: GuardedResponseHandler, cut: int
) -> None:
    answer = OK + b"\r\nok"
    assert await read_answer(handler, answer[:cut], answer[cut:]) == (200, b"ok")


async def test_bytes_after_a_204_do_not_spoil_it_on_a_used_connection_either(
    handler: GuardedResponseHandler,
) -> None:
    assert await read_answer(handler, OK + b"\r\nok") == (200, b"ok")
    assert await read_answer(handler, b"HTTP/1.1 204 None\r\n\r\nhello") == (204, b"")


async def test_each_answer_has_the_whole_limit_for_its_head(handler: GuardedResponseHandler) -> None:
    filler = b"X-A: " + b"a" * 4_000 + b"\r\n"
    for _ in range(2 * HEAD_BYTES_MAX // len(filler)):
        assert await read_answer(handler, OK + filler, b"\r\nok") == (200, b"ok")


async def test_a_head_beyond_the_limit_is_an_error_on_a_used_connection_too(
    handler: GuardedResponseHandler, transport: RecordedTransport
) -> None:
    filler = b"X-A: " + b"a" * 4_000 + b"\r\n"
    assert await read_answer(handler, OK + b"\r\nok") == (200, b"ok")
    with pytest.raises(HttpProcessingError, match="32768 bytes"):
        await read_answer(handler, OK, *[filler] * 9)
    assert transport.ended == ["aborted"]


async def test_a_large_body_in_the_same_bytes_as_the_head_is_not_counted_as_head(
    handler: GuardedResponseHandler,
) -> None:
    body = bytes(4 * HEAD_BYTES_MAX)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert await read_answer(handler, answer) == (200, body)


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"ffffffffffffffffffff\r\n", b"2\r\nok!!"])
async def test_a_malformed_body_ends_at_once_and_not_at_the_deadline(
    sender: WebhookSender, receiver: WebhookReceiver, chunk: bytes
) -> None:
    receiver.respond_with(SendBytes(CHUNKED + chunk, then="silence"), Reply())
    result = await sender.send(new_request(receiver.url))
    assert result.status == 200
    assert result.operator_detail.startswith("ClientPayloadError")
