"""What the driver has to do at each phone, step by step, and what is printed of it."""

import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.modem.codec import split_text
from drivers.runtime.contract_kit.core_model import OPEN
from drivers.runtime.contract_kit.subject import Rig, Subject
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import CommandReport
from infinireach.v1.message_pb2 import CHANNEL_SMS
from tests.phonesim import definition
from tests.phonesim.program import Phone, Program

DEVICE = "phone"
WAIT_S = 25.0
"""How long a step may take before it counts as failed; no measure of speed."""
RECIPIENT = "+15550002222"
LONG_TEXT = "A text of several parts, which has to arrive as one. " * 8
EMOJI_TEXT = "Ünïcödé and 🎉, in two parts at least. " * 3


class Walk:
    """One driver at one phone."""

    def __init__(self, phone: Phone, rig: Rig, title: str) -> None:
        self.phone = phone
        self._rig = rig
        self._title = title
        self.failed: list[str] = []

    async def step(self, name: str, condition: Callable[[], bool]) -> None:
        """Wait until it holds, and say whether it did."""
        try:
            await self._rig.core.until(condition, timeout_s=WAIT_S)
        except TimeoutError:
            self.failed.append(name)
        verdict = "FAILED" if name in self.failed[-1:] else "ok"
        sys.stdout.write(f"{verdict:7}{self._title}: {name}\n")
        sys.stdout.flush()

    def offer(self, text: str, *, to: str = RECIPIENT, wants_report: bool = False) -> str:
        """Have a message sent; its command id."""
        command_id = f"command-{secrets.token_hex(8)}"
        command = SendCommand(
            command_id=command_id,
            message_id=secrets.token_hex(12),
            device_key=DEVICE,
            channel=CHANNEL_SMS,
            source=definition.NUMBER,
            destination=to,
            text=TextContent(body=text, segments=len(split_text(text))),
            delivery_report_wanted=wants_report,
        )
        self._rig.core.offer([command])
        return command_id

    def state(self, command_id: str) -> str:
        """What the core knows of a message."""
        return self._rig.core.commands[command_id].state

    def is_settled(self, command_id: str) -> bool:
        """Whether it has a result."""
        return self.state(command_id) != OPEN

    def report(self, command_id: str) -> CommandReport:
        """The first report on a message."""
        return self._rig.core.commands[command_id].reports[0]

    def has_references(self, command_id: str, *references: str) -> bool:
        """Whether it is sent, with these references, one for each part."""
        return (
            self.is_settled(command_id)
            and tuple(self.report(command_id).submitted.segment_references) == references
        )

    @property
    def is_ready(self) -> bool:
        """Whether the modem takes messages."""
        return self._rig.window > 0

    def came_in(self, text: str, *, sender: str) -> int:
        """How often the core was told of this message."""
        return sum(message.text == text and message.source == sender for message in self._rig.core.inbound)

    def written(self, line: str) -> int:
        """How often the driver wrote a line to the phone."""
        return self._rig.log_text().count(f'"line": "{line}')


async def run(program: Program, folder: Path) -> int:
    """All walks; 1 if a step failed, else 0. What is written goes into the folder."""
    stock, made = _prepare(folder)
    phone = made / "phone.xml"
    phone.write_text(definition.phone(), encoding="utf-8")
    failed: list[str] = []
    async with _walk(program, program.stock, stock, "as it comes") as walk:
        await _as_it_comes(walk)
        failed += walk.failed
    async with _walk(program, phone, made, "handing over") as walk:
        await _handing_over(walk)
        failed += walk.failed
    return 1 if failed else 0


def _prepare(folder: Path) -> tuple[Path, Path]:
    """A new folder for each phone: a journal of an earlier run would be another core's."""
    folders = folder / "stock", folder / "made"
    for each in folders:
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    return folders


async def _as_it_comes(walk: Walk) -> None:
    """A phone that refuses AT, +CMEE, +CEREG, +CCID, +CPMS?, +CNMI? and +CMMS, and takes ESC for text."""
    await walk.step("it is set up", lambda: walk.is_ready)
    one = walk.offer("Hello")
    await walk.step("a message goes out", lambda: walk.has_references(one, "0"))
    long = walk.offer(LONG_TEXT)
    await walk.step(
        "a long message goes out, part by part",
        lambda: walk.has_references(long, *["0"] * len(split_text(LONG_TEXT))),
    )
    emoji = walk.offer(EMOJI_TEXT)
    await walk.step(
        "so does one in UCS2", lambda: walk.has_references(emoji, *["0"] * len(split_text(EMOJI_TEXT)))
    )
    sender = "+15550003333"
    await walk.phone.let_come_in("Hello back", sender=sender)
    await walk.step("a message comes in", lambda: walk.came_in("Hello back", sender=sender) == 1)
    text = LONG_TEXT.strip()
    await walk.phone.let_come_in(text, sender=sender)
    await walk.step("a long one comes in as one", lambda: walk.came_in(text, sender=sender) == 1)
    await walk.step("their slots are cleared", lambda: walk.written("AT+CMGD=") >= 1 + len(split_text(text)))
    again = walk.offer("And on it goes")
    await walk.step("the next message goes out", lambda: walk.has_references(again, "0"))


async def _handing_over(walk: Walk) -> None:
    await walk.step("it is set up, after its SIM was busy", lambda: walk.is_ready)
    later = walk.offer("Hello", to=definition.REPORTED_LATER, wants_report=True)
    await walk.step("a message is reported delivered", lambda: walk.state(later) == "delivered")
    first = walk.offer("Hello", to=definition.REPORTED_FIRST, wants_report=True)
    await walk.step("so is one whose report was first", lambda: walk.state(first) == "delivered")
    answered = walk.offer("Hello", to=definition.ANSWERED, wants_report=True)
    await walk.step(
        "a message is handed over as it comes in",
        lambda: walk.came_in(definition.ANSWER, sender=definition.SENDER) == 1,
    )
    await walk.step("what came in was taken with +CNMA", lambda: walk.written("AT+CNMA") == 3)
    await walk.step("the answered message is sent", lambda: walk.has_references(answered, "3"))
    silent = walk.offer("Hello", to=definition.WITHOUT_REFERENCE, wants_report=True)
    await walk.step("OK without a reference is no success", lambda: walk.state(silent) == "outcome_unknown")
    refused = walk.offer("Hello", to=definition.REFUSED, wants_report=True)
    await walk.step("a refusal of the network is a failure", lambda: walk.state(refused) == "failed")
    later = walk.offer("Hello", to=definition.REPORTED_LATER, wants_report=True)
    await walk.step(
        "the next message goes out", lambda: walk.is_settled(later) and walk.has_references(later, "1")
    )


@asynccontextmanager
async def _walk(program: Program, phone: Path, folder: Path, title: str) -> AsyncGenerator[Walk]:
    async with program.running(phone, folder) as running:
        config = folder / "modems.toml"
        config.write_text(
            f'[[modem]]\nname = "{DEVICE}"\nport = "{running.url}"\nnumber = "{definition.NUMBER}"\n',
            encoding="utf-8",
        )
        subject = Subject(
            argv=(sys.executable, "-m", "drivers.modem"),
            device_key=DEVICE,
            channel=CHANNEL_SMS,
            source=definition.NUMBER,
            destination=RECIPIENT,
            taken=list,
            environment={
                "INFINIREACH_MODEM_CONFIG": str(config),
                "INFINIREACH_DRIVER_LOG_LEVEL": "debug",
            },
        )
        async with Rig(subject, folder) as rig:
            await rig.start_without_waiting()
            yield Walk(running, rig, title)
            rig.terminate()
            await rig.exit_status()
