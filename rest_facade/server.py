"""One facade in one event loop: bind, serve, drain.

Owns the order of start and stop. Must not know routes or the core's protocol.
"""

import asyncio
import contextlib
import signal
import socket
from typing import Any

import structlog
from sanic import Sanic
from sanic.server.protocols.http_protocol import HttpProtocol

from rest_facade.app import create_app
from rest_facade.config import Settings
from rest_facade.logs import RequestLog
from rest_facade.metrics import Metrics

log = structlog.get_logger("rest_facade")

BACKLOG = 1_024


class CannotListen(Exception):
    """A port cannot be listened on; the sentence says which and why."""


class Facade:
    """A running facade. `start`, then `stop`; both in the same event loop."""

    def __init__(self, settings: Settings, log: RequestLog) -> None:
        self._settings = settings
        self._log = log
        self._metrics = Metrics()
        self._metrics_server: Any = None
        self._server: Any = None
        self._app: Sanic[Any, Any] | None = None
        self._stopping = asyncio.Event()
        self.port: int = 0

    async def start(self) -> None:
        """Listen, and begin to connect to the core. Raises CannotListen."""
        settings = self._settings
        listener = _bind(settings.host, settings.port)
        self.port = listener.getsockname()[1]
        try:
            await self._serve(listener)
        except BaseException:
            listener.close()
            raise
        if settings.core_ca_file is None and not settings.are_cores_here:
            log.warning("core.not_encrypted", remedy="set INFINIREACH_CORE_CA_FILE; see docs/tls.md")
        log.info("rest.ready", rest=f"{settings.host}:{self.port}", core=",".join(settings.core_targets))

    async def _serve(self, listener: socket.socket) -> None:
        settings = self._settings
        if settings.metrics_port:
            try:
                self._metrics_server = self._metrics.serve(settings.host, settings.metrics_port)
            except OSError as error:
                raise _cannot_listen(settings.host, settings.metrics_port, error) from None
        self._app = create_app(settings, metrics=self._metrics, log=self._log, stopping=self._stopping)
        server: Any = await self._app.create_server(
            sock=listener,
            protocol=HttpProtocol,
            backlog=BACKLOG,
            return_asyncio_server=True,
            asyncio_server_kwargs={"start_serving": False},
        )
        self._server = server
        await server.startup()
        await server.before_start()
        await server.start_serving()
        await server.after_start()

    def say_stopping(self) -> None:
        """Not be ready any more, and ask callers for new connections, while requests are served as before."""
        self._stopping.set()
        if self._app is not None:
            self._app.config.KEEP_ALIVE = False  # asked anew for each request

    async def stop(self) -> None:
        """Take no more connections, let requests in flight finish within the drain time, then disconnect."""
        server = self._server
        app = self._app
        if server is None or app is None:
            return
        self.say_stopping()
        log.info("rest.stopping", connections=len(server.connections))
        await server.before_stop()
        server.server.close()
        deadline = asyncio.get_running_loop().time() + self._settings.drain_s
        while server.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(server.connections):
                connection.close_if_idle()
            await asyncio.sleep(0.02)
        for connection in list(server.connections):
            connection.abort()
        await server.after_stop()
        Sanic.unregister_app(app)
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.shutdown)
            self._metrics_server.server_close()
        log.info("rest.stopped")


async def serve(settings: Settings, log: RequestLog) -> None:
    """Serve until SIGTERM or SIGINT and the delay after it; a second signal ends that. Raises CannotListen."""
    told, hurry = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (hurry if told.is_set() else told).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note)
    facade = Facade(settings, log)
    await facade.start()
    await told.wait()
    facade.say_stopping()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(hurry.wait(), settings.stop_delay_s)
    await facade.stop()


def _bind(host: str, port: int) -> socket.socket:
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    return CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}")
