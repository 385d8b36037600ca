"""An emulated modem on a desk: commands go in by hand, and time passes when it is told to."""

from datetime import timedelta

from drivers.modem.codec import submit_pdus
from drivers.modem.emulator.general_commands import Equipment
from drivers.modem.emulator.inbound import Inbound
from drivers.modem.emulator.modem import Absence, Modem
from drivers.modem.emulator.network import Network
from drivers.modem.emulator.sim import Sim
from tests.unit.drivers.modem.emulator.manual_clock import ManualClock

NUMBER = "+15559876543"
RECIPIENT = "+15551230000"
RADIO_S = 0.3
REPORT_AFTER_S = 0.5


class Desk:
    """A modem, the network behind it, and what it has said."""

    def __init__(self, *, pin: str = "", network: Network | None = None, number: str = NUMBER) -> None:
        self.clock = network.clock if network else ManualClock()
        self.network = network or Network(self.clock, radio_s=RADIO_S, report_after_s=REPORT_AFTER_S)
        self.said = bytearray()
        self.absences: list[Absence] = []
        self.modem = Modem(
            Equipment(),
            Sim(number, pin=pin),
            self.network,
            self.clock,
            say=self.said.extend,
            vanish=self.absences.append,
            changed=lambda: None,
        )
        self.faults = self.modem.faults

    def tell(self, *commands: str) -> str:
        """Give commands; what the modem says until the last is answered, if that takes no time."""
        for command in commands:
            self.type(command + "\r")
        return self.heard()

    def type(self, text: str) -> None:
        """Give it characters as they are."""
        self.modem.hear(text.encode("latin-1"))

    def heard(self) -> str:
        """What it has said since the last time."""
        said = self.said.decode("latin-1")
        self.said.clear()
        return said

    def lines(self) -> list[str]:
        """What it has said since the last time, without empty lines."""
        return [line for line in self.heard().split("\r\n") if line]

    def asked(self, command: str) -> list[str]:
        """The lines that answer a command."""
        self.heard()
        self.type(command + "\r")
        return self.lines()

    def wait(self, seconds: float) -> list[str]:
        """Let time pass; the lines that the modem says meanwhile."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)
        return self.lines()

    def quiet(self) -> "Desk":
        """Without echo, with error numbers, as drivers set it."""
        self.tell("ATE0", "AT+CMEE=1")
        return self

    def begin(
        self, text: str = "Hello", *, to: str = RECIPIENT, wants_report: bool = False, part: int = 0
    ) -> list[str]:
        """Hand over a part up to its Ctrl-Z; what the modem says before anything else happens."""
        pdu = submit_pdus(
            text, destination=to, reference=7, wants_report=wants_report, validity=timedelta(days=1)
        )[part]
        self.type(f"AT+CMGS={pdu.tpdu_octets}\r")
        self.type(pdu.hex + "\x1a")
        return self.lines()

    def send(
        self, text: str = "Hello", *, to: str = RECIPIENT, wants_report: bool = False, part: int = 0
    ) -> list[str]:
        """Hand over a part, and let it be on the air; what the modem says after its prompt."""
        self.begin(text, to=to, wants_report=wants_report, part=part)
        return self.wait(RADIO_S)

    def receive(self, inbound: Inbound) -> list[str]:
        """Let a message come in; what the modem says."""
        self.modem.deliver(inbound)
        return self.wait(0)
