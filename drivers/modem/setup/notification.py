"""How a modem is told to keep and announce messages: PDU mode, storage, service, notifications.

Owns the choice among what a modem lists and accepts (3GPP TS 27.005 §3.2 and §3.4). A setting counts only as it reads
back. Store and notify is preferred, for messages and for reports: what is stored survives a crash between the network
and the journal.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.line import Commands
from drivers.modem.setup.answers import groups, listed_numbers, listed_words, numbers, value_of
from drivers.modem.setup.identity import ask
from drivers.modem.setup.quirks import Quirks
from drivers.modem.timing import Timing

TRIES_MAX = 10
"""For settings that a modem refuses while it is still busy with its start."""
MESSAGE_ROUTES = (1, 2)
"""<mt> of AT+CNMI, best first: 1 stores and says +CMTI, 2 hands over as +CMT."""
SWEPT_STORES = ("SM", "ME", "SR", "TA")
"""Stores that may hold messages or reports; MT is SM and ME together, BM is for broadcasts."""


@dataclass(slots=True, frozen=True)
class Notification:
    """A setting of AT+CNMI."""

    mode: int
    messages: int
    """<mt>: 0 nothing, 1 +CMTI, 2 +CMT."""
    reports: int
    """<ds>: 0 nothing, 1 +CDS, 2 +CDSI."""

    @property
    def needs_acknowledgement(self) -> bool:
        """Something is handed over without being stored, so it must be taken with +CNMA."""
        return self.messages in (2, 3) or self.reports == 1


@dataclass(slots=True, frozen=True)
class Reading:
    """What a modem was brought to."""

    notification: Notification | None
    """None: it announces nothing, or not what was asked for; the sweeps find what comes in."""
    acknowledges: bool
    """+CSMS service 1 is in force."""
    stores: tuple[str, ...]
    """To be swept."""


class NotificationSetUp:
    """Brings one modem to announce what comes in."""

    def __init__(self, commands: Commands, config: ModemConfig, quirks: Quirks, timing: Timing) -> None:
        self._commands = commands
        self._config = config
        self._quirks = quirks
        self._timing = timing

    async def carry_out(self) -> Reading:
        """Set all of it up. Raises NotReady if there is no PDU mode; CommandUnanswered, ChannelClosed."""
        if not await self._insist("AT+CMGF=0", timeout_s=self._timing.setting_s):
            raise NotReady(Reason.SET_UP_REFUSED, "It does not go into PDU mode (AT+CMGF=0).")
        stores = await self._choose_storage()
        notification = await self._choose_notification()
        return Reading(notification, acknowledges=await self._service_in_force() == 1, stores=stores)

    # Storage.

    async def _choose_storage(self) -> tuple[str, ...]:
        """Choose where received messages go; the stores that may hold some."""
        lines = await ask(self._commands, "AT+CPMS=?", timeout_s=self._timing.storage_s)
        listed = [listed_words(group) for group in groups(value_of(lines, "+CPMS") or "")]
        preferred = (self._config.memory,) if self._config.memory else self._quirks.stores
        for store in preferred:
            if listed and not all(store in words for words in listed):
                continue
            command = f'AT+CPMS="{store}","{store}","{store}"'
            if (
                await self._insist(command, timeout_s=self._timing.storage_s, tries_max=2)
                and await self._has_room()
            ):
                break
        readable = listed[0] if listed else ("SM", "ME")
        return tuple(store for store in SWEPT_STORES if store in readable) or ("SM",)

    async def _has_room(self) -> bool:
        """Whether the store for received messages has slots at all: some list a store that has none."""
        lines = await ask(self._commands, "AT+CPMS?", timeout_s=self._timing.storage_s)
        fields = numbers(value_of(lines, "+CPMS") or "")
        return len(fields) < 9 or fields[8] != 0

    # Notifications.

    async def _choose_notification(self) -> Notification | None:
        lines = await ask(self._commands, "AT+CNMI=?", timeout_s=self._timing.answer_s)
        listed = [listed_numbers(group) for group in groups(value_of(lines, "+CNMI") or "")]
        for candidate in self._candidates(listed):
            await self._set_service(1 if candidate.needs_acknowledgement else 0)
            if await self._set_notification(candidate, listed):
                return candidate
        return None

    def _candidates(self, listed: Sequence[frozenset[int]]) -> list[Notification]:
        """Settings to try, best first: how messages come matters most, then that reports come at all."""
        modes, messages, _, reports, *_ = [*listed, *[frozenset[int]()] * 5]
        routes = (*self._quirks.report_routes, 0) if self._config.report else (0,)
        return [
            Notification(mode, message, report)
            for message in MESSAGE_ROUTES
            if not messages or message in messages
            for report in routes
            if not reports or report in reports or report == 0
            for mode in self._quirks.notification_modes
            if not modes or mode in modes
        ]

    async def _set_notification(self, wanted: Notification, listed: Sequence[frozenset[int]]) -> bool:
        values = [wanted.mode, wanted.messages, 0, wanted.reports]
        if len(listed) > 4 and listed[4]:
            # Whether codes that waited are flushed or dropped at this command; flushing is 0 where it is listed.
            values.append(min(listed[4]))
        command = "AT+CNMI=" + ",".join(str(value) for value in values)
        if not await self._insist(command, timeout_s=self._timing.answer_s, tries_max=1):
            return False
        in_force = await read_back(self._commands, self._timing)
        return in_force is None or in_force == wanted

    async def _set_service(self, service: int) -> None:
        await ask(self._commands, f"AT+CSMS={service}", timeout_s=self._timing.answer_s)

    async def _service_in_force(self) -> int | None:
        """<service> of `+CSMS: <service>,<mt>,<mo>,<bm>`; some put another number before it."""
        lines = await ask(self._commands, "AT+CSMS?", timeout_s=self._timing.answer_s)
        fields = numbers(value_of(lines, "+CSMS") or "")
        return fields[len(fields) - 4] if len(fields) >= 4 else None

    async def _insist(self, command: str, *, timeout_s: float, tries_max: int = TRIES_MAX) -> bool:
        """Carry out a setting; False if it was refused every time."""
        for turn in range(tries_max):
            try:
                await self._commands.execute(command, timeout_s=timeout_s)
            except CommandRefused:
                if turn + 1 < tries_max:
                    await asyncio.sleep(self._timing.busy_step_s)
            else:
                return True
        return False


async def read_back(commands: Commands, timing: Timing) -> Notification | None:
    """The setting that is in force; None if the modem does not tell."""
    lines = await ask(commands, "AT+CNMI?", timeout_s=timing.answer_s)
    fields = numbers(value_of(lines, "+CNMI") or "")
    if len(fields) < 4 or None in fields[:4]:
        return None
    mode, messages, _, reports, *_ = (field or 0 for field in fields)
    return Notification(mode, messages, reports)
