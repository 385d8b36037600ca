"""One message on its way through a phone: paced, handed over under its command's id, and waited for until it is sent.

Owns when an outcome is certain. The phone takes the caller's id and knows it again, so on any doubt it is asked, and a
message that it does not know is handed over again under the same id, never under another one.
"""

import asyncio
from collections.abc import Callable

from drivers.android.config import PhoneConfig
from drivers.android.following import Followed, Following
from drivers.android.pace import Pace
from drivers.android.phone_api import NotTheApp, Outgoing, PhoneApi, PhoneAway, PhoneRefused
from drivers.android.states import MessageState, failure
from drivers.android.timing import Timing
from drivers.runtime import Context, CutShort, Failed, Outcome, Submitted, Unknown
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_EXPIRED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
)

NO_DEADLINE_S = 86400.0
"""For which a message without a deadline is waited for."""
LIMIT_REST_S = 1800.0
ASK_AGAIN = frozenset({408, 425, 500, 502, 503, 504})
"""Answers that leave open whether the phone has the message."""


class Sender:
    """Sends the messages of one phone."""

    def __init__(
        self,
        context: Context,
        config: PhoneConfig,
        api: PhoneApi,
        timing: Timing,
        *,
        following: Following,
        look_now: Callable[[], None],
    ) -> None:
        """`look_now` has the phone looked at without the wait for the next look."""
        self._context = context
        self._api = api
        self._timing = timing
        self._following = following
        self._look_now = look_now
        self._limit = config.parts_per_30_min
        self._sims = {each.number: each.sim for each in config.numbers}
        self._pace_key = f"pace/{config.name}"
        self._pace = Pace(self._limit, None, now=0.0, wall_s=0.0)
        self._stopping = asyncio.Event()
        self._waiting_parts = 0

    async def load(self) -> None:
        """Take up what an earlier process counted."""
        kept = await self._context.store.read(self._pace_key)
        self._pace = Pace(self._limit, kept.get(self._pace_key), now=self._now(), wall_s=self._now_s())

    def stopping(self) -> None:
        """Wait no longer: the next process goes on."""
        self._stopping.set()

    def held_back_s(self) -> float:
        """Seconds for which nothing more may be handed over; 0: it may."""
        return self._pace.wait_s(self._waiting_parts or 1, now=self._now())

    async def send(self, command: SendCommand) -> Outcome:
        """Hand a message over and say what came of it. Raises CutShort when the driver stops."""
        if command.WhichOneof("content") != "text":
            return Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail="A phone sends plain text only.")
        if command.source not in self._sims:
            return _not_in_file()
        parts = max(1, command.text.segments)
        if not await self._may_go(command, parts):
            return _expired()
        followed, changes = self._following.begin(
            command.command_id, parts=parts, wants_report=command.delivery_report_wanted
        )
        changes |= self._pace_changes()
        await self._context.segment_started(command.command_id, 1, changes=changes)
        return await self._carried(command, followed, is_in_doubt=False, is_taken=False)

    async def recover(self, command: SendCommand) -> Outcome | None:
        """What became of a message of an earlier process; None: nothing of it was handed over."""
        marks = await self._context.segments(command.command_id)
        if not marks:
            return None
        followed, _ = self._following.begin(
            command.command_id,
            parts=max(1, command.text.segments),
            wants_report=command.delivery_report_wanted,
        )
        return await self._carried(command, followed, is_in_doubt=True, is_taken=marks[0].taken)

    async def _carried(
        self, command: SendCommand, followed: Followed, *, is_in_doubt: bool, is_taken: bool
    ) -> Outcome:
        try:
            outcome = await self._carry(command, followed, is_in_doubt=is_in_doubt, is_taken=is_taken)
        except (CutShort, asyncio.CancelledError):
            # The next process goes on, and is to say the outcome before anything that follows from it.
            raise
        except BaseException:
            self._following.let_go(followed)
            raise
        self._following.let_go(followed)
        if followed.is_delivered:
            self._look_now()
        return outcome

    async def _carry(
        self, command: SendCommand, followed: Followed, *, is_in_doubt: bool, is_taken: bool
    ) -> Outcome:
        while True:
            if not is_in_doubt and not is_taken:
                if command.source not in self._sims:
                    # Its number has gone from the file since an earlier process handed it over, or meant to.
                    return await self._never_went(followed, _not_in_file())
                outcome, is_taken = await self._hand_over(command)
                # A webhook may be faster than the answer, and knows better.
                if outcome is not None and not followed.is_delivered:
                    return await self._never_went(followed, outcome)
                if is_taken:
                    self._following.handed_over(followed)
                    await self._context.segment_taken(command.command_id, 1)
            try:
                state = await self._news(followed, self._remaining_s(command) + self._timing.overtime_s)
            except TimeoutError:
                # It is followed on: what the phone says later settles it.
                return Unknown("The phone was given it, and has not said in time what became of it.")
            if state is not None:
                return await self._settled(followed, state)
            if is_taken:
                detail = "The phone had it and knows it no longer: was the app's data deleted?"
                return await self._over(followed, Unknown(detail))
            if self._remaining_s(command) <= 0:
                return await self._never_went(followed, _expired())
            is_in_doubt = False

    async def _hand_over(self, command: SendCommand) -> tuple[Outcome | None, bool]:
        """Give it to the phone: the outcome if that is certain already, and whether the phone has it for sure."""
        remaining_s = self._remaining_s(command)
        outgoing = Outgoing(
            message_id=command.command_id,
            text=command.text.body,
            destination=command.destination,
            sim=self._sims[command.source],
            wants_report=command.delivery_report_wanted,
            ttl_s=max(1, int(remaining_s)) if command.HasField("not_after") else None,
        )
        try:
            await self._api.submit(outgoing)
        except PhoneAway as away:
            self._look_now()
            if away.is_untouched:
                detail = "The phone does not answer; it was not handed over."
                return Failed(FAILURE_REASON_NO_SERVICE, detail=detail), False
            return None, False
        except PhoneRefused as refused:
            self._look_now()
            return await self._refused(refused.status), False
        except NotTheApp:
            self._look_now()
            return None, False
        return None, True

    async def _refused(self, status: int) -> Outcome | None:
        if status in ASK_AGAIN:
            await self._rest(self._timing.again_s)
            return None
        if status == 429:
            detail = "The app asks to slow down."
            return Failed(FAILURE_REASON_RATE_LIMITED, str(status), detail, retry_after_s=LIMIT_REST_S)
        if status in (401, 403, 404, 405):
            detail = "The app does not let the gateway in."
            return Failed(FAILURE_REASON_DEVICE_FAULT, str(status), detail)
        return Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, str(status), "The app does not take the message.")

    async def _settled(self, followed: Followed, state: MessageState) -> Outcome:
        if state.was_sent:
            # If it failed after that, the next look reports it.
            await self._following.note_sent(followed)
            return Submitted()
        outcome = failure(state, parts=followed.parts)
        if outcome.reason == FAILURE_REASON_EXPIRED:
            return await self._never_went(followed, outcome)
        if outcome.reason == FAILURE_REASON_RATE_LIMITED:
            self._pace.exhaust(now=self._now())
            await self._context.store.write(self._pace_changes())
            self._look_now()
            outcome = Failed(outcome.reason, outcome.network_code, outcome.detail, retry_after_s=LIMIT_REST_S)
        return await self._over(followed, outcome)

    async def _over(self, followed: Followed, outcome: Outcome) -> Outcome:
        await self._following.end(followed.command_id)
        return outcome

    async def _never_went(self, followed: Followed, outcome: Outcome) -> Outcome:
        """Android was not given it, so it does not count against its limit either."""
        self._pace.give_back(followed.command_id)
        await self._following.end(followed.command_id, changes=self._pace_changes())
        return outcome

    async def _may_go(self, command: SendCommand, parts: int) -> bool:
        """Wait until Android's limit has room for it and count it; False if its deadline came first."""
        self._waiting_parts = parts
        try:
            while (wait_s := self._pace.wait_s(parts, now=self._now())) > 0:
                self._look_now()
                if self._remaining_s(command) <= 0:
                    return False
                await self._rest(min(wait_s, self._timing.pace_look_s))
        finally:
            self._waiting_parts = 0
        self._pace.take(parts, now=self._now(), key=command.command_id)
        return True

    async def _news(self, followed: Followed, timeout_s: float) -> MessageState | None:
        """What the phone says of it. Raises TimeoutError, and CutShort when the driver stops."""
        news = asyncio.ensure_future(self._following.next_news(followed, timeout_s=max(0.0, timeout_s)))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({news, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if news.done():
                return news.result()
            raise CutShort
        finally:
            news.cancel()
            stopping.cancel()

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise CutShort

    def _remaining_s(self, command: SendCommand) -> float:
        if not command.HasField("not_after"):
            return NO_DEADLINE_S
        return command.not_after.seconds + command.not_after.nanos / 1e9 - self._now_s()

    def _pace_changes(self) -> dict[str, bytes | None]:
        return {self._pace_key: self._pace.written(now=self._now(), wall_s=self._now_s())}

    def _now(self) -> float:
        return self._context.clock.monotonic()

    def _now_s(self) -> float:
        return self._context.clock.wall_ns() / 1e9


def _not_in_file() -> Failed:
    return Failed(FAILURE_REASON_DEVICE_FAULT, detail="The number is not in phones.toml.")


def _expired() -> Failed:
    return Failed(FAILURE_REASON_EXPIRED, detail="Its deadline passed before the phone could take it.")
