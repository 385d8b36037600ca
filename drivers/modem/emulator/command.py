"""The emulator as a command: modems that run until a signal, and the way to tell them something meanwhile.

Owns what a command line needs of the emulator; parses no arguments and prints nothing itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from drivers.fake_kit.serving import listen, stop_signal
from drivers.modem.emulator.clock import LoopClock
from drivers.modem.emulator.emulator import NUMBER, Emulator
from drivers.modem.emulator.general_commands import Equipment
from drivers.modem.emulator.network import RADIO_S, REPORT_AFTER_S, Network
from drivers.modem.emulator.orders import Orders
from drivers.modem.emulator.radio_log import RadioLog
from drivers.modem.emulator.script import ScriptRun, read_script
from drivers.modem.emulator.sim import Sim

MODEMS_MAX = 1000
SOCKET_NAME = "emulator.sock"


@dataclass(slots=True, frozen=True)
class Options:
    """What there is to emulate. The defaults make one modem that works."""

    folder: Path
    """Where the device files and, unless told otherwise, the control socket are."""
    modems: int = 1
    """One is called `modem`; several are `modem1`, `modem2` and so on. 1 to MODEMS_MAX."""
    number: str = NUMBER
    """Of the first modem's SIM, E.164; the next ones count on from it."""
    tcp_port: int | None = None
    """The first modem listens there on 127.0.0.1, the next ones on the ports after it; 0: on any; None: not at all."""
    control_socket: Path | None = None
    """None: `emulator.sock` in the folder."""
    radio_log: Path | None = None
    """Where every part that the network takes is written; None: nowhere."""
    script: Path | None = None
    """Orders that are carried out by themselves (`script`)."""
    radio_s: float = RADIO_S
    report_after_s: float = REPORT_AFTER_S
    pin: str = ""
    """What the SIMs ask for at the start; empty: nothing."""

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.control_socket or self.folder / SOCKET_NAME


def serve(options: Options, *, say: Callable[[str], None]) -> None:
    """Run the modems until SIGTERM or SIGINT. `say` gets a line for each modem once all of them are there.

    Raises ScriptInvalid, SocketUnusable or OSError if they cannot be.
    """
    asyncio.run(run(options, say=say))


async def run(options: Options, *, say: Callable[[str], None]) -> None:
    """As `serve`, in a loop that runs already."""
    stopped = stop_signal()
    async with AsyncExitStack() as stack:
        clock = LoopClock()
        network = Network(clock, radio_s=options.radio_s, report_after_s=options.report_after_s)
        if options.radio_log is not None:
            log = RadioLog(options.radio_log)
            stack.callback(log.close)
            network.log = log
        emulators = [_emulator(options, network, index) for index in range(options.modems)]
        orders = Orders(network, emulators)
        if options.script is not None:
            steps = read_script(options.script.read_text(encoding="utf-8"), orders)
            ScriptRun(steps, orders, network, clock, failed=say)
        await listen(stack, options.socket_path, orders.answer)
        lines: list[str] = []
        for index, emulator in enumerate(emulators):
            await stack.enter_async_context(emulator)
            lines.append(await _open(emulator, options, index))
        for line in lines:
            say(line)
        await stopped.wait()


def _emulator(options: Options, network: Network, index: int) -> Emulator:
    count = str(index + 1) if options.modems > 1 else ""
    digits = options.number.lstrip("+")
    return Emulator(
        name=f"modem{count}",
        network=network,
        equipment=Equipment(imei=_with_check_digit(f"35000000{index + 1:06d}")),
        sim=Sim(
            f"+{int(digits) + index:0{len(digits)}d}",
            iccid=_with_check_digit(f"894902000012345{index + 1:04d}"),
            imsi=f"00101{index + 1:010d}",
            pin=options.pin,
        ),
    )


async def _open(emulator: Emulator, options: Options, index: int) -> str:
    """Open the ports of one modem: the line that says where it is."""
    places = [str(await emulator.open_pty(options.folder.absolute() / emulator.name))]
    if options.tcp_port is not None:
        port = await emulator.open_tcp(options.tcp_port and options.tcp_port + index)
        places.append(f"socket://127.0.0.1:{port}")
    return f"{emulator.name}  {emulator.modem.number}  {'  '.join(places)}"


def _with_check_digit(digits: str) -> str:
    """With the digit that makes Luhn's sum come out, as IMEIs and serial numbers of SIMs have it."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)
