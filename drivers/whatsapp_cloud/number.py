"""One number of the business for as long as the process runs: what it sends, and when it must not.

Owns the number's condition, its pauses and its way back. A pause begins with an answer of Graph's, or a status, that
says so; it ends when Graph answers a look-up of the number, which sends nothing.
"""

import asyncio
from asyncio import sleep
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from drivers.runtime import Context, CutShort, Failed, Outcome, Submitted, Unknown
from drivers.runtime.failures import describe
from drivers.whatsapp_cloud.callback_data import CallbackData
from drivers.whatsapp_cloud.conditions import CONDITIONS, UNPROVEN, WINDOW, WINDOW_UNPROVEN, Reason
from drivers.whatsapp_cloud.config import NumberConfig
from drivers.whatsapp_cloud.deadlines import EXPIRED, left_s
from drivers.whatsapp_cloud.errors import Effect, Meaning, detail_of, is_certain, meaning_of
from drivers.whatsapp_cloud.evidence import Evidence
from drivers.whatsapp_cloud.fields import id_in, objects_in
from drivers.whatsapp_cloud.graph import Answered, Graph, Lost, NotSent, Refused, Result
from drivers.whatsapp_cloud.limits import Recipients, rate_of_number
from drivers.whatsapp_cloud.payloads import MEDIA_NAMES, Unsendable, build, is_group
from drivers.whatsapp_cloud.replies import Replies
from drivers.whatsapp_cloud.troubles import Timing, Trouble
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DeviceAddress, DeviceFeatures
from infinireach.v1.message_pb2 import (
    CHANNEL_WHATSAPP,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
)

TEXT_CHARACTERS_MAX = 4096
WAITING_MAX = WINDOW - 10
"""Commands of the number that wait for a person's turn; the others are for other people."""
INVALID_PARAMETER = 100
"""What Graph says to the look-up of an id that it does not know, or not for this token."""


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
        callback_data: CallbackData,
        timing: Timing,
    ) -> None:
        self.config = config
        self.display_number = ""
        """As Meta shows it; empty until it was looked up."""
        self._context = context
        self._graph = graph
        self._replies = replies
        self._evidence = evidence
        self._callback_data = callback_data
        self._timing = timing
        self._rate = rate_of_number(config.messages_per_s)
        self._recipients = Recipients()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One message at a time to each recipient, so that they arrive in their order."""
        self._waiting = 0
        """Messages that wait for their turn."""
        self._told = Reason.STARTING
        self.window = 0
        """How many commands it takes, as the core was told."""
        self._trouble: Trouble | None = Trouble(Reason.STARTING, 0.0, 0.0, config.token.version)
        self._is_unproven = False
        """Whether only a message that Meta takes can show that it takes them again."""
        self._probe = asyncio.Lock()
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

    def _window_of(self, reason: Reason) -> int:
        if reason is not Reason.READY:
            return 0
        return WINDOW_UNPROVEN if self._is_unproven else WINDOW

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
        data = self._callback_data.write(command.command_id, self.config.phone_number_id)
        try:
            body = build(command, data, groups=self.config.groups)
        except Unsendable as error:
            return error.failed
        recipient, message_id = command.destination, command.message_id or command.command_id
        place = self._recipients.place(recipient, message_id)
        turn = self._turns.setdefault(recipient, asyncio.Lock())
        has_room = not turn.locked() or self._waiting < WAITING_MAX or is_group(recipient)
        if not has_room or self._recipients.wait_s(recipient, self._now(), place=place) > 0:
            return self._put_off(recipient, message_id, place)
        self._recipients.come(recipient, message_id)
        async with self._counted(turn):
            if self._trouble is None:
                await sleep(self._rate.take(self._now()))
            async with self._proven():
                if self._evidence.is_stopped:
                    raise CutShort
                if self._trouble is not None:
                    return self._trouble.failed()
                if left_s(command, self._context.clock.wall_ns()) <= 0:
                    return EXPIRED
                if self._recipients.wait_s(recipient, self._now(), place=place) > 0:
                    return self._put_off(recipient, message_id, place)
                return await self._send(command, body)

    def _put_off(self, recipient: str, message_id: str, place: int) -> Failed:
        """Keep none of the number's commands for a message that has to wait for its recipient's sake."""
        wait_s = self._recipients.put_off(recipient, message_id, self._now(), place=place)
        detail = "The recipient gets no more messages at once: Meta's limit, or many wait for their turn."
        return Failed(FAILURE_REASON_RATE_LIMITED, detail=detail, retry_after_s=wait_s)

    @asynccontextmanager
    async def _counted(self, turn: asyncio.Lock) -> AsyncGenerator[None]:
        """The recipient's turn; who waits for it is counted."""
        self._waiting += 1
        try:
            await turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            turn.release()

    @asynccontextmanager
    async def _proven(self) -> AsyncGenerator[None]:
        """One at a time, until Meta has taken one."""
        if self._is_unproven:
            async with self._probe:
                if self._is_unproven:
                    yield
                    return
        yield

    async def _send(self, command: SendCommand, body: bytes) -> Outcome:
        if not is_group(command.destination):
            self._recipients.sent(command.destination, self._now())
        # Without this mark `recover` knows that nothing was sent.
        await self._context.segment_started(command.command_id, 1)
        with self._evidence.asking(command.command_id):
            token_version = self.config.token.version
            result = await self._graph.post_message(self.config, body)
            outcome = await self._outcome(command, result, token_version)
            # A status that names the command says more than an answer does, and proves that Meta took it.
            return self._evidence.of(command.command_id) or outcome

    async def _outcome(self, command: SendCommand, result: Result, token_version: int) -> Outcome:
        match result:
            case Answered() if message_id := _message_id(result):
                return await self._taken(command, message_id)
            case Refused():
                return self._refused(command, result, token_version)
            case NotSent(detail):
                self._trouble_begins(Reason.UNREACHABLE)
                return Failed(FAILURE_REASON_NO_SERVICE, detail=detail)
            case Lost(detail):
                self._trouble_begins(Reason.GRAPH_FAILING)
                return Unknown(detail)
            case Answered():
                self._trouble_begins(Reason.GRAPH_FAILING)
                return Unknown("Graph's answer names no message.")

    async def _taken(self, command: SendCommand, message_id: str) -> Outcome:
        self._recipients.accepted(command.destination)
        changes = self._replies.note(self.config.phone_number_id, message_id, command.command_id)
        await self._context.segment_taken(command.command_id, 1, reference=message_id, changes=changes)
        if self._trouble is None:
            self._troubles = 0
            self._is_unproven = False
            await self._tell(Reason.READY)
        return Submitted([message_id])

    def _refused(self, command: SendCommand, refused: Refused, token_version: int) -> Failed | Unknown:
        meaning = meaning_of(refused.code, refused.http_status)
        detail = detail_of(meaning, refused.details)
        retry_after_s = refused.retry_after_s
        if not is_certain(meaning, refused.http_status):
            self._trouble_begins(meaning.condition, at_least_s=retry_after_s or 0.0)
            return Unknown(f"{detail} Code {refused.code}, HTTP {refused.http_status}.")
        if meaning.effect is Effect.PAIR:
            pair_s = self._recipients.refused(command.destination, self._now())
            retry_after_s = max(pair_s, retry_after_s or 0.0)
        elif meaning.effect is Effect.NUMBER:
            trouble = self._trouble_begins(
                meaning.condition, at_least_s=retry_after_s or 0.0, token_version=token_version
            )
            retry_after_s = trouble.retry_after_s
        return Failed(meaning.reason, str(refused.code), detail, retry_after_s)

    # Pauses.

    def pause_for(self, meaning: Meaning) -> None:
        """A status told of something that keeps the whole number."""
        self._trouble_begins(meaning.condition)

    def _trouble_begins(
        self, reason: Reason, *, at_least_s: float = 0.0, token_version: int | None = None
    ) -> Trouble:
        """Send no more; what keeps the number now.

        Of what several messages meet at once the first counts, unless another needs a person; the longest pause that
        Meta asks for counts in any case.
        """
        self._is_unproven |= reason in UNPROVEN
        now = self._trouble
        if now is not None and (is_for_a_person(now) or not CONDITIONS[reason].is_for_a_person):
            now.extend(at_least_s, self._now())
            return now
        self._trouble = self._next_trouble(reason, at_least_s=at_least_s, token_version=token_version)
        self.is_ready.clear()
        self._is_troubled.set()
        return self._trouble

    def _next_trouble(
        self, reason: Reason, *, at_least_s: float = 0.0, token_version: int | None = None
    ) -> Trouble:
        self._troubles += 1
        pause_s = max(self._timing.pause_s(reason, self._troubles), at_least_s)
        version = self.config.token.version if token_version is None else token_version
        return Trouble(reason, pause_s, self._now() + pause_s, version)

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
        while self._trouble is trouble and self.config.token.version == trouble.token_version:
            pause_s = trouble.until - self._now()
            if pause_s <= 0:
                return
            await asyncio.sleep(min(pause_s, self._timing.token_look_s))

    async def _look_up(self, trouble: Trouble) -> Trouble | None:
        """What keeps the number now; None: nothing."""
        if trouble.reason is Reason.SLOWED_DOWN:
            return None  # one request more is not what Meta asked for
        token_version = self.config.token.version
        result = await self._graph.look_up(self.config)
        match result:
            case Answered(document):
                shown = document.get("display_phone_number")
                self.display_number = shown if isinstance(shown, str) else ""
                return None
            case NotSent():
                return self._next_trouble(Reason.UNREACHABLE)
            case Refused(code, http_status):
                if code == INVALID_PARAMETER:
                    return self._next_trouble(Reason.NUMBER_UNKNOWN, token_version=token_version)
                meaning = meaning_of(code, http_status)
                reason = meaning.condition if meaning.effect is Effect.NUMBER else Reason.GRAPH_FAILING
                wait_s = result.retry_after_s or 0.0
                return self._next_trouble(reason, at_least_s=wait_s, token_version=token_version)
            case Lost():
                return self._next_trouble(Reason.GRAPH_FAILING)

    async def _tell(self, reason: Reason) -> None:
        """Tell the core, on a change."""
        window = self._window_of(reason)
        if (reason, window) == (self._told, self.window):
            return
        self._told, self.window = reason, window
        condition = CONDITIONS[reason]
        if reason is Reason.READY:
            self._context.log.info("number.ready", number=self.config.name, window=window)
        else:
            self._context.log.warning("number.paused", number=self.config.name, reason=reason.value)
        await self._context.device_changed(
            DeviceChanged(
                device_key=self.config.name,
                state=condition.state,
                reason=reason.value,
                remedy=condition.remedy,
                window=window,
                signal_percent=-1,
                battery_percent=-1,
            )
        )

    def _now(self) -> float:
        return self._context.clock.monotonic()


def _message_id(answered: Answered) -> str:
    """WhatsApp's id of the message that Graph took; empty if the answer names none."""
    return id_in(next(iter(objects_in(answered.document, "messages")), {}), "id")


def is_for_a_person(trouble: Trouble) -> bool:
    """Whether it stays until somebody does something."""
    return CONDITIONS[trouble.reason].is_for_a_person
