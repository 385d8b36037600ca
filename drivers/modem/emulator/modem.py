"""An emulated modem: its parts put together, its power, and what faults do to the whole of it.

Bytes in, bytes out and a clock; knows no port. It keeps its state while ports come and go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.fake_kit.fault_table import Extent
from drivers.fake_kit.faults import Fault, Faults
from drivers.modem.codec import Submit
from drivers.modem.emulator.clock import Clock, Timer
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.fates import Ending, Fate
from drivers.modem.emulator.fault_table import FAULTS
from drivers.modem.emulator.general_commands import Equipment, GeneralCommands, names_of
from drivers.modem.emulator.inbound import Inbound
from drivers.modem.emulator.incoming import Receiver, Taken
from drivers.modem.emulator.interpreter import Answer, Handler, Interpreter
from drivers.modem.emulator.memories import Memories
from drivers.modem.emulator.network import Network
from drivers.modem.emulator.outgoing import Sender
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.radio import Radio
from drivers.modem.emulator.reading import Reader
from drivers.modem.emulator.sim import Sim, SimState
from drivers.modem.emulator.sim_commands import SimCommands
from drivers.modem.emulator.sim_slot import SimSlot
from drivers.modem.emulator.ussd_commands import UssdCommands
from drivers.modem.emulator.wire import Wire

BOOT_S = 1.5
"""From power to the first word."""
RESTART_S = 0.1
"""From the answer to +CFUN=1,1 to the loss of power."""


@dataclass(slots=True, frozen=True)
class Absence:
    """The port is to disappear for a while."""

    away_s: float
    is_moved: bool
    """Whether it comes back under another name."""


class Modem:
    """A modem with a SIM in it, behind any number of ports."""

    def __init__(
        self,
        equipment: Equipment,
        sim: Sim,
        network: Network,
        clock: Clock,
        *,
        say: Callable[[bytes], None],
        vanish: Callable[[Absence], None],
        changed: Callable[[], None],
    ) -> None:
        """Switched on and registered. `say` gets what it says, `vanish` makes its ports disappear.

        `changed` is called whenever something about it may be different.
        """
        self.equipment = equipment
        self.network = network
        self._clock = clock
        self._vanish = vanish
        self._changed = changed
        self.faults = Faults(FAULTS, later=clock.later, struck=self._struck)
        self._profile = Profile()
        self._wire = Wire(self.faults, clock, deliver=say)
        self._booting: Timer | None = None
        self.is_on = True
        self.boot_s = BOOT_S
        self._slot = SimSlot(sim, self.faults)
        self._memories = Memories(self._slot, self.faults, freed=self._wake_network)
        self.radio = Radio(
            self._profile, self.faults, self._slot, clock, announce=self.announce, changed=self._registered
        )
        self.receiver = Receiver(self._profile, self.faults, self._memories, clock, announce=self.announce)
        self._ussd = UssdCommands(
            self._profile,
            self.radio,
            clock,
            network.ussd,
            answer_s=lambda: network.radio_s,
            announce=self.announce,
        )
        self._sender = Sender(
            self._profile,
            self.faults,
            clock,
            slot=self._slot,
            radio=self.radio,
            memories=self._memories,
            uplink=self,
            ended=self._ended_badly,
        )
        commands = self._commands()
        self._interpreter = Interpreter(
            commands, self._profile, self.faults, write=self._wire.send, later=clock.later
        )
        sim.power_up()
        network.attach(self)
        self.radio.power_up(at_once=True)

    def _commands(self) -> dict[str, Handler]:
        commands: dict[str, Handler] = {}
        for part in (
            GeneralCommands(self.equipment, self._profile, self._clock, restored=self._memories.reset),
            SimCommands(self._profile, self._slot, unlocked=self._unlocked),
            self.radio,
            self._memories,
            self.receiver,
            Reader(self._profile, self.faults, self._memories),
            self._sender,
            self._ussd,
        ):
            commands |= part.handlers()
        listed = names_of(commands)
        commands["+CLAC"] = lambda call: [] if call.form is Form.TEST else listed
        functionality = commands["+CFUN"]

        def with_restart(call: Call) -> Answer:
            if call.form is Form.SET and call.text(1) == "1":
                self._clock.later(RESTART_S, self.restart)
                return []
            return functionality(call)

        commands["+CFUN"] = with_restart
        return commands

    # What a port does.

    def hear(self, data: bytes) -> None:
        """Bytes came in."""
        if self.is_on:
            self._interpreter.feed(data)
            self._changed()

    # What the network asks of a subscriber and offers to a sender.

    @property
    def sim(self) -> Sim:
        """The SIM that is in it."""
        return self._slot.sim

    @property
    def number(self) -> str:
        """The number of its SIM, E.164."""
        return self.sim.number

    @property
    def is_reachable(self) -> bool:
        """Whether the network can bring it something."""
        return self.is_on and self.radio.is_registered and not self.faults.active("sim_busy")

    def receive(self, pdu: str, taken: Taken) -> None:
        """The network brings a PDU."""
        self.receiver.receive(pdu, taken)

    @property
    def radio_s(self) -> float:
        """How long a part is on the air."""
        return self.network.radio_s

    def take(self, submit: Submit, *, reference: int, fate: Fate) -> None:
        """The network has a part."""
        self.network.take(submit, sender=self.number, reference=reference, fate=fate)

    # What a person or a test does.

    def deliver(self, inbound: Inbound) -> int:
        """Have a message come in to its SIM; how many PDUs. Raises InboundInvalid."""
        times = 2 if self.faults.take("inbound_doubled") else 1
        return self.network.deliver(inbound, to=self.number, times=times)

    def announce(self, line: str) -> None:
        """Say something unasked."""
        if self.is_on:
            self._interpreter.announce(line)

    def insert(self, sim: Sim) -> None:
        """Put another SIM in; the modem restarts."""
        self._slot.sim = sim
        self.network.attach(self)
        self.restart()

    def restart(self) -> None:
        """Lose power, and start anew."""
        self.switch_off()
        self._booting = self._clock.later(self.boot_s, self._start)

    def switch_off(self) -> None:
        """Lose power: all that is not in a memory is gone."""
        if self._booting is not None:
            self._booting.cancel()
            self._booting = None
        self.is_on = False
        self.radio.power_down()
        self._interpreter.reset()
        self._wire.reset()
        self._profile.reset()
        self._memories.reset()
        self._sender.reset()
        self._ussd.reset()
        self.receiver.reset()
        self.faults.clear("hang")
        self._changed()

    def _start(self) -> None:
        self._booting = None
        self.is_on = True
        self.sim.power_up()
        self.announce("RDY")
        self.announce("+CFUN: 1")
        self._tell_sim()
        self.radio.power_up(at_once=False)
        self._changed()

    def _tell_sim(self) -> None:
        if self.faults.active("no_sim"):
            self.announce("+CPIN: NOT READY")
        elif self._slot.problem() is None:
            self.announce(f"+CPIN: {self.sim.state}")
            if self.sim.state is SimState.READY:
                self.announce("SMS DONE")

    def _unlocked(self) -> None:
        self._clock.later(0, self._tell_sim)
        self.radio.refresh()

    def _registered(self) -> None:
        self._wake_network()
        self._changed()

    def _wake_network(self) -> None:
        self.network.wake(self.number)

    # What faults do.

    def _ended_badly(self, fate: Fate) -> None:
        """A part ended in something that happens to the whole modem."""
        fault = fate.fault
        if fate.ending is Ending.HANG and fault is not None:
            self.faults.add("hang", seconds=fault.number("hang_s"))
        elif fate.ending is Ending.VANISH and fault is not None:
            self._disappear(fault)
        else:
            self.restart()

    def _disappear(self, fault: Fault) -> None:
        away_s = fault.number("away_s")
        if not fault.flag("powered"):
            self.switch_off()
            self._booting = self._clock.later(away_s, self._start)
        self._vanish(Absence(away_s, fault.flag("moved")))

    def _struck(self, fault: Fault) -> None:
        """A fault has begun or ended."""
        if fault.kind.when is Extent.NOW:
            self._happen(fault)
        elif fault.kind.when is Extent.DURATION:
            self.radio.refresh()
            self._wake_network()
            self._interpreter.go_on()
            if fault.kind.name == "no_sim":
                self._tell_sim()
        self._changed()

    def _happen(self, fault: Fault) -> None:
        """What the table says happens at once."""
        {
            "reboot": lambda _: self.restart(),
            "vanish": self._disappear,
            "cnmi_reset": lambda _: self.receiver.stop_routing(),
            "sim_swap": self._swap,
            "pin": self._lock,
            "puk": self._block_pin,
        }[fault.kind.name](fault)

    def _swap(self, fault: Fault) -> None:
        self.insert(Sim(fault.text("number"), iccid=fault.text("iccid")))

    def _lock(self, fault: Fault) -> None:
        self.sim.pin, self.sim.pin_tries = fault.text("pin"), int(fault.number("tries"))
        self.sim.power_up()
        self.radio.refresh()

    def _block_pin(self, fault: Fault) -> None:
        self.sim.pin, self.sim.puk, self.sim.pin_tries = self.sim.pin or "0000", fault.text("puk"), 0
        self.sim.power_up()
        self.radio.refresh()

    def stored(self) -> dict[str, Sequence[int]]:
        """The used indexes of each memory."""
        stores = (self.sim.messages, self._memories.named("ME"), self._memories.named("SR"))
        return {store.name: store.indexes for store in stores}
