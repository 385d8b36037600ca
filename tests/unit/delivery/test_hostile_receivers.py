"""Receivers that misbehave: every attempt ends by its deadline with a result, and harms nothing that
follows."""

import asyncio
import gzip

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.delivery.sender import RESPONSE_BYTES_MAX, AttemptResult, ErrorClass, WebhookSender
from tests.fakes.webhook_receiver import (
    Behaviour,
    Drip,
    Reply,
    SendBytes,
    SendForEver,
    WebhookReceiver,
    say_nothing,
)
from tests.unit.delivery.attempts import (
    ENOUGH_FOR_A_HEAD_S,
    LONG_DEADLINE_S,
    SHORT_DEADLINE_S,
    new_request,
    new_sender,
)

OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(10 * 1024 * 1024))


def length(count: int) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % count


NO_ANSWER: dict[str, tuple[Behaviour, ErrorClass]] = {
    "hangs before the head": (say_nothing, ErrorClass.TIMEOUT),
    "drips the head": (Drip(OK, b"X-A: " + b"a" * 1_000), ErrorClass.TIMEOUT),
    "stops within the head": (SendBytes(OK + b"X-A: b", then="silence"), ErrorClass.TIMEOUT),
    "only ever continues": (SendForEver(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), ErrorClass.PROTOCOL),
    "continues and hangs": (SendBytes(b"HTTP/1.1 100 Continue\r\n\r\n", then="silence"), ErrorClass.TIMEOUT),
    "endless headers": (SendForEver(OK, b"X-A: b\r\n" * 100), ErrorClass.PROTOCOL),
    "endless header line": (SendForEver(OK + b"X-A: ", b"a" * 1_000), ErrorClass.PROTOCOL),
    "endless status line": (SendForEver(b"HTTP/1.1 200 ", b"a" * 1_000), ErrorClass.PROTOCOL),
    "endless heads of long lines": (SendForEver(OK, b"X-A: " + b"b" * 8_000 + b"\r\n"), ErrorClass.PROTOCOL),
    "127 headers of 8 kB": (
        SendBytes(OK + (b"X-A: " + b"b" * 8_000 + b"\r\n") * 127 + length(0)),
        ErrorClass.PROTOCOL,
    ),
    "1 000 headers": (SendBytes(OK + b"X-A: b\r\n" * 1_000 + length(0)), ErrorClass.PROTOCOL),
    "closes at once": (SendBytes(b""), ErrorClass.RESET),
    "closes within the head": (SendBytes(OK + b"X-A: b\r\n"), ErrorClass.RESET),
    "resets at once": (SendBytes(b"", then="reset"), ErrorClass.RESET),
    "resets within the head": (SendBytes(OK + b"X-A: b\r\n", then="reset"), ErrorClass.RESET),
    "speaks another protocol": (SendBytes(b"SSH-2.0-OpenSSH_9.2\r\n"), ErrorClass.PROTOCOL),
    "speaks HTTP/2": (SendBytes(b"\x00\x00\x12\x04" + bytes(23)), ErrorClass.PROTOCOL),
    "speaks HTTP/0.9": (SendBytes(b"<html>hello</html>"), ErrorClass.PROTOCOL),
    "speaks HTTP/9.9": (SendBytes(b"HTTP/9.9 200 OK\r\n" + length(0)), ErrorClass.PROTOCOL),
    "NUL in a header": (SendBytes(OK + b"X-A: \x00\r\n" + length(0)), ErrorClass.PROTOCOL),
    "header without colon": (SendBytes(OK + b"X-A\r\n" + length(0)), ErrorClass.PROTOCOL),
    "negative length": (SendBytes(OK + b"Content-Length: -1\r\n\r\n"), ErrorClass.PROTOCOL),
    "two lengths": (SendBytes(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok"), ErrorClass.PROTOCOL),
    "length and chunks": (
        SendBytes(OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        ErrorClass.PROTOCOL,
    ),
    "status 0": (SendBytes(b"HTTP/1.1 000 Zero\r\n" + length(0)), ErrorClass.PROTOCOL),
    "status 99": (SendBytes(b"HTTP/1.1 99 Odd\r\n" + length(0)), ErrorClass.PROTOCOL),
    "status 1000": (SendBytes(b"HTTP/1.1 1000 Odd\r\n" + length(0)), ErrorClass.PROTOCOL),
    "negative status": (SendBytes(b"HTTP/1.1 -200 Odd\r\n" + length(0)), ErrorClass.PROTOCOL),
}

ANSWERS: dict[str, tuple[Behaviour, int, str]] = {
    "closes within the body": (SendBytes(OK + length(10) + b"ok"), 200, "ok"),
    "resets within the body": (SendBytes(OK + length(10) + b"ok", then="reset"), 200, "ok"),
    "endless body": (SendForEver(OK + b"\r\n", b"a" * 65_536), 200, "a" * RESPONSE_BYTES_MAX),
    "body of 10 GB": (SendForEver(OK + length(10**10), b"a" * 65_536), 200, "a" * RESPONSE_BYTES_MAX),
    "endless chunks": (
        SendForEver(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"a" * 4_096 + b"\r\n"),
        200,
        "a" * RESPONSE_BYTES_MAX,
    ),
    "endless body of a failure": (
        SendForEver(b"HTTP/1.1 500 Oops\r\n\r\n", b"a" * 65_536),
        500,
        "a" * RESPONSE_BYTES_MAX,
    ),
    "chunk of absurd size": (
        SendBytes(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", then="silence"),
        200,
        "",
    ),
    "chunk of no size": (SendBytes(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", then="silence"), 200, ""),
    "chunk cut off": (SendBytes(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"), 200, "abc"),
    "100 headers of 200 bytes": (
        SendBytes(OK + (b"X-A: " + b"b" * 200 + b"\r\n") * 100 + length(2) + b"ok"),
        200,
        "ok",
    ),
    "continues and answers": (
        SendBytes(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK + length(2) + b"ok"),
        200,
        "ok",
    ),
    "HTTP/1.0": (SendBytes(b"HTTP/1.0 200 OK\r\n\r\nok"), 200, "ok"),
    "no reason phrase": (SendBytes(b"HTTP/1.1 200\r\n" + length(2) + b"ok"), 200, "ok"),
    "line feeds only": (SendBytes(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), 200, "ok"),
    "header values that are no UTF-8": (
        SendBytes(OK + b"X-A: \xff\xfe\r\nRetry-After: \xff\r\nWebhook-Delivery: \xe9\r\n" + length(2) + b"ok"),
        200,
        "ok",
    ),
    "204 with a body": (SendBytes(b"HTTP/1.1 204 None\r\n" + length(5) + b"hello", then="silence"), 204, ""),
    "204 with a body of an answer": (SendBytes(b"HTTP/1.1 204 None\r\n\r\n" + OK + length(0), then="next"), 204, ""),
    "two answers": (SendBytes(OK + length(2) + b"okHTTP/1.1 500 Oops\r\n" + length(0), then="next"), 200, "ok"),
    "more body than announced": (SendBytes(OK + length(2) + b"ok and more", then="next"), 200, "ok"),
    "switches protocols": (
        SendBytes(b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nok", then="silence"),
        101,
        "",
    ),
    "status 999": (SendBytes(b"HTTP/1.1 999 Odd\r\n" + length(0)), 999, ""),
    "cookies that are none": (
        SendBytes(OK + b"Set-Cookie: \xff=;;;=\r\n" * 100 + length(2) + b"ok"),
        200,
        "ok",
    ),
}  # fmt: skip


async def attempted(
    sender: WebhookSender, receiver: WebhookReceiver, behaviour: Behaviour, *, deadline_s: float
) -> AttemptResult:
    """The result of one attempt, after which the connection is gone and the endpoint can be reached again."""
    receiver.respond_with(behaviour)
    result = await sender.send(new_request(receiver.url, deadline_s=deadline_s))
    receiver.respond_with(Reply(202, b"as usual"))
    after = await sender.send(new_request(receiver.url))
    assert (after.status, after.response_snippet) == (202, "as usual")
    await sender.close()
    await receiver.wait_until_unconnected()
    return result


@pytest.mark.parametrize(("behaviour", "error_class"), NO_ANSWER.values(), ids=NO_ANSWER)
async def test_what_is_no_answer_is_an_error(
    sender: WebhookSender, receiver: WebhookReceiver, behaviour: Behaviour, error_class: ErrorClass
) -> None:
    deadline_s = SHORT_DEADLINE_S if error_class is ErrorClass.TIMEOUT else LONG_DEADLINE_S
    result = await attempted(sender, receiver, behaviour, deadline_s=deadline_s)
    assert (result.status, result.error_class, result.response_snippet) == (None, error_class, "")


@pytest.mark.parametrize(("behaviour", "status", "snippet"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_counts_from_its_head_on(
    sender: WebhookSender, receiver: WebhookReceiver, behaviour: Behaviour, status: int, snippet: str
) -> None:
    result = await attempted(sender, receiver, behaviour, deadline_s=LONG_DEADLINE_S)
    assert (result.status, result.error_class, result.response_snippet) == (status, None, snippet)


@pytest.mark.parametrize(
    "behaviour",
    [
        SendBytes(OK + length(1_000) + b"slow", then="silence"),
        Drip(OK + length(1_000) + b"slow", b"." * 996, pause_s=0.05),
    ],
    ids=["hangs", "drips"],
)
async def test_a_body_that_does_not_end_is_read_until_the_deadline(
    sender: WebhookSender, receiver: WebhookReceiver, behaviour: Behaviour
) -> None:
    result = await attempted(sender, receiver, behaviour, deadline_s=ENOUGH_FOR_A_HEAD_S)
    assert (result.status, result.error_class) == (200, None)
    assert result.response_snippet.startswith("slow")
    assert len(result.response_snippet) < 1_000
    assert result.operator_detail.startswith("TimeoutError")


async def test_a_compressed_body_is_not_expanded(sender: WebhookSender, receiver: WebhookReceiver) -> None:
    result = await attempted(
        sender,
        receiver,
        Reply(500, BOMB, headers=[("Content-Encoding", "gzip")]),
        deadline_s=LONG_DEADLINE_S,
    )
    assert result.status == 500
    assert 0 < len(result.response_snippet) <= len(BOMB)


async def test_a_receiver_that_does_not_read_ends_at_the_deadline(sender: WebhookSender) -> None:
    async with WebhookReceiver(silent=True) as receiver:
        request = new_request(receiver.url, body=bytes(64 * 1024), deadline_s=SHORT_DEADLINE_S)
        assert (await sender.send(request)).error_class is ErrorClass.TIMEOUT
        await receiver.wait_until_unconnected()


async def test_receivers_that_hang_do_not_hold_up_another(
    sender: WebhookSender, receiver: WebhookReceiver
) -> None:
    async with WebhookReceiver() as hanging, asyncio.TaskGroup() as attempts:
        hanging.respond_with(say_nothing)
        waiting = [
            attempts.create_task(sender.send(new_request(hanging.url, endpoint_id=f"hanging {number}")))
            for number in range(100)
        ]
        await hanging.wait_for(len(waiting))
        assert (await sender.send(new_request(receiver.url))).status == 200
        assert not any(attempt.done() for attempt in waiting)
        for attempt in waiting:
            attempt.cancel()


FRAGMENTS = (
    *(
        b"HTTP/1.1 ",
        b"HTTP/1.0 ",
        b"200",
        b"204",
        b"100",
        b"304",
        b"500",
        b" OK",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
    ),
    *(
        b": ",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Content-Encoding: gzip",
    ),
    *(b"Upgrade: a", b"3\r\nabc\r\n", b"0\r\n\r\n", b"\x00", b"\xff"),
)


@given(answer=st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=30).map(b"".join))
@example(answer=OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3")
async def test_no_bytes_whatever_make_an_attempt_fail_without_result(answer: bytes) -> None:
    async with WebhookReceiver() as receiver, new_sender() as sender:
        receiver.respond_with(SendBytes(answer, then="close"))
        result = await sender.send(new_request(receiver.url))
        assert (result.status is None) is not (result.error_class is None)
        await receiver.wait_until_unconnected()
