"""The radio log: one JSON line for each part that the fake phone's network took, before the app knows of it.

It holds numbers and texts, so only its owner may read it. Nothing of the product reads it; it only grows.
"""

from drivers.android.fake_smsgate.values import SentPart
from drivers.fake_kit.line_log import LineLog


class RadioLog(LineLog):
    """Appends to a file."""

    def __call__(self, part: SentPart) -> None:
        """Write one part."""
        self.write(shown(part))


def shown(part: SentPart) -> dict[str, object]:
    """A part as JSON."""
    return {
        "time": part.at.timestamp(),
        "message_id": part.message_id,
        "to": part.to,
        "sim": part.sim,
        "part": part.part,
        "parts": part.parts,
        "text": part.text,
    }
