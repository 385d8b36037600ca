"""Messages come in through the control socket, and what is wrong with one is named."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from drivers.runtime import Context, JournalUnwritable, Receipt
from drivers.runtime.clock import SystemClock
from drivers.runtime.context import Changes
from drivers.runtime.control_socket import ControlSocket
from drivers.simulated.control import Requests
from drivers.simulated.devices import DEFAULT_DEVICES, read_devices
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP

GOOD = {"from": "+15551112222", "to": "+15559876543", "body": "Grüße 👋", "channel": "whatsapp"}


class FakeRuntime(Context):
    """Keeps what comes in; can be told that its disk is full."""

    def __init__(self) -> None:
        super().__init__(host=None, settings={}, var_folder=Path(), clock=SystemClock())  # pyright: ignore[reportArgumentType]
        self.messages: list[InboundMessage] = []
        self.disk_is_full = False

    async def received(
        self, inbound: InboundMessage, *, identity: str = "", changes: Changes = MappingProxyType({})
    ) -> Receipt:
        if self.disk_is_full:
            raise JournalUnwritable("the disk is full")
        self.messages.append(inbound)
        return Receipt(len(self.messages), asyncio.get_running_loop().create_future())


@pytest.fixture
def path() -> Iterator[Path]:
    # A socket's path is short, pytest's own folders may be deep.
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder) / "control.sock"


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
async def control(runtime: FakeRuntime, path: Path) -> AsyncIterator[ControlSocket]:
    control = ControlSocket(Requests(runtime, read_devices(DEFAULT_DEVICES)).carry_out)
    await control.open(path)
    yield control
    await control.close()


async def ask(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.writelines(line + b"\n" for line in lines)
        return [json.loads(await reader.readline()) for _ in lines]
    finally:
        writer.close()
        await writer.wait_closed()


async def ask_inbound(path: Path, **changes: object) -> dict[str, Any]:
    (answer,) = await ask(path, json.dumps({"inbound": {**GOOD, **changes}}).encode())
    return answer


async def test_message_comes_in_to_the_device_with_its_number(
    control: ControlSocket, runtime: FakeRuntime, path: Path
) -> None:
    assert await ask_inbound(path) == {"ok": True, "sequence": 1}
    (message,) = runtime.messages
    assert message.device_key == "whatsapp"
    assert message.channel == CHANNEL_WHATSAPP
    assert (message.source, message.destination, message.text) == ("+15551112222", "+15559876543", "Grüße 👋")


async def test_channel_is_sms_unless_it_is_named(
    control: ControlSocket, runtime: FakeRuntime, path: Path
) -> None:
    request = {key: value for key, value in GOOD.items() if key != "channel"}
    await ask(path, json.dumps({"inbound": request}).encode())
    assert runtime.messages[0].device_key == "phone"


@pytest.mark.parametrize("source", ["+15551112222", "12345", "ACME Bank"])
async def test_numbers_short_codes_and_names_can_write(
    control: ControlSocket, runtime: FakeRuntime, path: Path, source: str
) -> None:
    assert (await ask_inbound(path, **{"from": source}))["ok"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"from": "5551112222999999"}, "invalid_from"),
        ({"from": None}, "invalid_from"),
        ({"from": "a name that is too long"}, "invalid_from"),
        ({"to": "15559876543"}, "invalid_to"),
        ({"to": 5}, "invalid_to"),
        ({"to": "+15559876000"}, "unknown_device"),
        ({"body": None}, "invalid_body"),
        ({"body": "x" * 20_001}, "invalid_body"),
        ({"body": "\ud800"}, "invalid_body"),
        ({"channel": "fax"}, "invalid_channel"),
        ({"channel": []}, "invalid_channel"),
    ],
)
async def test_wrong_request_is_refused_with_its_reason(
    control: ControlSocket, runtime: FakeRuntime, path: Path, changes: dict[str, object], code: str
) -> None:
    answer = await ask_inbound(path, **changes)
    assert (answer["ok"], answer["code"]) == (False, code)
    assert answer["error"].endswith(".")
    assert runtime.messages == []


@pytest.mark.parametrize("line", [b"nonsense", b"[]", b"null", b'{"inbound": 5}', b'{"outbound": {}}'])
async def test_line_that_is_no_request_is_refused(control: ControlSocket, path: Path, line: bytes) -> None:
    (answer,) = await ask(path, line)
    assert (answer["ok"], answer["code"]) == (False, "invalid_request")


async def test_message_that_cannot_be_journalled_is_refused(
    control: ControlSocket, runtime: FakeRuntime, path: Path
) -> None:
    runtime.disk_is_full = True
    answer = await ask_inbound(path)
    assert (answer["ok"], answer["code"]) == (False, "journal_unwritable")
