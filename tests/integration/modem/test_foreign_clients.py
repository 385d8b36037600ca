"""Programs of others take the emulated modem for a modem: libgammu and smstools' smsd, both as they are."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from drivers.modem.emulator import Emulator, Network, Sim
from drivers.modem.emulator.clock import LoopClock
from tests.fakes import smstools

# The stubs of python-gammu know little of it.
gammu: Any = import_module("gammu")

RECIPIENT = "+15551230000"
SENDER = "+15551112222"
LONG = "Zażółć gęślą jaźń 😀 " * 10
LONG_LATIN = " ".join(["The quick brown fox jumps over the lazy dog."] * 8)
RADIO_S = 0.01
LOOK_S = 0.05


async def seen(condition: Callable[[], bool]) -> None:
    """Wait for what another process does with its files."""
    while not condition():  # noqa: ASYNC110 - another process has no event of ours
        await asyncio.sleep(LOOK_S)


def gammu_on(port: Path) -> Any:
    """libgammu, connected."""
    machine = gammu.StateMachine()
    machine.SetConfig(0, {"Device": str(port), "Connection": "at115200"})
    machine.Init()
    return machine


def send_with_gammu(machine: Any, text: str) -> list[int]:
    """Send a text in as many parts as it takes; the references."""
    description = {
        "Class": -1,
        "Unicode": not text.isascii(),
        "Entries": [{"ID": "ConcatenatedTextLong", "Buffer": text}],
    }
    references: list[int] = []
    for part in gammu.EncodeSMS(description):
        part["SMSC"] = {"Location": 1}
        part["Number"] = RECIPIENT
        references.append(machine.SendSMS(part))
    return references


def receive_with_gammu(machine: Any) -> list[str]:
    """Read and delete all messages; their texts, those of several parts put together."""
    parts = [machine.GetNextSMS(Start=True, Folder=0)[0]]
    with suppress(gammu.ERR_EMPTY):
        while True:
            parts += machine.GetNextSMS(Location=parts[-1]["Location"], Folder=0)
    for part in parts:
        machine.DeleteSMS(Folder=0, Location=part["Location"])
    messages: list[list[dict[str, Any]]] = gammu.LinkSMS([[part] for part in parts])
    return ["".join(part["Text"] for part in message) for message in messages]


async def test_libgammu_sends_and_receives() -> None:
    async with Emulator() as emulator:
        emulator.network.radio_s = RADIO_S
        machine = await asyncio.to_thread(gammu_on, await emulator.open_pty())
        assert await asyncio.to_thread(machine.GetManufacturer) == emulator.modem.equipment.manufacturer
        assert await asyncio.to_thread(machine.GetIMEI) == emulator.modem.equipment.imei
        assert (await asyncio.to_thread(machine.GetSignalQuality))["SignalPercent"] > 0

        assert await asyncio.to_thread(send_with_gammu, machine, "Hello") == [0]
        assert await asyncio.to_thread(send_with_gammu, machine, LONG) == [1, 2, 3, 4]
        assert [message.text for message in emulator.network.messages] == ["Hello", LONG]

        emulator.deliver(LONG_LATIN, sender=SENDER, order=(3, 1, 2))
        await emulator.until(lambda: emulator.network.waiting(emulator.modem.number) == 0)
        assert await asyncio.to_thread(receive_with_gammu, machine) == [LONG_LATIN]
        assert not any(emulator.modem.stored().values())
        await asyncio.to_thread(machine.Terminate)


async def test_smsd_sends_and_receives_through_a_device_file_and_over_tcp(tmp_path: Path) -> None:
    network = Network(LoopClock(), radio_s=RADIO_S)
    async with (
        Emulator(name="first", network=network) as first,
        Emulator(name="second", network=network, sim=Sim("+15550001111")) as second,
    ):
        devices = {"GSM1": str(await first.open_pty()), "GSM2": f"@127.0.0.1:{await second.open_tcp()}"}
        with smstools.running(tmp_path, devices) as smsd:
            smsd.send("short", to=RECIPIENT, text="Hello")
            smsd.send("long", to=RECIPIENT, text=LONG_LATIN)
            first.deliver("Good morning", sender=SENDER)
            second.deliver(LONG_LATIN, sender=SENDER, order=(2, 3, 1))

            await seen(lambda: smsd.names_in("sent") == {"short", "long"})
            await seen(lambda: len(smsd.received()) == 2)

            assert sorted(message.text for message in network.messages) == sorted(["Hello", LONG_LATIN])
            assert {message.destination for message in network.messages} == {RECIPIENT}
            assert sorted(smsd.received()) == sorted([(SENDER, "Good morning"), (SENDER, LONG_LATIN)])
            assert smsd.names_in("failed") == set()
