"""Finds the port of a modem and opens it.

Owns which of the ports that may be meant is the right one. A port that cannot be opened, and one behind which nobody
answers, are left alone: nothing is reset here.
"""

import asyncio
import glob
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from drivers.modem.at.results import AtFailure, ChannelClosed, Unsolicited
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig, is_same_imei
from drivers.modem.life.known_port import KnownPort
from drivers.modem.line import Commands
from drivers.modem.link.channel import Channel, Ending
from drivers.modem.link.port import PortBusy, PortError, PortMissing, open_port
from drivers.modem.setup.identity import read_imei
from drivers.modem.setup.waking import wake
from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock

CANDIDATES_MAX = 64
WORST_FIRST = (
    Reason.PORT_FAILED,
    Reason.PORT_BUSY,
    Reason.WRONG_MODEM,
    Reason.NOT_ANSWERING,
    Reason.PORT_MISSING,
)
"""Which problem a person hears of when several ports have different ones."""

OnUnsolicited = Callable[[Unsolicited], None]


class Connection(Commands, Protocol):
    """An open port with a channel on it."""

    async def ended(self) -> Ending:
        """Wait until nothing can be said any more; why."""
        ...

    async def close(self) -> None:
        """Close channel and port; never hangs."""
        ...


class Connect(Protocol):
    """How a port is opened; `connect` is the real way."""

    async def __call__(
        self,
        url: str,
        config: ModemConfig,
        timing: Timing,
        *,
        on_unsolicited: OnUnsolicited,
        is_in_step: bool = False,
    ) -> Connection:
        """Raises PortBusy, PortMissing or PortFailed."""
        ...


async def connect(
    url: str,
    config: ModemConfig,
    timing: Timing,
    *,
    on_unsolicited: OnUnsolicited,
    is_in_step: bool = False,
) -> Connection:
    """Open a port and a channel on it; `is_in_step`: nothing needs to be cleared before the first command is written.

    Raises PortBusy, PortMissing or PortFailed.
    """
    return Channel(
        await open_port(url, baud_rate=config.baud),
        on_unsolicited=on_unsolicited,
        name=config.name,
        prompt_timeout_s=timing.prompt_s,
        barrier_timeout_s=timing.barrier_s,
        silence_s=timing.silence_s,
        is_in_step=is_in_step,
    )


class PortClaims:
    """Which ports the modems of this process have, so that none tries another's."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()

    def claim(self, url: str) -> str | None:
        """Take a port, whatever its name; what to give to `release`. None: another modem has it."""
        place = url if "://" in url else os.path.realpath(url)
        if place in self._claimed:
            return None
        self._claimed.add(place)
        return place

    def release(self, place: str) -> None:
        """Give a port free."""
        self._claimed.discard(place)


@dataclass(slots=True, frozen=True)
class Found:
    """A port that may be the modem's. Whoever has it closes it."""

    connection: Connection
    url: str
    place: str
    answers: bool
    """False: it is the only port that can be meant, or the one where the modem answered last, and nobody does now."""


class Finder:
    """Finds the port of one modem, each time anew."""

    def __init__(
        self,
        config: ModemConfig,
        timing: Timing,
        clock: Clock,
        *,
        connect: Connect,
        claims: PortClaims,
        known: KnownPort | None = None,
        on_unsolicited: OnUnsolicited,
    ) -> None:
        """`known` None: nothing is known of where the modem answered last."""
        self._config = config
        self._timing = timing
        self._clock = clock
        self._connect = connect
        self._claims = claims
        self._known = known
        self._on_unsolicited = on_unsolicited

    async def find(self) -> Found:
        """The first port that is this modem's, beginning with the one where it answered last.

        Raises NotReady with what a person should know of the ports.
        """
        problems: dict[Reason, str] = {}
        urls = await asyncio.to_thread(self._candidates)
        known = await self._known.url() if self._known is not None else ""
        is_known_silent = False
        for url in sorted(urls, key=lambda url: url != known):
            try:
                return await self._try(url, is_only=len(urls) == 1)
            except NotReady as not_ready:
                reason = not_ready.condition.reason
                problems.setdefault(reason, not_ready.condition.detail)
                is_known_silent |= url == known and reason is Reason.NOT_ANSWERING
        if is_known_silent:
            # The modem is on none of the others, so it is this one that boots or hangs.
            return await self._try(known, is_only=True)
        for reason in WORST_FIRST:
            if reason in problems:
                raise NotReady(reason, problems[reason])
        raise NotReady(Reason.PORT_MISSING)

    async def reopen(self, found: Found) -> Found:
        """The same port, opened anew to be written to at once, whether anybody answers or not. Raises NotReady."""
        await found.connection.close()
        return replace(found, connection=await self._connected(found.url, is_in_step=True))

    async def close(self, found: Found) -> None:
        """Close a port that was found."""
        try:
            await found.connection.close()
        finally:
            self._claims.release(found.place)

    def _candidates(self) -> list[str]:
        if not self._config.is_pattern:
            return [self._config.port]
        return sorted(glob.glob(self._config.port))[:CANDIDATES_MAX]

    async def _try(self, url: str, *, is_only: bool) -> Found:
        place = self._claims.claim(url)
        if place is None:
            raise NotReady(Reason.PORT_MISSING, "The ports there are belong to other modems of modems.toml.")
        try:
            return await self._open(url, place, is_only=is_only)
        except BaseException:
            self._claims.release(place)
            raise

    async def _open(self, url: str, place: str, *, is_only: bool) -> Found:
        """Open the port and wait for the modem, with a new channel whenever the old one has given up."""
        within_s = self._timing.boot_s if is_only else self._timing.identify_s
        give_up_at = self._clock.monotonic() + within_s
        while True:
            connection = await self._connected(url)
            try:
                answers = await self._is_ours(connection, give_up_at)
            except BaseException:
                await connection.close()
                raise
            is_late = self._clock.monotonic() >= give_up_at
            if answers or (is_only and is_late):
                return Found(connection, url, place, answers)
            await connection.close()
            if is_late:
                raise NotReady(Reason.NOT_ANSWERING)
            await asyncio.sleep(self._timing.busy_step_s)

    async def _connected(self, url: str, *, is_in_step: bool = False) -> Connection:
        try:
            return await self._connect(
                url,
                self._config,
                self._timing,
                on_unsolicited=self._on_unsolicited,
                is_in_step=is_in_step,
            )
        except PortError as error:
            raise NotReady(_reason_of(error), f"{error.sentence} {error.remedy}".strip()) from error

    async def _is_ours(self, connection: Connection, give_up_at: float) -> bool:
        """False if nobody answers. Raises NotReady if it is certainly another modem."""
        try:
            within_s = give_up_at - self._clock.monotonic()
            await wake(connection, self._timing, self._clock, within_s=within_s)
            if not self._config.imei:
                return True
            imei = await read_imei(connection, timeout_s=self._timing.answer_s)
        except ChannelClosed:
            if await connection.ended() is Ending.PORT_LOST:
                raise NotReady(Reason.PORT_MISSING, "The port was lost again at once.") from None
            return False
        except AtFailure:
            return False
        if not is_same_imei(imei, self._config.imei):
            raise NotReady(Reason.WRONG_MODEM)
        return True


def _reason_of(error: PortError) -> Reason:
    if isinstance(error, PortMissing):
        return Reason.PORT_MISSING
    return Reason.PORT_BUSY if isinstance(error, PortBusy) else Reason.PORT_FAILED
