"""Sends the messages of one modem, part by part, and takes up those that an earlier process left unfinished.

Owns the order of journal and radio: a part is marked after the modem asked for it and before its first byte, and again
with its reference. So no part ever goes out twice, and what was provably not handed over goes out. Knows nothing of how
a modem is set up and of what comes in. docs/adr/0015 says why the marks are where they are.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from drivers.modem.at.causes import Action, cause_of
from drivers.modem.at.results import AtFailure, CommandRefused, CommandUnanswered, NoReference, PduNotWritten
from drivers.modem.codec import AddressInvalid, TextTooLong, TextUnencodable
from drivers.modem.line import Line, Lines, Priority, Turns
from drivers.modem.messages.outgoing import (
    Outgoing,
    PartMark,
    Stage,
    compose_new,
    take_up,
)
from drivers.modem.messages.parts import Part
from drivers.modem.messages.refusals import (
    NOT_ASKED,
    NOT_JOURNALLED,
    NOT_WRITTEN,
    Refused,
    Tries,
    is_devices_own,
    is_trouble,
)
from drivers.modem.messages.reports import SLACK_S, VALIDITY_S, Reports
from drivers.modem.timing import Timing
from drivers.runtime import Context, CutShort, Failed, Outcome, SendAgain, Submitted, Unknown
from drivers.runtime.context import Changes
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_EXPIRED,
    FAILURE_REASON_NO_SERVICE,
)

REFERENCES = 2**16
"""The counter of concatenation references goes round here; of a narrow reference its low 8 bits are used."""

EQUIPMENT_CODES_START = 300
"""From here on a code comes from the modem and not from the network (TS 27.005 §3.2.5)."""

RETRY_STEPS_MAX = 12
"""The time between two tries grows by a step with each, so many times."""

_NO_ANSWER = "The modem did not say whether the network took it."
_AWAY = Failed(FAILURE_REASON_NO_SERVICE, detail="The modem is not ready.")
T = TypeVar("T")


class Sender:
    """The sending end of one modem. One message at a time; who calls meanwhile waits for its turn."""

    def __init__(
        self,
        context: Context,
        *,
        timing: Timing,
        reports: Reports,
        wants_reports: bool,
        drain: Callable[[Line], Awaitable[None]],
        on_device_failure: Callable[[str], None],
        on_device_success: Callable[[], None],
    ) -> None:
        """`wants_reports`: False if the SIM's owner wants none whatever a message asks for.

        `drain` empties the modem's memory. `on_device_failure` is called with a sentence each time the modem itself
        fails, `on_device_success` each time it does its work, whatever the network says.
        """
        self._context = context
        self._timing = timing
        self._reports = reports
        self._wants_reports = wants_reports
        self._drain = drain
        self._on_device_failure = on_device_failure
        self._on_device_success = on_device_success
        self._one_at_a_time = asyncio.Lock()
        self._stopping = asyncio.Event()

    def stopping(self) -> None:
        """The process is about to stop: begin no further part. Who waits for one gets CutShort."""
        self._stopping.set()

    async def send(self, command: SendCommand, lines: Lines, turns: Turns) -> Outcome:
        """Hand a message to the network. Called once for each command."""
        async with self._one_at_a_time:
            line = lines.current
            if line is None:
                return _AWAY
            try:
                message = await self._compose(command, line)
            except AddressInvalid as error:
                return Failed(FAILURE_REASON_DESTINATION_INVALID, detail=f"The destination is {error}.")
            except (TextTooLong, TextUnencodable) as error:
                return Failed(FAILURE_REASON_CONTENT_UNSUPPORTED, detail=f"The text has {error}.")
            return await self._hand_over(message, lines, turns)

    async def recover(self, command: SendCommand, lines: Lines, turns: Turns) -> Outcome | SendAgain:
        """What became of a message that an earlier process began. Goes on with it where that is certain."""
        marks = await self._context.segments(command.command_id)
        wants_report = self._wants_reports and command.delivery_report_wanted
        left = take_up(command, marks, wants_report=wants_report)
        if left is None:
            return SendAgain()
        if isinstance(left, Unknown):
            return left
        async with self._one_at_a_time:
            return await self._hand_over(left, lines, turns)

    async def _compose(self, command: SendCommand, line: Line) -> Outgoing:
        reference = await self._last_reference(line.iccid)
        wants_report = self._wants_reports and command.delivery_report_wanted
        return compose_new(command, line, reference=(reference + 1) % REFERENCES, wants_report=wants_report)

    async def _last_reference(self, iccid: str) -> int:
        """Of this SIM's last message of several parts; so none is used again soon, whatever restarts."""
        key = _reference_key(iccid)
        stored = (await self._context.store.read(key)).get(key)
        return secrets.randbelow(REFERENCES) if stored is None else int(stored)

    # A message.

    async def _hand_over(self, message: Outgoing, lines: Lines, turns: Turns) -> Outcome:
        """Send what is missing of a message."""
        keeps_link = message.total > 1
        outcome: Outcome | None = None
        for number in message.missing():
            outcome = await self._hand_over_part(message, number, lines, turns, keeps_link=keeps_link)
            if outcome is not None:
                break
            keeps_link = False
        outcome = outcome or Submitted(message.references())
        self._context.log.info(
            "sms.handed_over",
            command_id=message.command.command_id,
            device_key=message.command.device_key,
            segments=message.total,
            segments_taken=len(message.taken),
            outcome=type(outcome).__name__.lower(),
            network_code=outcome.network_code if isinstance(outcome, Failed) else "",
        )
        return outcome

    async def _hand_over_part(
        self, message: Outgoing, number: int, lines: Lines, turns: Turns, *, keeps_link: bool
    ) -> Outcome | None:
        """Send one part, with the retries that its refusals allow. None: the network took it."""
        tries = Tries()
        await self._unless_stopping(turns.turn())
        while True:
            line = await self._unless_stopping(self._line_for(message, lines, tries))
            if line is None:
                sentence = "The modem did not come back with the same SIM."
                return message.failed(FAILURE_REASON_NO_SERVICE, "", sentence) if message.taken else _AWAY
            if not message.taken and message.is_late(self._context.clock.wall_ns()):
                return Failed(
                    FAILURE_REASON_EXPIRED, detail="The deadline passed before the device was free."
                )
            if keeps_link:
                await self._keep_link(line)
            result = await self._attempt(message, number, line)
            if not isinstance(result, Refused):
                await self._pause(line, message)
                return result
            outcome = await self._retry_or_fail(message, result, tries, line)
            if outcome is not None:
                return outcome

    async def _line_for(self, message: Outgoing, lines: Lines, tries: Tries) -> Line | None:
        """The line, if it has the message's SIM. Waits for it only if a part is out already."""
        line = lines.current
        if line is None and message.taken:
            try:
                async with asyncio.timeout(self._resume_s_left(tries)):
                    line = await lines.next_line()
            except TimeoutError:
                return None
        return line if line is not None and line.iccid == message.shared.iccid else None

    def _resume_s_left(self, tries: Tries) -> float:
        """How long a message of which parts are out still waits for its trouble, from now on, to pass."""
        now = self._context.clock.monotonic()
        if tries.trouble_since is None:
            tries.trouble_since = now
        return tries.trouble_since + self._timing.resume_s - now

    async def _unless_stopping(self, wait: Coroutine[Any, Any, T]) -> T:
        """Wait where nothing is under way. Raises CutShort: the journal says where the next process is to go on."""
        waiting = asyncio.ensure_future(wait)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                raise CutShort
            return waiting.result()
        finally:
            waiting.cancel()
            stopping.cancel()

    async def _keep_link(self, line: Line) -> None:
        """Ask for the radio link to stay open between the parts. Not every modem can; it is only faster."""
        try:
            await line.commands.execute("AT+CMMS=2", timeout_s=self._timing.setting_s, priority=Priority.SEND)
        except AtFailure:
            return

    async def _pause(self, line: Line, message: Outgoing) -> None:
        if line.pause_between_parts_s and message.missing():
            await asyncio.sleep(line.pause_between_parts_s)

    async def _retry_or_fail(
        self, message: Outgoing, refused: Refused, tries: Tries, line: Line
    ) -> Outcome | None:
        """What follows from a refusal. None: the part is to be tried again, now."""
        cause = refused.cause
        if cause.action is Action.WITHOUT_FEATURE and message.has_validity:
            message.has_validity = False
            return None
        if cause.action is Action.STORAGE and not tries.has_drained:
            tries.has_drained = True
            await self._empty_storage(line)
            return None
        if cause.action is Action.RETRY and tries.retries == cause.retries_max and is_devices_own(cause):
            self._on_device_failure(cause.sentence)
        # A message of which parts are out cannot go to another device, so its own gets the time to recover.
        waits = bool(message.taken) and is_trouble(cause) and self._resume_s_left(tries) > 0
        if waits or (cause.action is Action.RETRY and tries.retries < cause.retries_max):
            tries.retries += 1
            steps = min(tries.retries, RETRY_STEPS_MAX)
            await self._unless_stopping(asyncio.sleep(self._timing.retry_step_s * steps))
            return None
        return message.failed(cause.reason, refused.code, cause.sentence)

    async def _empty_storage(self, line: Line) -> None:
        try:
            await self._drain(line)
        except AtFailure as error:
            self._context.log.warning("sms.storage_not_drained", error=type(error).__name__)

    # A part.

    async def _attempt(self, message: Outgoing, number: int, line: Line) -> Refused | Unknown | None:
        """One AT+CMGS. None: the network took the part, and the journal says so."""
        await self._reports.load(line.iccid)
        part = self._part(message, number)
        pdu = message.pdu(number, line, now_ns=self._context.clock.wall_ns())
        is_marked = False

        async def mark() -> None:
            nonlocal is_marked
            is_marked = True
            async with asyncio.timeout(self._timing.journal_s):
                await self._mark_started(message, part)

        try:
            reference = await line.commands.submit(
                tpdu_octets=pdu.tpdu_octets,
                pdu=pdu.hex,
                timeout_s=line.submit_timeout_s,
                before_pdu=mark,
            )
        except (AtFailure, TimeoutError) as error:
            return await self._not_taken(message, part, error, is_marked=is_marked)
        except BaseException:
            self._reports.lost(part)
            raise
        await self._mark_taken(message, part, reference)
        return None

    async def _not_taken(
        self, message: Outgoing, part: Part, error: Exception, *, is_marked: bool
    ) -> Refused | Unknown | None:
        """What an attempt without a reference means."""
        is_handed_over = is_marked and not isinstance(error, PduNotWritten | TimeoutError)
        if is_handed_over and isinstance(error, CommandUnanswered | NoReference):
            self._on_device_failure(_NO_ANSWER)
            return self._unknown(part, _NO_ANSWER)
        if not isinstance(error, CommandRefused):
            cause = NOT_JOURNALLED if isinstance(error, TimeoutError) else NOT_ASKED
            return await self._refused(message, part, Refused(cause, ""), is_marked=is_marked)
        cause = cause_of(error.domain, error.code)
        code = "" if error.code is None else str(error.code)
        if is_handed_over and cause.action is Action.ACCEPTED:
            await self._mark_taken(message, part, None)
            return None
        if is_handed_over and cause.action is Action.AMBIGUOUS:
            if error.code is None or error.code >= EQUIPMENT_CODES_START:
                self._on_device_failure(cause.sentence)
            return self._unknown(part, f"{cause.sentence} ({error.text})")
        if cause.action in (Action.AMBIGUOUS, Action.ACCEPTED):
            cause = NOT_WRITTEN
        return await self._refused(message, part, Refused(cause, code), is_marked=is_marked)

    def _unknown(self, part: Part, sentence: str) -> Unknown:
        self._reports.lost(part)
        return Unknown(f"Segment {part.segment}: {sentence}")

    async def _refused(self, message: Outgoing, part: Part, refused: Refused, *, is_marked: bool) -> Refused:
        """The part did not go out: say so in the journal, so that a crash does not leave it in doubt."""
        if is_marked:
            try:
                async with asyncio.timeout(self._timing.journal_s):
                    await self._mark_refused(message, part)
            except TimeoutError:
                self._context.log.warning("journal.slow", command_id=message.command.command_id)
        if refused.cause.action is Action.DEVICE:
            self._on_device_failure(refused.cause.sentence)
        elif refused.cause.action is Action.PERMANENT:
            self._on_device_success()
        return refused

    # The journal.

    async def _mark_started(self, message: Outgoing, part: Part) -> None:
        changes: dict[str, bytes | None] = {}
        if message.total > 1 and not message.taken:
            changes[_reference_key(part.iccid)] = str(message.shared.reference).encode()
        if message.wants_report:
            changes |= self._reports.begin(part)
        mark = PartMark(Stage.STARTED, message.shared)
        await self._context.segment_started(
            part.command_id, part.segment, reference=mark.encode(), changes=changes
        )

    async def _mark_refused(self, message: Outgoing, part: Part) -> None:
        mark = PartMark(Stage.REFUSED, message.shared)
        changes: Changes = self._reports.refused(part) if message.wants_report else {}
        await self._context.segment_started(
            part.command_id, part.segment, reference=mark.encode(), changes=changes
        )

    async def _mark_taken(self, message: Outgoing, part: Part, reference: int | None) -> None:
        self._on_device_success()
        own = "" if reference is None else str(reference)
        message.taken[part.segment] = own
        mark = PartMark(Stage.TAKEN, message.shared, own)
        changes: Changes = self._reports.taken(part, reference) if message.wants_report else {}
        await self._context.segment_taken(
            part.command_id, part.segment, reference=mark.encode(), changes=changes
        )
        if message.wants_report:
            await self._reports.tend(part.iccid)

    def _part(self, message: Outgoing, number: int) -> Part:
        now_ns = self._context.clock.wall_ns()
        validity = message.validity(now_ns)
        validity_s = VALIDITY_S if validity is None else validity.total_seconds()
        return Part(
            iccid=message.shared.iccid,
            command_id=message.command.command_id,
            segment=number,
            recipient=message.command.destination,
            started_s=now_ns / 1e9,
            expires_s=now_ns / 1e9 + validity_s + SLACK_S,
        )


def _reference_key(iccid: str) -> str:
    return f"reference/{iccid}"
