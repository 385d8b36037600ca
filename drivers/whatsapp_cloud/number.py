"""One number of the business for as long as the process runs: what it sends, and when it must not.

Owns the number's condition, its pauses and its way back. A pause begins with an answer of Graph's, or a status, that
says so; it ends when Graph answers a look-up of the number, which sends nothing.
"""

import asyncio
from dataclasses import dataclass
from weakref import WeakValueDictionary

from drivers.runtime import Context, CutShort, Failed, Outcome, Submitted, Unknown
from drivers.runtime.failures import describe
from drivers.whatsapp_cloud.conditions import CONDITIONS, WINDOW, Reason
from drivers.whatsapp_cloud.config import NumberConfig
from drivers.whatsapp_cloud.errors import Effect, Meaning, detail_of, meaning_of
from drivers.whatsapp_cloud.evidence import Evidence
from drivers.whatsapp_cloud.graph import Answered, Graph, Lost, NotSent, Refused
from drivers.whatsapp_cloud.limits import Recipients, rate_of_number
from drivers.whatsapp_cloud.payloads import MEDIA_NAMES, Unsendable, build, is_group
from drivers.whatsapp_cloud.replies import Replies
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceAddress, DeviceFeatures
from infinireach.v1.message_pb2 import (
    CHANNEL_WHATSAPP,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)

TEXT_CHARACTERS_MAX = 4096
INVALID_PARAMETER = 100
"""What Graph says to the look-up of an id that it does not know, or not for this token."""


@dataclass(slots=True, frozen=True)
class Timing:
    """How long a number pauses, in seconds; doubled each time in a row, up to the second of the pair."""

    slowed_s: tuple[float, float] = (2.0, 600.0)
    away_s: tuple[float, float] = (1.0, 60.0)
    """Graph cannot be reached, or answers with what is no answer."""
    person_s: tuple[float, float] = (30.0, 1800.0)
    """A person is needed; a new token ends it at once."""
    token_look_s: float = 2.0
    """Between two looks at the token's file."""
    give_back_s: float = 5.0
    """A shorter pause is not worth giving back what waits: it would come again later than the pause ends."""

    def pause_s(self, reason: Reason, times: int) -> float:
        """The pause for a reason that is the `times`-th trouble in a row, from 1."""
        first_s, most_s = self.away_s
        if reason is Reason.SLOWED_DOWN:
            first_s, most_s = self.slowed_s
        elif CONDITIONS[reason].is_for_a_person:
            first_s, most_s = self.person_s
        return min(first_s * 2.0 ** (min(times, 32) - 1), most_s)


@dataclass(slots=True, frozen=True)
class Trouble:
    """Why the number does not send now, and for how long at least."""

    reason: Reason
    pause_s: float

    def failed(self) -> Failed:
        """What becomes of a command that waits: it is tried again, here later or by another device."""
        return Failed(self.failure_reason, detail=self.detail, retry_after_s=self.retry_after_s)

    @property
    def failure_reason(self) -> FailureReason:
        """One that is retried."""
        if self.reason is Reason.SLOWED_DOWN:
            return FAILURE_REASON_RATE_LIMITED
        is_for_a_person = CONDITIONS[self.reason].is_for_a_person
        return FAILURE_REASON_DEVICE_FAULT if is_for_a_person else FAILURE_REASON_NO_SERVICE

    @property
    def detail(self) -> str:
        """One sentence for people."""
        return f"The number does not send now: {self.reason.value}."

    @property
    def retry_after_s(self) -> float | None:
        """Where the pause is known to be over then."""
        return self.pause_s if self.reason is Reason.SLOWED_DOWN else None


class Number:
    """A number; `run` has to be running."""

    def __init__(
        self,
        context: Context,
        config: NumberConfig,
        graph: Graph,
        *,
        replies: Replies,
        evidence: Evidence,
        timing: Timing,
    ) -> None:
        self.config = config
        self.display_number = ""
        """As Meta shows it; empty until it was looked up."""
        self._context = context
        self._graph = graph
        self._replies = replies
        self._evidence = evidence
        self._timing = timing
        self._rate = rate_of_number(config.messages_per_s)
        self._recipients = Recipients()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One message at a time to each recipient, so that they arrive in their order."""
        self._told = Reason.STARTING
        self._trouble: Trouble | None = Trouble(Reason.STARTING, 0.0)
        self.is_ready = asyncio.Event()
        """Set while it sends."""
        self._is_troubled = asyncio.Event()
        self._is_troubled.set()
        self._troubles = 0
        """In a row: since the last message that Graph took."""

    # What it is.

    @property
    def reason(self) -> Reason:
        """Its condition, as the core was told."""
        return self._told

    @property
    def window(self) -> int:
        """How many commands it takes."""
        return WINDOW if self._told is Reason.READY else 0

    def describe(self) -> DeviceDescription:
        """The number as a device."""
        features = DeviceFeatures(
            templates=True,
            media=list(MEDIA_NAMES),
            groups=self.config.groups,
            text_characters_max=TEXT_CHARACTERS_MAX,
            read_reports=True,
        )
        return DeviceDescription(
            key=self.config.name,
            name=self.config.name,
            addresses=[DeviceAddress(channel=CHANNEL_WHATSAPP, number=self.config.number, ready=True)],
            window=self.window,
            state=CONDITIONS[self._told].state,
            features=features,
        )

    # Sending.

    async def send(self, command: SendCommand) -> Outcome:
        """Ask Graph to send it, once."""
        try:
            body = build(command, self.config.phone_number_id, groups=self.config.groups)
        except Unsendable as error:
            return error.failed
        turn = self._turns.setdefault(command.destination, asyncio.Lock())
        async with turn:
            if self._trouble is None:
                await asyncio.sleep(self._rate.take(self._now()))
            if self._evidence.is_stopped:
                raise CutShort
            if self._trouble is not None:
                return self._trouble.failed()
            return await self._send(command, body)

    async def _send(self, command: SendCommand, body: bytes) -> Outcome:
        wait_s = self._recipients.wait_s(command.destination, self._now())
        if wait_s > 0:
            detail = "The recipient got as many messages as Meta allows."
            return Failed(FAILURE_REASON_RATE_LIMITED, detail=detail, retry_after_s=wait_s)
        if not is_group(command.destination):
            self._recipients.sent(command.destination, self._now())
        # Without this mark `recover` knows that nothing was sent.
        await self._context.segment_started(command.command_id, 1)
        with self._evidence.asking(command.command_id):
            result = await self._graph.post_message(self.config, body)
        match result:
            case Answered() if message_id := _message_id(result):
                return await self._taken(command, message_id)
            case Refused():
                return self._refused(command, result)
            case NotSent(detail):
                self._trouble_begins(Reason.UNREACHABLE)
                return Failed(FAILURE_REASON_NO_SERVICE, detail=detail)
            case Lost(detail):
                self._trouble_begins(Reason.GRAPH_FAILING)
                return self._evidence.of(command.command_id) or Unknown(detail)
            case Answered():
                self._trouble_begins(Reason.GRAPH_FAILING)
                detail = "Graph's answer names no message."
                return self._evidence.of(command.command_id) or Unknown(detail)

    async def _taken(self, command: SendCommand, message_id: str) -> Outcome:
        self._troubles = 0
        self._recipients.accepted(command.destination)
        changes = self._replies.note(message_id, command.command_id)
        await self._context.segment_taken(command.command_id, 1, reference=message_id, changes=changes)
        return self._evidence.of(command.command_id) or Submitted([message_id])

    def _refused(self, command: SendCommand, refused: Refused) -> Failed:
        meaning = meaning_of(refused.code)
        retry_after_s = refused.retry_after_s
        if meaning.effect is Effect.PAIR:
            retry_after_s = self._recipients.refused(command.destination, self._now())
        elif meaning.effect is Effect.NUMBER:
            retry_after_s = self._pause(meaning, at_least_s=refused.retry_after_s or 0.0)
        detail = detail_of(meaning, refused.details)
        return Failed(meaning.reason, str(refused.code), detail, retry_after_s)

    # Pauses.

    def pause_for(self, meaning: Meaning) -> None:
        """A status told of something that keeps the whole number."""
        self._pause(meaning)

    def _pause(self, meaning: Meaning, *, at_least_s: float = 0.0) -> float | None:
        self._trouble_begins(meaning.condition, at_least_s=at_least_s)
        return self._trouble.retry_after_s if self._trouble is not None else None

    def _trouble_begins(self, reason: Reason, *, at_least_s: float = 0.0) -> None:
        """Send no more. Of what several messages meet at once the first counts, unless another needs a person."""
        if self._trouble is not None and (
            CONDITIONS[self._trouble.reason].is_for_a_person or not CONDITIONS[reason].is_for_a_person
        ):
            return
        self._trouble = self._next_trouble(reason, at_least_s=at_least_s)
        self.is_ready.clear()
        self._is_troubled.set()

    def _next_trouble(self, reason: Reason, *, at_least_s: float = 0.0) -> Trouble:
        self._troubles += 1
        return Trouble(reason, max(self._timing.pause_s(reason, self._troubles), at_least_s))

    async def run(self) -> None:
        """Look the number up, then sit out every trouble. Ends when it is cancelled."""
        while True:
            try:
                await self._is_troubled.wait()
                await self._sit_out()
            except Exception as error:  # noqa: BLE001 - a fault here must not keep the number away for good
                self._context.log.error("number.failed", number=self.config.name, **describe(error))
                await asyncio.sleep(self._timing.away_s[1])

    async def _sit_out(self) -> None:
        while (trouble := self._trouble) is not None:
            await self._tell(trouble.reason)
            if trouble.pause_s >= self._timing.give_back_s or CONDITIONS[trouble.reason].is_for_a_person:
                self._context.give_back(self.config.name, trouble.failure_reason, detail=trouble.detail)
            await self._wait(trouble)
            found = await self._look_up(trouble) if self._trouble is trouble else None
            if self._trouble is trouble:  # else a worse one has come meanwhile
                self._trouble = found
        self._is_troubled.clear()
        self.is_ready.set()
        await self._tell(Reason.READY)

    async def _wait(self, trouble: Trouble) -> None:
        """Until the pause is over, a worse trouble came, or the token is another."""
        token = self.config.token.text
        until = self._now() + trouble.pause_s
        while (left_s := until - self._now()) > 0 and self._trouble is trouble:
            await asyncio.sleep(min(left_s, self._timing.token_look_s))
            if self.config.token.text != token:
                return

    async def _look_up(self, trouble: Trouble) -> Trouble | None:
        """What keeps the number now; None: nothing."""
        if trouble.reason is Reason.SLOWED_DOWN:
            return None  # one request more is not what Meta asked for
        result = await self._graph.look_up(self.config)
        match result:
            case Answered(document):
                shown = document.get("display_phone_number")
                self.display_number = shown if isinstance(shown, str) else ""
                if trouble.reason is Reason.UNREACHABLE:
                    self._troubles = 0
                return None
            case NotSent():
                return self._next_trouble(Reason.UNREACHABLE)
            case Refused(code):
                meaning = meaning_of(code)
                if code == INVALID_PARAMETER:
                    return self._next_trouble(Reason.NUMBER_UNKNOWN)
                is_known = meaning.effect is Effect.NUMBER
                return self._next_trouble(meaning.condition if is_known else Reason.GRAPH_FAILING)
            case Lost():
                return self._next_trouble(Reason.GRAPH_FAILING)

    async def _tell(self, reason: Reason) -> None:
        """Tell the core, on a change."""
        if reason is self._told:
            return
        self._told = reason
        condition = CONDITIONS[reason]
        if reason is Reason.READY:
            self._context.log.info("number.ready", number=self.config.name)
        else:
            self._context.log.warning("number.paused", number=self.config.name, reason=reason.value)
        await self._context.device_changed(
            DeviceChanged(
                device_key=self.config.name,
                state=condition.state,
                reason=reason.value,
                remedy=condition.remedy,
                window=self.window,
                signal_percent=-1,
                battery_percent=-1,
            )
        )

    def _now(self) -> float:
        return self._context.clock.monotonic()


def _message_id(answered: Answered) -> str:
    """WhatsApp's id of the message that Graph took; empty if the answer names none."""
    match answered.document.get("messages"):
        case [{"id": str(message_id)}, *_]:
            return message_id
        case _:
            return ""
