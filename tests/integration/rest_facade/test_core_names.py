"""A core that is known by name, as DNS tells of it."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from typing import Any, Self

import pytest

from rest_facade.config import Settings
from rest_facade.cores import Core
from tests.fakes.edge_upstreams import FakeCore

NO_ERROR = b"\x81\x80"
IPV4, INTERNET, FOR_S = 1, 1, 1
NAME_POINTER = b"\xc0\x0c"
"""To the name in the question."""


class NameServer(asyncio.DatagramProtocol):
    """Answers each question for an IPv4 address with `host`, and all others with nothing."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As DatagramProtocol."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """One question, with whatever follows it left out."""
        end = data.index(b"\0", 12) + 5
        found = int.from_bytes(data[end - 4 : end - 2], "big") == IPV4
        answer = data[:2] + NO_ERROR + struct.pack(">HHHH", 1, found, 0, 0) + data[12:end]
        if found:
            address = socket.inet_aton(self.host)
            answer += NAME_POINTER + struct.pack(">HHIH", IPV4, INTERNET, FOR_S, len(address)) + address
        self._transport.sendto(answer, addr)


@pytest.fixture
async def names() -> AsyncGenerator[tuple[NameServer, int]]:
    """A name server on a port."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer("127.0.0.2"), local_addr=("127.0.0.1", 0)
    )
    yield server, transport.get_extra_info("sockname")[1]
    transport.close()


class Connection:
    """A connection to one core, and a wait for what becomes of it."""

    def __init__(self, target: str) -> None:
        self._changed = asyncio.Event()
        self._core = Core(target, Settings(), balanced=True, ready=self._changed.set)

    async def __aenter__(self) -> Self:
        self._core.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._core.close()

    async def becomes(self, *, ready: bool) -> None:
        """Return when it is so: in less than the time after which gRPC by itself would ask for the name again."""
        async with asyncio.timeout(20):
            while self._core.is_ready is not ready:
                self._changed.clear()
                await self._changed.wait()


async def test_a_core_that_was_started_anew_at_another_address_is_found(
    names: tuple[NameServer, int],
) -> None:
    server, port = names
    async with (
        FakeCore(host="127.0.0.2") as first,
        Connection(f"dns://127.0.0.1:{port}/core.test:{first.port}") as connection,
    ):
        await connection.becomes(ready=True)
        server.host = "127.0.0.3"
        async with FakeCore(host=server.host, port=first.port):
            await first.stop()
            await connection.becomes(ready=False)
            await connection.becomes(ready=True)
