"""The messages that a phone was given and whose fate is open: asked about, and reported on as it becomes known.

Owns which messages those are, through restarts, and when each is asked about. The phone's own record is the truth;
webhooks only say when to look, except that they alone tell of each delivered part.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.android.phone_api import PhoneApi
from drivers.android.states import DELIVERED, MessageState, failure
from drivers.runtime import Context, Delivered, Report, Submitted

FOLLOW_S = 3 * 86400.0
"""For which a delivery report is waited for: message centres try for about as long."""
LOOK_S_MAX = 300.0
AGE_SHARE = 20
"""A message is asked about each time after a twentieth of its age, so that old ones cost little."""
SINGLE_MAX = 3
"""Up to so many are asked about one by one, more by the list."""
PAGE = 100
PAGES_MAX = 10
SINGLE_AFTER_LIST_MAX = 20
LIST_MARGIN_S = 600.0
"""How much earlier than the oldest message the list begins."""
OPEN_MAX = 5000
"""Messages that are followed at once; beyond it the oldest are followed no longer."""


@dataclass(slots=True)
class Followed:
    """One message in the phone."""

    command_id: str
    parts: int
    at_s: float
    """When it was handed over."""
    wants_report: bool
    is_reported_sent: bool = False
    deliveries: set[str] = field(default_factory=set[str])
    """The times of its parts' deliveries, as webhooks told them: one part each."""
    is_in_hand: bool = False
    """A send or a recovery has it, which asks for news when it wants them and reports itself."""
    news: "asyncio.Future[MessageState | None] | None" = None
    """What that waits for; None in it: the phone does not know it."""
    look_at: float = 0.0
    """Monotonic."""

    def written(self) -> bytes:
        """As it is kept."""
        values = [self.parts, self.at_s, self.wants_report, self.is_reported_sent, sorted(self.deliveries)]
        return json.dumps(values).encode()


def _read(command_id: str, written: bytes) -> Followed:
    parts, at_s, wants_report, is_reported_sent, deliveries = json.loads(written)
    return Followed(command_id, parts, at_s, wants_report, is_reported_sent, set(deliveries))


class Following:
    """The open messages of one phone."""

    def __init__(self, context: Context, name: str, api: PhoneApi, *, poll_s: float) -> None:
        self._context = context
        self._api = api
        self._poll_s = poll_s
        self._prefix = f"open/{name}/"
        self._open: dict[str, Followed] = {}

    async def load(self) -> None:
        """Take up what an earlier process followed."""
        for key, written in (await self._context.store.read(self._prefix)).items():
            command_id = key.removeprefix(self._prefix)
            self._open[command_id] = _read(command_id, written)

    def begin(
        self, command_id: str, *, parts: int, wants_report: bool
    ) -> tuple[Followed, dict[str, bytes | None]]:
        """Follow a message that is about to be handed over; with the changes of the store to write before that."""
        followed = self._open.get(command_id)
        changes: dict[str, bytes | None] = {}
        if followed is None:
            now_s = self._context.clock.wall_ns() / 1e9
            followed = self._open[command_id] = Followed(command_id, parts, now_s, wants_report)
            while len(self._open) > OPEN_MAX:
                oldest = next(iter(self._open))
                del self._open[oldest]
                changes[self._prefix + oldest] = None
        followed.is_in_hand = True
        changes[self._prefix + command_id] = followed.written()
        return followed, changes

    def let_go(self, followed: Followed) -> None:
        """The send is over: what the phone says of it from now on is reported."""
        followed.is_in_hand = False

    async def end(self, command_id: str) -> None:
        """Nothing more comes of this message."""
        if self._open.pop(command_id, None) is not None:
            await self._context.store.write({self._prefix + command_id: None})

    async def next_news(self, followed: Followed, *, timeout_s: float) -> MessageState | None:
        """What the phone next says of it, other than that it waits; None: it does not know it. Raises TimeoutError."""
        followed.news = asyncio.get_running_loop().create_future()
        followed.look_at = 0.0
        try:
            return await asyncio.wait_for(followed.news, timeout_s)
        finally:
            followed.news = None

    async def note_sent(self, followed: Followed) -> None:
        """The core is about to be told that it was sent: what follows is its delivery."""
        followed.is_reported_sent = True
        if not followed.wants_report:
            await self.end(followed.command_id)
        elif followed.command_id in self._open:
            followed.look_at = 0.0
            await self._context.store.write({self._prefix + followed.command_id: followed.written()})

    def oldest_waiting_s(self, *, now_s: float) -> float:
        """For how long the oldest message has been waited for that was handed over and not sent."""
        waiting = [each.at_s for each in self._open.values() if each.news is not None]
        return now_s - min(waiting) if waiting else 0.0

    # What webhooks tell.

    def look_soon(self, command_id: str, *, parts: int | None = None) -> None:
        """Something became of it."""
        followed = self._open.get(command_id)
        if followed is not None:
            followed.look_at = 0.0
            followed.parts = parts or followed.parts

    async def part_delivered(self, command_id: str, delivered_at: str) -> None:
        """A part arrived. Told of all its parts, the message is delivered; the same part again counts once."""
        followed = self._open.get(command_id)
        if followed is None:
            return
        followed.deliveries.add(delivered_at)
        key = self._prefix + command_id
        if len(followed.deliveries) < followed.parts:
            await self._context.store.write({key: followed.written()})
            return
        await self._context.report([(command_id, Delivered())], changes={key: None})
        self._open.pop(command_id, None)
        if followed.news is not None and not followed.news.done():
            followed.news.set_result(MessageState(DELIVERED))

    # What the phone's record tells.

    async def look(self, *, now: float, now_s: float, clock_ahead_s: float) -> None:
        """Ask about each message that is due, and report. Raises what the phone's interface raises."""
        for command_id, followed in list(self._open.items()):
            if not followed.is_in_hand and now_s - followed.at_s > FOLLOW_S:
                await self.end(command_id)
        due = [
            each
            for each in self._open.values()
            if each.look_at <= now and (each.news is not None or not each.is_in_hand)
        ]
        if not due:
            return
        states = await self._states(due, clock_ahead_s)
        reports: list[tuple[str, Report]] = []
        changes: dict[str, bytes | None] = {}
        for followed in due:
            if followed.command_id in states:
                reports += self._apply(followed, states[followed.command_id], changes)
                age_s = max(0.0, now_s - followed.at_s)
                pause_s = min(max(self._poll_s, age_s / AGE_SHARE), LOOK_S_MAX)
                followed.look_at = now + (self._poll_s if followed.news is not None else pause_s)
        await self._context.report(reports, changes=changes)

    async def _states(self, due: list[Followed], clock_ahead_s: float) -> Mapping[str, MessageState | None]:
        """The state of each that could be asked about; None for those that the phone does not know."""
        states: dict[str, MessageState | None] = {}
        if len(due) > SINGLE_MAX:
            states.update(await self._listed(min(each.at_s for each in due) + clock_ahead_s - LIST_MARGIN_S))
        missing = [each for each in due if each.command_id not in states]
        for followed in missing[:SINGLE_AFTER_LIST_MAX]:
            states[followed.command_id] = await self._api.message(followed.command_id)
        return states

    async def _listed(self, since_s: float) -> dict[str, MessageState]:
        listed: dict[str, MessageState] = {}
        for page in range(PAGES_MAX):
            found = await self._api.messages(since_s=since_s, limit=PAGE, offset=page * PAGE)
            listed.update(found or {})
            if found is None or len(found) < PAGE:
                break
        return listed

    def _apply(
        self, followed: Followed, state: MessageState | None, changes: dict[str, bytes | None]
    ) -> list[tuple[str, Report]]:
        if state is not None and state.is_waiting:
            return []
        if followed.news is not None:
            if not followed.news.done():
                followed.news.set_result(state)
            return []
        reports: list[tuple[str, Report]] = []
        is_over = True
        if state is None:
            pass  # The phone has forgotten it, and so has nothing more to say of it.
        elif state.was_sent and not followed.is_reported_sent:
            # Its outcome was reported as unknown, or the result is on its way to the journal.
            followed.is_reported_sent = True
            reports.append((followed.command_id, Submitted()))
            is_over = not followed.wants_report
        elif state.state == DELIVERED:
            # Of a message of several parts it says so when the first arrives: the webhooks count them.
            is_over = followed.parts == 1
            if is_over:
                reports.append((followed.command_id, Delivered()))
        elif state.was_sent and not state.is_failed:
            is_over = False
        else:
            reports.append((followed.command_id, failure(state, parts=followed.parts)))
        if is_over:
            self._open.pop(followed.command_id, None)
        changes[self._prefix + followed.command_id] = None if is_over else followed.written()
        return reports
