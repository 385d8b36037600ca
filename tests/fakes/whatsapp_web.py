"""The WhatsApp web driver with a network that is a folder, for its contract. Run as a file.

The network keeps what it took, and owes receipts, over every death of the driver. It hands in what waits once the
account is connected, one thing after the other, and again where the driver did not live to say that it has it.
"""

import asyncio
import json
import os
import uuid
from pathlib import Path

from drivers.runtime import run
from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import Connected, Handle, Incoming, MessageReceipt, ReceiptKind
from drivers.whatsapp_web.driver import WhatsAppWebDriver

FOLDER = "FAKE_WHATSAPP_FOLDER"
LOOK_S = 0.02
PEER = "+15551112222"


class FolderAccount:
    """An account on that network."""

    def __init__(self, session: Path, handle: Handle) -> None:
        folder = Path(os.environ[FOLDER])
        self._taken = folder / "taken.jsonl"
        self._told = folder / "told.txt"
        self._inbox = folder / "inbox"
        self._handle = handle
        assert session.exists()

    async def run(self) -> None:
        await self._handle(Connected())
        while True:
            for path in sorted(self._inbox.glob("*.json")):
                fields = json.loads(path.read_text(encoding="utf-8"))
                message = Incoming(path.stem, PEER, fields["text"], 1_700_000_000.0)
                await self._handle(message)
                path.unlink()
            await self._tell_receipts()
            await asyncio.sleep(LOOK_S)

    async def _tell_receipts(self) -> None:
        taken = [json.loads(line)["id"] for line in _lines(self._taken)]
        for message_id in taken[len(_lines(self._told)) :]:
            await self._handle(MessageReceipt((message_id,), ReceiptKind.DELIVERED, 1_700_000_000.0))
            _append(self._told, message_id)

    async def send_text(self, to: str, text: str) -> str:
        message_id = uuid.uuid4().hex.upper()
        _append(self._taken, json.dumps({"id": message_id, "to": to, "text": text}))
        await asyncio.sleep(0)
        return message_id

    async def find(self, number: str) -> str:
        return number

    async def code_for(self, number: str) -> str:
        return "ABCD-EFGH"

    async def own_number(self) -> str:
        return os.environ["INFINIREACH_WHATSAPP_WEB_NUMBER"]

    async def close(self) -> None:
        pass


class FolderDriver(WhatsAppWebDriver):
    """The real driver with that account."""

    open_account = staticmethod(FolderAccount)
    checks = (config.check_number,)


def _lines(path: Path) -> list[str]:
    """The whole lines of a file. A line that is being written does not count yet."""
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    run(FolderDriver)
