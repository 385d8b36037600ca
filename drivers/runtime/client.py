"""The driver's connection to the core: opens streams, moves frames between them and the protocol, comes back.

Owns the channel and how a stream's end is answered. What the frames mean is the protocol's business.
One reader and one writer per stream; nothing is cancelled per message; a stream is ended by cancelling its call.
"""

import asyncio
import random
from collections.abc import Sequence
from enum import Enum
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import aio

from drivers.runtime.backoff import LONG_DELAY_S, Backoff
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.engine import Engine
from drivers.runtime.failures import describe
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.driver_service_pb2_grpc import DriverServiceStub

RECEIVED_BYTES_MAX = 16 * 1024 * 1024
"""Largest frame taken from the core: 1000 commands of 1600 code points fit."""
TICK_MAX_S = 1.0
"""How often the protocol is told that time passes, at least."""
GOOD_STREAM_S = 1.0
"""A stream that was open for this long resets the backoff; one that is refused or dies at once does not."""
GOODBYE_TIMEOUT_S = 1.0
"""How long the last frames may take."""
STATUS_KEY = "grpc-status-details-bin"

log = structlog.get_logger("stream")


class StoppedByCore(Exception):
    """The core does not want this driver; trying again would not help."""


class Superseded(StoppedByCore):
    """Another instance of this driver is alive and has taken over."""


class NotAdmitted(StoppedByCore):
    """The core does not accept the driver's token or certificate."""


class _End(Enum):
    """What to do after a stream has ended."""

    AGAIN_SOON = 1
    AGAIN_LATER = 2


class Client:
    """Keeps one stream to the core open for as long as it runs."""

    def __init__(self, core: CoreAddress, engine: Engine, *, chance: random.Random) -> None:
        self._core = core
        self._next_target = 0
        self._untried = len(core.targets) - 1
        """Cores that were not tried since the last pause."""
        self._engine = engine
        self._protocol = engine.protocol
        self._backoff = Backoff(chance)
        self._call: aio.StreamStreamCall[ConnectRequest, ConnectResponse] | None = None
        self._frames = asyncio.Event()
        self._opened_at: float | None = None
        """When the core's welcome came."""
        self._last_failure: tuple[str, str] | None = None
        self._away_s = 0.0
        self._turn_s = 0.0
        """How long until the core wants to see this driver."""
        self._is_leaving = False
        self._left = asyncio.Event()
        self.failed = asyncio.Event()
        """Set when a stream has ended with an error."""
        self._welcomed = asyncio.Event()
        self._progress = asyncio.Event()
        """Set when a frame came, a batch was written or the stream ended."""
        engine.on_frames = self._wake_writer
        engine.on_drop = self._drop
        engine.on_reopen = self._reopen

    async def run(self) -> None:
        """Connect again and again until `leave`.

        Raises Superseded or NotAdmitted if the core says so, and whatever its ticker fails with: without ticks there
        are no heartbeats and no expiry, so the process has to end.
        """
        ticker = asyncio.create_task(self._tick(), name="ticker")
        ticker.add_done_callback(self._ticker_ended)
        try:
            while not self._is_leaving:
                self._opened_at = None
                end = await self._run_stream()
                if not self._is_leaving:
                    await self._pause_after(end)
            if ticker.done():
                ticker.result()
        finally:
            ticker.cancel()
            await asyncio.wait([ticker])

    async def _pause_after(self, end: _End) -> None:
        """Wait before the next stream; not at all where another core is still to be tried."""
        if self._was_good():
            self._backoff.reset()
            self._untried = len(self._core.targets) - 1
        at_least_s = LONG_DELAY_S if end is _End.AGAIN_LATER else self._away_s
        self._away_s = 0.0
        if self._untried and not at_least_s:
            self._untried -= 1
            return
        self._untried = len(self._core.targets) - 1
        await self._pause(max(self._turn_s, self._backoff.next_delay_s(at_least_s=at_least_s)))
        self._turn_s = 0.0

    def _ticker_ended(self, ticker: "asyncio.Task[None]") -> None:
        _log_failure(ticker)
        self._is_leaving = True
        self._left.set()
        self._drop(0.0)

    def _was_good(self) -> bool:
        return (
            self._opened_at is not None
            and asyncio.get_running_loop().time() - self._opened_at >= GOOD_STREAM_S
        )

    async def leave(self, reason: str, *, flush_s: float) -> None:
        """Let the core have the last facts for at most `flush_s` seconds, say goodbye, end `run`."""
        try:
            await asyncio.wait_for(self._flush(), flush_s)
        except TimeoutError:
            log.warning("stream.left_with_facts_unacknowledged")
        self._is_leaving = True
        self._left.set()
        if self._call is not None:
            self._protocol.say_goodbye(reason, reconnect_expected=False)
            self._frames.set()
            asyncio.get_running_loop().call_later(GOODBYE_TIMEOUT_S, self._call.cancel)

    async def _flush(self) -> None:
        while self._call is not None and not self._protocol.is_settled():
            self._progress.clear()
            await self._progress.wait()

    async def _pause(self, delay_s: float) -> None:
        try:
            await asyncio.wait_for(self._left.wait(), delay_s)
        except TimeoutError:
            return

    # One stream.

    async def _run_stream(self) -> _End:
        if self._protocol.journal_is_stale:
            await self._engine.renew_journal()
            log.error("journal.renewed", reason="an older copy of the journal was put back")
        await self._engine.journal_idle()
        if self._is_leaving:
            # `leave` found no stream to say goodbye on, so none may open after it.
            return _End.AGAIN_SOON
        try:
            metadata = self._core.metadata()
            channel = self._channel()
        except OSError as error:
            log.error("stream.not_opened", error=str(error))
            return _End.AGAIN_LATER
        async with channel:
            stub = DriverServiceStub(channel)
            call = stub.Connect(metadata=metadata, wait_for_ready=False)
            self._call = call
            self._protocol.connected()
            writer = asyncio.create_task(self._write(call), name="stream writer")
            writer.add_done_callback(_log_failure)
            try:
                await self._read(call)
            except aio.AioRpcError as error:
                return self._ended(error)
            except asyncio.CancelledError:
                if not call.cancelled() or _is_cancelling():
                    raise
                return _End.AGAIN_SOON
            finally:
                self._call = None
                self._progress.set()
                self._protocol.disconnected()
                call.cancel()
                writer.cancel()
                await asyncio.wait([writer])
                if self._opened_at is not None:
                    log.info("stream.closed")
        return _End.AGAIN_SOON

    def _channel(self) -> aio.Channel:
        """A channel to the next core. Raises OSError if a file cannot be read."""
        target = self._core.targets[self._next_target % len(self._core.targets)]
        self._next_target += 1
        options = [
            ("grpc.max_receive_message_length", RECEIVED_BYTES_MAX),
            ("grpc.use_local_subchannel_pool", 1),
            # A proxy of the environment is for the way out, not for this machine.
            ("grpc.enable_http_proxy", 0 if self._core.is_on_this_machine() else 1),
        ]
        credentials = self._core.channel_credentials()
        if credentials is None:
            return aio.insecure_channel(target, options=options)
        return aio.secure_channel(target, credentials, options=options)

    async def _read(self, call: "aio.StreamStreamCall[ConnectRequest, ConnectResponse]") -> None:
        while True:
            frame = await call.read()
            if not isinstance(frame, ConnectResponse):
                # The end of the stream.
                return
            self._protocol.receive(frame)
            self._note(frame)
            self._engine.wake()
            self._progress.set()
            if self._protocol.journal_is_stale:
                return

    async def _write(self, call: "aio.StreamStreamCall[ConnectRequest, ConnectResponse]") -> None:
        try:
            while True:
                self._frames.clear()
                while (frame := self._protocol.next_frame()) is not None:
                    await call.write(frame)
                    if frame.WhichOneof("frame") == "goodbye":
                        await call.done_writing()
                        return
                await self._frames.wait()
        except (aio.AioRpcError, asyncio.InvalidStateError):
            # The stream has ended; the reader learns why.
            return
        except Exception:
            # A stream on which nothing is said is no use: the reader ends, and a new one is opened.
            call.cancel()
            raise

    def _note(self, frame: ConnectResponse) -> None:
        match frame.WhichOneof("frame"):
            case "welcome":
                self._opened_at = asyncio.get_running_loop().time()
                self._last_failure = None
                self._welcomed.set()
                log.info("stream.opened", epoch=frame.welcome.epoch)
                for refusal in frame.welcome.refused_devices:
                    detail = (
                        refusal.detail.replace(refusal.number, "***") if refusal.number else refusal.detail
                    )
                    log.error("device.refused", device_key=refusal.device_key, detail=detail)
            case "fact_rejected":
                rejected = frame.fact_rejected
                log.warning("fact.rejected", sequence=rejected.sequence, reason=rejected.reason)
            case "drain":
                log.info("stream.draining")
            case _:
                pass

    def _ended(self, error: aio.AioRpcError) -> _End:
        self.failed.set()
        reason = _reason(error)
        code = error.code()
        if self._last_failure != (code.name, reason):
            # Once per outage, not once per try.
            self._last_failure = (code.name, reason)
            log.warning("stream.failed", code=code.name, reason=reason, detail=error.details())
        match code:
            case grpc.StatusCode.ABORTED if reason == "SESSION_SUPERSEDED":
                raise Superseded("Another instance of this driver has connected with the same name.")
            case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
                raise NotAdmitted(f"The core does not admit this driver: {error.details()}")
            case grpc.StatusCode.UNAVAILABLE if reason == "TOO_MANY_OPENING":
                self._turn_s = _retry_delay_s(error)
                return _End.AGAIN_SOON
            case grpc.StatusCode.RESOURCE_EXHAUSTED | grpc.StatusCode.FAILED_PRECONDITION:
                return _End.AGAIN_LATER
            case grpc.StatusCode.INVALID_ARGUMENT if reason == "FACT_NOT_APPLICABLE":
                # The fact was put aside and acknowledged: it does not come again.
                return _End.AGAIN_SOON
            case grpc.StatusCode.DATA_LOSS if reason == "JOURNAL_ROLLED_BACK":
                # An older copy of the journal was put back: the next stream begins with a new identity.
                self._protocol.journal_is_stale = True
                return _End.AGAIN_SOON
            case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.DATA_LOSS | grpc.StatusCode.UNIMPLEMENTED:
                return _End.AGAIN_LATER
            case _:
                return _End.AGAIN_SOON

    # Time, and what ends a stream from this side.

    async def _tick(self) -> None:
        while True:
            session = self._protocol.session
            interval_s = TICK_MAX_S if session is None else session.heartbeat_interval_s() / 4
            await self._wait_for_tick(min(TICK_MAX_S, interval_s))
            self._protocol.tick()
            self._engine.wake()
            self._frames.set()
            if self._protocol.is_silent():
                log.warning("stream.silent")
                self._drop(0.0)
            elif session is not None and session.is_draining and not self._is_leaving:
                self._leave_draining_core()

    async def _wait_for_tick(self, delay_s: float) -> None:
        """Wait that long, or until a welcome has told another interval."""
        self._welcomed.clear()
        try:
            await asyncio.wait_for(self._welcomed.wait(), delay_s)
        except TimeoutError:
            return

    def _leave_draining_core(self) -> None:
        if not self._protocol.is_sending() and self._protocol.is_settled():
            self._reopen()

    def _drop(self, away_s: float) -> None:
        self._away_s = away_s
        if self._call is not None:
            self._call.cancel()

    def _wake_writer(self) -> None:
        self._frames.set()
        self._progress.set()

    def _reopen(self) -> None:
        if self._call is not None:
            self._protocol.say_goodbye("The driver opens its stream anew.", reconnect_expected=True)
            self._frames.set()
            asyncio.get_running_loop().call_later(GOODBYE_TIMEOUT_S, self._call.cancel)


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("stream.task_failed", task=task.get_name(), **describe(error))


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _details(error: aio.AioRpcError) -> Sequence[Any]:
    """What the core says of a stream's end, as google.protobuf.Any."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value).details
            except DecodeError:
                return ()
    return ()


def _reason(error: aio.AioRpcError) -> str:
    """The machine-readable reason (google.rpc.ErrorInfo) of a stream's end; empty if it has none."""
    info = ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in _details(error)) else ""


def _retry_delay_s(error: aio.AioRpcError) -> float:
    """When to come again (google.rpc.RetryInfo); 0 if nothing is said of it."""
    info = RetryInfo()
    said = any(detail.Unpack(info) for detail in _details(error))
    return info.retry_delay.ToTimedelta().total_seconds() if said else 0.0
