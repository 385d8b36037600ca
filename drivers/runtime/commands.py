"""The open commands of a driver, in memory: who waits for which device and what may start.

Part of the protocol, so no I/O and no clock of its own. It mirrors the journal: what it calls held or started is so
in the journal as soon as the batch that says it is committed.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from drivers.runtime.records import Batch
from infinireach.driver.v1.command_pb2 import SendCommand

NO_DEADLINE_NS = 2**63


class Phase(Enum):
    """How far a command is."""

    ARRIVED = auto()
    """In memory only."""
    HELD = auto()
    """In the journal, or in the batch that is being written."""
    STARTED = auto()
    """May be with the network, or is in the batch that says so."""
    SETTLING = auto()
    """Its result waits for the journal."""


@dataclass(slots=True, eq=False)
class OpenCommand:
    """A command without a result in the journal."""

    command: SendCommand
    phase: Phase
    deadline_ns: int
    """By the wall clock: not to be started later."""


@dataclass(slots=True, frozen=True)
class Group:
    """Commands of one device that are handed to the driver together."""

    device_key: str
    commands: list[SendCommand]


@dataclass(slots=True, frozen=True)
class SendingLimits:
    """How a driver wants to be given its commands."""

    groups_at_once: int
    """How many groups of one device may run at the same time; 1 keeps the order."""
    group_commands_max: int
    """How many commands of one device make a group at most."""


class CommandBook:
    """All open commands by id, and the queue of each device."""

    def __init__(self, limits: SendingLimits) -> None:
        self._limits = limits
        self._open: dict[str, OpenCommand] = {}
        self._arrived: list[OpenCommand] = []
        self._waiting: dict[str, deque[OpenCommand]] = {}
        self._running: dict[str, int] = {}
        self._paused: set[str] = set()

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._open

    def __len__(self) -> int:
        return len(self._open)

    def phase(self, command_id: str) -> Phase | None:
        """How far the command is; None if it is not open."""
        entry = self._open.get(command_id)
        return None if entry is None else entry.phase

    def journalled(self) -> Iterator[tuple[str, bool]]:
        """Every command that the journal holds without a result, and whether it was started."""
        for command_id, entry in self._open.items():
            if entry.phase is not Phase.ARRIVED:
                yield command_id, entry.phase is not Phase.HELD

    def expired(self, now_ns: int) -> list[str]:
        """The commands that wait and whose deadline is over."""
        return [
            entry.command.command_id
            for queue in self._waiting.values()
            for entry in queue
            if entry.deadline_ns < now_ns
        ]

    def waiting(self, device_key: str) -> list[str]:
        """The commands of the device that are not started, oldest first."""
        return [entry.command.command_id for entry in self._waiting.get(device_key, ())]

    def restore(self, command: SendCommand, *, started: bool) -> None:
        """Take over a command from the journal at start-up. A started one waits for its result, not for a device."""
        entry = OpenCommand(command, Phase.STARTED if started else Phase.HELD, _deadline_ns(command))
        self._open[command.command_id] = entry
        if not started:
            self._queue(entry)

    def arrive(self, command: SendCommand) -> bool:
        """Take a command from the core; False if it is open already."""
        if command.command_id in self._open:
            return False
        entry = OpenCommand(command, Phase.ARRIVED, _deadline_ns(command))
        self._open[command.command_id] = entry
        self._arrived.append(entry)
        self._queue(entry)
        return True

    def forget_arrived(self) -> set[str]:
        """The stream ended: the core knows better what becomes of commands that no journal holds; their ids."""
        forgotten = {entry.command.command_id for entry in self._arrived}
        self._arrived.clear()
        for command_id in forgotten:
            self.settle(command_id)
        return forgotten

    def hold_arrived(self, batch: Batch) -> None:
        """Put what has arrived into the batch."""
        for entry in self._arrived:
            if entry.phase is Phase.ARRIVED:
                entry.phase = Phase.HELD
            batch.hold.append(entry.command)
        self._arrived.clear()

    def hold_failed(self, batch: Batch) -> None:
        """The batch was not written: its commands have arrived again. Its groups are held again before this."""
        for command in batch.hold:
            entry = self._open.get(command.command_id)
            if entry is None:
                continue
            if entry.phase is Phase.HELD:
                entry.phase = Phase.ARRIVED
            self._arrived.append(entry)

    def has_arrived(self) -> bool:
        """True if commands wait to be held."""
        return bool(self._arrived)

    def can_start(self) -> bool:
        """True if a device has a command to send and room for it."""
        return any(
            queue
            and self._running.get(device_key, 0) < self._limits.groups_at_once
            and device_key not in self._paused
            for device_key, queue in self._waiting.items()
        )

    def start_waiting(self, batch: Batch, *, now_ns: int) -> list[Group]:
        """Put into the batch what may start now; the groups to hand over once it is committed.

        A command whose deadline is over is left where it is, to be failed: see `expired`.
        """
        groups: list[Group] = []
        for device_key, queue in self._waiting.items():
            running = self._running.get(device_key, 0)
            while queue and running < self._limits.groups_at_once and device_key not in self._paused:
                commands = self._take_group(queue, now_ns)
                if not commands:
                    break
                batch.start.extend(command.command_id for command in commands)
                running += 1
                groups.append(Group(device_key, commands))
            self._running[device_key] = running
        return groups

    def _take_group(self, queue: deque[OpenCommand], now_ns: int) -> list[SendCommand]:
        commands: list[SendCommand] = []
        while queue and len(commands) < self._limits.group_commands_max:
            if queue[0].deadline_ns < now_ns:
                break
            entry = queue.popleft()
            entry.phase = Phase.STARTED
            commands.append(entry.command)
        return commands

    def is_head_expired(self, now_ns: int) -> bool:
        """True if a device's next command cannot be started any more and has to be failed first."""
        return any(queue and queue[0].deadline_ns < now_ns for queue in self._waiting.values())

    def hold_again(self, group: Group) -> list[str]:
        """The group was not handed over after all: its commands wait at the front again; their ids."""
        self.finish_group(group.device_key)
        entries = [self._open[c.command_id] for c in group.commands if c.command_id in self._open]
        for entry in entries:
            entry.phase = Phase.HELD
        self._waiting.setdefault(group.device_key, deque()).extendleft(reversed(entries))
        return [entry.command.command_id for entry in entries]

    def finish_group(self, device_key: str) -> None:
        """A group of the device has ended, so the next may start."""
        self._running[device_key] -= 1

    def settling(self, command_id: str) -> bool:
        """The command has a result that is about to be journalled; False if it is not open or has one already."""
        entry = self._open.get(command_id)
        if entry is None or entry.phase is Phase.SETTLING:
            return False
        if entry.phase in (Phase.ARRIVED, Phase.HELD):
            self._unqueue(entry)
        entry.phase = Phase.SETTLING
        return True

    def settle(self, command_id: str) -> None:
        """The command is open no longer."""
        entry = self._open.pop(command_id, None)
        if entry is not None and entry.phase in (Phase.ARRIVED, Phase.HELD):
            self._unqueue(entry)

    def forget_all(self) -> None:
        """No command is open any longer; the groups that run go on."""
        self._open.clear()
        self._arrived.clear()
        self._waiting.clear()

    def pause(self, device_key: str, *, paused: bool) -> None:
        """Start nothing on the device for now, or go on."""
        (self._paused.add if paused else self._paused.discard)(device_key)

    def is_sending(self) -> bool:
        """True while a group runs."""
        return any(self._running.values())

    def _queue(self, entry: OpenCommand) -> None:
        self._waiting.setdefault(entry.command.device_key, deque()).append(entry)

    def _unqueue(self, entry: OpenCommand) -> None:
        queue = self._waiting.get(entry.command.device_key)
        if queue is not None and entry in queue:
            queue.remove(entry)


def _deadline_ns(command: SendCommand) -> int:
    if not command.HasField("not_after"):
        return NO_DEADLINE_NS
    return command.not_after.seconds * 1_000_000_000 + command.not_after.nanos
