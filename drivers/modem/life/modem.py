"""One modem for as long as the process runs: found, set up, served, mended, over and over, without a hand.

Owns the life of a modem and nothing of its parts: what a port is, how a modem is set up, how messages go out and come
in lies elsewhere. Whatever happens to one modem stays with it.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, NoReturn

from drivers.modem.at.results import ChannelClosed, CommandUnanswered, Unsolicited
from drivers.modem.at.unsolicited import RESTARTED
from drivers.modem.conditions import Condition, NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.life.finder import Connect, Finder, Found, PortClaims
from drivers.modem.life.health import MAY_HAVE_RESTARTED, Health
from drivers.modem.life.known_port import KnownPort
from drivers.modem.life.mending import Mender
from drivers.modem.life.pacing import Pacer
from drivers.modem.life.races import first_of
from drivers.modem.life.standing import Standing
from drivers.modem.line import Line
from drivers.modem.link.channel import Ending
from drivers.modem.messages.fragments import Fragments
from drivers.modem.messages.inbox import Inbox
from drivers.modem.messages.reports import Reports
from drivers.modem.messages.sending import Sender
from drivers.modem.setup.sim import SimGate
from drivers.modem.setup.start_up import SetUp, StartUp
from drivers.modem.timing import Timing
from drivers.modem.ussd import UssdAnswer, UssdDialogue
from drivers.runtime import Context, Failed, Outcome, SendAgain
from drivers.runtime.failures import describe
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceAddress, DeviceState
from infinireach.v1.message_pb2 import (
    CHANNEL_SMS,
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_RATE_LIMITED,
)

INBOUND = frozenset({"+CMTI", "+CMT", "+CDSI", "+CDS", "+CBM"})
USSD = "+CUSD"
SET_UPS_MAX = 3
"""Set-ups in a row that fail for a reason that a reset may mend, after which it is tried."""
RESETTABLE = frozenset({Reason.NOT_ANSWERING, Reason.SET_UP_REFUSED, Reason.RADIO_OFF, Reason.SIM_BUSY})


class _Unfit(Exception):
    """The modem answers, and could not be set up for several times in a row."""


class ModemAway(Exception):
    """The modem cannot be asked now; the sentence is for people."""


class LineHolder:
    """Where the line of one modem is while it works (`line.Lines`)."""

    def __init__(self) -> None:
        self._line: Line | None = None
        self._has_line = asyncio.Event()

    @property
    def current(self) -> Line | None:
        """The line; None while the modem is away or being set up."""
        return self._line

    async def next_line(self) -> Line:
        """Wait until the modem is set up."""
        while self._line is None:
            await self._has_line.wait()
        return self._line

    def put(self, line: Line | None) -> None:
        """The modem is set up, or away."""
        self._line = line
        if line is None:
            self._has_line.clear()
        else:
            self._has_line.set()


@dataclass(slots=True, frozen=True)
class Shared:
    """What all modems of the process have in common: ports are scarce, and SIMs move between modems."""

    connect: Connect
    claims: PortClaims
    reports: Reports
    fragments: Fragments


class Modem:
    """One modem of modems.toml."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing, shared: Shared) -> None:
        self.config = config
        self._context = context
        self._timing = timing
        self._pacer = Pacer(context, config, timing)
        self.standing = Standing(context, config.name, self._pacer, timing)
        self._gate = SimGate(context, config, timing)
        self._start_up = StartUp(context, config, timing, self._gate)
        known = KnownPort(context, config)
        self._finder = Finder(
            config,
            timing,
            context.clock,
            connect=shared.connect,
            claims=shared.claims,
            known=known,
            on_unsolicited=self._take,
        )
        self._mender = Mender(context, config, timing, self._finder, known=known)
        self._inbox = Inbox(
            context,
            device_key=config.name,
            timing=timing,
            reports=shared.reports,
            fragments=shared.fragments,
            on_doubt=self._suspect,
        )
        self._sender = Sender(
            context,
            timing=timing,
            reports=shared.reports,
            wants_reports=config.report,
            on_device_failure=self._device_failed,
            on_device_success=self.standing.succeeded,
            drain=self._inbox.sweep,
        )
        self._ussd = UssdDialogue(timing)
        self._lines = LineHolder()
        self._health: Health | None = None
        self._set_up: SetUp | None = None
        """What was found out at the last set-up; the modem may be away since."""
        self._url = ""
        self._look_again = asyncio.Event()
        """Somebody has done something that may have mended it: do not wait any longer."""

    def describe(self) -> DeviceDescription:
        """The modem as it stands, for the hello."""
        name = self.config.name
        address = DeviceAddress(channel=CHANNEL_SMS, number=self.config.number, slot=1, ready=True)
        return DeviceDescription(
            key=name,
            name=name,
            addresses=[address],
            window=self.standing.window,
            state=self.standing.condition.state,
        )

    # Its life.

    async def run(self) -> NoReturn:
        """Live until cancelled."""
        await first_of(self._live(), self._give_back_while_down(), name=self.config.name)
        raise AssertionError("neither ends by itself")

    async def _live(self) -> NoReturn:
        while True:
            try:
                await self._turn()
            except NotReady as not_ready:
                await self._on_the_way(not_ready.condition)
                is_missing = not_ready.condition.reason is Reason.PORT_MISSING
                await self._rest(self._timing.port_missing_s if is_missing else self._timing.port_refused_s)
            except Exception as error:  # noqa: BLE001 - one modem's failure must not reach the others
                self._context.log.error("modem.failed", device=self.config.name, **describe(error))
                await self._on_the_way(Condition(Reason.FAULT))
                await self._rest(self._timing.fault_s)

    async def _turn(self) -> None:
        """From the search for the port until it is closed, and mended if need be. Raises NotReady."""
        await self._pacer.load()
        try:
            found = await self._finder.find()
        except NotReady as not_ready:
            if not_ready.condition.reason is not Reason.NOT_ANSWERING:
                raise
            await self._mender.mend(self._on_the_way, None, is_deaf=True)
            return
        self._url = found.url
        try:
            ending = await self._use(found)
        except _Unfit:
            ending = None
        finally:
            await self._finder.close(found)
        if ending is None or ending is Ending.STUCK:
            await self._mender.mend(self._on_the_way, found.url, is_deaf=ending is not None)
            return
        await self._on_the_way(Condition(Reason.PORT_MISSING))
        await self._rest(self._timing.port_lost_s)

    async def _use(self, found: Found) -> Ending:
        """Work with an open port until its channel ends; why it did."""
        if not found.answers:
            return Ending.STUCK
        try:
            return await first_of(found.connection.ended(), self._work(found), name=self.config.name)
        except ChannelClosed:
            return await found.connection.ended()

    async def _work(self, found: Found) -> NoReturn:
        """Set up and serve, again and again. Raises ChannelClosed; _Unfit if it answers and cannot be set up."""
        failures = 0
        while failures < SET_UPS_MAX:
            try:
                set_up = await self._start_up.carry_out(found.connection)
                await self._mender.works(set_up.quirks, found.url)
                failures = 0
                why = await self._serve(set_up)
            except NotReady as not_ready:
                condition = not_ready.condition
            except CommandUnanswered:
                # It answers AT, or the channel would end.
                condition = Condition(Reason.NOT_ANSWERING)
            else:
                self._context.log.warning("modem.set_up_again", device=self.config.name, why=why)
                await self._on_the_way(Condition(Reason.STARTING))
                continue
            failures = failures + 1 if condition.reason in RESETTABLE else 0
            await self._on_the_way(condition)
            await self._rest(self._timing.start_up_again_s)
        raise _Unfit

    async def _serve(self, set_up: SetUp) -> str:
        """Send and receive until the modem has to be set up again; why."""
        self._set_up = set_up
        self._health = health = Health(set_up, self.standing, self._timing, self._context.clock)
        self.standing.has_line()
        self.standing.mark(Reason.SMSC_MISSING, holds=not set_up.knows_smsc)
        self.standing.mark(Reason.POLLING, holds=set_up.notification is None)
        self._log_set_up(set_up)
        self._lines.put(set_up.line)
        try:
            return await first_of(
                health.run(), self._receive(set_up.line), self._sweep(set_up.line), name=self.config.name
            )
        finally:
            self._lines.put(None)
            self._health = None

    async def _receive(self, line: Line) -> str:
        await self._inbox.run(line)
        return "inbox_ended"

    async def _sweep(self, line: Line) -> NoReturn:
        """Look for what nobody announced: at once, for what came while the modem was away, and now and then."""
        while True:
            unannounced = self._inbox.counts["unannounced"]
            with contextlib.suppress(CommandUnanswered):
                await self._inbox.sweep(line)
            if self._inbox.counts["unannounced"] > unannounced:
                self._suspect()
            await asyncio.sleep(self._timing.sweep_s)

    async def _on_the_way(self, condition: Condition) -> None:
        self.standing.on_the_way(condition)
        await self.standing.tell()

    async def _rest(self, rest_s: float) -> None:
        """Wait, or until something happens that may have mended it."""
        self._look_again.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._look_again.wait(), rest_s)

    async def _give_back_while_down(self) -> NoReturn:
        """What waits here for a modem that stays down may have another one in the core."""
        while True:
            await self.standing.down.wait()
            try:
                await asyncio.wait_for(self.standing.up.wait(), self._timing.down_s)
            except TimeoutError:
                reason, detail = self.standing.failure_reason, self.standing.sentence
                count = self._context.give_back(self.config.name, reason, detail=detail)
                if count:
                    self._context.log.info("modem.gave_back", device=self.config.name, commands=count)

    def _take(self, unsolicited: Unsolicited) -> None:
        """What the modem says unasked; never blocks."""
        if unsolicited.name in INBOUND:
            self._inbox.take(unsolicited)
        elif unsolicited.name == USSD:
            self._ussd.take(unsolicited)
        elif self._health is not None:
            self._health.take(unsolicited)
        elif unsolicited.name.upper() in RESTARTED | MAY_HAVE_RESTARTED:
            self._look_again.set()

    def _device_failed(self, sentence: str) -> None:
        self._context.log.warning("modem.send_failed", device=self.config.name, detail=sentence)
        self.standing.failed()
        self._look_at_once()

    def _suspect(self) -> None:
        """It may have lost its settings."""
        if self._health is not None:
            self._health.suspect()

    def _look_at_once(self) -> None:
        if self._health is not None:
            self._health.look_again()

    def _log_set_up(self, set_up: SetUp) -> None:
        identity, notification = set_up.identity, set_up.notification
        self._context.log.info(
            "modem.set_up",
            device=self.config.name,
            maker=identity.maker,
            model=identity.model,
            revision=identity.revision,
            notification=None if notification is None else str(notification),
            stores=list(set_up.line.stores),
            acknowledges=set_up.line.acknowledges,
            number_differs=set_up.number_differs,
        )

    # What it is asked for.

    async def send(self, command: SendCommand) -> Outcome:
        """Send one message; what came of it."""
        parts = max(1, command.text.segments)
        if self._pacer.per_day and parts > self._pacer.per_day:
            detail = "The message has more parts than the modem may send in a day (parts_per_day)."
            return Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail=detail)
        if self._lines.current is None or not self.standing.condition.can_send:
            return Failed(self.standing.failure_reason, detail=self.standing.sentence)
        if not await self._pacer.admits(parts):
            self._look_at_once()
            return Failed(FAILURE_REASON_RATE_LIMITED, detail=self.standing.sentence)
        outcome = await self._sender.send(command, self._lines, self._pacer)
        if self._pacer.is_exhausted:
            self._look_at_once()
        return outcome

    def stopping(self) -> None:
        """The process is about to stop: begin no further part."""
        self._sender.stopping()

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """What became of a message that an earlier process began to send; goes on with it where that is safe."""
        return await self._sender.recover(command, self._lines, self._pacer)

    async def ask_ussd(self, code: str) -> UssdAnswer:
        """Ask the network.

        Raises ModemAway, ValueError, UssdRefused, UssdUnanswered, CommandUnanswered, ChannelClosed.
        """
        line, set_up = self._lines.current, self._set_up
        if line is None or set_up is None:
            raise ModemAway(self.standing.sentence)
        return await self._ussd.ask(line.commands, code, is_packed=set_up.quirks.ussd_is_packed)

    async def unlock(self) -> bool:
        """A person says that the PIN is right: try it once more. Whether another refusal may lock the SIM.

        Raises ModemAway if its SIM was not seen yet.
        """
        is_last = await self._gate.allow_pin()
        if is_last is None:
            raise ModemAway(self.standing.sentence)
        self._look_again.set()
        return is_last

    def status(self) -> dict[str, Any]:
        """Everything that is known of it, for a person at this machine (control.py says what it holds)."""
        reception, set_up = self.standing.reception, self._set_up
        return {
            "name": self.config.name,
            "state": DeviceState.Name(self.standing.condition.state).removeprefix("DEVICE_STATE_").lower(),
            "reason": self.standing.condition.reason.value,
            "remedy": self.standing.remedy,
            "window": self.standing.window,
            "signal_percent": self.standing.signal_percent,
            "operator": "" if reception is None else reception.operator,
            "is_roaming": reception is not None and reception.is_roaming,
            "port": self._url,
            "maker": "" if set_up is None else set_up.identity.maker,
            "model": "" if set_up is None else set_up.identity.model,
            "imei": "" if set_up is None else set_up.identity.imei,
            "iccid": "" if set_up is None else set_up.sim.iccid,
            "parts_today": self._pacer.parts_today,
            "parts_per_day": self._pacer.per_day,
            "resets": self._mender.resets,
            "balance_ussd": self.config.balance_ussd,
            "number_differs": set_up is not None and set_up.number_differs,
            "counts": dict(self._inbox.counts),
        }
