"""What the author of a driver writes: one class with `start`, `send` and `stop`.

Knows nothing of the stream and of the journal; the runtime sees to both. The messages of the stream's contract are
used as they are: `SendCommand`, `InboundMessage`, `DeviceDescription`, `DeviceChanged`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from drivers.runtime.context import Context
from drivers.runtime.outcomes import Outcome, SendAgain
from drivers.runtime.settings import Check, Setting
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_IDEMPOTENT_SUBMIT,
    Capability,
    DeviceDescription,
)


class StartRefused(Exception):
    """Raised by `start` where the log says already what to mend: the process ends, without a word more."""


class Driver(ABC):
    """A kind of driver. The runtime makes one object of it per process, with the settings it asked for."""

    kind: ClassVar[str]
    """For example `simulated`: 1 to 64 characters of a-z, 0-9, dot, dash, underscore."""
    version: ClassVar[str] = "1"
    """For people."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset({CAPABILITY_CANCEL})
    """What it can do. The runtime itself does CAPABILITY_CANCEL."""
    settings: ClassVar[tuple[Setting, ...]] = ()
    """Its own settings, read from the environment together with those of the runtime."""
    checks: ClassVar[tuple[Check, ...]] = ()
    """What else has to be so before it starts; each problem is reported together with those of the settings."""
    groups_at_once: ClassVar[int] = 1
    """How many calls of `send` may run at the same time for one device. 1 keeps the order of the messages."""
    group_commands_max: ClassVar[int] = 1
    """How many commands `send_group` takes at once. More than 1 only if it is overridden to make use of it."""

    @abstractmethod
    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Open the radios or accounts; answer with the devices. An exception ends the process.

        A device that is not there yet is announced with its state, and changes it later through the context.
        """

    @abstractmethod
    async def send(self, command: SendCommand) -> Outcome:
        """Hand the message to the network and say what came of it.

        Called once per command id. The command is in the journal as started. Only what certainly did not reach the
        network is `Failed`; where the answer was lost say `Unknown`. An exception is taken as `Unknown`.
        Delivery is reported later: `context.delivered`.
        """

    async def send_group(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        """Hand over several messages of one device, oldest first; one outcome for each, in the same order.

        For networks that take many messages at once. If it raises, all of them are `Unknown`.
        """
        return [await self.send(command) for command in commands]

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """Find out what became of a command that an earlier process of this driver started and never settled.

        Called once for each, after `start`, beside the normal work; it may take its time. None: nobody can know,
        which is reported as outcome unknown. `SendAgain` is for networks that take the caller's id, and for commands
        of which certainly nothing was handed over.
        """
        return SendAgain() if CAPABILITY_IDEMPOTENT_SUBMIT in self.capabilities else None

    def stopping(self) -> None:  # noqa: B027 - most drivers have nothing to say to it
        """The process is about to stop: what runs has the grace period (INFINIREACH_DRIVER_GRACE_S) to end.

        A `send` or `recover` that cannot end by then and stands where the next process can go on may raise CutShort.
        What has not ended after that is cancelled, and recovered by the next process too. Must not block.
        """

    @abstractmethod
    async def stop(self, grace_s: float) -> None:
        """Close the radios or accounts within `grace_s` seconds. No `send` runs any more."""
