"""A hook listener reads whole requests within its limits, and tells a stranger nothing but a status."""

import asyncio
import hashlib
import hmac
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from drivers.runtime import hook_door, hooks
from drivers.runtime.hooks import HookAnswer, HookListener, HookRequest, is_signed
from tests.fakes.certificates import CertificateAuthority

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1000
NEVER_S = 3600.0


class Desk:
    """Answers requests, and keeps them; `hold` makes it wait until `go_on` is set."""

    def __init__(self) -> None:
        self.requests: list[HookRequest] = []
        self.answer = HookAnswer(200, b"taken")
        self.error: Exception | None = None
        self.hold = False
        self.has_some = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, request: HookRequest) -> HookAnswer:
        self.requests.append(request)
        self.has_some.set()
        if self.hold:
            await self.go_on.wait()
        self.ended.set()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def listener(desk: Desk) -> AsyncIterator[HookListener]:
    listener = HookListener(desk, body_bytes_max=BODY_BYTES_MAX, requests_at_once=2)
    await listener.open(HOST, 0)
    yield listener
    desk.go_on.set()
    await listener.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


def url(listener: HookListener, path: str = "/hook") -> str:
    return f"http://{HOST}:{listener.port}{path}"


async def said(listener: HookListener, request: bytes) -> bytes:
    """Everything that the listener answers to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


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


async def test_answer_that_is_not_read_holds_its_connection_for_a_while_only(
    desk: Desk, listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "UNREAD_S", 0.01)
    desk.answer = HookAnswer(200, b"x" * 32_000_000)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((HOST, listener.port))
        monkeypatch.setattr(hook_door, "CONNECTIONS_MAX", 1)
        deaf.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await desk.ended.wait()
        desk.answer = HookAnswer(200)
        await has_room(f"http://{HOST}:{listener.port}/")


async def has_room(address: str, tls: ssl.SSLContext | bool = True) -> None:
    """Ask until there is an answer."""
    while True:
        try:
            async with aiohttp.ClientSession() as client, client.post(address, ssl=tls) as response:
                assert response.status == 200
                return
        except (ConnectionError, aiohttp.ClientError):
            continue


@pytest.fixture
async def tls_listener(desk: Desk, tmp_path: Path) -> AsyncIterator[tuple[HookListener, ssl.SSLContext]]:
    authority = CertificateAuthority()
    file = tmp_path / "server.pem"
    file.write_bytes(authority.identity(HOST))
    listener = HookListener(desk)
    await listener.open(HOST, 0, cert_file=file)
    yield listener, authority.client_context()
    await listener.close()


async def test_strangers_that_say_no_word_of_tls_count_until_they_are_gone(
    tls_listener: tuple[HookListener, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, tls = tls_listener
    monkeypatch.setattr(hook_door, "CONNECTIONS_MAX", 2)
    silent = [await asyncio.open_connection(HOST, listener.port) for _ in range(2)]
    reader, writer = await asyncio.open_connection(HOST, listener.port)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises((ConnectionError, aiohttp.ClientError)):
        async with aiohttp.ClientSession() as client:
            await client.post(f"https://{HOST}:{listener.port}/", ssl=tls)
    for _, each in silent:
        each.close()
    await has_room(f"https://{HOST}:{listener.port}/", tls)


async def test_handshake_that_fails_or_does_not_come_gives_its_place_free(
    tls_listener: tuple[HookListener, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, tls = tls_listener
    monkeypatch.setattr(hook_door, "CONNECTIONS_MAX", 1)
    await said(listener, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await has_room(f"https://{HOST}:{listener.port}/", tls)
    monkeypatch.setattr(hook_door, "HANDSHAKE_S", 0.01)
    assert await said(listener, b"") == b""
    monkeypatch.setattr(hook_door, "HANDSHAKE_S", 5.0)
    await has_room(f"https://{HOST}:{listener.port}/", tls)


async def test_one_address_cannot_take_all_connections(
    listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_door, "CONNECTIONS_PER_ADDRESS_MAX", 1)
    _, first = await asyncio.open_connection(HOST, listener.port)
    with pytest.raises((ConnectionError, aiohttp.ClientError)):
        async with aiohttp.ClientSession() as client:
            await client.post(url(listener))
    reader, other = await asyncio.open_connection(HOST, listener.port, local_addr=("127.0.0.2", 0))
    other.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    first.close()
    other.close()


async def test_connection_beyond_the_limit_is_closed(
    desk: Desk, listener: HookListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_door, "CONNECTIONS_MAX", 0)
    with pytest.raises((ConnectionError, aiohttp.ClientError)):
        async with aiohttp.ClientSession() as client, client.post(url(listener)):
            pass
    assert desk.requests == []


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


async def test_port_that_is_taken_is_an_os_error(listener: HookListener, desk: Desk) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await HookListener(desk).open(HOST, listener.port)


async def test_certificate_is_used_and_its_renewal_too(desk: Desk, tmp_path: Path) -> None:
    old, new = CertificateAuthority(), CertificateAuthority()
    file = tmp_path / "server.pem"
    file.write_bytes(old.identity(HOST))
    listener = HookListener(desk)
    await listener.open(HOST, 0, cert_file=file)

    async def status_for(authority: CertificateAuthority) -> int:
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"https://{HOST}:{listener.port}/", ssl=authority.client_context()) as response,
        ):
            return response.status

    try:
        assert await status_for(old) == 200
        file.write_bytes(b"half of a file")
        assert await status_for(old) == 200
        file.write_bytes(new.identity(HOST))
        assert await status_for(new) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status_for(old)
    finally:
        await listener.close()


async def test_certificate_that_cannot_be_used_is_an_os_error(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    with pytest.raises(FileNotFoundError):
        await HookListener(desk).open(HOST, 0, cert_file=file)
    file.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        await HookListener(desk).open(HOST, 0, cert_file=file)


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
