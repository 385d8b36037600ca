"""What the driver says to an emulated modem: everything that it hands over, and a knife for the right moment.

Owns the record of PDUs. It sits between the ports of the emulator and the modem, so it sees what really arrived.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.modem.codec import Submit, decode_submit
from drivers.modem.emulator import Emulator

PAYLOAD = re.compile(rb"([0-9A-F]+)\x1a")
TAIL_BYTES = 1024
"""Longer than any PDU: a search begins this far back."""

Cut = Callable[[bytes], bytes]
"""Is given what the driver wrote and says what of it arrives."""


@dataclass(slots=True, frozen=True)
class Payload:
    """A PDU with the Ctrl-Z that sends it."""

    submit: Submit

    @property
    def part(self) -> tuple[str, int]:
        """Which part of which message it is, if every message has another destination."""
        concatenation = self.submit.concatenation
        return self.submit.destination, 1 if concatenation is None else concatenation.number


@dataclass(slots=True)
class Wire:
    """The wire to one emulated modem."""

    emulator: Emulator
    payloads: list[Payload] = field(default_factory=list[Payload])
    """Every PDU that was handed over, in order; what became of it is the network's and the faults' business."""
    cut: Cut | None = None
    """Looks at everything before the modem does."""
    heard: bytearray = field(default_factory=bytearray)
    """Everything that arrived."""
    _seen: int = 0

    def tap(self) -> None:
        """Sit down at the wire; before a port is opened."""
        modem = self.emulator.modem
        hear = modem.hear

        def overhear(data: bytes) -> None:
            if self.cut is not None:
                data = self.cut(data)
            self._record(data)
            hear(data)

        modem.hear = overhear

    def at_submit(self, action: Callable[[], object]) -> None:
        """Do this as soon as AT+CMGS comes the next time, before the modem hears it."""

        def cut(data: bytes) -> bytes:
            if b"AT+CMGS=" in data:
                self.cut = None
                action()
            return data

        self.cut = cut

    def count(self, words: bytes) -> int:
        """How often the driver said this."""
        return self.heard.count(words)

    def _record(self, data: bytes) -> None:
        self.heard += data
        for match in PAYLOAD.finditer(self.heard, self._seen):
            submit = decode_submit(match.group(1).decode())
            assert isinstance(submit, Submit), submit
            self.payloads.append(Payload(submit))
            self._seen = match.end()
