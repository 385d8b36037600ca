"""What the runtime is to the lifecycle of a modem: a store that outlives processes, and ears for what it tells."""

from pathlib import Path
from typing import Any, cast

from drivers.runtime import Context, Failed
from drivers.runtime.context import DriverHost
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from tests.unit.drivers.runtime.world import SetClock


class ProcessDied(BaseException):
    """The process is killed at this point; nothing after it happens."""


class MemoryHost:
    """Keeps the store in memory. `context` gives a process on it; another one is a restart."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.changes: list[DeviceChanged] = []
        self.given_back: list[tuple[str, Failed]] = []
        self.clock = SetClock()

    def context(self, **settings: Any) -> Context:
        return Context(cast(DriverHost, self), settings=settings, var_folder=Path(), clock=self.clock)

    async def write(self, changes: dict[str, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value

    async def read(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in sorted(self.stored.items()) if key.startswith(prefix)}

    async def change_device(self, change: DeviceChanged) -> None:
        self.changes.append(change)

    def give_back(self, device_key: str, failed: Failed) -> int:
        self.given_back.append((device_key, failed))
        return 1
