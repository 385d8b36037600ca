"""The real driver of modems as a process of its own, an emulated modem, and a core that is played.

Owns what every test of faults asks afterwards: nothing lost, no part handed over twice, the next message goes out.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.modem.codec import split_text
from drivers.modem.emulator import NUMBER, Emulator
from drivers.runtime.contract_kit.core_model import OPEN, ModelCommand
from drivers.runtime.contract_kit.subject import Rig, Subject
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import CommandReport, DeviceChanged
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE
from infinireach.v1.message_pb2 import (
    CHANNEL_SMS,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
)
from tests.fakes.first_of import first_of
from tests.integration.modem.faults.wire import Wire

DEVICE = "stick"
TIME_SCALE = 20.0
"""How many times as fast the driver waits, so that a minute is three seconds. A modem is asked again after 50 ms."""
SUBMIT_TIMEOUT_S = 1.5
REPORT_AFTER_S = 0.02
BOOT_S = 0.1
WAIT_S = 30.0
"""How long anything may take before the test is given up; no measure of speed."""
SENT = {"submitted", "delivered"}
RETRIED = {FAILURE_REASON_NO_SERVICE, FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED}
"""Reasons for which a core gives a message out again."""


class Bench:
    """One modem at one driver."""

    def __init__(self, emulator: Emulator, wire: Wire, rig: Rig) -> None:
        self.emulator = emulator
        self.wire = wire
        self.rig = rig
        self.core = rig.core
        self.network = emulator.network
        self.wait_s = WAIT_S
        self.is_clean = True
        """False from the beginning of a test until it has ended well: what it leaves behind is not certain."""
        self._destinations = 0
        self._mark()

    def _mark(self) -> None:
        """Whatever was before is not looked at any more."""
        self._payloads = len(self.wire.payloads)
        self._parts = len(self.network.parts)
        self._inbound = len(self.core.inbound)
        self._changes = len(self.core.device_changes)
        self._command_ids: list[str] = []

    def begin(self) -> None:
        """A test begins."""
        self.is_clean = False
        self._mark()

    # What a test does.

    def offer(self, text: str = "hello", *, destination: str | None = None, wants_report: bool = True) -> str:
        """Have a message sent, each to a number of its own; its command id."""
        self._destinations += 1
        command_id = f"command-{self._destinations}"
        self._command_ids.append(command_id)
        self.core.offer([
            SendCommand(
                command_id=command_id,
                message_id=f"message-{self._destinations}",
                device_key=DEVICE,
                channel=CHANNEL_SMS,
                source=NUMBER,
                destination=destination or f"+1555{self._destinations:07d}",
                text=TextContent(body=text, segments=len(split_text(text))),
                delivery_report_wanted=wants_report,
            )
        ])
        return command_id

    def find_network_once_set_up(self) -> None:
        """Keep the modem out of its network from the next PDU on until the driver has set it up again.

        A modem that has restarted tells nobody of the reports that come before that: they are lost.
        """

        def cut(data: bytes) -> bytes:
            if data.endswith(b"\x1a"):
                self.emulator.faults.add("no_signal")
            elif data.startswith(b"AT+CNMI="):
                self.wire.cut = None
                self.emulator.faults.clear("no_signal")
            return data

        self.wire.cut = cut

    async def settled(self, command_id: str) -> CommandReport:
        """Wait for the result of a message, and give it. Some segments may be reported as delivered before."""
        await self.until(lambda: self.has_result(command_id))
        return self._results(command_id)[0]

    def outcomes(self, command_id: str) -> list[str | None]:
        """What was reported of a message, in order."""
        return [report.WhichOneof("outcome") for report in self.command(command_id).reports]

    def has_result(self, command_id: str) -> bool:
        """Whether it is known what came of a message."""
        return bool(self._results(command_id))

    def _results(self, command_id: str) -> list[CommandReport]:
        reports = self.command(command_id).reports
        return [report for report in reports if report.WhichOneof("outcome") != "delivered"]

    async def delivered(self, command_id: str) -> None:
        """Wait until a message is delivered."""
        await self.until(lambda: self.command(command_id).state == "delivered")

    async def delivered_in_the_end(self, command_id: str) -> None:
        """Wait until a message is delivered, as a core would see to it: with a new attempt where nothing was sent."""
        while True:
            command = self.command(command_id)
            await self.until(lambda command=command: command.state in ("delivered", "failed"))
            if command.state == "delivered":
                return
            command_id = self.give_out_again(command_id)

    def give_out_again(self, command_id: str) -> str:
        """A new attempt at a message of which certainly nothing was sent; its command."""
        command = self.command(command_id)
        assert command.reports[-1].failed.reason in RETRIED
        assert self.taken_of(command_id) == 0
        return self.offer(command.command.text.body, destination=command.command.destination)

    async def ready(self) -> None:
        """Wait until the modem takes messages."""
        await self.until(lambda: self.rig.window > 0)

    async def not_ready(self, reason: str) -> None:
        """Wait until the core hears that the modem takes none, for this reason."""
        await self.until(lambda: reason in self.reasons())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that the core or the emulator tells."""
        await first_of(self.core.until(condition, timeout_s=self.wait_s), self.emulator.until(condition))

    # What a test sees.

    def command(self, command_id: str) -> ModelCommand:
        """What the core knows of a message."""
        return self.core.commands[command_id]

    def changes(self) -> Sequence[DeviceChanged]:
        """What the core was told of the modem since the test began."""
        return self.core.device_changes[self._changes :]

    def reasons(self) -> list[str]:
        """Why the modem was as it was since the test began; empty where it was well."""
        return [change.reason for change in self.changes()]

    def payloads(self) -> Counter[tuple[str, int]]:
        """How often each part was handed over since the test began, by destination and number of the part."""
        return Counter(payload.part for payload in self.wire.payloads[self._payloads :])

    def payloads_of(self, command_id: str) -> list[int]:
        """How often each part of a message was handed over, by the number of the part."""
        destination = self.command(command_id).command.destination
        counts = {number: n for (to, number), n in self.payloads().items() if to == destination}
        return [counts.get(number, 0) for number in range(1, max(counts, default=0) + 1)]

    def parts_taken(self) -> Counter[tuple[str, int]]:
        """How often the network took each part since the test began."""
        return Counter(
            (part.destination, 1 if part.concatenation is None else part.concatenation.number)
            for part in list(self.network.parts)[self._parts :]
        )

    def taken_of(self, command_id: str) -> int:
        """How many parts of a message the network took."""
        destination = self.command(command_id).command.destination
        return sum(n for (to, _), n in self.parts_taken().items() if to == destination)

    def texts(self) -> list[str]:
        """What came in since the test began."""
        return [message.text for message in self.core.inbound[self._inbound :]]

    # What every test ends with.

    async def check(self, *, refused: Sequence[str] = ()) -> None:
        """The next message goes out, and nothing was lost or handed over twice.

        `refused`: messages of which the modem certainly refused parts, so that it was right to hand them over again.
        """
        await self.ready()
        await self.delivered_in_the_end(self.offer("the next message goes out"))
        await self.until(lambda: all(self.command(each).state != OPEN for each in self._command_ids))
        excused = {self.command(each).command.destination for each in refused}
        for (destination, number), count in self.payloads().items():
            assert count == 1 or destination in excused, f"part {number} was handed over {count} times"
        for (_, number), count in self.parts_taken().items():
            assert count == 1, f"the network took part {number} {count} times"
        for command_id in self._command_ids:
            self._check_command(self.command(command_id), self.taken_of(command_id))
        await self.until(lambda: self.core.device_changes[-1].state == DEVICE_STATE_ONLINE)
        self.is_clean = True

    def _check_command(self, command: ModelCommand, taken: int) -> None:
        segments = command.command.text.segments
        if command.state in SENT:
            assert taken == segments, f"{command.state}, and the network has {taken} of {segments} parts"
        for report in command.reports:
            if report.WhichOneof("outcome") == "submitted":
                assert len(report.submitted.segment_references) == segments


@asynccontextmanager
async def bench(
    folder: Path,
    *,
    settings: Mapping[str, object] | None = None,
    quirks: Mapping[str, object] | None = None,
    is_tcp: bool = False,
    is_pattern: bool = False,
    time_scale: float = TIME_SCALE,
    make_rig: Callable[[Subject, Path], Rig] = Rig,
) -> AsyncGenerator[Bench]:
    """A bench with its driver at work and its modem ready."""
    async with Emulator() as emulator:
        emulator.network.radio_s, emulator.network.report_after_s = 0.0, REPORT_AFTER_S
        emulator.modem.boot_s = BOOT_S
        wire = Wire(emulator)
        wire.tap()
        port = f"socket://127.0.0.1:{await emulator.open_tcp()}" if is_tcp else str(await emulator.open_pty())
        if is_pattern:
            port += "*"
        config = folder / "modems.toml"
        config.write_text(
            modems_toml(
                {"name": DEVICE, "port": port, "number": NUMBER} | dict(settings or {}),
                {"submit_timeout_s": SUBMIT_TIMEOUT_S * time_scale} | dict(quirks or {}),
            )
        )
        config.chmod(0o600)
        subject = Subject(
            argv=[sys.executable, "-m", "drivers.modem"],
            device_key=DEVICE,
            channel=CHANNEL_SMS,
            source=NUMBER,
            destination="+15551112222",
            taken=lambda: [message.text for message in emulator.network.messages],
            environment={
                "INFINIREACH_MODEM_CONFIG": str(config),
                "INFINIREACH_MODEM_TIME_SCALE": str(time_scale),
            },
        )
        async with make_rig(subject, folder) as rig:
            await rig.start()
            yield Bench(emulator, wire, rig)


def modems_toml(settings: Mapping[str, object], quirks: Mapping[str, object]) -> str:
    """The file for one modem."""
    lines = ["[[modem]]", *_lines(settings), "[modem.quirks]", *_lines(quirks)]
    return "\n".join(lines) + "\n"


def _lines(values: Mapping[str, object]) -> list[str]:
    # What JSON can say is TOML too, but for null.
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]
