"""`python -m tests.integration.modem.recovery --minutes 8`: a modem hangs for minutes, in real time."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from infinireach.v1.device_pb2 import DeviceState
from tests.integration.modem.faults.bench import Bench, bench
from tests.integration.modem.recovery.troubles import MINUTE_S, hang, live_through

SUBMIT_TIMEOUT_S = 130.0
BOOT_S = 5.0


def main() -> None:
    """Live through it and print what the core was told, and when."""
    parser = argparse.ArgumentParser(description="Let an emulated modem hang, and see the driver recover.")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast everything goes")
    options = parser.parse_args()
    asyncio.run(_run(options.minutes, options.speed))


async def _run(minutes: float, speed: float) -> None:
    with tempfile.TemporaryDirectory(prefix="infinireach-hang-") as folder:
        quirks = {"submit_timeout_s": SUBMIT_TIMEOUT_S}
        async with bench(Path(folder), time_scale=speed, quirks=quirks) as own:
            own.wait_s = (2 * minutes * MINUTE_S + 1000.0) / speed
            own.emulator.modem.boot_s = BOOT_S / speed
            watch = asyncio.create_task(_watch(own, time.monotonic()))
            await live_through(own, hang(minutes), speed=speed)
            watch.cancel()
            print("Everything that was to go out or to come in arrived, once.")  # noqa: T201


async def _watch(own: Bench, start: float) -> None:
    """Print each change of the modem as the core hears of it."""
    seen = 0
    while True:
        await own.until(lambda seen=seen: len(own.core.device_changes) > seen)
        for change in own.core.device_changes[seen:]:
            state = DeviceState.Name(change.state).removeprefix("DEVICE_STATE_").lower()
            print(f"{time.monotonic() - start:8.1f} s  {state:10} {change.reason}", flush=True)  # noqa: T201
        seen = len(own.core.device_changes)


if __name__ == "__main__":
    main()
