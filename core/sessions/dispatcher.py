"""One loop that hands queued messages to every device that has room.

Owns when to claim. A hint says that a device may have work; losing one costs a poll interval, never a message.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

from core.clock import Clock
from core.dispatch import Command, ReadyDevice, claim
from core.errors import OutcomeUnknown, Unavailable
from core.sessions.registry import Registry
from core.store.engine import Store
from core.store.messages import devices_with_queued

DEVICES_PER_CLAIM_MAX = 1000
"""Devices in one claim transaction."""

COMMANDS_PER_CLAIM_MAX = 500
"""Commands in one claim transaction; keeps it short for the accepts and facts that wait behind it."""


class Dispatcher:
    """Claims for all ready devices in one transaction after the other while there is work."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        clock: Clock,
        poll_s: float,
        *,
        tell_others: Callable[[Iterable[str]], None] = lambda _: None,
        announced: Callable[[], None] = lambda: None,
    ) -> None:
        """`tell_others`: of devices that are not connected here. `announced`: a claim has recorded events."""
        self._store = store
        self._registry = registry
        self._clock = clock
        self._poll_s = poll_s
        self._tell_others = tell_others
        self._announced = announced
        self._hinted: dict[str, None] = {}
        self._full: set[str] = set()  # hinted, and without room when last looked at
        # By the last claim; accepts are no reason to look again before the poll.
        self._disabled: set[str] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    def accepted(self, device_ids: Collection[str]) -> None:
        """These devices have queued messages; tells the other cores of those that are not connected here."""
        self.hint([device_id for device_id in device_ids if device_id not in self._disabled])
        away = [device_id for device_id in device_ids if self._registry.of_device(device_id) is None]
        if away:
            self._tell_others(away)

    def hint(self, device_ids: Iterable[str]) -> None:
        """These devices may have queued messages, or room for some; those not connected here are passed over."""
        for device_id in device_ids:
            if self._registry.of_device(device_id) is not None:
                self._full.discard(device_id)
                self._disabled.discard(device_id)
                self._hinted[device_id] = None
        if self._hinted:
            self._wake.set()

    def room(self, device_ids: Iterable[str]) -> None:
        """The windows of these devices may have room again; look at those that were hinted."""
        self.hint([device_id for device_id in device_ids if device_id in self._full])

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True

    async def run(self) -> None:
        """Dispatch for ever; the owner cancels it."""
        loop = asyncio.get_running_loop()
        poll_at_s = loop.time() + self._poll_s
        while True:
            try:
                async with asyncio.timeout_at(poll_at_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                if loop.time() >= poll_at_s:  # also where hints come all the time
                    poll_at_s = loop.time() + self._poll_s
                    await self._poll()
                while not self._stopping and await self._claim_once():
                    pass
            except Unavailable:  # the poll finds these devices again
                await asyncio.sleep(self._poll_s)

    async def _poll(self) -> None:
        self._disabled.clear()
        if len(self._registry):
            self.hint(await self._store.read(devices_with_queued))

    async def _claim_once(self) -> bool:
        """One claim; True if there may be more to claim at once."""
        ready, is_whole = self._ready()
        if not ready:
            return False
        for device in ready:  # a hint that arrives during the claim must not be lost with this one
            self._hinted.pop(device.device_id)
        try:
            claimed = await self._store.run(claim, ready, self._clock.now_ms())
        except OutcomeUnknown as unknown:
            self._end_sessions(ready, unknown)
            return True
        for device in ready:
            if device.device_id not in claimed.drained:
                self._hinted[device.device_id] = None
        self._disabled |= claimed.disabled - self._hinted.keys()
        self._registry.supersede(claimed.superseded)
        self._send(claimed.commands, {device.driver_id: device.epoch for device in ready})
        if claimed.failed:
            self._announced()
        return bool(claimed.commands or claimed.failed) or not is_whole

    def _ready(self) -> tuple[list[ReadyDevice], bool]:
        """Hinted devices with room, as many as one claim takes, and whether that is all of them."""
        ready, room, is_whole = [], COMMANDS_PER_CLAIM_MAX, True
        for device_id in list(self._hinted):
            session = self._registry.of_device(device_id)
            if session is None:
                self._hinted.pop(device_id)
                continue
            device = session.ready(device_id)
            if device is None:
                self._hinted.pop(device_id)
                self._full.add(device_id)
                continue
            ready.append(device if device.free <= room else device.capped(room))
            room -= ready[-1].free
            if room <= 0 or len(ready) >= DEVICES_PER_CLAIM_MAX:
                is_whole = False
                break
        return ready, is_whole

    def _end_sessions(self, ready: list[ReadyDevice], error: OutcomeUnknown) -> None:
        """Their drivers connect again, and the reconcile offers what was claimed, if anything was."""
        for driver_id in {device.driver_id for device in ready}:
            session = self._registry.of_driver(driver_id)
            if session is not None:
                session.close(error)

    def _send(self, commands: list[Command], epochs: dict[str, int]) -> None:
        by_driver: dict[str, list[Command]] = {}
        for command in commands:
            by_driver.setdefault(command.driver_id, []).append(command)
        for driver_id, own in by_driver.items():
            session = self._registry.of_driver(driver_id)
            # If the session that they were claimed for is gone, the reconcile of the next one offers them.
            if session is not None and session.epoch == epochs[driver_id]:
                session.offer(own)
