"""The simulated driver: devices whose network is a file, a clock and the sandbox table.

Owns what happens when. What the network remembers is in `radio`, what it does to whom in `sandbox`.
"""

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from drivers.runtime import Context, Delivered, Driver, Failed, Outcome, Read, Report, Setting, Submitted
from drivers.runtime import settings as read
from drivers.runtime.control_socket import ControlSocket
from drivers.simulated.control import Requests
from drivers.simulated.devices import DEFAULT_DEVICES, read_devices
from drivers.simulated.due_reports import DueReports
from drivers.simulated.radio import Radio, TakenMessage, channel_of, content_of
from drivers.simulated.sandbox import Behaviour, FinalReport, behaviour_of
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.message_pb2 import CHANNEL_SMS, FAILURE_REASON_DESTINATION_UNREACHABLE

AWAY_S = 1.0
"""How long the link to the core is down when a message breaks it."""

DEVICES = Setting(
    "INFINIREACH_SIMULATED_DEVICES",
    read_devices,
    "The devices as a JSON list: key, number, and optionally name, channel (sms, whatsapp), slot, window.",
    DEFAULT_DEVICES,
)
DELAY = Setting(
    "INFINIREACH_SIMULATED_DELAY_S",
    read.number(0, 3600),
    "Seconds from the handing over of a message to its delivery report.",
    "0.1",
)
RADIO_LOG = Setting(
    "INFINIREACH_SIMULATED_RADIO_LOG",
    read.path,
    "Log of every message that the simulated network took. Not set: simulated-radio.log in INFINIREACH_VAR.",
)
SOCKET = Setting(
    "INFINIREACH_SIMULATED_SOCKET",
    read.path,
    "Unix socket through which messages come in. Not set: simulated.sock in INFINIREACH_VAR.",
)


class SimulatedDriver(Driver):
    """Phones that exist only here."""

    kind = "simulated"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_CANCEL,
    })
    settings = (DEVICES, DELAY, RADIO_LOG, SOCKET)
    groups_at_once = 4
    group_commands_max = 1000

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Open the network's memory and the control socket; go on with the reports that are still owed."""
        self._context = context
        self._delay_s: float = context.settings[DELAY.name]
        devices: list[DeviceDescription] = context.settings[DEVICES.name]
        self._references = itertools.count(1)
        self._radio = Radio(context.settings[RADIO_LOG.name] or context.var_folder / "simulated-radio.log")
        self._due = DueReports()
        for message in self._radio.owed():
            waited_s = self._context.clock.wall_ns() / 1e9 - message.time_s
            delay_s = self._delay(_behaviour_of_taken(message)) - waited_s
            self._due.add([message], delay_s=max(0.0, delay_s))
        self._reporting = asyncio.create_task(self._report_when_due(), name="simulated network")
        self._control = ControlSocket(Requests(context, devices).carry_out)
        await self._open_control(context)
        return devices

    async def _open_control(self, context: Context) -> None:
        path: Path | None = context.settings[SOCKET.name]
        if path is not None:
            await self._control.open(path)
        else:
            # Sending works without it, so a folder that lies deep is no reason to fail.
            default = context.var_folder / "simulated.sock"
            await self._control.open_or_log(default, context.log, remedy=f"set {SOCKET.name}")

    async def stop(self, grace_s: float) -> None:
        """Close everything. Reports that are owed come after the next start."""
        await self._control.close()
        self._reporting.cancel()
        await asyncio.wait([self._reporting])
        self._radio.close()

    async def send(self, command: SendCommand) -> Outcome:
        """Hand one message to the network."""
        return (await self.send_group([command]))[0]

    async def send_group(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        """Hand the messages to the network: one write for all of them."""
        behaviours = [_behaviour_of(command) for command in commands]
        taken = [(c, b) for c, b in zip(commands, behaviours, strict=True) if b.is_taken]
        if taken:
            await self._hand_over([c for c, _ in taken], [b for _, b in taken])
        return [
            Submitted(self._segment_references(command)) if isinstance(b.outcome, Submitted) else b.outcome
            for command, b in zip(commands, behaviours, strict=True)
        ]

    async def _hand_over(self, commands: list[SendCommand], behaviours: list[Behaviour]) -> None:
        owing = [
            command.delivery_report_wanted and behaviour.final_report is not FinalReport.NONE
            for command, behaviour in zip(commands, behaviours, strict=True)
        ]
        messages = self._radio.take(commands, owing, time_s=self._context.clock.wall_ns() / 1e9)
        by_delay: dict[float, list[TakenMessage]] = {}
        early: list[tuple[str, Report]] = []
        for message, behaviour in zip(messages, behaviours, strict=True):
            if message.owes_report:
                by_delay.setdefault(self._delay(behaviour), []).append(message)
            if behaviour.is_doubled:
                early += _delivery_reports(message) * 2
        for delay_s, due in by_delay.items():
            self._due.add(due, delay_s=delay_s)
        await self._context.report(early)
        if any(behaviour.drops_stream for behaviour in behaviours):
            self._context.drop_stream(away_s=AWAY_S)

    def _delay(self, behaviour: Behaviour) -> float:
        return self._delay_s if behaviour.delay_s is None else behaviour.delay_s

    def _segment_references(self, command: SendCommand) -> list[str]:
        """SMS: a message reference of 8 bits for each segment (3GPP TS 23.040, 9.2.3.6)."""
        if command.channel != CHANNEL_SMS:
            return [f"simulated-{command.command_id}"]
        return [str(next(self._references) % 256) for _ in range(max(1, command.text.segments))]

    async def _report_when_due(self) -> None:
        while True:
            messages = await self._due.next()
            reports: list[tuple[str, Report]] = []
            for message in messages:
                reports += _final_reports(message)
            await self._context.report(reports)
            self._radio.reported(messages)


def _behaviour_of(command: SendCommand) -> Behaviour:
    return behaviour_of(command.destination, channel=channel_of(command), content=content_of(command))


def _behaviour_of_taken(message: TakenMessage) -> Behaviour:
    return behaviour_of(message.destination, channel=message.channel, content=message.content)


def _final_reports(message: TakenMessage) -> list[tuple[str, Report]]:
    behaviour = _behaviour_of_taken(message)
    if behaviour.is_doubled:
        again = (message.command_id, Submitted())
        return [*_delivery_reports(message) * 2, again]
    if behaviour.final_report is FinalReport.FAILED:
        failed = Failed(
            FAILURE_REASON_DESTINATION_UNREACHABLE,
            "70",
            "The network took the message and could not deliver it.",
        )
        return [(message.command_id, failed)]
    if behaviour.final_report is FinalReport.READ:
        return [*_delivery_reports(message), (message.command_id, Read())]
    return _delivery_reports(message)


def _delivery_reports(message: TakenMessage) -> list[tuple[str, Report]]:
    """One report per segment, as networks do."""
    if message.segments == 1:
        return [(message.command_id, Delivered((1,)))]
    return [(message.command_id, Delivered((segment,))) for segment in range(1, message.segments + 1)]
