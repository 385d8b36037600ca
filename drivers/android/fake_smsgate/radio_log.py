"""The radio log: one JSON line for each part that the fake phone's network took, before the app knows of it.

It holds numbers and texts, so only its owner may read it. Nothing of the product reads it; it only grows.
"""

import json
import os
from pathlib import Path

from drivers.android.fake_smsgate.values import SentPart


class RadioLog:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __call__(self, part: SentPart) -> None:
        """Write one part."""
        line = json.dumps(shown(part), separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Give the file free."""
        os.close(self._file)


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
