"""The file with the session: a credential that only its owner may read and only one process may open.

Owns its place, its rights and its lock. Knows nothing of what is in it.
"""

import fcntl
import os
import stat
from pathlib import Path

UNUSABLE_CHARACTERS = frozenset("?#%\0")
"""The library puts the path into a URL as it is."""
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class SessionUnusable(Exception):
    """The session's file cannot be used; the text says why."""


class SessionFile:
    """The session's file, locked for as long as this object is open."""

    def __init__(self, path: Path) -> None:
        """Make what is missing and take the lock; the kernel gives it free when the process ends.

        Raises SessionUnusable.
        """
        self.path = Path(os.path.abspath(path))
        if UNUSABLE_CHARACTERS & set(str(self.path)):
            raise SessionUnusable(f"the path of the session {self.path} must not contain ?, # or %")
        try:
            _make_private(self.path.parent)
            self._lock = _take_lock(self.path)
        except BlockingIOError:
            raise SessionUnusable(f"the session {self.path} is in use by another process") from None
        except OSError as error:
            raise SessionUnusable(f"the session {self.path} cannot be opened: {error.strerror}") from None

    def close(self) -> None:
        """Give the lock free."""
        os.close(self._lock)


def _make_private(folder: Path) -> None:
    """The folder that holds the session; one that was there before is not changed, as others may need it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            raise SessionUnusable(f"the folder {folder} is open to others: chmod 700 {folder}") from None


def _take_lock(path: Path) -> int:
    """Own the session. SQLite gives the files beside a database the rights that the database has."""
    lock = os.open(path.with_name(path.name + ".lock"), _FLAGS, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file = os.open(path, _FLAGS, 0o600)
        os.fchmod(file, 0o600)
        os.close(file)
    except BaseException:
        os.close(lock)
        raise
    return lock
