"""The messages that a phone was given and whose fate is open: asked about, and reported on as it becomes known.

Owns which messages those are, through restarts, and when each is asked about. The phone's own record is the truth;
webhooks only say when to look, except that they alone tell of each delivered part.
"""

import asyncio
from collections.abc import Mapping

from drivers.android.followed import Followed, read_followed
from drivers.android.phone_api import PhoneApi
from drivers.android.states import DELIVERED, MessageState, failure
from drivers.runtime import Context, Delivered, Report, Submitted

FOLLOW_S = 3 * 86400.0
"""For which a delivery report is waited for: message centres try for about as long."""
LOOK_S_MAX = 900.0
AGE_SHARE = 20
"""A message is asked about each time after a twentieth of its age, so that old ones cost little."""
REQUESTS_MAX = 5
"""In one look, so that nothing waits long behind it; what is due and not asked about is so in the next."""
SINGLE_MAX = 3
"""Up to so many are asked about one by one, more by a page of the list."""
PAGE = 100
LIST_MARGIN_S = 600.0
"""How far the phone's time of a message may be from ours."""
OPEN_MAX = 5000
"""Messages that are followed at once; beyond it the oldest are followed no longer."""
DROPS_PER_LINE = 100
"""Messages followed no longer for which the log gets one line."""


class Following:
    """The open messages of one phone."""

    def __init__(self, context: Context, name: str, api: PhoneApi, *, poll_s: float) -> None:
        self._context = context
        self._name = name
        self._api = api
        self._poll_s = poll_s
        self._prefix = f"open/{name}/"
        self._open: dict[str, Followed] = {}
        self._dropped = 0

    async def load(self) -> None:
        """Take up what an earlier process followed."""
        now, wall_s = self._now(), self._wall_s()
        for key, written in (await self._context.store.read(self._prefix)).items():
            command_id = key.removeprefix(self._prefix)
            followed = read_followed(command_id, written, now=now, wall_s=wall_s)
            # After those of which something is told meanwhile.
            followed.look_at = now
            if not followed.is_reported_sent:
                # One without an outcome is recovered; until then it is in nobody else's hand.
                followed.is_in_hand = bool(await self._context.segments(command_id))
            self._open[command_id] = followed

    def begin(
        self, command_id: str, *, parts: int, wants_report: bool
    ) -> tuple[Followed, dict[str, bytes | None]]:
        """Follow a message that is about to be handed over; with the changes of the store to write before that."""
        followed = self._open.get(command_id)
        changes: dict[str, bytes | None] = {}
        if followed is None:
            followed = Followed(command_id, parts, self._wall_s(), self._now(), wants_report)
            self._open[command_id] = followed
        followed.is_in_hand = True
        if len(self._open) > OPEN_MAX:
            changes.update(self._drop_oldest())
        changes[self._prefix + command_id] = followed.written()
        return followed, changes

    def _drop_oldest(self) -> dict[str, bytes | None]:
        oldest = min(self._open.values(), key=lambda each: (each.is_in_hand, each.since))
        del self._open[oldest.command_id]
        if self._dropped % DROPS_PER_LINE == 0:
            self._context.log.warning("phone.follows_no_longer", device=self._name, total=self._dropped + 1)
        self._dropped += 1
        return {self._prefix + oldest.command_id: None}

    def handed_over(self, followed: Followed) -> None:
        """The phone has just said that it has it."""
        followed.at_s, followed.since = self._wall_s(), self._now()

    def let_go(self, followed: Followed) -> None:
        """The send is over: what the phone says of it from now on is reported."""
        followed.is_in_hand = False

    async def end(self, command_id: str, *, changes: Mapping[str, bytes | None] | None = None) -> None:
        """Nothing more comes of this message; `changes` are written with that."""
        written = dict(changes or {})
        if self._open.pop(command_id, None) is not None:
            written[self._prefix + command_id] = None
        if written:
            await self._context.store.write(written)

    async def next_news(self, followed: Followed, *, timeout_s: float) -> MessageState | None:
        """What the phone next says of it, other than that it waits; None: it does not know it. Raises TimeoutError."""
        if followed.is_delivered:
            return followed.known()
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
            await self._write(followed)

    def oldest_waiting_s(self) -> float:
        """For how long the oldest message has been waited for that was handed over and not sent."""
        waiting = [each.since for each in self._open.values() if each.news is not None]
        return self._now() - min(waiting) if waiting else 0.0

    # What webhooks tell.

    async def look_soon(self, command_id: str, *, parts: int | None = None) -> None:
        """Something became of it; `parts` is how many it has, if that was told."""
        followed = self._open.get(command_id)
        if followed is None:
            return
        followed.look_at = 0.0
        if parts is not None and parts != followed.parts:
            followed.parts = parts
            await self._counted(followed)

    async def part_delivered(self, command_id: str, mark: str) -> None:
        """A part arrived, of which the mark tells it from others. Told of all its parts, the message is delivered."""
        followed = self._open.get(command_id)
        if followed is not None:
            followed.part_delivered(mark)
            await self._counted(followed)

    async def _counted(self, followed: Followed) -> None:
        """The count of its parts has changed. Of a message in hand the outcome comes first; the next look goes on."""
        if followed.is_delivered and not followed.is_in_hand:
            await self._report_delivered([followed])
            return
        await self._write(followed)
        if followed.is_delivered:
            followed.tell(followed.known())

    # What the phone's record tells.

    async def look(self, *, phone_s: float) -> None:
        """Ask about those that are due and report; `phone_s` is the phone's own time. Raises what its interface raises.

        In one look only some are asked about, those in hand first.
        """
        await self._forget_old()
        delivered = [each for each in self._open.values() if each.is_delivered and not each.is_in_hand]
        if delivered:
            await self._report_delivered(delivered)
        now = self._now()
        due = [
            each
            for each in self._open.values()
            if each.look_at <= now and (each.news is not None or not each.is_in_hand)
        ]
        if not due:
            return
        states = await self._states(due, phone_s)
        reports: list[tuple[str, Report]] = []
        changes: dict[str, bytes | None] = {}
        for command_id, state in states.items():
            followed = self._open.get(command_id)
            if followed is not None:
                reports += self._apply(followed, state, changes)
                followed.look_at = now + self._pause_s(followed)
        await self._context.report(reports, changes=changes)

    async def _forget_old(self) -> None:
        begin = self._now() - FOLLOW_S
        old = [each for each in self._open.values() if not each.is_in_hand and each.since < begin]
        if old:
            for each in old:
                del self._open[each.command_id]
            await self._context.store.write({self._prefix + each.command_id: None for each in old})

    async def _report_delivered(self, delivered: list[Followed]) -> None:
        for each in delivered:
            self._open.pop(each.command_id, None)
        changes = dict.fromkeys((self._prefix + each.command_id for each in delivered), None)
        await self._context.report([(each.command_id, Delivered()) for each in delivered], changes=changes)

    def _pause_s(self, followed: Followed) -> float:
        if followed.news is not None:
            return self._poll_s
        return min(max(self._poll_s, (self._now() - followed.since) / AGE_SHARE), LOOK_S_MAX)

    async def _states(self, due: list[Followed], phone_s: float) -> Mapping[str, MessageState | None]:
        """What the phone says, of some of those that are due and of others; None: it does not know it."""
        # Those in hand first: a send waits for them. Then those that have been due for longest.
        due.sort(key=lambda each: (each.news is None, each.look_at, each.since))
        states: dict[str, MessageState | None] = {}
        requests = REQUESTS_MAX
        in_hand = [each for each in due if each.news is not None][:SINGLE_MAX]
        rest = [each for each in due if each.news is None]
        if len(rest) > SINGLE_MAX:
            requests -= 1
            states.update(await self._page(rest[0], phone_s))
        for followed in [*in_hand, *rest]:
            if requests and followed.command_id not in states:
                requests -= 1
                states[followed.command_id] = await self._api.message(followed.command_id)
        return states

    async def _page(self, followed: Followed, phone_s: float) -> Mapping[str, MessageState]:
        """The page of the list in which this message is most likely, with others that are as old or older."""
        oldest = min(each.since for each in self._open.values())
        now = self._now()
        found = await self._api.messages(
            since_s=phone_s - (now - oldest) - LIST_MARGIN_S,
            until_s=phone_s - (now - followed.since) + LIST_MARGIN_S,
            limit=PAGE,
        )
        return found or {}

    def _apply(
        self, followed: Followed, state: MessageState | None, changes: dict[str, bytes | None]
    ) -> list[tuple[str, Report]]:
        if state is not None and state.is_waiting:
            return []
        if followed.is_in_hand:
            followed.tell(state)
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

    async def _write(self, followed: Followed) -> None:
        await self._context.store.write({self._prefix + followed.command_id: followed.written()})

    def _now(self) -> float:
        return self._context.clock.monotonic()

    def _wall_s(self) -> float:
        return self._context.clock.wall_ns() / 1e9
