"""A message memory: numbered slots of a fixed count.

Knows PDUs only as text. Slots are given out lowest first, as modems do: an index is used again at once.
"""

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """State of a stored message; the values are those of PDU mode (3GPP TS 27.005, §3.1)."""

    UNREAD = 0
    READ = 1
    UNSENT = 2
    SENT = 3


TEXT_NAMES = {
    Status.UNREAD: "REC UNREAD",
    Status.READ: "REC READ",
    Status.UNSENT: "STO UNSENT",
    Status.SENT: "STO SENT",
}


@dataclass(slots=True)
class StoredMessage:
    """What is in a slot."""

    pdu: str
    """Upper-case hex with the prefix of the service centre."""
    status: Status


class Store:
    """One memory, such as the SIM's."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self.index_wanted: int | None = None
        """Which slot the next message gets, if it is free."""
        self._slots: dict[int, StoredMessage] = {}

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be put in."""
        return len(self._slots) >= self.capacity

    def put(self, message: StoredMessage) -> int | None:
        """Put a message into the lowest free slot; its index from 1, or None if there is no room."""
        wanted, self.index_wanted = self.index_wanted, None
        free = (index for index in range(1, self.capacity + 1) if index not in self._slots)
        index = wanted if wanted is not None and wanted not in self._slots else next(free, None)
        if index is not None:
            self._slots[index] = message
        return index

    def get(self, index: int) -> StoredMessage | None:
        """What is in a slot."""
        return self._slots.get(index)

    def has_slot(self, index: int) -> bool:
        """Whether there is such a slot, used or not."""
        return 1 <= index <= self.capacity

    def remove(self, index: int) -> None:
        """Empty a slot."""
        self._slots.pop(index, None)

    @property
    def indexes(self) -> list[int]:
        """Of every used slot, in their order."""
        return sorted(self._slots)

    def used(self) -> list[tuple[int, StoredMessage]]:
        """Index and message of every used slot, in their order."""
        return sorted(self._slots.items())
