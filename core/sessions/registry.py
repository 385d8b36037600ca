"""The live driver sessions of this process.

Owns who is connected here. Knows nothing of storage; the database says which session is a driver's newest.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from core.dispatch import Command, ReadyDevice
from core.errors import InfiniReachError, SessionSuperseded


class LiveSession(Protocol):
    """What the registry and the dispatcher need of a session."""

    token_id: str

    @property
    def driver_id(self) -> str:
        """Its driver."""
        ...

    @property
    def epoch(self) -> int:
        """Its number."""
        ...

    @property
    def device_ids(self) -> list[str]:
        """Its devices."""
        ...

    def ready(self, device_id: str) -> ReadyDevice | None:
        """The device, if it takes commands now."""
        ...

    def offer(self, commands: list[Command]) -> None:
        """Send commands that were claimed for it."""
        ...

    def drain(self, reason: str, grace_s: float) -> None:
        """Announce that the core will stop."""
        ...

    def close(self, error: InfiniReachError) -> None:
        """End the stream with this error."""
        ...


class Registry:
    """Sessions by driver and by device. One event loop only."""

    def __init__(self) -> None:
        self._by_driver: dict[str, LiveSession] = {}
        self._by_device: dict[str, LiveSession] = {}
        self.opened = self.ended = 0
        """How many sessions there have been so far."""
        self.empty = asyncio.Event()
        """Set while there is no session."""
        self.empty.set()

    def __len__(self) -> int:
        return len(self._by_driver)

    def add(self, session: LiveSession) -> None:
        """Register an open session; the older one of the same driver is superseded (rule 7), whichever comes first."""
        other = self._by_driver.get(session.driver_id)
        if other is not None and other.epoch > session.epoch:
            session.close(SessionSuperseded())
            return
        if other is not None:
            self._forget(other)
            other.close(SessionSuperseded())
        self._by_driver[session.driver_id] = session
        self.opened += 1
        self.empty.clear()
        for device_id in session.device_ids:
            self._by_device[device_id] = session

    def remove(self, session: LiveSession) -> None:
        """Forget a session that ended; nothing if a newer one took its place."""
        if self._by_driver.get(session.driver_id) is session:
            self._forget(session)

    def _forget(self, session: LiveSession) -> None:
        del self._by_driver[session.driver_id]
        self.ended += 1
        for device_id in session.device_ids:
            if self._by_device.get(device_id) is session:
                del self._by_device[device_id]
        if not self._by_driver:
            self.empty.set()

    def of_device(self, device_id: str) -> LiveSession | None:
        """The session that has the device here."""
        return self._by_device.get(device_id)

    def of_driver(self, driver_id: str) -> LiveSession | None:
        """The driver's session here."""
        return self._by_driver.get(driver_id)

    def sessions(self) -> list[LiveSession]:
        """All of them."""
        return list(self._by_driver.values())

    def supersede(self, sessions: Iterable[tuple[str, int]]) -> None:
        """Close these sessions (driver id, epoch): their drivers have newer ones. A newer one here stays."""
        for driver_id, epoch in sessions:
            session = self._by_driver.get(driver_id)
            if session is not None and session.epoch <= epoch:
                self._forget(session)
                session.close(SessionSuperseded())
