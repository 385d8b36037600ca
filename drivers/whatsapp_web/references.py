"""Which command is behind which of WhatsApp's message ids, for receipts and answers.

Owns the list, which is in the journal's store.
"""

from drivers.runtime import Context
from drivers.runtime.context import Changes

REFERENCES_MAX = 20_000
"""Beyond it the oldest is forgotten; at the usual limit of a day that is more than three months."""
AGE_MAX_S = 30 * 86400.0
"""WhatsApp keeps what it cannot deliver for 30 days; nothing is heard of it after that."""


class References:
    """Commands by message id."""

    def __init__(self, context: Context, account: str) -> None:
        self._store = context.store
        self._clock = context.clock
        self._place = f"whatsapp-web/{account}/message/"
        self._commands: dict[str, tuple[float, str]] = {}
        """Time of sending in seconds since 1970, and command id, oldest first."""
        self._unwritten: set[str] = set()
        """Message ids that are on their way to the journal: their commands have no outcome yet."""

    async def load(self) -> None:
        """Take up what earlier processes sent."""
        found: list[tuple[float, str, str]] = []
        for key, value in (await self._store.read(self._place)).items():
            time_s, _, command_id = value.decode().partition(" ")
            found.append((float(time_s), key.removeprefix(self._place), command_id))
        for time_s, message_id, command_id in sorted(found):
            self._commands[message_id] = (time_s, command_id)

    def command_of(self, message_id: str) -> str:
        """The command; nothing if there is none, or if it has no outcome yet."""
        if message_id in self._unwritten:
            return ""
        return self._commands.get(message_id, (0.0, ""))[1]

    def add(self, message_id: str, command_id: str) -> Changes:
        """WhatsApp took a message: what to write of it, together with its mark. Say `written` afterwards."""
        self._unwritten.add(message_id)
        now_s = self._clock.wall_ns() / 1e9
        self._commands[message_id] = (now_s, command_id)
        changes: dict[str, bytes | None] = {self._place + message_id: f"{now_s:.3f} {command_id}".encode()}
        while self._commands:
            oldest, (time_s, _) = next(iter(self._commands.items()))
            if len(self._commands) <= REFERENCES_MAX and now_s - time_s <= AGE_MAX_S:
                break
            del self._commands[oldest]
            changes[self._place + oldest] = None
        return changes

    def written(self, message_id: str) -> None:
        """What is known of the message is in the journal."""
        self._unwritten.discard(message_id)
