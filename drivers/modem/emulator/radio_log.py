"""The radio log: one JSON line for each part that the emulated network took, before the modem says that it was sent.

It holds numbers and texts, so only its owner may read it. Nothing of the product reads it; it only grows.
"""

from drivers.fake_kit.line_log import LineLog
from drivers.modem.emulator.network import TakenPart


class RadioLog(LineLog):
    """Appends to a file."""

    def __call__(self, part: TakenPart, whole_text: str | None) -> None:
        """Write one part; with the text of the message if this part made it whole."""
        fields: dict[str, object] = {
            "time": part.time.timestamp(),
            "from": part.sender,
            "to": part.destination,
            "reference": part.reference,
            "report": part.wants_report,
        }
        if part.concatenation is not None:
            fields["concatenation"] = {
                "reference": part.concatenation.reference,
                "total": part.concatenation.total,
                "number": part.concatenation.number,
            }
        if whole_text is not None:
            fields["text"] = whole_text
        self.write(fields)
