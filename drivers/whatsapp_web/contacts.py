"""Who has written to the account, and may therefore be written to.

Owns the list, which is in the journal's store. Knows nothing of messages.
"""

from collections.abc import Iterable

from drivers.runtime import Context
from drivers.runtime.context import Changes

CONTACTS_MAX = 50_000
"""Beyond it, whoever was heard of first is forgotten."""


class Contacts:
    """People by all that they are known by: E.164, `<digits>@lid`."""

    def __init__(self, context: Context, account: str) -> None:
        self._store = context.store
        self._place = f"whatsapp-web/{account}/contact/"
        self._known: dict[str, int] = {}
        """When they were first heard of, in nanoseconds since 1970, and in that order."""

    async def load(self) -> None:
        """Take up what earlier processes knew."""
        stored = await self._store.read(self._place)
        for key in sorted(stored, key=lambda key: int(stored[key])):
            self._known[key.removeprefix(self._place)] = int(stored[key])

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def first_name(self, names: Iterable[str]) -> str:
        """By which of his names somebody was first known; nothing if he is not. It stays when he gets another."""
        known = [(self._known[name], name) for name in names if name in self._known]
        return min(known, default=(0, ""))[1]

    def heard(self, names: Iterable[str], *, time_ns: int) -> Changes:
        """Somebody wrote: what to write of it, together with his message. Nothing if he is known."""
        changes: dict[str, bytes | None] = {}
        # Strictly after whoever was heard of before, also where the clock was set back.
        time_ns = max(time_ns, 1 + next(reversed(self._known.values()), 0))
        for name in sorted(names):
            if name not in self._known:
                self._known[name] = time_ns
                changes[self._place + name] = str(time_ns).encode()
        while len(self._known) > CONTACTS_MAX:
            first = next(iter(self._known))
            del self._known[first]
            changes[self._place + first] = None
        return changes
