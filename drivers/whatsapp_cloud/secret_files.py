"""A secret that is written in the configuration or lies in a file of its own, which is read anew when it changes."""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from drivers.runtime.secret_files import SECRET_BYTES_MAX, read_secret


@dataclass(slots=True)
class Secret:
    """One secret. Its words are in no representation of it."""

    _text: str = field(repr=False)
    file: Path | None = None
    _stamp: tuple[int, int, int] | None = None
    _version: int = 0

    @classmethod
    def from_file(cls, path: Path) -> "Secret":
        """Read it now. Raises OSError, or ValueError with a sentence that begins "must"."""
        stamp = _stamp_of(path)
        return cls(_words_of(path), path, stamp)

    @property
    def text(self) -> str:
        """The secret as it is now: once a file is replaced, what the new one holds."""
        self.renew()
        return self._text

    def renew(self) -> bool:
        """Look whether its file has changed, and whether it holds another secret now.

        A file that is gone, empty or half written changes nothing; the next look is at what has become of it.
        """
        if self.file is None:
            return False
        try:
            stamp = _stamp_of(self.file)
            if stamp == self._stamp:
                return False
            text = _words_of(self.file)
        except (OSError, ValueError):
            return False
        is_another = text != self._text
        self._text, self._stamp = text, stamp
        self._version += is_another
        return is_another

    @property
    def version(self) -> int:
        """Counts how often it has become another: tells what a request used from what came later."""
        self.renew()
        return self._version


def _stamp_of(path: Path) -> tuple[int, int, int]:
    """Differs whenever the file does. Raises OSError; reading what is no regular file may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("must be a regular file")
    return status.st_mtime_ns, status.st_ino, status.st_size


def _words_of(path: Path) -> str:
    return check_secret(read_secret(path))


def check_secret(text: str) -> str:
    """The text, if it can be a header's value and a key. Raises ValueError."""
    if not 1 <= len(text) <= SECRET_BYTES_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must hold 1 to {SECRET_BYTES_MAX} printable ASCII characters without spaces")
    return text
