"""A modem's port as a pseudo terminal: a device file that any program for serial ports can open.

Owns the pair of terminals and the link to it, which keeps its name over every loss of the port. What is said while
nobody has the port open is lost, as with a USB modem.
"""

import asyncio
import contextlib
import errno
import os
import select
import termios
import tty
from collections.abc import Callable
from pathlib import Path

READ_BYTES = 4096
UNWRITTEN_BYTES_MAX = 256 * 1024
"""What waits for a program that has the port open and does not read; more is lost."""


class PtyEnd:
    """One port. It is there from `open` to `close`, however often."""

    def __init__(self, link: Path, *, received: Callable[[bytes], None]) -> None:
        """`link` is the path under which it is found; `received` gets what programs write to it."""
        self._first_link = link
        self._moves = 1
        self._received = received
        self._master = -1
        self._slave_name = ""
        self._events: select.epoll | None = None
        self._unwritten = bytearray()
        self._is_attached = False
        self.link = link

    @property
    def is_open(self) -> bool:
        """Whether the port is there."""
        return self._events is not None

    def open(self) -> None:
        """The port appears. Call it in the event loop."""
        self._master, slave = os.openpty()
        self._slave_name = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        # Edge-triggered: a terminal that nobody has open would otherwise wake the loop without end.
        self._events = select.epoll()
        self._events.register(
            self._master, select.EPOLLIN | select.EPOLLOUT | select.EPOLLHUP | select.EPOLLET
        )
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._happened)
        _point(self.link, self._slave_name)

    def close(self) -> None:
        """The port disappears: whoever has it open notices, and its link is gone."""
        if self._events is None:
            return
        asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._events.close()
        self._events = None
        with contextlib.suppress(OSError):
            if os.readlink(self.link) == self._slave_name:
                self.link.unlink()
        os.close(self._master)
        self._unwritten.clear()
        self._is_attached = False

    def move(self) -> None:
        """The port will come back under another name: the first one with .2, .3 and so on."""
        self._moves += 1
        self.link = self._first_link.with_name(f"{self._first_link.name}.{self._moves}")

    def send(self, data: bytes) -> None:
        """The modem says this to whoever has the port open."""
        if self._events is None or not self._has_reader():
            return
        self._unwritten += data[: UNWRITTEN_BYTES_MAX - len(self._unwritten)]
        self._write()

    def _has_reader(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        is_hung_up = any(event & select.POLLHUP for _, event in poll.poll(0))
        self._is_attached = self._is_attached or not is_hung_up
        return not is_hung_up

    def _write(self) -> None:
        while self._unwritten:
            try:
                del self._unwritten[: os.write(self._master, self._unwritten)]
            except BlockingIOError:
                return
            except OSError:
                self._unwritten.clear()

    def _happened(self) -> None:
        """Something was written to the port, or it has room, or it was opened or closed."""
        if self._events is not None:
            self._events.poll(0)
            self._write()
        while self.is_open:
            try:
                data = os.read(self._master, READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EIO:
                    self._detached()
                return
            self._is_attached = True
            self._received(data)

    def _detached(self) -> None:
        """Whoever had it open has closed it: the next one does not get what this one left unread."""
        self._unwritten.clear()
        if not self._is_attached:
            return
        self._is_attached = False
        with contextlib.suppress(OSError):
            slave = os.open(self._slave_name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            termios.tcflush(slave, termios.TCIFLUSH)
            os.close(slave)


def _point(link: Path, target: str) -> None:
    """Make the link, in place of an old one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(link)
