"""What happened in a world, for people who look for the reason of a finding, and for comparing two runs.

Owns the words. Ids are shown by the order in which they appeared, so that two runs of a seed read the same.
"""

import asyncio
import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from core.dispatch import Holdings, ReadyDevice
from core.facts import DeviceChange, DriverFacts, Fact, Inbound, Report
from core.sessions.protocol import Frame
from tests.simulation.checker import Snapshot
from tests.simulation.database import Job

_IDS = re.compile(r"[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Trace:
    """A list of lines, if it is wanted."""

    def __init__(self, *, is_wanted: bool) -> None:
        self.lines: list[str] = []
        self._is_wanted = is_wanted
        self._names: dict[str, str] = {}
        self._states: dict[str, str] = {}

    def note(self, who: str, what: str) -> None:
        """One line."""
        if self._is_wanted:
            now_s = asyncio.get_running_loop().time()
            self.lines.append(f"{now_s:9.3f} {who:<12} {self.shown(what)}")

    def shown(self, text: str) -> str:
        """A text with short names in place of ids."""
        return _IDS.sub(self._name, text)

    def _name(self, match: re.Match[str]) -> str:
        return self._names.setdefault(match[0], f"<{len(self._names) + 1}>")

    def committed(self, job: Job, now: Snapshot) -> None:
        """A transaction and what it moved."""
        if not self._is_wanted:
            return
        name = getattr(job.function, "__name__", "?")
        states = {message_id: f"{row.state}/{row.attempt}" for message_id, row in now.messages.items()}
        moved = [f"{i} {state}" for i, state in states.items() if self._states.get(i) != state]
        drivers = [f"{d.name} e{d.epoch} a{d.applied}" for d in now.drivers.values()]
        self._states = states
        self.note("commit", f"{name}{_given(job)}: {', '.join(moved)} | {', '.join(drivers)}")

    def frame_down(self, driver: str, frame: Frame) -> None:
        """A frame that a core writes."""
        if not self._is_wanted:
            return
        kind = frame.WhichOneof("frame")
        detail = ""
        if kind == "send_commands":
            detail = " ".join(command.command_id for command in frame.send_commands.commands)
        elif kind == "welcome":
            detail = f"epoch {frame.welcome.epoch}, resume after {frame.welcome.resume_after_sequence}, drop"
            detail += " ".join(["", *frame.welcome.drop_command_ids])
        self.note("core", f"to {driver}: ack {frame.acknowledged_sequence}, {kind} {detail}")

    def logged(self, event: MutableMapping[str, Any]) -> None:
        """A line of the gateway's own log."""
        if self._is_wanted:
            pairs = " ".join(f"{key}={value}" for key, value in _pairs(event))
            self.note("log", pairs)


def _given(job: Job) -> str:
    """What matters of a job's arguments."""
    first = job.args[0] if job.args else None
    if not isinstance(first, list):
        return ""
    shown: list[str] = []
    for item in first:
        if isinstance(item, ReadyDevice):
            shown.append(f"{item.device_id} epoch {item.epoch} free {item.free}")
        elif isinstance(item, Holdings):
            shown.append(f"epoch {item.epoch}, open there {sorted(item.open_commands)}")
        elif isinstance(item, DriverFacts):
            shown.append(f"epoch {item.epoch}:")
            shown += map(_fact, item.facts)
    return f" ({' '.join(shown)})"


def _fact(fact: Fact) -> str:
    match fact:
        case Report():
            return f"{fact.sequence} {fact.command_id} {fact.outcome} {fact.reason}".rstrip()
        case Inbound():
            return f"{fact.sequence} {fact.text}"
        case DeviceChange():
            return f"{fact.sequence} {fact.device_key} {fact.state} window {fact.window}"
        case _:
            return f"{fact.sequence} unreadable"


def _pairs(event: MutableMapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("event", *sorted(event.keys() - {"event", "timestamp", "exc_info", "duration_s"})):
        yield key, event[key]
