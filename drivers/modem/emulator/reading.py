"""The commands that list, read and delete stored messages (3GPP TS 27.005, 3.4.2, 3.4.3, 3.5.4, 4.1, 4.2)."""

from collections.abc import Sequence

from drivers.fake_kit.faults import Faults
from drivers.modem.emulator.command_line import Call, Form
from drivers.modem.emulator.errors import MessageRefusal, Refusal
from drivers.modem.emulator.interpreter import Handler
from drivers.modem.emulator.memories import READING, Memories
from drivers.modem.emulator.presentation import Presentation
from drivers.modem.emulator.profile import Profile
from drivers.modem.emulator.storage import TEXT_NAMES, Status, Store, StoredMessage

ALL = 4
REMOVED_BY_FLAG = {
    1: {Status.READ},
    2: {Status.READ, Status.SENT},
    3: {Status.READ, Status.SENT, Status.UNSENT},
    4: set(Status),
}
"""Second parameter of +CMGD (TS 27.005, 3.5.4)."""


class Reader:
    """Shows what is in the memories, and empties them."""

    def __init__(self, profile: Profile, faults: Faults, memories: Memories) -> None:
        self._faults = faults
        self._memories = memories
        self._shown = Presentation(profile)

    def handlers(self) -> dict[str, Handler]:
        """The commands that are answered here."""
        return {"+CMGL": self._list, "+CMGR": self._read, "+CMGD": self._delete}

    def _list(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            if self._shown.is_text:
                return ["+CMGL: (" + ",".join(f'"{name}"' for name in (*TEXT_NAMES.values(), "ALL")) + ")"]
            return ["+CMGL: (0-4)"]
        wanted = self._wanted(call)
        store = self._memories.chosen(READING)
        lines: list[str] = []
        for index, message in store.used():
            if message.status in wanted:
                lines += self._shown.stored(message, index=index, status=message.status)
                _mark_read(message)
        return lines

    def _wanted(self, call: Call) -> set[Status]:
        if self._shown.is_text:
            name = call.text(0, TEXT_NAMES[Status.UNREAD]).upper()
            if name == "ALL":
                return set(Status)
            wanted = {status for status, text in TEXT_NAMES.items() if text == name}
            if not wanted:
                raise MessageRefusal(305)
            return wanted
        try:
            number = call.number(0, 0)
            return set(Status) if number == ALL else {Status(number)}
        except ValueError:
            raise MessageRefusal(304) from None

    def _read(self, call: Call) -> Sequence[str]:
        if call.form is Form.TEST:
            return []
        store, index = self._slot(call)
        message = store.get(index)
        if message is None:
            raise MessageRefusal(321)
        lines = self._shown.stored(message, index=None, status=message.status)
        _mark_read(message)
        if self._faults.take("index_reuse"):
            store.remove(index)
            store.index_wanted = index
        return lines

    def _delete(self, call: Call) -> Sequence[str]:
        store = self._memories.chosen(READING)
        if call.form is Form.TEST:
            used = ",".join(map(str, store.indexes))
            return [f"+CMGD: ({used}),(0-4)"]
        flag = call.number(1, 0)
        if flag == 0:
            store, index = self._slot(call)
            self._memories.remove(store, index)
            return []
        if flag not in REMOVED_BY_FLAG:
            raise MessageRefusal(304)
        for index, message in store.used():
            if message.status in REMOVED_BY_FLAG[flag]:
                self._memories.remove(store, index)
        return []

    def _slot(self, call: Call) -> tuple[Store, int]:
        store = self._memories.chosen(READING)
        try:
            index = call.number(0)
        except Refusal:
            raise MessageRefusal(321) from None
        if not store.has_slot(index):
            raise MessageRefusal(321)
        return store, index


def _mark_read(message: StoredMessage) -> None:
    if message.status is Status.UNREAD:
        message.status = Status.READ
