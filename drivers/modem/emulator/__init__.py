"""An emulated modem and the network behind it: to try the product without hardware, and to test drivers.

Another program takes it for a modem. Tests make an `Emulator`; people start it from the command line
(docs/modem-emulator.md). It knows the codec of PDUs and nothing of the driver.
"""

from drivers.fake_kit.fault_table import Extent, FaultKind
from drivers.fake_kit.faults import FaultInvalid, Faults
from drivers.modem.emulator.emulator import NUMBER, Emulator
from drivers.modem.emulator.fault_table import FAULTS
from drivers.modem.emulator.general_commands import Equipment
from drivers.modem.emulator.inbound import Inbound, InboundInvalid, Kind
from drivers.modem.emulator.network import Network, TakenMessage, TakenPart
from drivers.modem.emulator.sim import Sim

__all__ = [
    "FAULTS",
    "NUMBER",
    "Emulator",
    "Equipment",
    "Extent",
    "FaultInvalid",
    "FaultKind",
    "Faults",
    "Inbound",
    "InboundInvalid",
    "Kind",
    "Network",
    "Sim",
    "TakenMessage",
    "TakenPart",
]
