"""Which command became which message of WhatsApp's, so that an answer of a user names the message that it answers.

Owns its keys in the driver's store and their copy in memory; both hold REPLIES_MAX at most, for REPLIES_DAYS.
"""

from collections import OrderedDict

from drivers.runtime import Context
from drivers.runtime.context import Changes

REPLIES_MAX = 100_000
"""One more, and the oldest is forgotten."""
REPLIES_DAYS = 30
PRUNED_AT_ONCE = 100
"""Most that one change forgets, so that none takes long."""
PREFIX = "reply/"
"""Before the phone number id and WhatsApp's id of the message."""


class Replies:
    """Commands by the number that sent them and WhatsApp's id of the message."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """Oldest first: when it was noted, in seconds since 1970, and the command."""

    async def load(self) -> None:
        """Take what the store has."""
        stored = await self._context.store.read(PREFIX)
        entries: list[tuple[int, str, str]] = []
        for key, value in stored.items():
            noted_at, _, command_id = value.decode().partition(" ")
            entries.append((int(noted_at), key.removeprefix(PREFIX), command_id))
        self._known = OrderedDict(
            (name, (noted_at, command_id)) for noted_at, name, command_id in sorted(entries)
        )

    def command(self, phone_number_id: str, message_id: str) -> str:
        """The command that became this message of this number; empty if none is known."""
        return self._known.get(f"{phone_number_id}/{message_id}", (0, ""))[1]

    def note(self, phone_number_id: str, message_id: str, command_id: str) -> Changes:
        """Remember it; what has to be written to the store. Nothing if it is known."""
        name = f"{phone_number_id}/{message_id}"
        if name in self._known:
            return {}
        now_s = self._context.clock.wall_ns() // 1_000_000_000
        self._known[name] = (now_s, command_id)
        changes: dict[str, bytes | None] = {PREFIX + name: f"{now_s} {command_id}".encode()}
        for _ in range(PRUNED_AT_ONCE):
            oldest, (noted_at, _) = next(iter(self._known.items()))
            if len(self._known) <= REPLIES_MAX and noted_at > now_s - REPLIES_DAYS * 86400:
                break
            del self._known[oldest]
            changes[PREFIX + oldest] = None
        return changes

    def take_back(self, changes: Changes) -> None:
        """The changes are not written: what they would note is to be noted again."""
        for key, value in changes.items():
            if value is not None:
                self._known.pop(key.removeprefix(PREFIX), None)
