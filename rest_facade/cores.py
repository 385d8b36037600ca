"""The connections to the cores: one channel for each address, and which of them is used next.

Owns channels, TLS, which core is ready, and which one hangs. Must not know what is called.

Each address has a channel of its own, since gRPC takes one name for a channel, and verifies the certificate by it.
Where there is a choice of cores, several addresses or a name that may stand for several, a core counts as ready
only while it says itself that it serves (gRPC health): one that is about to stop gets no new calls. A name is looked
up anew only when its connection is lost, so that it is no substitute for a list. A core that hangs says nothing of
it: calls whose deadlines pass put it aside (rest_facade.standing), and an answer about its health lets it back.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2

from rest_facade.config import Settings
from rest_facade.standing import Standing

log = structlog.get_logger("rest_facade")

CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Pings find a half-open connection; they go out only while a call waits without an answer.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A core that was started anew may have a new address: gRPC would ask for it every 30 s only.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.service_config_disable_resolution", 1),
    # A proxy of the environment is for the way out; on the way to a core it would see the credential.
    ("grpc.enable_http_proxy", 0),
)
BALANCED_OPTIONS = (
    (
        "grpc.service_config",
        json.dumps({
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": ""},
        }),
    ),
)
HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_CHECK_S = 1.0
"""How long a core may take to tell of its health."""
FILES_CHECK_S = 1.0
"""How often TLS files are read again while there is no connection."""


class TlsFiles(NamedTuple):
    """What stands in the files of the TLS settings: authorities, and the facade's own certificate and its key."""

    authorities: bytes
    certificate: bytes | None
    key: bytes | None


class Core:
    """The connection to one address; `ready` is called whenever it has become ready or is not any more."""

    def __init__(self, target: str, settings: Settings, *, balanced: bool, ready: Callable[[], None]) -> None:
        self.target = target
        self.is_ready = False
        self.accepted = ""
        """The credential that was accepted over the present connection; empty: none yet."""
        self._settings = settings
        self._options = CHANNEL_OPTIONS + (BALANCED_OPTIONS if balanced else ())
        self._tell = ready
        self._files: TlsFiles | None = None
        self._channel: grpc.aio.Channel | None = None
        self._callables: dict[str, Any] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._standing = Standing(time.monotonic)
        self._return: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to connect; does not wait for it. Raises OSError if a file of the TLS settings cannot be read."""
        self._files = read_tls_files(self._settings)
        self._channel = self._new_channel()
        self._watcher = asyncio.create_task(self._watch(), name=f"connection to {self.target}")

    async def close(self) -> None:
        """Disconnect; calls in flight are broken off."""
        for task in (self._watcher, self._return):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        if self._channel is not None:
            await self._channel.close()

    def callable(self, path: str, serialize: Callable[..., bytes], read: Callable[[bytes], Any]) -> Any:
        """What makes a call of the method at `path`."""
        assert self._channel is not None, "open() comes first"
        if path not in self._callables:
            self._callables[path] = self._channel.unary_unary(
                path, request_serializer=serialize, response_deserializer=read
            )
        return self._callables[path]

    @property
    def is_usable(self) -> bool:
        """Whether it is ready, and not aside."""
        return self.is_ready and not self.is_aside

    @property
    def is_aside(self) -> bool:
        """Whether it hangs, so that calls should go elsewhere."""
        return self._standing.is_aside

    def note_answer(self) -> None:
        """A call got an answer."""
        self._standing.answered()

    def note_missed_deadline(self) -> None:
        """A call got none in time."""
        if self._standing.missed():
            log.warning("core.aside", core=self.target)
            self._return = asyncio.create_task(self._let_back(), name=f"return of {self.target}")

    async def serves(self) -> bool:
        """Whether it says within HEALTH_CHECK_S that it serves; one without such a service does."""
        check = self.callable(
            HEALTH_CHECK,
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_CHECK_S)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNIMPLEMENTED
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def _let_back(self) -> None:
        while self._standing.is_aside:
            await asyncio.sleep(self._standing.check_in_s)
            self._standing.checked(is_back=await self.serves())
        log.info("core.back", core=self.target)

    def _new_channel(self) -> grpc.aio.Channel:
        files = self._files
        if files is None:
            return grpc.aio.insecure_channel(self.target, options=self._options)
        credentials = grpc.ssl_channel_credentials(files.authorities, files.key, files.certificate)
        return grpc.aio.secure_channel(self.target, credentials, options=self._options)

    async def _watch(self) -> None:
        """Keep `is_ready` true to the channel, the channel connecting, and its certificates those of the files."""
        while True:
            channel = self._channel
            assert channel is not None
            state = channel.get_state(try_to_connect=True)
            self.is_ready = state is grpc.ChannelConnectivity.READY
            if not self.is_ready:
                self.accepted = ""
            self._tell()
            change = asyncio.ensure_future(channel.wait_for_state_change(state))
            try:
                await self._watch_files_until(change, channel)
            finally:
                change.cancel()

    async def _watch_files_until(self, change: "asyncio.Future[None]", channel: grpc.aio.Channel) -> None:
        """Wait for the change. If files change before that, and nothing is connected, begin with a new channel."""
        is_watching = self._files is not None and not self.is_ready
        while not change.done():
            await asyncio.wait((change,), timeout=FILES_CHECK_S if is_watching else None)
            if not change.done() and self._take_up_files():
                self._channel, self._callables = self._new_channel(), {}
                await channel.close(self._settings.core_timeout_s)
                return

    def _take_up_files(self) -> bool:
        """Read the TLS files, some kilobytes on a local disk, again; answers whether they changed."""
        try:
            files = read_tls_files(self._settings)
        except OSError as error:
            log.warning("core.tls_not_renewed", problem=str(error))
            return False
        changed, self._files = files != self._files, files
        return changed


class Cores:
    """All cores. `open` in the loop that is going to use them, `close` at the end."""

    def __init__(self, settings: Settings) -> None:
        targets = settings.core_targets
        balanced = len(targets) > 1 or not all(map(_is_one_host, targets))
        self._cores = [
            Core(target, settings, balanced=balanced, ready=self._ready_changed) for target in targets
        ]
        self._next = 0
        self.ready = asyncio.Event()
        """Set while at least one core is ready."""

    def __len__(self) -> int:
        return len(self._cores)

    def open(self) -> None:
        """Begin to connect to all; does not wait for it. Raises OSError if a TLS file cannot be read."""
        for core in self._cores:
            core.open()

    async def close(self) -> None:
        """Disconnect from all."""
        await asyncio.gather(*(core.close() for core in self._cores))

    def __iter__(self) -> Iterator[Core]:
        return iter(self._cores)

    def pick(self, avoiding: Core | None = None) -> Core:
        """The next core that is ready and answers, another one than `avoiding`; what comes closest if there is none."""
        turn = self._cores[self._next :] + self._cores[: self._next]
        picked = min(turn, key=lambda core: (not core.is_ready, core.is_aside, core is avoiding))
        self._next = (self._cores.index(picked) + 1) % len(self._cores)
        return picked

    def has_another(self, than: Core) -> bool:
        """Whether calls may as well go to another core."""
        return any(core is not than and core.is_usable for core in self._cores)

    def _ready_changed(self) -> None:
        if any(core.is_ready for core in self._cores):
            self.ready.set()
        else:
            self.ready.clear()


def read_tls_files(settings: Settings) -> TlsFiles | None:
    """What stands in the files of the TLS settings; None without TLS. Raises OSError."""
    if settings.core_ca_file is None:
        return None
    return TlsFiles(
        settings.core_ca_file.read_bytes(),
        _bytes_of(settings.core_cert_file),
        _bytes_of(settings.core_key_file),
    )


def _bytes_of(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _is_one_host(target: str) -> bool:
    """Whether an address names one host, so that there is no choice: a number, or this machine."""
    host = target.rpartition(":")[0].strip("[]")
    try:
        return bool(ip_address(host))
    except ValueError:
        return host == "localhost"
