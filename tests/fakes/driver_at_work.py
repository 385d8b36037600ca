"""A driver in the test's own process: its engine on a real journal, its stream to stub cores over gRPC."""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.runtime import Context, Driver
from drivers.runtime.client import Client
from drivers.runtime.clock import SystemClock
from drivers.runtime.commands import SendingLimits
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.session import Identity
from tests.fakes.core_stub import TOKEN, StubCore


@dataclass(frozen=True)
class AtWork:
    """What a driver that runs is made of."""

    engine: Engine
    client: Client
    stream: "asyncio.Task[None]"


def address_of(*cores: StubCore) -> CoreAddress:
    """Where stub cores without TLS are."""
    return CoreAddress(
        tuple(core.address for core in cores),
        token=lambda: TOKEN,
        is_tls=False,
        ca_file=None,
        cert_file=None,
        key_file=None,
    )


@asynccontextmanager
async def driver_at_work(
    driver: Driver,
    folder: Path,
    address: CoreAddress,
    *,
    name: str,
    instance: str = "instance",
    settings: Mapping[str, Any] | None = None,
    stop_s: float = 1.0,
) -> AsyncGenerator[AtWork]:
    """Run a driver until the end of the block. The same folder again is a restart."""
    journal = Journal(folder / "journal.db", horizon_s=1e6, settled_commands_max=10**6)
    protocol = DriverProtocol(
        Identity(name, driver.kind, "1", instance, tuple(driver.capabilities)),
        journal.state(),
        limits=SendingLimits(driver.groups_at_once, driver.group_commands_max),
        clock=SystemClock(),
    )
    engine = Engine(driver, protocol, journal)
    client = Client(address, engine, chance=random.Random(1))
    clock = SystemClock()
    await engine.start(lambda host: Context(host, settings=settings or {}, var_folder=folder, clock=clock))
    stream = asyncio.create_task(client.run())
    try:
        yield AtWork(engine, client, stream)
    finally:
        await engine.drain(0.0, stop_s=stop_s)
        await client.leave("test", flush_s=0.5)
        await asyncio.wait([stream])
        await engine.close()
