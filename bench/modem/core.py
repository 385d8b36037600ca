"""A core that gives each modem of one driver the next message as soon as its window has room, and counts.

`python -m bench.modem.core`: says its address (host:port) as the first line of standard output. For each line of its
standard input it says what came so far: `submitted`, `delivered`, `failed` and `unknown` messages, `working` modems.
It keeps nothing that grows, so what is measured beside it is the driver.
"""

import asyncio
import json
import sys
from collections import Counter
from itertools import count

from grpc import aio

from infinireach.driver.v1.command_pb2 import SendCommand, SendCommands, TextContent
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.driver_service_pb2_grpc import (
    DriverServiceServicer,
    add_DriverServiceServicer_to_server,
)
from infinireach.driver.v1.fact_pb2 import Fact, FactBatch
from infinireach.driver.v1.session_pb2 import Acknowledge, Heartbeat, Hello, Welcome
from infinireach.v1.message_pb2 import CHANNEL_SMS

TEXT = "Hello from Infini Reach!"
RECIPIENT_FIRST = 15_550_000_000
HEARTBEAT_S, HEARTBEAT_TIMEOUT_S = 10, 30
FRAME_BYTES_MAX = 256 * 1024
UNACKNOWLEDGED_FACTS_MAX = 1000

Context = aio.ServicerContext[ConnectRequest, ConnectResponse]


class Core(DriverServiceServicer):
    """Serves one driver."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._windows: dict[str, int] = {}
        self._open: Counter[str] = Counter()
        self._device_of: dict[str, str] = {}
        """The device of each command that has no result yet."""
        self._numbers = count()

    @property
    def working(self) -> int:
        """How many modems take messages."""
        return sum(window > 0 for window in self._windows.values())

    async def Connect(self, request_iterator: object, context: Context) -> None:  # noqa: N802 - the service's name
        """Serve the stream until it ends."""
        first = await context.read()
        if not isinstance(first, ConnectRequest):
            return
        await context.write(ConnectResponse(welcome=self._welcome(first.hello)))
        while isinstance(frame := await context.read(), ConnectRequest):
            match frame.WhichOneof("frame"):
                case "facts":
                    await context.write(self._answer(frame.facts))
                case "heartbeat":
                    await context.write(ConnectResponse(heartbeat=Heartbeat()))
                case _:
                    pass

    def _welcome(self, hello: Hello) -> Welcome:
        welcome = Welcome(
            epoch=1,
            resume_after_sequence=hello.last_sequence,
            frame_bytes_max=FRAME_BYTES_MAX,
            unacknowledged_facts_max=UNACKNOWLEDGED_FACTS_MAX,
            capabilities=hello.capabilities,
        )
        welcome.heartbeat_interval.FromSeconds(HEARTBEAT_S)
        welcome.heartbeat_timeout.FromSeconds(HEARTBEAT_TIMEOUT_S)
        self._windows = {device.key: device.window for device in hello.devices}
        return welcome

    def _answer(self, batch: FactBatch) -> ConnectResponse:
        touched: set[str] = set()
        for fact in batch.facts:
            touched |= self._take(fact)
        commands = [command for key in touched for command in self._next(key)]
        sequence = batch.facts[-1].sequence
        if commands:
            sending = SendCommands(commands=commands)
            return ConnectResponse(acknowledged_sequence=sequence, send_commands=sending)
        return ConnectResponse(acknowledged_sequence=sequence, acknowledge=Acknowledge())

    def _take(self, fact: Fact) -> set[str]:
        """Count; the device that may have room now."""
        if fact.WhichOneof("fact") == "device_changed":
            self._windows[fact.device_changed.device_key] = fact.device_changed.window
            return {fact.device_changed.device_key}
        report = fact.command_report
        outcome = report.WhichOneof("outcome") or ""
        self.counts[outcome] += 1
        device = None if outcome == "delivered" else self._device_of.pop(report.command_id, None)
        if device is None:
            return set()
        self._open[device] -= 1
        return {device}

    def _next(self, device: str) -> list[SendCommand]:
        room = max(0, self._windows[device] - self._open[device])
        self._open[device] += room
        return [self._command(device) for _ in range(room)]

    def _command(self, device: str) -> SendCommand:
        number = next(self._numbers)
        self._device_of[f"bench-{number}"] = device
        return SendCommand(
            command_id=f"bench-{number}",
            message_id=f"{number:024x}",
            device_key=device,
            channel=CHANNEL_SMS,
            source="+15559876543",
            destination=f"+{RECIPIENT_FIRST + number}",
            text=TextContent(body=TEXT, segments=1),
            delivery_report_wanted=True,
        )


async def main() -> None:
    """Serve until standard input ends."""
    core = Core()
    server = aio.server()
    add_DriverServiceServicer_to_server(core, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        counts = core.counts
        told = {
            "submitted": counts["submitted"],
            "delivered": counts["delivered"],
            "failed": counts["failed"],
            "unknown": counts["outcome_unknown"],
            "working": core.working,
        }
        print(json.dumps(told), flush=True)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
