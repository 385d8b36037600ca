"""The door of a hook listener: sockets, TLS and how many connections there may be.

A connection counts from the moment it is accepted, before it has said a word of TLS, until it is gone: strangers that
say nothing cost no more than others. Knows no HTTP.
"""

import asyncio
import itertools
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import structlog

from drivers.runtime.failures import describe

CONNECTIONS_MAX = 256
"""Connections beyond these are closed as they come."""
CONNECTIONS_PER_ADDRESS_MAX = 128
"""Of one peer; a proxy before the listener is one, and has more than all requests at once need."""
BACKLOG = 512
"""Connections that the system keeps until they are accepted."""
ACCEPTED_AT_ONCE = 32
"""Connections in a row before those inside get their turn."""
HANDSHAKE_S = 5.0
TLS_GOODBYE_S = 1.0
"""Seconds that a peer has to take leave of TLS."""
ACCEPT_PAUSE_S = 1.0
"""How long to accept nothing after the system could not: it lacks descriptors or memory."""

log = structlog.get_logger("hooks")


Welcome = Callable[["asyncio.Future[None]"], asyncio.Protocol]
"""Makes a connection's protocol, which sets a result to the future when the connection is gone."""


class Door:
    """Accepts connections within the limits, and gives each its protocol when it may speak."""

    def __init__(self, welcome: Welcome) -> None:
        self._welcome = welcome
        self._tls: _Certificate | None = None
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._by_address: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The port it listens on. Raises ValueError if it does not."""
        if not self._listening:
            raise ValueError("the listener is not open")
        return self._listening[0].getsockname()[1]

    async def open(self, host: str, port: int, *, cert_file: Path | None, key_file: Path | None) -> None:
        """Listen. Raises OSError if the port cannot be had, the host is not here or the files cannot be used."""
        self._tls = None if cert_file is None else _Certificate(cert_file, key_file)
        bound = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, host, port, start_serving=False
        )
        self._listening = [each.dup() for each in bound.sockets]
        bound.close()
        try:
            for each in self._listening:
                each.setblocking(False)
                each.listen(BACKLOG)
        except OSError:
            self._close_sockets()
            raise
        self._accepting = [asyncio.create_task(self._accept(each), name="hooks") for each in self._listening]

    async def shut(self) -> None:
        """Accept nothing more; what is inside stays, but for those in the middle of their handshake."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._close_sockets()

    async def leave(self) -> None:
        """Wait for nobody any more."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _close_sockets(self) -> None:
        for each in self._listening:
            each.close()
        self._listening = []

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            try:
                connection, peer = await loop.sock_accept(listening)
            except ConnectionError:  # it was gone before it was accepted
                continue
            except OSError as error:
                log.error("hook.accept_failed", **describe(error))
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            self._let_in(connection, peer[0])
            if number % ACCEPTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _let_in(self, connection: socket.socket, address: str) -> None:
        is_full = len(self._connections) >= CONNECTIONS_MAX
        if is_full or self._by_address[address] >= CONNECTIONS_PER_ADDRESS_MAX:
            connection.close()
            return
        self._by_address[address] += 1
        task = asyncio.create_task(self._host(connection), name="hook connection")
        self._connections.add(task)
        task.add_done_callback(lambda task: self._gone(task, address))

    def _gone(self, task: "asyncio.Task[None]", address: str) -> None:
        self._connections.discard(task)
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    async def _host(self, connection: socket.socket) -> None:
        """One connection from its first word to its end."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        try:
            if self._tls is None:
                transport, _ = await loop.connect_accepted_socket(lambda: self._welcome(gone), connection)
            else:
                self._tls.renew()
                transport, _ = await loop.connect_accepted_socket(
                    lambda: self._welcome(gone),
                    connection,
                    ssl=self._tls.context,
                    ssl_handshake_timeout=HANDSHAKE_S,
                    ssl_shutdown_timeout=TLS_GOODBYE_S,
                )
        except OSError:  # no handshake, or none in time; its socket is closed
            return
        except Exception as error:  # noqa: BLE001 - whatever a stranger does to TLS, the listener goes on
            log.error("hook.connection_failed", **describe(error))
            return
        if not self._listening:  # shut meanwhile
            transport.abort()
        await gone


class _Certificate:
    """A certificate chain and its key, read again when the files change."""

    def __init__(self, cert_file: Path, key_file: Path | None) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._cert_file = cert_file
        self._key_file = key_file
        self._stamp = self._stamped()
        self.context.load_cert_chain(cert_file, key_file)

    def renew(self) -> None:
        """Take what is in the files now; what cannot be used leaves the certificate as it is."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            # Tried apart first: a new chain with the old key would leave the context with neither.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self._cert_file, self._key_file
            )
            self.context.load_cert_chain(self._cert_file, self._key_file)
        except OSError as error:
            log.warning("hook.certificate_not_renewed", error=type(error).__name__)

    def _stamped(self) -> list[tuple[int, int]]:
        files = [self._cert_file] if self._key_file is None else [self._cert_file, self._key_file]
        return [(status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in files)]
