"""The radio log: one JSON line for each part that the emulated network took, before the modem says that it was sent.

It holds numbers and texts, so only its owner may read it. Nothing of the product reads it; it only grows.
"""

import json
import os
from pathlib import Path

from drivers.modem.emulator.network import TakenPart


class RadioLog:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

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
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Give the file free."""
        os.close(self._file)
