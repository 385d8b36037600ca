"""A hook listener reads whole requests within its limits, and tells a stranger nothing but a status."""

import asyncio
import hashlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from drivers.runtime import hooks
from drivers.runtime.hooks import HookAnswer, HookListener, is_signed
from tests.unit.drivers.runtime.hook_desk import BODY_BYTES_MAX, HOST, NEVER_S, Desk, listening, said, url


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def listener(desk: Desk) -> AsyncIterator[HookListener]:
    async with listening(desk) as listener:
        yield listener


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def test_request_comes_whole_and_its_answer_goes_back(
    desk: Desk, listener: HookListener, client: aiohttp.ClientSession
) -> None:
    desk.answer = HookAnswer(202, b'{"a": 1}', content_type="application/json")
    headers = {"X-Signature": "abc", "Content-Encoding": "gzip"}
    body = b"\x1f\x8b not unpacked, since a signature is over the raw bytes"
    async with client.post(url(listener, "/a%20b?x=1&y=%C3%A4"), data=body, headers=headers) as response:
        assert (response.status, await response.read()) == (202, b'{"a": 1}')
        assert response.content_type == "application/json"
    (request,) = desk.requests
    assert (request.method, request.path, dict(request.query)) == ("POST", "/a b", {"x": "1", "y": "ä"})
    assert request.body == body
    assert request.headers["x-SIGNATURE"] == "abc"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_body_beyond_the_limit_is_refused_and_nobody_is_asked(
    desk: Desk, listener: HookListener, client: aiohttp.ClientSession, is_chunked: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX + 1):
            yield b"x"

    data = chunks() if is_chunked else b"x" * (BODY_BYTES_MAX + 1)
    async with client.post(url(listener), data=data) as response:
        assert (response.status, await response.read()) == (413, b"")
    async with client.post(url(listener), data=b"x" * BODY_BYTES_MAX) as response:
        assert response.status == 200
    assert len(desk.requests) == 1


async def test_request_beyond_those_at_once_is_refused_and_the_others_end(
    desk: Desk, listener: HookListener, client: aiohttp.ClientSession
) -> None:
    desk.hold = True
    running = [asyncio.create_task(client.post(url(listener))) for _ in range(2)]
    while len(desk.requests) < 2:
        desk.has_some.clear()
        await desk.has_some.wait()
    async with client.post(url(listener)) as response:
        assert (response.status, await response.read()) == (503, b"")
    desk.go_on.set()
    for task in running:
        async with await task as response:
            assert response.status == 200
    async with client.post(url(listener)) as response:
        assert response.status == 200


async def test_fault_of_the_answer_is_a_500_without_detail(
    desk: Desk, listener: HookListener, client: aiohttp.ClientSession
) -> None:
    desk.error = ValueError("+15551230000 is nobody's business")
    async with client.post(url(listener)) as response:
        assert (response.status, await response.read()) == (500, b"")
    desk.error = None
    async with client.post(url(listener)) as response:
        assert response.status == 200


async def test_what_is_no_http_gets_a_status_and_its_words_go_nowhere(
    desk: Desk, listener: HookListener, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="aiohttp"):
        answer = await said(listener, b"+15551230000 what is this\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"5551230000" not in answer
    assert answer.endswith(b"\r\n\r\n")
    assert "5551230000" not in caplog.text
    assert desk.requests == []


async def test_broken_body_is_a_400_and_nobody_is_asked(desk: Desk, listener: HookListener) -> None:
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await said(listener, head + b"zzz\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert desk.requests == []


async def test_body_that_does_not_come_is_given_up(
    desk: Desk, listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "BODY_S", 0.01)
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(head + b"four")
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()
    assert desk.requests == []


async def test_connection_that_asks_nothing_is_closed(
    listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "IDLE_S", NEVER_S)
    monkeypatch.setattr(hooks, "HEAD_S", 0.01)
    assert await said(listener, b"") == b""
    assert await said(listener, b"POST /hook HTTP/1.1\r\nHost: half a h") == b""


async def test_connection_that_trickles_a_later_head_is_closed(
    listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "IDLE_S", NEVER_S)
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (await reader.readuntil(b"taken")).startswith(b"HTTP/1.1 200 ")
    monkeypatch.setattr(hooks, "HEAD_S", 0.01)
    writer.write(b"POST /hook HT")
    assert await reader.read() == b""
    writer.close()


async def test_connection_that_asks_no_more_is_closed(
    listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "IDLE_S", 0.01)
    answer = await said(listener, b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_bodies_that_do_not_come_keep_nobody_else_out(
    desk: Desk, listener: HookListener, client: aiohttp.ClientSession
) -> None:
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    slow = [await asyncio.open_connection(HOST, listener.port) for _ in range(5)]
    for _, writer in slow:
        writer.write(head + b"four")
    async with client.post(url(listener)) as response:
        assert response.status == 200
    for reader, writer in slow:
        writer.write(b" + six")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
    assert [request.body for request in desk.requests] == [b"", *[b"four + six"] * 5]


async def test_body_that_has_been_coming_for_longest_makes_room_for_the_others(
    desk: Desk, listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "BODY_S", NEVER_S)
    monkeypatch.setattr(hooks, "BODIES_BYTES_MAX", 1500)
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
    old_reader, old_writer = await asyncio.open_connection(HOST, listener.port)
    old_writer.write(head + b"x" * 900)
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(head + b"y" * 900)
    assert (await old_reader.readline()).split()[1] == b"408"
    writer.write(b"y" * 100)
    assert (await reader.readline()).split()[1] == b"200"
    assert [request.body for request in desk.requests] == [b"y" * 1000]
    old_writer.close()
    writer.close()


async def test_body_that_waits_to_be_asked_for_is_asked_for(desk: Desk, listener: HookListener) -> None:
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(head + b"4\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body" + head + b"1001\r\n\r\n")
    assert (await reader.readuntil(b"taken")).startswith(b"HTTP/1.1 200 ")
    assert (await reader.readline()).split()[1] == b"413"
    assert [request.body for request in desk.requests] == [b"body"]
    writer.close()


async def test_what_was_begun_ends_though_the_caller_hangs_up(desk: Desk, listener: HookListener) -> None:
    desk.hold = True
    _, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await desk.has_some.wait()
    writer.transport.abort()
    desk.go_on.set()
    await desk.ended.wait()


async def test_close_ends_requests_that_wait_and_gives_the_port_free(desk: Desk) -> None:
    desk.hold = True
    listener = HookListener(desk)
    await listener.open(HOST, 0)
    port = listener.port
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await desk.has_some.wait()
    await listener.close()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ValueError, match="not open"):
        _ = listener.port
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HOST, port))


def test_signature_is_of_this_body_by_this_secret() -> None:
    signature = hmac.new(b"secret", b"body", hashlib.sha256).hexdigest()
    assert is_signed(b"body", b"secret", signature)
    assert is_signed(b"body", b"secret", signature.upper())
    assert not is_signed(b"bodY", b"secret", signature)
    assert not is_signed(b"body", b"other", signature)
    assert not is_signed(b"body", b"secret", "")
    assert not is_signed(b"body", b"secret", signature[:-1])
    assert not is_signed(b"body", b"secret", "ä\udce4")


def test_signature_agrees_with_a_published_vector() -> None:
    """RFC 4231 §4.3."""
    signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert is_signed(b"what do ya want for nothing?", b"Jefe", signature)
