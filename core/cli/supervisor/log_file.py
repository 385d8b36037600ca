"""The log file of a child: it writes there itself, so that nothing it says can hold it up.

Owns the bound on the file's size: past it the content moves to `<name>.1` and the file starts anew. The child keeps
its descriptor, which appends, so it goes on at the new beginning. Knows no format.
"""

import os
import shutil
from pathlib import Path

LOG_BYTES_MAX = 10 * 1024 * 1024
TAIL_LINES = 15
_TAIL_BYTES_MAX = 64 * 1024


class LogFile:
    """One file and its predecessor; at most `bytes_max` each, and what comes between two calls of `bound`."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self.path = path
        self._bytes_max = bytes_max
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._start = path.stat().st_size if path.exists() else 0

    def open(self) -> int:
        """A descriptor that appends; close it once the child has it."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._start = os.fstat(descriptor).st_size
        return descriptor

    def bound(self) -> None:
        """Start anew if the file has outgrown its bound; also where there is no room to keep the predecessor."""
        if self.path.exists() and self.path.stat().st_size > self._bytes_max:
            try:
                shutil.copy(self.path, self.path.with_name(f"{self.path.name}.1"))
            finally:
                os.truncate(self.path, 0)
                self._start = 0

    def tail(self) -> str:
        """The last lines since `open`."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._start, end - _TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-TAIL_LINES:])
