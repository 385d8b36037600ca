"""The edge in front of whatever a test puts behind it, and callers of it.

Owns the ports, the certificates' folder and the raw HTTP/1.1 caller. Knows no limit and no route.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from tests.e2e.gateway import free_port
from tests.fakes.certificate_files import CertificateFiles
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Bootstrap, Place, Ports, Upstreams

CALL_TIMEOUT_S = 20.0
HEAD_END = b"\r\n\r\n"


@asynccontextmanager
async def serving(
    folder: Path,
    certificates: CertificateFiles,
    upstreams: Upstreams,
    *,
    change: Callable[[Bootstrap], object] | None = None,
    drain_s: float = 1.0,
) -> AsyncGenerator[Envoy]:
    """A running edge; upstreams may live on this thread's loop."""
    ports = Ports(**{name: free_port() for name in ("public", "driver", "driver_token", "admin")})
    place = Place(ports=ports, certificates=certificates.folder, upstreams=upstreams)
    envoy = Envoy(folder, place, change=change, drain_s=drain_s)
    await asyncio.to_thread(envoy.start)
    try:
        yield envoy
    finally:
        await asyncio.to_thread(envoy.kill)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP/1.1 answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Http1:
    """One TLS connection on which HTTP/1.1 is spoken byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def protocol(self) -> str | None:
        """What was agreed on in the handshake: h2 or http/1.1."""
        agreed: ssl.SSLObject = self.writer.get_extra_info("ssl_object")
        return agreed.selected_alpn_protocol()

    async def send(self, text: str | bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            head = await self.reader.readuntil(HEAD_END)
            first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            status = int(first.split()[1])
            body = await self._body(headers)
        return Answer(status, headers, body)

    async def ended(self) -> bytes:
        """What else comes until the other side closes the connection."""
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await self.reader.read()

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request and its answer on this connection."""
        lines = [f"{method} {path} HTTP/1.1", "host: edge.example"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        await self.send("\r\n".join(lines) + "\r\n\r\n")
        if body is not None:
            await self.send(body)
        return await self.answer()

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            whole = b""
            while size := int(await self.reader.readline(), 16):
                whole += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
            return whole
        return await self.reader.readexactly(int(headers.get("content-length", "0")))


@asynccontextmanager
async def http1(
    port: int,
    certificates: CertificateFiles,
    *,
    client: tuple[Path, Path] | None = None,
    protocols: tuple[str, ...] = ("http/1.1",),
    from_address: str = "127.0.0.1",
) -> AsyncGenerator[Http1]:
    """A connection to one of the edge's listeners. Raises ssl.SSLError and ConnectionError as the handshake does."""
    context = ssl.create_default_context(cafile=str(certificates.authority))
    context.set_alpn_protocols(list(protocols))
    if client is not None:
        context.load_cert_chain(*client)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost", local_addr=(from_address, 0)
    )
    connection = Http1(reader, writer)
    try:
        yield connection
    finally:
        writer.transport.abort()


@asynccontextmanager
async def channel(
    port: int, certificates: CertificateFiles, *, client: tuple[Path, Path] | None = None
) -> AsyncGenerator[grpc.aio.Channel]:
    """A gRPC channel to one of the edge's listeners, over TLS."""
    certificate, key = (None, None) if client is None else (client[0].read_bytes(), client[1].read_bytes())
    credentials = grpc.ssl_channel_credentials(
        root_certificates=certificates.authority.read_bytes(), private_key=key, certificate_chain=certificate
    )
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options=options) as opened:
        yield opened
