"""From an open port to a modem that can work: the walk through everything that has to be set and asked.

Owns the order, and what each step's refusal means. The rules of single steps are in `sim` and `notification`. Nothing
is reset to the factory's or the stored settings (AT&F, ATZ): they are the owner's. Knows nothing of ports.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.modem.at.results import CommandRefused
from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.line import Commands, Line
from drivers.modem.setup.answers import first_number, parameters, value_of
from drivers.modem.setup.identity import Identity, ask, read_identity
from drivers.modem.setup.notification import Notification, NotificationSetUp
from drivers.modem.setup.patience import Patience
from drivers.modem.setup.quirks import Quirks, quirks_for
from drivers.modem.setup.sim import Sim, SimGate
from drivers.modem.setup.waking import wake
from drivers.modem.timing import Timing
from drivers.runtime import Context


@dataclass(slots=True, frozen=True)
class SetUp:
    """A modem that can work, and what was found out about it on the way."""

    line: Line
    identity: Identity
    sim: Sim
    quirks: Quirks
    notification: Notification | None
    knows_smsc: bool
    """False: neither the SIM nor modems.toml names a message centre, so nothing can be sent."""
    number_differs: bool
    """The SIM tells another number than modems.toml does. SIMs are often wrong about it."""


class StartUp:
    """Sets up one modem, as often as it needs it."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing, gate: SimGate) -> None:
        self._config = config
        self._timing = timing
        self._gate = gate
        self._clock = context.clock
        self._patience = Patience(timing, context.clock)

    async def carry_out(self, commands: Commands) -> SetUp:
        """Raises NotReady if the modem or its SIM cannot work as it is; CommandUnanswered, ChannelClosed."""
        await wake(commands, self._timing, self._clock, within_s=self._timing.boot_s)
        await self._set(commands, "ATE0", "ATV1", "ATQ0", "AT+CMEE=1")
        identity = await read_identity(commands, self._timing)
        quirks = quirks_for(identity.maker, identity.model, self._config.quirks)
        await self._set(commands, *quirks.set_up)
        await self._start_radio(commands)
        sim = await self._gate.admit(commands, iccid_command=quirks.iccid_command, imei=identity.imei)
        await self._set(commands, 'AT+CSCS="GSM"', "AT+CREG=2", "AT+CEREG=2", "AT+COPS=3,2")
        sim_smsc = await self._ask_smsc(commands)
        reading = await NotificationSetUp(commands, self._config, quirks, self._timing).carry_out()
        smsc = self._config.smsc if self._config.smsc != sim_smsc else ""
        line = Line(
            commands=commands,
            device_key=self._config.name,
            number=self._config.number,
            imei=identity.imei,
            iccid=sim.key,
            stores=reading.stores,
            acknowledges=reading.acknowledges,
            smsc=smsc,
            submit_timeout_s=quirks.submit_timeout_s / self._timing.speed,
            pause_between_parts_s=quirks.pause_between_parts_s / self._timing.speed,
            reference_bits=quirks.reference_bits,
            acknowledge_command=quirks.acknowledge_command,
        )
        return SetUp(
            line=line,
            identity=identity,
            sim=sim,
            quirks=quirks,
            notification=reading.notification,
            knows_smsc=bool(smsc) or sim_smsc != "",
            number_differs=await self._number_differs(commands),
        )

    async def _set(self, commands: Commands, *settings: str) -> None:
        """Settings that a modem may refuse: it works without them, or the next steps notice."""
        for setting in settings:
            await ask(commands, setting, timeout_s=self._timing.setting_s)

    async def _start_radio(self, commands: Commands) -> None:
        """AT+CFUN=1 if it says that it is at another level; some modems boot in flight mode."""
        told = value_of(await ask(commands, "AT+CFUN?", timeout_s=self._timing.answer_s), "+CFUN")
        level = first_number(told or "")
        if level is None or level == 1:
            return
        try:
            await commands.execute("AT+CFUN=1", timeout_s=self._timing.radio_s)
        except CommandRefused:
            raise NotReady(Reason.RADIO_OFF) from None

    async def _ask_smsc(self, commands: Commands) -> str | None:
        """The message centre that the SIM knows; empty if it knows none, None if the modem does not tell."""
        try:
            lines = await self._patience.ask(commands, "AT+CSCA?", timeout_s=self._timing.smsc_s)
        except CommandRefused:
            return None
        return read_smsc(lines)

    async def _number_differs(self, commands: Commands) -> bool:
        told = value_of(await ask(commands, "AT+CNUM", timeout_s=self._timing.answer_s), "+CNUM")
        fields = parameters(told or "")
        digits = fields[1].lstrip("+0") if len(fields) > 1 else ""
        return bool(digits) and not self._config.number.endswith(digits)


def read_smsc(lines: Sequence[str]) -> str | None:
    """The message centre in `+CSCA: "<number>",<type>`; None if there is no such line."""
    told = value_of(lines, "+CSCA")
    if told is None:
        return None
    fields = parameters(told)
    return fields[0] if fields else ""
