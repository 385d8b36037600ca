"""Connections of a hook listener count from the moment they are accepted until they are gone."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from drivers.runtime import hook_door, hooks
from drivers.runtime.hooks import HookAnswer, HookListener
from tests.fakes.certificates import CertificateAuthority
from tests.unit.drivers.runtime.hook_desk import HOST, Desk, listening, said, url


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def listener(desk: Desk) -> AsyncIterator[HookListener]:
    async with listening(desk) as listener:
        yield listener


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
