"""How a modem takes what the network brings: the routes of +CNMI, and +CNMA under +CSMS service 1.

Sources: 3GPP TS 27.005, 3.4.1 (+CNMI), 3.4.4 (+CNMA), 3.2.1 (+CSMS). An acknowledgement that does not come in time is
told the network as a failure, and the modem stops routing: mt and ds become 0.
"""

from collections import deque
from collections.abc import Callable, Sequence

from drivers.fake_kit.faults import Faults
from drivers.modem.codec import Deliver, decode_incoming
from drivers.modem.emulator.clock import Clock, Timer
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import MessageRefusal
from drivers.modem.emulator.interpreter import Answer, Handler, Prompt
from drivers.modem.emulator.memories import RECEIVING, Memories
from drivers.modem.emulator.presentation import Presentation
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.storage import Status, Store, StoredMessage

ACKNOWLEDGE_S = 15.0
"""How long the modem waits for +CNMA."""
BUFFERED_MAX = 100
MODE, MT, BM, DS, BFR = range(5)
CNMI_VALUES = ((0, 1, 2, 3), (0, 1, 2, 3), (0, 2), (0, 1, 2), (0, 1))

Taken = Callable[[bool], None]
"""Tells the network whether the modem has what it brought; called once."""


class Receiver:
    """Routes what comes in."""

    def __init__(
        self,
        profile: Profile,
        faults: Faults,
        memories: Memories,
        clock: Clock,
        *,
        announce: Callable[[str], None],
    ) -> None:
        self._profile = profile
        self._faults = faults
        self._memories = memories
        self._clock = clock
        self._announce = announce
        self._shown = Presentation(profile)
        self._cnmi = [0] * 5
        self._service = 0
        self._buffered: deque[str] = deque(maxlen=BUFFERED_MAX)
        self._unacknowledged: Taken | None = None
        self._deadline: Timer | None = None
        self.acknowledge_s = ACKNOWLEDGE_S

    def reset(self) -> None:
        """As after switching on; what was not acknowledged stays with the network."""
        self._cnmi = [0] * 5
        self._service = 0
        self._buffered.clear()
        self._answer_network(is_taken=False)

    def stop_routing(self) -> None:
        """mt and ds become 0."""
        self._cnmi[MT] = self._cnmi[DS] = 0

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {"+CNMI": self._notifications, "+CSMS": self._services, "+CNMA": self._acknowledgement}

    def receive(self, pdu: str, taken: Taken) -> None:
        """The network brings a PDU. It brings the next one only after `taken` was called."""
        if _is_report(pdu):
            self._receive_report(pdu, taken)
            return
        incoming = decode_incoming(pdu)
        message_class = incoming.message_class if isinstance(incoming, Deliver) else None
        mt = self._cnmi[MT]
        if message_class == 2:
            # The SIM's, which a modem stores there whatever mt is; data for the card's programs as well, as careless
            # modems do.
            self._store(pdu, self._memory("SM"), "+CMTI", taken, is_told=mt > 0)
        elif (mt == 2) or (mt == 3 and message_class in {0, 3}):
            self._route(self._shown.message(pdu), taken)
        elif message_class == 0:
            # Meant for a display at once, of which there is none.
            taken(True)
        else:
            self._store(pdu, self._memory(None), "+CMTI", taken, is_told=mt > 0)

    def _receive_report(self, pdu: str, taken: Taken) -> None:
        ds = self._cnmi[DS]
        if ds == 1:
            self._route(self._shown.report(pdu), taken)
        elif ds == 2:
            store = "SM" if self._faults.active("reports_in_sm") else "SR"
            self._store(pdu, self._memory(store), "+CDSI", taken, is_told=True)
        else:
            taken(True)

    def _memory(self, name: str | None) -> Store | None:
        try:
            return self._memories.named(name) if name else self._memories.chosen(RECEIVING)
        except MessageRefusal:
            return None

    def _store(self, pdu: str, store: Store | None, code: str, taken: Taken, *, is_told: bool) -> None:
        index = None if store is None else self._memories.put(store, StoredMessage(pdu, Status.UNREAD))
        if store is None or index is None:
            taken(False)
            return
        if is_told and not self._faults.take("lost_cmti"):
            self._tell(f'{code}: "{store.name}",{index}')
        taken(True)

    def _route(self, line: str, taken: Taken) -> None:
        self._tell(line)
        if self._service == 0:
            taken(True)
            return
        self._unacknowledged = taken
        self._deadline = self._clock.later(self.acknowledge_s, self._not_acknowledged)

    def _not_acknowledged(self) -> None:
        self.stop_routing()
        self._answer_network(is_taken=False)

    def _answer_network(self, *, is_taken: bool) -> None:
        taken, self._unacknowledged = self._unacknowledged, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if taken is not None:
            taken(is_taken)

    def _tell(self, line: str) -> None:
        if self._cnmi[MODE] == 0:
            self._buffered.append(line)
        else:
            self._announce(line)

    def _notifications(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            listed = ",".join("(" + ",".join(map(str, values)) + ")" for values in CNMI_VALUES)
            return [f"+CNMI: {listed}"]
        if call.form is Form.READ:
            return ["+CNMI: " + ",".join(map(str, self._cnmi))]
        wanted = [call.number(position, old) for position, old in enumerate(self._cnmi)]
        if len(call.arguments) > len(wanted) or any(
            value not in values for value, values in zip(wanted, CNMI_VALUES, strict=True)
        ):
            raise MessageRefusal(302)
        self._cnmi = wanted
        if wanted[MODE]:
            buffered = list(self._buffered) if wanted[BFR] == 0 else []
            self._buffered.clear()
            for line in buffered:
                self._announce(line)
        return []

    def _services(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return ["+CSMS: (0,1)"]
        if call.form is Form.READ:
            return [f"+CSMS: {self._service},1,1,1"]
        service = call.number(0)
        if service not in {0, 1}:
            raise MessageRefusal(303)
        self._service = service
        return ["+CSMS: 1,1,1"]

    def _acknowledgement(self, call: Call) -> Answer:
        if call.form is Form.TEST:
            return ["+CNMA: (0-2)"]
        if self._unacknowledged is None:
            raise MessageRefusal(340)
        kind = call.number(0, 0)
        if kind not in {0, 1, 2}:
            raise MessageRefusal(302)
        if call.text(1):
            return Prompt(lambda _: self._acknowledged(is_taken=kind != 2))
        return self._acknowledged(is_taken=kind != 2)

    def _acknowledged(self, *, is_taken: bool) -> Sequence[str]:
        self._answer_network(is_taken=is_taken)
        return []


def _is_report(pdu: str) -> bool:
    """Whether the message type indicator says SMS-STATUS-REPORT (TS 23.040, 9.2.3.1)."""
    try:
        octets = bytes.fromhex(pdu)
        return octets[octets[0] + 1] & 3 == 2
    except (ValueError, IndexError):
        return False
