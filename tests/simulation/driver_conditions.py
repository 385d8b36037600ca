"""What a simulated driver process meets: its devices as they are, and the faults of the world around it.

Owns the words in which the world tells a driver of both. Knows neither the runtime nor the world.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE, DeviceAddress, DeviceState
from infinireach.v1.message_pb2 import CHANNEL_SMS
from tests.simulation.network import Stream
from tests.simulation.radio import Radio
from tests.simulation.virtual_time import Process


@dataclass(slots=True)
class Modem:
    """One device as it is."""

    key: str
    numbers: tuple[str, ...]
    window: int
    state: DeviceState = DEVICE_STATE_ONLINE

    def describe(self) -> DeviceDescription:
        """As a hello tells it."""
        addresses = [
            DeviceAddress(channel=CHANNEL_SMS, number=number, slot=slot, ready=True)
            for slot, number in enumerate(self.numbers, 1)
        ]
        return DeviceDescription(
            key=self.key, name=self.key, addresses=addresses, window=self.window, state=self.state
        )

    def changed(self) -> DeviceChanged:
        """As a fact tells it."""
        return DeviceChanged(device_key=self.key, state=self.state, window=self.window)


class DriverConditions(Protocol):
    """What the world does to driver processes."""

    radio: Radio
    losses_of_inbound: Counter[str]
    """How often each message that came in was in a journal that was lost before the core had it."""

    def journal_delay_s(self) -> float:
        """How long the journal takes, on the way there and on the way back."""
        ...

    def radio_delay_s(self) -> float:
        """How long the radio takes, on the way there and on the way back."""
        ...

    def is_journal_full(self, driver: str) -> bool:
        """Whether the journal cannot be written now."""
        ...

    def settled_commands_max(self) -> int:
        """How many settled commands a journal remembers."""
        ...

    def crashes(self, process: Process, point: str) -> bool:
        """Kills the process here if the seed says so; True if it did."""
        ...

    def connect(self, driver: str) -> "asyncio.Future[Stream]":
        """Open a stream to some core; fails as gRPC does if none is there."""
        ...

    def excuse(self, command_id: str, why: str) -> None:
        """Nobody can know what became of this command."""
        ...

    def inbound_journalled(self, text: str, journal_id: str) -> None:
        """A journal has a message that came in."""
        ...

    def died(self, process: Process, error: Exception) -> None:
        """A process ended with an error that nobody foresaw."""
        ...
