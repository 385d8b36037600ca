"""The core's sessions in one process without gRPC, and drivers that a test plays frame by frame.

Owns the loops around the sessions and both ends of an in-memory stream. The store behind them is real.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.dispatch import Command, ReadyDevice
from core.errors import InfiniReachError
from core.messages import Accepted, NewMessage, accept
from core.sessions.applier import FactApplier
from core.sessions.dispatcher import Dispatcher
from core.sessions.lifecycle import Lifecycle
from core.sessions.protocol import Frame, SessionLimits
from core.sessions.registry import Registry
from core.sessions.session import DriverSession, SessionDependencies
from core.store.engine import Store
from core.store.rows import DriverRow, MessageRow
from infinireach.driver.v1 import driver_service_pb2
from tests.core_fixtures import LEASE_MS, TTL_MS, new_message
from tests.driver_frames import hello_frame
from tests.fakes.database import TENANT_A
from tests.fakes.set_clock import SetClock

Request = driver_service_pb2.ConnectRequest
Result = TypeVar("Result")

TOKEN_ID = "token-1"
WAIT_S_MAX = 20.0
LIMITS = SessionLimits(
    heartbeat_interval_s=10,
    heartbeat_timeout_s=25,
    replay_timeout_s=60,
    frame_bytes_max=262_144,
    unacknowledged_facts_max=1000,
)


async def eventually(condition: Callable[[], Result], wanted: str = "") -> Result:
    """The condition's value as soon as it is true; fails after a long while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S_MAX):
            while not (value := condition()):  # noqa: ASYNC110 - a condition on anything has no event to wait for
                await asyncio.sleep(0.001)
            return value
    raise AssertionError(f"never came to pass: {wanted or condition}")


async def until(
    look: Callable[[], Awaitable[Result]],
    is_wanted: Callable[[Result], bool],
    *,
    within_s: float = WAIT_S_MAX,
) -> Result:
    """What `look` sees as soon as it is as wanted; fails after a long while."""
    value = await look()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not is_wanted(value):
                await asyncio.sleep(0.005)
                value = await look()
            return value
    raise AssertionError(f"never came to pass; last seen: {value}")


class PlayedDriver:
    """A driver's end of one stream. Frames that the core wrote are in `frames`."""

    def __init__(self, core: "SessionCore") -> None:
        self.frames: list[Frame] = []
        self.may_read = asyncio.Event()
        """Cleared: the driver reads nothing, so the core's next write hangs."""
        self.may_read.set()
        self._to_core: asyncio.Queue[Request | Exception | None] = asyncio.Queue()
        self.session = DriverSession(
            core.shared, tenant_id=core.tenant_id, token_id=TOKEN_ID, read=self._read, write=self._write
        )
        self.task = asyncio.create_task(self.session.run(), name="played-driver")

    @property
    def unread(self) -> int:
        """Frames that the core has yet to read."""
        return self._to_core.qsize()

    def send(self, *frames: Request | Exception | None) -> None:
        """Send frames; None ends the driver's side, an exception breaks the stream."""
        for frame in frames:
            self._to_core.put_nowait(frame)

    def of_kind(self, kind: str) -> list[Frame]:
        """The frames of a kind so far."""
        return [frame for frame in self.frames if frame.WhichOneof("frame") == kind]

    async def wait_for(self, kind: str, count: int = 1) -> Frame:
        """The `count`-th frame of a kind."""
        await eventually(lambda: len(self.of_kind(kind)) >= count, f"{count} frames {kind}")
        return self.of_kind(kind)[count - 1]

    async def wait_until_live(self) -> None:
        """Return when commands may flow: the session is reconciled and reads on."""
        session = self.session
        await eventually(lambda: any(map(session.ready, session.device_ids)), "a live session")

    async def wait_for_commands(self, count: int) -> list[str]:
        """The ids of the first commands, as soon as there are `count`."""
        await eventually(lambda: len(self.command_ids) >= count, f"{count} commands")
        return self.command_ids

    async def wait_for_acknowledgement(self, sequence: int) -> None:
        """Return when every fact up to `sequence` is acknowledged."""
        await eventually(lambda: self.acknowledged >= sequence, f"acknowledgement of {sequence}")

    @property
    def command_ids(self) -> list[str]:
        """The commands so far, in order."""
        return [each.command_id for frame in self.frames for each in frame.send_commands.commands]

    @property
    def acknowledged(self) -> int:
        """The last acknowledgement."""
        return max((frame.acknowledged_sequence for frame in self.frames), default=0)

    async def ended(self) -> InfiniReachError | None:
        """The error that the stream ended with; None if the driver left."""
        await asyncio.wait([self.task], timeout=WAIT_S_MAX)
        assert self.task.done(), "the stream goes on"
        error = self.task.exception()
        assert error is None or isinstance(error, InfiniReachError), error
        return error

    async def cut(self) -> None:
        """Cancel the stream's handler, as a broken connection does."""
        self.task.cancel()
        await asyncio.wait([self.task], timeout=WAIT_S_MAX)
        assert self.task.cancelled()

    async def _read(self) -> Request | None:
        frame = await self._to_core.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def _write(self, frame: Frame) -> None:
        await self.may_read.wait()
        copy = Frame()
        copy.CopyFrom(frame)
        self.frames.append(copy)


class SessionCore:
    """Registry, dispatcher and applier over a store, as `core.app` wires them."""

    def __init__(self, store: Store, clock: SetClock, poll_s: float, hello_timeout_s: float) -> None:
        self.store = store
        self.clock = clock
        self.tenant_id = TENANT_A
        self.applied = 0
        self.registry = Registry()
        self.dispatcher = Dispatcher(store, self.registry, clock, poll_s)
        self.applier = FactApplier(store, clock, self._on_applied)
        self.shared = SessionDependencies(
            clock=clock,
            registry=self.registry,
            lifecycle=Lifecycle(store, clock, LEASE_MS),
            dispatcher=self.dispatcher,
            applier=self.applier,
            limits=LIMITS,
            hello_timeout_s=hello_timeout_s,
        )
        self.drivers: list[PlayedDriver] = []

    def _on_applied(self) -> None:
        self.applied += 1

    def stream(self) -> PlayedDriver:
        """A stream on which nothing was said yet."""
        driver = PlayedDriver(self)
        self.drivers.append(driver)
        return driver

    async def connect(self, **hello: Any) -> PlayedDriver:
        """A driver that has been welcomed."""
        driver = self.stream()
        driver.send(hello_frame(*hello.pop("devices", ()), **hello))
        await driver.wait_for("welcome")
        return driver

    async def accept(self, count: int = 1, *, hint: bool = True, **changes: Any) -> list[str]:
        """Accept messages; answers their ids."""
        items = [new_message(**changes) for _ in range(count)]
        accepted = await self.store.run(_accept_all, items, self.clock.now_ms())
        if hint:
            self.dispatcher.hint({each.device_id for each in accepted})
        return [each.message_id for each in accepted]

    async def the_driver(self) -> DriverRow:
        """The only driver's row."""
        return await self.store.read(lambda session: session.execute(select(DriverRow)).scalar_one())

    async def states(self) -> list[str]:
        """The states of all messages, oldest first."""
        table = MessageRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
        query = select(table.c.state).order_by(table.c.id)
        return await self.store.read(lambda session: list(session.execute(query).scalars()))

    async def wait_for_states(self, *wanted: str) -> None:
        """Return when the messages are in these states."""
        async with asyncio.timeout(WAIT_S_MAX):
            while await self.states() != list(wanted):
                pass


def _accept_all(session: Session, items: list[NewMessage], now_ms: int) -> list[Accepted]:
    results = accept(session, items, now_ms, TTL_MS)
    accepted = [result for result in results if isinstance(result, Accepted)]
    assert len(accepted) == len(items), results
    return accepted


class HeldWriter:
    """A transaction that lasts until it is told to end; what comes meanwhile waits behind it."""

    def __init__(self, core: "SessionCore") -> None:
        self._running, self._release = threading.Event(), threading.Event()
        self._task = asyncio.create_task(core.store.run(self._hold))

    def _hold(self, _: Session) -> None:
        self._running.set()
        assert self._release.wait(30)

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._running.wait, 30)

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        await self._task


@contextlib.asynccontextmanager
async def session_core(
    store: Store, *, poll_s: float = 60.0, hello_timeout_s: float = 60.0
) -> AsyncGenerator[SessionCore]:
    """The sessions' side of a core; hints alone make it claim unless `poll_s` says otherwise."""
    core = SessionCore(store, SetClock(), poll_s, hello_timeout_s)
    loops = (core.shared.lifecycle.run(), core.applier.run(), core.dispatcher.run())
    tasks = [asyncio.create_task(loop) for loop in loops]
    await asyncio.sleep(0)  # they have begun
    try:
        yield core
        assert not any(task.done() for task in tasks), "a loop of the core ended"
    finally:
        streams = [driver.task for driver in core.drivers]
        for group in (streams, tasks):  # a stream that ends has the end noted by a loop
            for task in group:
                task.cancel()
            await asyncio.gather(*group, return_exceptions=True)


class FakeSession:
    """A live session that notes what it is given; `free` is the room of each of its devices."""

    def __init__(self, driver_id: str, epoch: int, free: dict[str, int]) -> None:
        self.token_id = TOKEN_ID
        self.driver_id = driver_id
        self.epoch = epoch
        self.free = free
        self.commands: list[Command] = []
        self.closed_with: InfiniReachError | None = None

    @property
    def device_ids(self) -> list[str]:
        """Its devices."""
        return list(self.free)

    def ready(self, device_id: str) -> ReadyDevice | None:
        """The device, if it has room."""
        device = ReadyDevice(device_id, self.driver_id, self.epoch, self.free[device_id])
        return device if device.free else None

    def offer(self, commands: list[Command]) -> None:
        """Take commands; each uses a place up."""
        for command in commands:
            self.commands.append(replace(command))
            self.free[command.device_id] -= 1

    def drain(self, reason: str, grace_s: float) -> None:
        """Nothing to do."""

    def close(self, error: InfiniReachError) -> None:
        """Note the reason."""
        self.closed_with = error

    @property
    def message_ids(self) -> list[str]:
        """The messages it was given, in order."""
        return [command.message_id for command in self.commands]
