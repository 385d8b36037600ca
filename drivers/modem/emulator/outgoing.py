"""How a modem sends: +CMGS, +CMGW and +CMSS in both modes, +CSMP, +CSCA.

Hands PDUs to the network and says how that ended. Source: 3GPP TS 27.005, 3.5, 4.3 to 4.5, 3.3.1, 3.3.2.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from drivers.fake_kit.faults import Faults
from drivers.modem.codec import AddressInvalid, Submit, decode_submit, submit_pdus
from drivers.modem.emulator.clock import Clock
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import MessageRefusal
from drivers.modem.emulator.fates import Ending, Fate, fate_of
from drivers.modem.emulator.interpreter import Answer, Handler, Pending, Prompt
from drivers.modem.emulator.memories import READING, WRITING, Memories
from drivers.modem.emulator.presentation import INTERNATIONAL, NATIONAL, tpdu_octets
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.radio import Radio
from drivers.modem.emulator.sim_slot import SimSlot
from drivers.modem.emulator.storage import Status, StoredMessage

FIRST_OCTET = 17
"""Default of +CSMP: SMS-SUBMIT with a relative validity, without a report."""
WANTS_REPORT = 0x20
REPORT_LEAD_S = 0.05
"""By how much a report comes before the result, where it does."""


class Uplink(Protocol):
    """The network as a sending modem sees it."""

    @property
    def radio_s(self) -> float:
        """How long a part is on the air."""
        ...

    def take(self, submit: Submit, *, reference: int, fate: Fate) -> None:
        """The network has the part now, under the reference that the modem gave it."""
        ...


class Sender:
    """Sends one part after the other."""

    def __init__(
        self,
        profile: Profile,
        faults: Faults,
        clock: Clock,
        *,
        slot: SimSlot,
        radio: Radio,
        memories: Memories,
        uplink: Uplink,
        ended: Callable[[Fate], None],
    ) -> None:
        """`ended` is called where a part ends in something that happens to the whole modem."""
        self._profile = profile
        self._faults = faults
        self._slot = slot
        self._radio = radio
        self._memories = memories
        self._clock = clock
        self._uplink = uplink
        self._ended = ended
        self._first_octet = FIRST_OCTET
        self._under_way: Pending | None = None

    def reset(self) -> None:
        """The modem was switched off: the network may have the part, but nobody will be told."""
        self._first_octet = FIRST_OCTET
        self._under_way = None

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {
            "+CMGS": self._send,
            "+CMGW": self._write,
            "+CMSS": self._send_stored,
            "+CSMP": self._parameters,
            "+CSCA": self._service_centre,
        }

    def _send(self, call: Call) -> Answer:
        if call.form is Form.TEST:
            return []
        self._require_service()
        return Prompt(lambda text: self._submit(self._pdu(call, text)))

    def _write(self, call: Call) -> Answer:
        if call.form is Form.TEST:
            return []
        self._memories.chosen(WRITING)
        return Prompt(lambda text: self._stored(self._pdu(call, text)))

    def _stored(self, pdu: str) -> Sequence[str]:
        index = self._memories.put(self._memories.chosen(WRITING), StoredMessage(pdu, Status.UNSENT))
        if index is None:
            raise MessageRefusal(322)
        return [f"+CMGW: {index}"]

    def _send_stored(self, call: Call) -> Answer:
        if call.form is Form.TEST:
            return []
        self._require_service()
        message = self._memories.chosen(READING).get(call.number(0, 0))
        if message is None or message.status not in {Status.UNSENT, Status.SENT}:
            raise MessageRefusal(321)
        answer = self._submit(message.pdu, command="+CMSS")
        message.status = Status.SENT
        return answer

    def _require_service(self) -> None:
        self._slot.require_for_messages()
        if self._radio.functionality != 1:
            raise MessageRefusal(302)
        if not self._radio.is_registered:
            raise MessageRefusal(331)

    def _pdu(self, call: Call, text: str) -> str:
        """The PDU that was entered, or that follows from a text that was. Raises MessageRefusal."""
        if self._profile["+CMGF"] == 1:
            return self._pdu_of_text(call, text)
        pdu = "".join(text.split()).upper()
        try:
            bytes.fromhex(pdu)
            is_as_long_as_said = tpdu_octets(pdu) == int(call.text(0))
        except ValueError:
            raise MessageRefusal(304) from None
        if not is_as_long_as_said:
            raise MessageRefusal(304)
        return pdu

    def _pdu_of_text(self, call: Call, text: str) -> str:
        number = self._profile.decoded(call.text(0))
        if call.text(1) == str(INTERNATIONAL) and not number.startswith("+"):
            number = "+" + number
        try:
            pdus = submit_pdus(
                self._profile.decoded(text),
                destination=number,
                reference=0,
                wants_report=bool(self._first_octet & WANTS_REPORT),
                validity=timedelta(days=1),
            )
        except AddressInvalid:
            raise MessageRefusal(305) from None
        if len(pdus) > 1:
            raise MessageRefusal(305)
        return pdus[0].hex

    def _submit(self, pdu: str, *, command: str = "+CMGS") -> Pending:
        submit = decode_submit(pdu)
        if not isinstance(submit, Submit):
            raise MessageRefusal(304)
        if not submit.smsc and not self._smsc():
            raise MessageRefusal(330)
        fate = fate_of(submit.destination, self._faults)
        pending = Pending()
        self._under_way = pending
        radio_s = self._uplink.radio_s if fate.radio_s is None else fate.radio_s
        self._clock.later(radio_s, lambda: self._sent(submit, fate, pending, command))
        return pending

    def _sent(self, submit: Submit, fate: Fate, pending: Pending, command: str) -> None:
        if self._under_way is not pending:
            # Its power went while the part was on the air.
            return
        sim = self._slot.sim
        reference = sim.last_reference if fate.has_old_reference else sim.next_reference()
        if fate.is_taken:
            self._uplink.take(submit, reference=reference, fate=fate)
        if fate.is_reported_first:
            self._clock.later(REPORT_LEAD_S, lambda: self._end(fate, pending, command, reference))
        else:
            self._end(fate, pending, command, reference)

    def _end(self, fate: Fate, pending: Pending, command: str, reference: int) -> None:
        if self._under_way is not pending:
            return
        self._under_way = None
        match fate.ending:
            case Ending.REFERENCE:
                pending.complete([f"{command}: {reference}"])
            case Ending.BARE_OK:
                pending.complete()
            case Ending.ERROR:
                pending.refuse(MessageRefusal(fate.error))
            case Ending.HANG | Ending.REBOOT | Ending.VANISH:
                self._ended(fate)
                pending.forget()

    def _smsc(self) -> str:
        return "" if self._faults.active("no_smsc") else self._slot.sim.smsc

    def _parameters(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        if call.form is Form.READ:
            return [f"+CSMP: {self._first_octet},167,0,0"]
        self._first_octet = call.number(0, self._first_octet)
        return []

    def _service_centre(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        sim = self._slot.require_for_messages()
        if call.form is Form.READ:
            number = self._smsc()
            kind = INTERNATIONAL if number.startswith("+") else NATIONAL
            return [f'+CSCA: "{self._profile.encoded(number)}",{kind}']
        number = self._profile.decoded(call.text(0))
        if call.text(1) == str(INTERNATIONAL) and not number.startswith("+"):
            number = "+" + number
        sim.smsc = number
        if number:
            self._faults.clear("no_smsc")
        return []
