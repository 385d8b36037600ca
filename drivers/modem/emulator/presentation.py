"""How messages are shown at the port: in PDU mode as they are, in text mode taken apart.

Source: 3GPP TS 27.005, 3.3 and 3.4 (text mode), 4.1 to 4.3 (PDU mode), 3.1 (the parameters).
"""

from datetime import UTC, datetime

from drivers.modem.codec import Deliver, Encoding, StatusReport, Submit, decode_incoming, decode_submit
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.storage import TEXT_NAMES, Status, StoredMessage

INTERNATIONAL, NATIONAL, ALPHANUMERIC = 145, 129, 208


def tpdu_octets(pdu: str) -> int:
    """Length of a PDU in hex without the address of the service centre."""
    return len(pdu) // 2 - int(pdu[:2], 16) - 1


class Presentation:
    """Shows messages under +CMGF, +CSDH and +CSCS as they are set."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @property
    def is_text(self) -> bool:
        """Whether +CMGF is 1."""
        return self._profile["+CMGF"] == 1

    def message(self, pdu: str) -> str:
        """+CMT and the line after it."""
        if not self.is_text:
            return f"+CMT: ,{_length(pdu)}\r\n{pdu}"
        head, data = self._parts(pdu)
        return f"+CMT: {head}\r\n{data}"

    def report(self, pdu: str) -> str:
        """+CDS, in PDU mode with the line after it."""
        if not self.is_text:
            return f"+CDS: {_length(pdu)}\r\n{pdu}"
        head, _ = self._parts(pdu)
        return f"+CDS: {head}"

    def stored(self, message: StoredMessage, *, index: int | None, status: Status) -> list[str]:
        """The lines of +CMGL, or of +CMGR if there is no index."""
        begin = "+CMGR: " if index is None else f"+CMGL: {index},"
        if not self.is_text:
            return [f"{begin}{status:d},,{_length(message.pdu)}", message.pdu]
        head, data = self._parts(message.pdu)
        lines = [f'{begin}"{TEXT_NAMES[status]}",{head}']
        return lines if data is None else [*lines, data]

    def _parts(self, pdu: str) -> tuple[str, str | None]:
        """What text mode says of a message after its status, and the line below."""
        incoming = decode_incoming(pdu)
        if isinstance(incoming, StatusReport):
            number, kind = self._address(incoming.recipient)
            times = f'"{_time(incoming.sent_at)}","{_time(incoming.done_at)}"'
            return f"6,{incoming.message_reference},{number},{kind},{times},{incoming.status}", None
        if isinstance(incoming, Deliver):
            number, kind = self._address(incoming.originator)
            more = f",{kind},4,0,0,,{NATIONAL},{len(incoming.text)}" if self._profile["+CSDH"] else ""
            return f'{number},,"{_time(incoming.sent_at)}"{more}', self._data(incoming)
        outgoing = decode_submit(pdu)
        if isinstance(outgoing, Submit):
            number, kind = self._address(outgoing.destination)
            more = f",{kind},17,0,0,167,,{NATIONAL},{len(outgoing.text)}" if self._profile["+CSDH"] else ""
            return f"{number},{more}", self._data(outgoing)
        return '"",,""', pdu

    def _address(self, number: str) -> tuple[str, int]:
        other = NATIONAL if number.isdigit() else ALPHANUMERIC
        return f'"{self._profile.encoded(number)}"', INTERNATIONAL if number.startswith("+") else other

    def _data(self, message: Deliver | Submit) -> str:
        if message.encoding is Encoding.GSM7:
            return self._profile.encoded(message.text)
        return message.user_data.hex().upper()


def _length(pdu: str) -> int:
    try:
        return max(0, tpdu_octets(pdu))
    except ValueError:
        return len(pdu) // 2


def _time(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).strftime("%y/%m/%d,%H:%M:%S+00")
