"""A file of JSON lines that only grows. What is in it may be numbers and texts, so only its owner may read it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path


class LineLog:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, fields: Mapping[str, object]) -> None:
        """Append one line, and return once the file has it."""
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Give the file free."""
        os.close(self._file)
