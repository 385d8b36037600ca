"""The port of a modem: bytes to and from a device, a terminal or a socket, without ever blocking the event loop.

Owns the pyserial port, its reader thread and its writer thread. Knows nothing of AT commands.
"""

import asyncio
import contextlib
import os
import stat
import threading
from collections import deque
from typing import Any
from urllib.parse import parse_qs, urlsplit

import serial
from serial.urlhandler import protocol_socket

from drivers.modem.link.device_thread import DeviceThread
from drivers.modem.link.port_errors import (
    MODEM_MANAGER,
    PortBusy,
    PortError,
    PortFailed,
    PortLost,
    PortMissing,
    PortStalled,
    busy,
    is_held_by_modem_manager,
    opening_failed,
)

__all__ = [
    "Port",
    "PortBusy",
    "PortError",
    "PortFailed",
    "PortLost",
    "PortMissing",
    "PortStalled",
    "open_port",
]

Device = Any
"""A port of pyserial. What its kinds have in common beyond SerialBase is declared nowhere."""

BAUD_RATE = 115_200
OPEN_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
READ_OCTETS_MAX = 4096
AT_ONCE_OCTETS_MAX = 1024
"""More than a command or a PDU has, and less than a terminal's buffer: what is longer the thread waits for."""
CHUNKS_WAITING_MAX = 64
"""Read and not yet fetched by the event loop; beyond it the reader waits, and then the device's own buffer fills."""
WAKE_INTERVAL_S = 1.0
"""How often the reader of a port wakes that can only be woken by closing it (sockets)."""


class Port:
    """An open port. Made by `open_port`."""

    def __init__(self, url: str, device: Device, thread: DeviceThread) -> None:
        self.url = url
        self._device = device
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._has_news = asyncio.Event()
        self._lost: PortLost | None = None
        self._is_closing = False
        self._closing: asyncio.Task[None] | None = None
        self._room = threading.Semaphore(CHUNKS_WAITING_MAX)
        self._device_lock = threading.Lock()
        """Held while writing and while closing: no write meets a descriptor that is another port's by now."""
        self._thread_writes_begun = 0
        """Counted by the event loop; `_thread_writes_ended` by the thread."""
        self._thread_writes_ended = 0
        self._reader_ended = threading.Event()
        threading.Thread(target=self._read_device, name=f"modem port reader {url}", daemon=True).start()

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises PortLost once all were fetched that came before the loss.

        For one reader at a time.
        """
        while not self._chunks:
            if self._lost is not None:
                raise PortLost(self._lost.sentence)
            self._has_news.clear()
            await self._has_news.wait()
        self._room.release()
        return self._chunks.popleft()

    async def write(self, data: bytes) -> None:
        """Hand all bytes to the device. Raises PortLost or PortStalled; how much of it was written is unknown then.

        Cancelling the caller does not undo the write.
        """
        if self._lost is not None:
            raise PortLost(self._lost.sentence)
        try:
            rest = data[self._write_at_once(data) :]
            if rest:
                self._thread_writes_begun += 1
                await self._thread.run(self._write_device, rest)
        except serial.SerialTimeoutException as error:
            raise PortStalled(f"The modem at {self.url} did not take a command in time.") from error
        except (OSError, TypeError, AttributeError) as error:  # the last two: pyserial, closed meanwhile
            lost = PortLost(f"The port {self.url} was lost while writing.")
            self._lose(lost)
            self._is_closing = True
            self._thread.post(self._stop_reader)
            raise lost from error

    def _write_at_once(self, data: bytes) -> int:
        """Hand over what a terminal takes without waiting, which is nearly always all; how many octets.

        Two changes of thread less for each command, a fifth of all that a message costs. Other kinds of ports are
        pyserial's own business, and so is what follows on something that the thread still writes.
        """
        is_terminal = type(self._device) is serial.Serial and os.name == "posix"
        is_short = len(data) <= AT_ONCE_OCTETS_MAX
        if not (is_terminal and is_short) or self._thread_writes_begun != self._thread_writes_ended:
            return 0
        if not self._device_lock.acquire(blocking=False):
            return 0
        try:
            return os.write(self._device.fileno(), data)  # opened O_NONBLOCK
        except BlockingIOError:
            return 0
        finally:
            self._device_lock.release()

    async def close(self) -> None:
        """Close it. Returns within CLOSE_TIMEOUT_S, even if the device does not let go; may be called again."""
        if self._closing is None:
            self._lose(PortLost(f"The port {self.url} was closed."))
            self._closing = asyncio.create_task(self._close(), name=f"modem port close {self.url}")
        await asyncio.wait([self._closing], timeout=CLOSE_TIMEOUT_S)

    async def _close(self) -> None:
        self._is_closing = True
        self._room.release()
        with contextlib.suppress(OSError, TypeError, AttributeError):
            self._device.cancel_write()
        await self._thread.run(self._stop_reader)
        self._thread.end()

    def _lose(self, lost: PortLost) -> None:
        """In the event loop: nothing comes any more."""
        self._lost = self._lost or lost
        self._has_news.set()

    def _take(self, chunk: bytes) -> None:
        """In the event loop: bytes of the reader."""
        if self._lost is None:
            self._chunks.append(chunk)
            self._has_news.set()

    # The rest runs in threads.

    def _write_device(self, data: bytes) -> None:
        with self._device_lock:
            try:
                self._device.write(data)
            except serial.SerialTimeoutException:
                # What the device has not taken must not reach it later, in front of another command.
                self._forget_unsent()
                raise

    def _read_device(self) -> None:
        """The reader thread: ends when the port does, and then closes the device at once.

        A device that is still open after it was unplugged comes back under another name.
        """
        problem = "it was closed"
        try:
            while not self._is_closing and (chunk := self._read_chunk()) is not None:
                if chunk:
                    self._room.acquire()
                    self._loop.call_soon_threadsafe(self._take, chunk)
        except Exception as error:  # noqa: BLE001 - pyserial's words for an unplugged device vary with the moment
            problem = type(error).__name__ if not isinstance(error, OSError) else str(error)
        self._close_device()
        self._reader_ended.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._lose, PortLost(f"The port {self.url} was lost: {problem}."))

    def _read_chunk(self) -> bytes | None:
        """What has come, at least one octet, waiting for it; empty: look again; None: the port has ended."""
        first = self._device.read(1)
        if not first:
            return b"" if self._device.timeout is not None else None
        if isinstance(self._device, protocol_socket.Serial):
            # It says only whether anything waits, not how much; and its time-out may be changed as it goes.
            self._device.timeout = 0
            rest = self._device.read(READ_OCTETS_MAX - 1)
            self._device.timeout = WAKE_INTERVAL_S
        else:
            rest = self._device.read(min(self._device.in_waiting, READ_OCTETS_MAX - 1))
        return first + rest

    def _stop_reader(self) -> None:
        if hasattr(self._device, "cancel_read"):
            with contextlib.suppress(OSError, TypeError, AttributeError):
                self._device.cancel_read()
        else:
            self._close_device()
        self._reader_ended.wait(CLOSE_TIMEOUT_S)

    def _close_device(self) -> None:
        with self._device_lock, contextlib.suppress(Exception):
            self._forget_unsent()  # else the kernel waits up to 30 s for a device that takes nothing
            self._device.close()

    def _forget_unsent(self) -> None:
        if isinstance(self._device, serial.Serial):
            with contextlib.suppress(Exception):  # termios.error is no OSError
                self._device.reset_output_buffer()


async def open_port(
    url: str,
    *,
    baud_rate: int = BAUD_RATE,
    has_flow_control: bool = False,
    open_timeout_s: float = OPEN_TIMEOUT_S,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> Port:
    """Open a port for this process alone, with DTR and RTS raised.

    `url` is a device such as `/dev/serial/by-id/…-if02`, or any URL of pyserial: `socket://`, `rfc2217://`, `loop://`,
    `spy:///dev/…?file=…`. Raises PortBusy, PortMissing or PortFailed.
    """
    thread = DeviceThread(f"modem port {url}")
    opening = asyncio.ensure_future(
        thread.run(_open_device, url, baud_rate, has_flow_control, write_timeout_s)
    )
    try:
        async with asyncio.timeout(open_timeout_s):
            device = await asyncio.shield(opening)
    except BaseException as error:
        opening.add_done_callback(lambda done: _close_unwanted(done, thread))
        if isinstance(error, TimeoutError) and not opening.done():
            raise PortFailed(f"The port {url} did not open within {open_timeout_s:g} s.") from error
        raise
    return Port(url, device, thread)


def _open_device(url: str, baud_rate: int, has_flow_control: bool, write_timeout_s: float) -> Device:
    _keep_trace_private(url)
    try:
        device = serial.serial_for_url(url, do_not_open=True)
        device.baudrate = baud_rate
        device.rtscts = has_flow_control
        device.exclusive = True
        device.timeout = None if hasattr(device, "cancel_read") else WAKE_INTERVAL_S
        if not url.lower().startswith("rfc2217:"):  # has none; its socket has one of 5 s
            device.write_timeout = write_timeout_s
        device.open()
    except Exception as error:
        raise opening_failed(url, error) from error
    # Its lock (TIOCEXCL) does not keep the superuser out, and two who read one port each get half of the answers.
    if is_held_by_modem_manager(url):
        device.close()
        raise busy(url, MODEM_MANAGER)
    return device


def _keep_trace_private(url: str) -> None:
    """Make the file of a `spy://` port one for its owner alone: the SIM's PIN goes over the wire, and so do texts.

    Raises PortFailed if there can be no such file. Without one the trace would go into the log.
    """
    parts = urlsplit(url)
    if parts.scheme != "spy":
        return
    file = parse_qs(parts.query).get("file", [""])[0]
    remedy = "Name a file for its trace: spy:///dev/ttyUSB2?file=trace.txt"
    if not file:
        raise PortFailed(f"The port {url} has no file for its trace.", remedy)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PortFailed(f"The trace cannot be written to {file}: {error.strerror}.", remedy) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PortFailed(f"The trace cannot be written to {file}: it is not a plain file.", remedy)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise PortFailed(f"Others can read the trace {file}: {error.strerror}.", remedy) from None
    finally:
        os.close(descriptor)


def _close_unwanted(opening: "asyncio.Future[Device]", thread: DeviceThread) -> None:
    """Nobody waits for the opened device any more, or it did not open."""
    if not opening.cancelled() and opening.exception() is None:
        threading.Thread(target=opening.result().close, name="modem port closer", daemon=True).start()
    thread.end()
