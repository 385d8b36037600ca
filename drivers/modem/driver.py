"""The modem driver: the modems of modems.toml, each living its own life in one process.

Owns the settings and which modem a command is for. Everything about one modem is in `modem`.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from drivers.modem.config import ModemConfig, read_config
from drivers.modem.control import SOCKET_NAME, Requests
from drivers.modem.life.finder import Connect, PortClaims, connect
from drivers.modem.life.modem import Modem, Shared
from drivers.modem.messages.fragments import Fragments
from drivers.modem.messages.outgoing import Outgoing, take_up
from drivers.modem.messages.reports import Reports
from drivers.modem.timing import Timing
from drivers.runtime import Context, Driver, Failed, Outcome, SendAgain, Setting, Submitted, Unknown
from drivers.runtime import settings as read
from drivers.runtime.config_file import setting_reader
from drivers.runtime.control_socket import ControlSocket
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_DEVICE_FAULT

NOT_IN_FILE = "The modem is no longer in modems.toml."
SHARE_FOR_PORTS = 0.9
"""How much of the time that the driver has to stop the ports may take."""


CONFIG = Setting(
    "INFINIREACH_MODEM_CONFIG",
    setting_reader(read_config),
    "The file that says which modems there are; docs/modems.md.",
    "modems.toml",
)
TIME_SCALE = Setting(
    "INFINIREACH_MODEM_TIME_SCALE",
    read.number(0.001, 100_000),
    "How many times as fast every wait of the driver is; for tests against an emulator.",
    "1",
)


class ModemDriver(Driver):
    """Modems on serial ports, USB or the network."""

    kind = "modem"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_CANCEL,
    })
    settings = (CONFIG, TIME_SCALE)
    connect: ClassVar[Connect] = staticmethod(connect)
    """How a port is opened."""

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Announce all modems at once and begin to look for each."""
        self._context = context
        configs: tuple[ModemConfig, ...] = context.settings[CONFIG.name]
        timing = Timing().scaled(context.settings[TIME_SCALE.name])
        shared = Shared(
            connect=self.connect,
            claims=PortClaims(),
            reports=Reports(context, timing),
            fragments=Fragments(context, timing),
        )
        self._modems = {config.name: Modem(context, config, timing, shared) for config in configs}
        counts = {"segments": shared.fragments.counts, "reports": shared.reports.counts}
        self._control = ControlSocket(Requests(self._modems, counts).carry_out)
        await self._control.open_or_log(context.var_folder / SOCKET_NAME, context.log)
        self._lives = [
            asyncio.create_task(modem.run(), name=f"modem {name}") for name, modem in self._modems.items()
        ]
        return [modem.describe() for modem in self._modems.values()]

    def stopping(self) -> None:
        """Begin no further part: the next process goes on with what is left of a message."""
        for modem in self._modems.values():
            modem.stopping()

    async def stop(self, grace_s: float) -> None:
        """Close every port."""
        await self._control.close()
        for life in self._lives:
            life.cancel()
        # A port that does not close is left to the end of the process, which is after this.
        await asyncio.wait(self._lives, timeout=grace_s * SHARE_FOR_PORTS)

    async def send(self, command: SendCommand) -> Outcome:
        """Send through the modem that the command names."""
        modem = self._modems.get(command.device_key)
        if modem is None:
            return Failed(FAILURE_REASON_DEVICE_FAULT, detail=NOT_IN_FILE)
        return await modem.send(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        """Find out what became of a command, with the modem that it was for."""
        modem = self._modems.get(command.device_key)
        return await (self._recover_without(command) if modem is None else modem.recover(command))

    async def _recover_without(self, command: SendCommand) -> Outcome:
        """What is certain of a command whose modem is gone: the journal's marks say how far it got."""
        left = take_up(command, await self._context.segments(command.command_id), wants_report=False)
        match left:
            case None:
                return Failed(FAILURE_REASON_DEVICE_FAULT, detail=NOT_IN_FILE)
            case Unknown():
                return left
            case Outgoing() if left.missing():
                return left.failed(FAILURE_REASON_DEVICE_FAULT, "", NOT_IN_FILE)
            case Outgoing():
                return Submitted(left.references())
