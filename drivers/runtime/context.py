"""What a driver may ask of the runtime: report, hand in messages, keep notes.

Everything that is awaited here is on disk when the wait ends. Knows no gRPC and no SQLite; `Engine` is behind it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.clock import Clock
from drivers.runtime.outcomes import Delivered, Failed, Report
from drivers.runtime.records import SegmentMark
from infinireach.driver.v1.fact_pb2 import DeviceChanged, InboundMessage
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.message_pb2 import FailureReason

Changes = Mapping[str, bytes | None]
"""Keys of the driver's own store with their new value; None deletes a key."""
_NO_CHANGES: Changes = {}


class Receipt:
    """What became of an inbound message that was handed in."""

    def __init__(self, sequence: int, acknowledged: "asyncio.Future[None]") -> None:
        self.sequence = sequence
        """Number of its fact in the journal."""
        self._acknowledged = acknowledged

    @property
    def is_acknowledged(self) -> bool:
        """Whether the core has it."""
        return self._acknowledged.done()

    async def acknowledged(self) -> None:
        """Wait until the core has it; only then may the last copy outside (a SIM slot) be deleted.

        Waits for as long as the core is away. A driver that restarts meanwhile hands the message in again with
        the same identity and gets a receipt for the same fact.
        """
        await asyncio.shield(self._acknowledged)


class DriverHost(Protocol):
    """What the context needs of the runtime."""

    async def report(
        self,
        reports: Sequence[tuple[str, Report]],
        changes: Changes,
        *,
        taken: Sequence[SegmentMark] = (),
        refusable: bool = False,
    ) -> None: ...
    async def receive(self, inbound: InboundMessage, identity: str, changes: Changes) -> Receipt: ...
    async def change_device(self, change: DeviceChanged) -> None: ...
    async def mark_segment(self, mark: SegmentMark, changes: Changes) -> None: ...
    async def segments(self, command_id: str) -> list[SegmentMark]: ...
    async def known(self, command_ids: Sequence[str]) -> set[str]: ...
    async def write(self, changes: Changes) -> None: ...
    async def read(self, prefix: str) -> dict[str, bytes]: ...
    def give_back(self, device_key: str, failed: Failed) -> int: ...
    def replace_devices(self, devices: Sequence[DeviceDescription]) -> None: ...
    def drop_stream(self, away_s: float) -> None: ...


class Store:
    """The driver's own small store in its journal: for example which reference belongs to which command."""

    def __init__(self, host: DriverHost) -> None:
        self._host = host

    async def write(self, changes: Changes) -> None:
        """Write all of it in one transaction; None deletes a key.

        Raises TypeError or ValueError, and writes nothing, if a key is no text in UTF-8 or a value is not bytes.
        """
        await self._host.write(changes)

    async def read(self, prefix: str) -> dict[str, bytes]:
        """All keys that begin with `prefix`, in their order, with their values."""
        return await self._host.read(prefix)


class Context:
    """The runtime as a driver sees it.

    Where a call takes `changes` of the driver's own store, they are written in the same transaction: either both are on
    disk or neither is. They are refused as `Store.write` refuses them. Of calls that change the same key, await
    one before the next: changes that wait together are written in any order.
    """

    def __init__(
        self, host: DriverHost, *, settings: Mapping[str, Any], var_folder: Path, clock: Clock
    ) -> None:
        self._host = host
        self.settings = settings
        """The driver's own settings by name."""
        self.var_folder = var_folder
        """Where the driver may keep files."""
        self.clock = clock
        self.log = structlog.get_logger("driver")
        """Never log phone numbers, bodies or tokens."""
        self.store = Store(host)

    async def delivered(
        self, command_id: str, *, segments: Sequence[int] = (), network_time: Timestamp | None = None
    ) -> None:
        """The network reports delivery of these segments (from 1), or of all of them.

        Right at any time after the command was started, also for one whose outcome was unknown.
        """
        await self._host.report([(command_id, Delivered(segments, network_time))], _NO_CHANGES)

    async def failed(
        self, command_id: str, reason: FailureReason, *, network_code: str = "", detail: str = ""
    ) -> None:
        """The network reports that a message it had taken will not arrive."""
        await self._host.report([(command_id, Failed(reason, network_code, detail))], _NO_CHANGES)

    async def report(
        self,
        reports: Iterable[tuple[str, Report]],
        *,
        changes: Changes = _NO_CHANGES,
        taken: Iterable[tuple[str, str]] = (),
        refusable: bool = False,
    ) -> None:
        """Many reports in one transaction, in this order; each with its command id.

        `taken` are commands whose first segment the network took, with its reference: as `segment_taken` notes it.
        Refusable is what the network tells again until it is acknowledged: it raises JournalUnwritable if nothing of
        it is on disk, and nothing of it is kept. Without that it waits for as long as the journal cannot be written.
        """
        marks = [
            SegmentMark(command_id, 1, taken=True, reference=reference) for command_id, reference in taken
        ]
        await self._host.report(list(reports), changes, taken=marks, refusable=refusable)

    async def received(
        self, inbound: InboundMessage, *, identity: str = "", changes: Changes = _NO_CHANGES
    ) -> Receipt:
        """Hand in a message that came in; on disk when this returns, so it may be acknowledged to the network.

        `identity` is the network's own: the same one again, even after a restart, is not reported twice.
        Raises JournalUnwritable if it is not on disk: do not acknowledge it to the network, try again later.
        Raises ValueError if it is larger than the stream allows (fact.proto has the limits), TypeError or
        ValueError if the identity is no text in UTF-8: a name from the network or a disk may hold any bytes.
        """
        return await self._host.receive(inbound, identity, changes)

    async def device_changed(self, change: DeviceChanged) -> None:
        """A device is not as it was. Only on a change. Window 0 pauses it."""
        await self._host.change_device(change)

    def give_back(self, device_key: str, reason: FailureReason, *, detail: str = "") -> int:
        """The device is down: say so of every command that waits for it here and is not started; how many there were.

        With a reason that the core retries (NO_SERVICE, DEVICE_FAULT, RATE_LIMITED) they wait in the core, which may
        have another device. Pause the device first (window 0), or it is given the next ones.
        """
        return self._host.give_back(device_key, Failed(reason, detail=detail))

    async def segment_started(
        self, command_id: str, segment: int, *, reference: str = "", changes: Changes = _NO_CHANGES
    ) -> None:
        """Call before the first byte of each segment, if `recover` wants to know how far a message got.

        `reference` is whatever `recover` needs to go on. A later mark of the segment takes the place of this one.
        """
        await self._host.mark_segment(SegmentMark(command_id, segment, reference=reference), changes)

    async def segment_taken(
        self, command_id: str, segment: int, *, reference: str = "", changes: Changes = _NO_CHANGES
    ) -> None:
        """The network took the segment. Raises TypeError or ValueError if the reference is no text in UTF-8."""
        mark = SegmentMark(command_id, segment, taken=True, reference=reference)
        await self._host.mark_segment(mark, changes)

    async def segments(self, command_id: str) -> list[SegmentMark]:
        """The marks of an unsettled command, in the order of the segments."""
        return await self._host.segments(command_id)

    async def known(self, command_ids: Sequence[str]) -> set[str]:
        """Which of these commands this driver was given, as far as the journal remembers.

        For networks that report by what they were told: an id from outside is asked about before it is reported on.
        """
        return await self._host.known(command_ids)

    def replace_devices(self, devices: Sequence[DeviceDescription]) -> None:
        """Devices came or went: the full list. The stream is opened anew to tell the core."""
        self._host.replace_devices(devices)

    def drop_stream(self, *, away_s: float) -> None:
        """Cut the stream to the core without a goodbye and stay away for a while: for simulations of a bad link."""
        self._host.drop_stream(away_s)


ContextFactory = Callable[[DriverHost], Context]
