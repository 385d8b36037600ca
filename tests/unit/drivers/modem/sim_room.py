"""A process that has just started, and what it makes of a modem's SIM."""

from dataclasses import replace

from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.setup.sim import Sim, SimGate
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, in_turn

TIMING = replace(Timing(), busy_step_s=0.0)
CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567", pin="1234")
PIN = 'AT+CPIN="1234"'
WANTS_PIN = ["+CPIN: SIM PIN"]
READY = ["+CPIN: READY"]
OTHER_SIM = ["+CCID: 89490200009999999999"]
IMEI = "490154203237518"


def gate(host: MemoryHost, config: ModemConfig = CONFIG) -> SimGate:
    """The gate of a process that has just started."""
    return SimGate(host.context(), config, TIMING)


async def admit(host: MemoryHost, modem: ScriptedModem, config: ModemConfig = CONFIG) -> Sim | Reason:
    """What a fresh process makes of the modem's SIM."""
    try:
        return await gate(host, config).admit(modem, iccid_command="", imei=IMEI)
    except NotReady as not_ready:
        return not_ready.condition.reason


def locked(answer: Answer, *, then: Answer = READY) -> ScriptedModem:
    """A SIM that wants its PIN and does this with it."""
    return ScriptedModem({"AT+CPIN?": in_turn(WANTS_PIN, then), PIN: answer})
