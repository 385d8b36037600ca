"""The line between a modem and whoever is at its port: whole, or with the faults that lines have."""

from collections.abc import Callable

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.clock import Clock

GARBAGE = b"\x00\xff\xfe~\x80\x81 \xc3\x28"
WAITING_BYTES_MAX = 1024 * 1024


class Wire:
    """Passes on what the modem says, in pieces and times of its own."""

    def __init__(self, faults: Faults, clock: Clock, *, deliver: Callable[[bytes], None]) -> None:
        self._faults = faults
        self._clock = clock
        self._deliver = deliver
        self._waiting = bytearray()
        self._is_scheduled = False

    def reset(self) -> None:
        """Forget what is on its way."""
        self._waiting.clear()

    def send(self, data: bytes) -> None:
        """The modem says this."""
        if self._faults.take("garbage"):
            data = GARBAGE + data
        if not self._waiting and self._pause() is None:
            self._deliver(data)
            return
        self._waiting += data[: WAITING_BYTES_MAX - len(self._waiting)]
        self._schedule()

    def _pause(self) -> tuple[float, int] | None:
        """Seconds until the next piece and its size; None if nothing holds the line up."""
        if fault := self._faults.active("slow_reads"):
            return 1 / max(1.0, fault.number("bytes_per_s")), 1
        if self._faults.active("split_reads"):
            return 0.0, 1
        if fault := self._faults.active("merged_reads"):
            return fault.number("delay_s"), WAITING_BYTES_MAX
        return None

    def _schedule(self) -> None:
        if not self._is_scheduled and self._waiting:
            self._is_scheduled = True
            pause_s, _ = self._pause() or (0.0, 0)
            self._clock.later(pause_s, self._send_piece)

    def _send_piece(self) -> None:
        self._is_scheduled = False
        _, size = self._pause() or (0.0, WAITING_BYTES_MAX)
        piece = bytes(self._waiting[:size])
        del self._waiting[:size]
        if piece:
            self._deliver(piece)
        self._schedule()
