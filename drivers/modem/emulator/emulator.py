"""An emulated modem with its ports, for tests and for the command line."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.clock import Clock, LoopClock
from drivers.modem.emulator.general_commands import Equipment
from drivers.modem.emulator.inbound import SENDER, Inbound, Kind
from drivers.modem.emulator.modem import Absence, Modem
from drivers.modem.emulator.network import Network
from drivers.modem.emulator.pty_end import PtyEnd
from drivers.modem.emulator.sim import Sim
from drivers.modem.emulator.tcp_end import TcpEnd

NUMBER = "+15559876543"


class Emulator:
    """One modem. Make it in the event loop, open a port or several, close it at the end.

    `async with Emulator() as emulator:` closes it too. Several share a `Network` that is given to each of them; they
    then reach each other.
    """

    def __init__(
        self,
        *,
        name: str = "modem",
        sim: Sim | None = None,
        equipment: Equipment | None = None,
        network: Network | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Switched on, and registered at once unless its SIM has a PIN. Without a `clock` it has the loop's time."""
        self.name = name
        self.clock = clock or LoopClock()
        self.network = network or Network(self.clock)
        self._ptys: list[PtyEnd] = []
        self._tcps: list[TcpEnd] = []
        self._folder: Path | None = None
        self._returns: set[asyncio.Task[None]] = set()
        self._changes = asyncio.Event()
        self.network.when_changed(self._changed)
        self.modem = Modem(
            equipment or Equipment(),
            sim or Sim(NUMBER),
            self.network,
            self.clock,
            say=self._say,
            vanish=self._vanish,
            changed=self._changed,
        )

    async def __aenter__(self) -> "Emulator":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def faults(self) -> Faults:
        """The faults of the modem: `faults.add("hang", seconds=5)`."""
        return self.modem.faults

    async def open_pty(self, link: Path | None = None) -> Path:
        """Have a device file; its path is a link that keeps its name. By default it is in a temporary folder.

        After a fault with `moved` it has .2, .3 and so on at its end.
        """
        if link is None:
            self._folder = self._folder or Path(tempfile.mkdtemp(prefix="infinireach-modem-"))
            link = self._folder / f"{self.name}-{len(self._ptys)}"
        end = PtyEnd(link, received=self.modem.hear)
        end.open()
        self._ptys.append(end)
        return end.link

    async def open_tcp(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port's number, which it keeps."""
        end = TcpEnd(port, received=self.modem.hear)
        await end.open()
        self._tcps.append(end)
        return end.port

    def deliver(
        self, text: str = "", *, sender: str = SENDER, kind: Kind = Kind.TEXT, order: tuple[int, ...] = ()
    ) -> int:
        """Have a message come in; how many PDUs. More can be said with `modem.deliver(Inbound(…))`."""
        return self.modem.deliver(Inbound(text, sender, kind, order))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is asked whenever the modem was told something or the network did."""
        while not condition():
            self._changes.clear()
            await self._changes.wait()

    async def close(self) -> None:
        """Take away its ports and what was begun."""
        for task in self._returns:
            task.cancel()
        if self._returns:
            await asyncio.wait(self._returns)
        self._close_ports()
        self.modem.switch_off()
        # Connections that were broken off are gone after one turn of the loop.
        await asyncio.sleep(0)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def links(self) -> list[Path]:
        """Where its device files are."""
        return [end.link for end in self._ptys]

    @property
    def tcp_ports(self) -> list[int]:
        """Where it listens."""
        return [end.port for end in self._tcps]

    def _close_ports(self) -> None:
        for end in (*self._ptys, *self._tcps):
            end.close()

    def _changed(self) -> None:
        self._changes.set()

    def _say(self, data: bytes) -> None:
        for end in self._ptys:
            end.send(data)
        for end in self._tcps:
            end.send(data)
        self._changed()

    def _vanish(self, absence: Absence) -> None:
        self._close_ports()
        task = asyncio.get_running_loop().create_task(self._come_back(absence), name="emulated port returns")
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)

    async def _come_back(self, absence: Absence) -> None:
        await asyncio.sleep(absence.away_s)
        for end in self._ptys:
            if absence.is_moved:
                end.move()
            end.close()
            end.open()
        for end in self._tcps:
            end.close()
            with contextlib.suppress(OSError):
                await end.open()
        self._changed()
