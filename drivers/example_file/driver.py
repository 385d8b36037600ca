"""A driver that sends by appending to a file and receives what is put into a folder.

The smallest driver that does everything right: it sends once, it can say what became of a message after a crash,
and it removes what came in only when the core has it. Explained in docs/writing-a-driver.md.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from drivers.runtime import Context, Driver, Failed, JournalUnwritable, Outcome, Receipt, Setting, Submitted
from drivers.runtime import settings as read
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.driver.v1.session_pb2 import CAPABILITY_CANCEL, CAPABILITY_INBOUND, DeviceDescription
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE, DeviceAddress
from infinireach.v1.message_pb2 import CHANNEL_SMS, FAILURE_REASON_DEVICE_FAULT

NUMBER = Setting("INFINIREACH_FILE_NUMBER", read.one_line, "The number to send from, E.164.", "+15550001111")
POLL_S = 0.2
"""How often the folder is looked at."""


class FileDriver(Driver):
    """One device, whose network is the folder INFINIREACH_VAR/file."""

    kind = "example-file"
    capabilities = frozenset({CAPABILITY_INBOUND, CAPABILITY_CANCEL})
    settings = (NUMBER,)

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Make the files and begin to watch the inbox."""
        self._context = context
        self._number: str = context.settings[NUMBER.name]
        folder = context.var_folder / "file"
        self._inbox = folder / "inbox"
        self._outbox = folder / "outbox.jsonl"
        self._inbox.mkdir(parents=True, exist_ok=True)
        self._outbox.touch()
        self._watching = asyncio.create_task(self._watch(), name="inbox")
        self._clearing: dict[Path, asyncio.Task[None]] = {}
        address = DeviceAddress(channel=CHANNEL_SMS, number=self._number, ready=True)
        return [
            DeviceDescription(
                key="file", name="File", addresses=[address], window=10, state=DEVICE_STATE_ONLINE
            )
        ]

    async def stop(self, grace_s: float) -> None:
        """Stop watching. A message that is still in the inbox comes again after the next start."""
        tasks = [self._watching, *self._clearing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def send(self, command: SendCommand) -> Outcome:
        """Append a line; once it is in the file the message is out."""
        fields = {"id": command.command_id, "to": command.destination, "text": command.text.body}
        with self._outbox.open("a", encoding="utf-8") as outbox:
            outbox.write(json.dumps(fields) + "\n")
        return Submitted()

    async def recover(self, command: SendCommand) -> Outcome | None:
        """A file forgets nothing, so after a crash it can be asked."""
        lines = self._outbox.read_text(encoding="utf-8").splitlines()
        if any(json.loads(line)["id"] == command.command_id for line in lines):
            return Submitted()
        return Failed(FAILURE_REASON_DEVICE_FAULT, detail="The driver was stopped before it wrote the line.")

    async def _watch(self) -> None:
        while True:
            for path in self._new_files():
                await self._take(path)
            await asyncio.sleep(POLL_S)

    def _new_files(self) -> list[Path]:
        return sorted(path for path in self._inbox.glob("*.json") if path not in self._clearing)

    async def _take(self, path: Path) -> None:
        try:
            # The name is its identity: if the driver dies before the file is removed, it is not reported twice.
            # An identity is text in UTF-8 and a name is any bytes, so it is written in hexadecimal digits.
            identity = os.fsencode(path.name).hex()
            receipt = await self._context.received(self._read(path), identity=identity)
        except JournalUnwritable:
            # It stays in the inbox and is tried again.
            return
        self._clearing[path] = asyncio.create_task(self._clear(path, receipt), name=f"clear {path.name}")

    async def _clear(self, path: Path, receipt: Receipt) -> None:
        """Remove what came in, as a modem clears a slot of its SIM: only once the core has it."""
        await receipt.acknowledged()
        os.unlink(path)
        del self._clearing[path]

    def _read(self, path: Path) -> InboundMessage:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return InboundMessage(
            device_key="file",
            channel=CHANNEL_SMS,
            source=fields["from"],
            destination=self._number,
            text=fields["text"],
            segments=1,
        )
