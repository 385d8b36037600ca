"""What came in to one phone: found, handed in once, and caught up after the phone, the app or the driver was away.

Owns what makes a message the same message, and how far back is looked. A message's time is its message centre's, so
one that was long under way comes with an old one: each sweep looks back days, and the journal knows what it has.
"""

import hashlib
import json
from collections import OrderedDict

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.android.config import PhoneConfig
from drivers.android.phone_api import PhoneApi, Received
from drivers.android.phone_time import PhoneTime
from drivers.runtime import Context
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import CHANNEL_SMS

PAGE = 200
PAGES_MAX = 50
"""Pages of one sweep; what is older than these is for nobody."""
NEWEST = 50
"""Messages that a quick look asks for."""
LOOK_BACK_S = 3 * 86400.0
"""How old a message that comes in may be."""
KNOWN_S = 6 * 86400.0
"""For which the journal surely knows what it has; it keeps identities for longer by default."""
FIRST_S = 120.0
"""What came in so shortly before the first start is handed in: the message centre's clock may be behind."""
NOTE_S = 3600.0
"""Between two notes of how far sweeps have come."""
SEEN_MAX = 20_000
AHEAD_S = 86400.0
"""How far the message centre's clock may be ahead."""
TEXT_CHARACTERS_MAX = 20_000
SOURCE_CHARACTERS_MAX = 140


class Inbox:
    """The messages that come in to one phone."""

    def __init__(self, context: Context, config: PhoneConfig, api: PhoneApi, time: PhoneTime) -> None:
        self._context = context
        self._config = config
        self._api = api
        self._time = time
        self._key = f"inbox/{config.name}"
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._is_begun = False
        self._first_s: float | None = None
        """From when on what comes in is ours; None: the phone was never asked."""
        self._floor_s = 0.0
        """What is older was handed in, or is too old to be known again."""
        self._noted_s = 0.0

    async def load(self) -> None:
        """Take up where an earlier process was."""
        noted = (await self._context.store.read(self._key)).get(self._key)
        if noted is not None:
            self._first_s, self._noted_s = json.loads(noted)
            self._time.note(self._noted_s)

    async def catch_up(self, *, has_webhook: bool, was_away: bool) -> bool:
        """Have the phone find what came in while its app was not running; False if nothing can come in at all.

        An app without a list calls the webhook for all of it, so it is asked to only after it was away.
        """
        await self._begin()
        since_s, until_s = self._period()
        if since_s >= until_s:
            return True
        if await self._api.refresh_inbox(since_s=since_s, until_s=until_s):
            return True
        if await self._api.inbox(since_s=since_s, until_s=until_s, limit=1, offset=0) is not None:
            return True
        if not has_webhook:
            return False
        return not was_away or await self._api.export_inbox(since_s=since_s, until_s=until_s)

    async def look(self) -> None:
        """Hand in what is new among the newest. Raises JournalUnwritable."""
        await self._begin()
        await self._page(NEWEST, 0)

    async def sweep(self) -> None:
        """Hand in whatever is new. Raises JournalUnwritable."""
        await self._begin()
        started_s = self._time.believed_s()
        for page in range(PAGES_MAX):
            if await self._page(PAGE, page * PAGE) < PAGE:
                break
        self._floor_s = max(self._floor_s, started_s - LOOK_BACK_S)
        if started_s - self._noted_s > NOTE_S:
            await self._note(started_s)

    async def _begin(self) -> None:
        """Decide from when on what comes in is handed in. The phone has told its time by now."""
        now_s = self._time.believed_s()
        if self._first_s is None:
            self._first_s = await self._first()
            await self._note(now_s)
        elif self._first_s > now_s and self._time.has_agreed:
            # The clocks were ahead at the first start.
            self._first_s = now_s - FIRST_S
            await self._note(now_s)
        if not self._is_begun:
            self._is_begun = True
            # Not so far back that the journal may have forgotten what it had.
            away_s = max(0.0, now_s - self._noted_s)
            back_s = max(0.0, min(LOOK_BACK_S, KNOWN_S - away_s))
            self._floor_s = min(self._noted_s, now_s) - back_s

    async def _first(self) -> float:
        """When the first start is: what came in before that is none of ours.

        If phone and gateway disagree, it is by the earlier clock, but after all that is in the list already.
        """
        early_s, late_s = sorted((self._time.phone_s(), self._time.wall_s()))
        if late_s - early_s <= FIRST_S:
            return early_s - FIRST_S
        found = await self._api.inbox(
            since_s=early_s - FIRST_S, until_s=late_s + AHEAD_S, limit=NEWEST, offset=0
        )
        if found is None:
            return late_s - FIRST_S
        return max([early_s - FIRST_S, *(message.at_s + 1.0 for message in found)])

    def _period(self) -> tuple[float, float]:
        """From when until when it is looked; nothing is between them if the clocks say so for now."""
        now_s = self._time.believed_s()
        floor_s = min(self._floor_s, now_s - LOOK_BACK_S)
        until_s = max(now_s, self._time.wall_s()) + AHEAD_S
        return max(self._first_s or 0.0, floor_s), until_s

    async def take(self, message: Received) -> None:
        """Hand in one message, once, whoever tells of it how often. On disk when this returns, or JournalUnwritable."""
        identity = self._identity(message)
        destination = self._destination(message)
        if destination is None or identity in self._seen:
            return
        inbound = InboundMessage(
            device_key=self._config.name,
            channel=CHANNEL_SMS,
            source=_clean(message.source)[:SOURCE_CHARACTERS_MAX],
            destination=destination,
            text=_clean(message.text)[:TEXT_CHARACTERS_MAX],
            network_time=Timestamp(seconds=max(0, message.at_s)),
            segments=1,
        )
        await self._context.received(inbound, identity=identity)
        self._seen[identity] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)

    async def _page(self, limit: int, offset: int) -> int:
        since_s, until_s = self._period()
        if since_s >= until_s:
            return 0
        found = await self._api.inbox(since_s=since_s, until_s=until_s, limit=limit, offset=offset)
        for message in sorted(found or [], key=lambda each: each.at_s):
            # The phone may round the other way than we ask.
            if message.at_s >= int(since_s):
                await self.take(message)
        return len(found or [])

    def _identity(self, message: Received) -> str:
        """The same from list and webhook, whose own ids differ; as the app's ids, made of what the message is."""
        content = f"{_clean(message.source)}\n{message.at_s}\n{_clean(message.text)}"
        return f"{self._config.name}/{hashlib.sha256(content.encode()).hexdigest()[:40]}"

    def _destination(self, message: Received) -> str | None:
        """The number that it came in to; None if that is of a SIM which the file does not name."""
        by_sim = {each.sim: each.number for each in self._config.numbers}
        numbers = list(by_sim.values())
        if message.sim in by_sim:
            return by_sim[message.sim]
        if message.recipient in numbers:
            return message.recipient
        return numbers[0] if message.sim is None else None

    async def _note(self, now_s: float) -> None:
        await self._context.store.write({self._key: json.dumps([self._first_s, now_s]).encode()})
        self._noted_s = now_s


def _clean(text: str) -> str:
    """Halves of characters joined where they belong together, and replaced where they are alone."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
