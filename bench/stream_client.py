"""Drivers for `bench.streams`: many streams in one process, each on a connection of its own, bare frames.

`python -m bench.stream_client ADDRESS FIRST COUNT`, the driver token as the first line of its standard input. Says on
standard output `{"open_s": …}` when all streams are open. For each further line of its input it breaks all of them off,
opens them anew, all at once, and says so again. Once its input ends it says what came: `arrivals` (message id and
time), `ended` (why and how often streams ended by themselves), `heartbeats` (frames sent), `turned_away` (how often a
stream was told to come again later).
"""

import asyncio
import gc
import json
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from infinireach.driver.v1 import driver_service_pb2_grpc, fact_pb2, session_pb2
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.v1 import device_pb2, message_pb2

OPENING_MAX = 50
"""Streams that are being opened at the same time, at first."""

DEVICE_KEY = "phone"
WINDOW = 10


@dataclass(slots=True)
class Seen:
    """What all streams of this process saw."""

    arrivals: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    ended: dict[str, int] = field(default_factory=dict[str, int])
    heartbeats: int = 0
    turned_away: int = 0


def number_of(driver: int) -> str:
    """The phone number of a driver."""
    return f"+1555{driver:07}"


class Driver:
    """One driver with one device. It reports every command as submitted at once."""

    def __init__(self, address: str, token: str, number: int, seen: Seen) -> None:
        self._address = address
        self._token = token
        self._journal_id = uuid.uuid4().hex
        self._number = number
        self._seen = seen
        self._sequence = 0

    async def open(self) -> None:
        """Connect, say hello, return after the welcome; as often as it takes."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.aio.insecure_channel(self._address, options=options)
        stub = driver_service_pb2_grpc.DriverServiceStub(self._channel)
        metadata = (("authorization", f"Bearer {self._token}"),)
        while True:
            self._call: Any = stub.Connect(metadata=metadata, wait_for_ready=True)
            try:
                await self._call.write(ConnectRequest(hello=self._hello()))
                frame = await self._call.read()
                if isinstance(frame, ConnectResponse):
                    self._interval_s = frame.welcome.heartbeat_interval.ToTimedelta().total_seconds()
                    return
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
            self._seen.turned_away += 1
            await asyncio.sleep(_retry_delay_s(await self._call.trailing_metadata()))

    async def break_off(self) -> None:
        """Be gone without a word."""
        await self._channel.close()

    async def run(self) -> None:
        """Read and answer until the stream ends."""
        beating = asyncio.create_task(self._beat())
        try:
            while isinstance(frame := await self._call.read(), ConnectResponse):
                if frame.WhichOneof("frame") == "send_commands":
                    await self._settle(frame)
        except grpc.aio.AioRpcError:
            pass
        finally:
            beating.cancel()
        ending = f"{(await self._call.code()).name} {await self._call.details()}"
        self._seen.ended[ending] = self._seen.ended.get(ending, 0) + 1

    async def _settle(self, frame: ConnectResponse) -> None:
        now = time.time()
        facts = []
        for command in frame.send_commands.commands:
            self._seen.arrivals.append((command.message_id, now))
            self._sequence += 1
            report = fact_pb2.CommandReport(command_id=command.command_id, submitted=fact_pb2.Submitted())
            facts.append(fact_pb2.Fact(sequence=self._sequence, command_report=report))
            facts[-1].event_time.GetCurrentTime()
        await self._call.write(ConnectRequest(facts=fact_pb2.FactBatch(facts=facts)))

    async def _beat(self) -> None:
        heartbeat = ConnectRequest(heartbeat=session_pb2.Heartbeat())
        while True:
            await asyncio.sleep(self._interval_s)
            await self._call.write(heartbeat)
            self._seen.heartbeats += 1

    def _hello(self) -> session_pb2.Hello:
        address = device_pb2.DeviceAddress(
            channel=message_pb2.CHANNEL_SMS, number=number_of(self._number), ready=True
        )
        device = session_pb2.DeviceDescription(
            key=DEVICE_KEY,
            name=f"Phone {self._number}",
            addresses=[address],
            window=WINDOW,
            state=device_pb2.DEVICE_STATE_ONLINE,
        )
        return session_pb2.Hello(
            driver_name=f"bench-{self._number}",
            driver_kind="bench",
            driver_version="1",
            instance_id=uuid.uuid4().hex,
            journal_id=self._journal_id,
            first_unacknowledged_sequence=self._sequence + 1,
            last_sequence=self._sequence,
            devices=[device],
        )


async def main() -> None:
    """Open the streams, keep them until standard input ends."""
    address, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    token = sys.stdin.readline().strip()
    seen = Seen()
    drivers = [Driver(address, token, number, seen) for number in range(first, first + count)]
    room = asyncio.Semaphore(OPENING_MAX)
    running: list[asyncio.Task[None]] = []

    async def open_one(driver: Driver) -> None:
        async with room:
            await driver.open()
        running.append(asyncio.create_task(driver.run()))

    async def open_all() -> None:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for driver in drivers:
                group.create_task(open_one(driver))
        print(json.dumps({"open_s": time.monotonic() - begun}), flush=True)
        gc.collect()
        gc.freeze()  # a collection over all streams would count as the core's time

    await open_all()
    room = asyncio.Semaphore(count)
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        await _cancel(running)
        await asyncio.gather(*(driver.break_off() for driver in drivers))
        await open_all()
    print(json.dumps(asdict(seen)), flush=True)
    await _cancel(running)


async def _cancel(running: list[asyncio.Task[None]]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    running.clear()


def _retry_delay_s(metadata: Sequence[tuple[str, str | bytes]] | None) -> float:
    """When the core wants to see the driver again."""
    status, info = status_pb2.Status(), error_details_pb2.RetryInfo()
    for key, value in metadata or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            status.ParseFromString(value)
    said = any(detail.Unpack(info) for detail in status.details)
    return info.retry_delay.ToTimedelta().total_seconds() if said else 1.0


if __name__ == "__main__":
    asyncio.run(main())
