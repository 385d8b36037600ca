"""One stream as the driver's protocol sees it: what was said on it, when, and what its timers demand.

Part of the protocol, so no I/O and no clock of its own. A new stream is a new session; nothing here outlives it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from drivers.runtime.commands import CommandBook
from drivers.runtime.fact_window import FactWindow
from infinireach.driver.v1.session_pb2 import Capability, DeviceDescription, Hello, OpenCommand, Welcome

WELCOME_TIMEOUT_S = 10.0
"""How long the core may take to answer a hello."""
HEARTBEAT_INTERVAL_S = 10.0
HEARTBEAT_TIMEOUT_S = 25.0
"""Used until the core says otherwise in its welcome."""
FRAME_BYTES_MAX = 256 * 1024
"""Largest frame until the core says otherwise."""
FRAME_MARGIN_BYTES = 1024
"""What a frame holds beside its facts, at most."""
FRAME_COMMANDS_MAX = 1000
"""Command ids in one frame."""
UNACKNOWLEDGED_FACTS_MAX = 1000
"""Facts in flight until the core says otherwise."""


@dataclass(slots=True, frozen=True)
class Identity:
    """Who the driver says it is."""

    driver_name: str
    driver_kind: str
    driver_version: str
    instance_id: str
    capabilities: tuple[Capability, ...]


@dataclass(slots=True, eq=False)
class Session:
    """One stream."""

    last_sent_at: float
    last_received_at: float
    hello_is_sent: bool = False
    welcome: Welcome | None = None
    accepted: list[str] = field(default_factory=list[str])
    """Commands that are journalled and not yet named to the core."""
    accepted_is_due: bool = False
    """They wait for a tick: most have a result by then, which says more and costs no frame of its own."""
    is_draining: bool = False
    """The core has asked to leave."""
    goodbye_is_sent: bool = False

    def take_accepted(self, commands: CommandBook) -> list[str]:
        """The next command ids to name, once they are due. One whose result has gone up already is left out."""
        while self.accepted_is_due and self.accepted:
            command_ids = self.accepted[:FRAME_COMMANDS_MAX]
            del self.accepted[:FRAME_COMMANDS_MAX]
            still_open = [command_id for command_id in command_ids if command_id in commands]
            if still_open:
                return still_open
        self.accepted_is_due = False
        return []

    def heartbeat_interval_s(self) -> float:
        """How long the driver may be silent."""
        return _told(self.welcome and self.welcome.heartbeat_interval, default=HEARTBEAT_INTERVAL_S)

    def silence_max_s(self) -> float:
        """How long the core may be silent before the stream is given up."""
        if self.welcome is None:
            return WELCOME_TIMEOUT_S
        return _told(self.welcome.heartbeat_timeout, default=HEARTBEAT_TIMEOUT_S)

    def facts_bytes_max(self) -> int:
        """How many bytes of facts fit into a frame."""
        told = self.welcome.frame_bytes_max if self.welcome is not None else 0
        return (told or FRAME_BYTES_MAX) - FRAME_MARGIN_BYTES

    def unacknowledged_facts_max(self) -> int:
        """How many facts may be sent and not acknowledged."""
        told = self.welcome.unacknowledged_facts_max if self.welcome is not None else 0
        return told or UNACKNOWLEDGED_FACTS_MAX


def build_hello(
    identity: Identity,
    journal_id: str,
    *,
    facts: FactWindow,
    devices: Iterable[DeviceDescription],
    commands: CommandBook,
) -> Hello:
    """The first frame of a stream: what the journal holds now."""
    return Hello(
        driver_name=identity.driver_name,
        driver_kind=identity.driver_kind,
        driver_version=identity.driver_version,
        instance_id=identity.instance_id,
        journal_id=journal_id,
        first_unacknowledged_sequence=facts.acknowledged + 1,
        last_sequence=facts.last,
        capabilities=identity.capabilities,
        devices=devices,
        open_commands=[
            OpenCommand(
                command_id=command_id,
                phase=OpenCommand.PHASE_STARTED if started else OpenCommand.PHASE_HELD,
            )
            for command_id, started in commands.journalled()
        ],
    )


def _told(duration: Duration | None, *, default: float) -> float:
    """The seconds that the core told, if it told any."""
    seconds = 0.0 if duration is None else duration.seconds + duration.nanos / 1e9
    return seconds if seconds > 0 else default
