"""Statuses of messages that were sent: which command each is of, and what it says of it.

Owns what is known of repeats. Believes no command id from outside: the journal is asked whether it knows the command.
"""

from collections import OrderedDict
from dataclasses import dataclass

from drivers.runtime import Context, Delivered, Failed, JournalUnwritable, Read, Report, Submitted
from drivers.whatsapp_cloud.callback_data import CHARACTERS_MAX, CallbackData
from drivers.whatsapp_cloud.counts import Counts
from drivers.whatsapp_cloud.errors import NO_CODE, Effect, Meaning, detail_of, final, meaning_of
from drivers.whatsapp_cloud.evidence import Evidence
from drivers.whatsapp_cloud.fields import Json, code_in, id_in, object_in, objects_in, text_in, time_in
from drivers.whatsapp_cloud.number import Number
from drivers.whatsapp_cloud.replies import Replies

REPEATS_MAX = 20_000
"""Statuses that are known again; of what is older the journal and the core see themselves that it is no news."""
PAUSES_FOR_S = 300
"""Age in seconds up to which a status pauses its number: what was true days ago is not true now."""


@dataclass(slots=True, frozen=True)
class Status:
    """One status that can be read."""

    message_id: str
    name: str
    command_id: str
    report: Report
    meaning: Meaning | None
    """Of the error, if it failed."""
    at: int
    """Seconds since 1970; 0: not said."""


class Statuses:
    """Applies statuses of all numbers."""

    def __init__(
        self,
        context: Context,
        replies: Replies,
        evidence: Evidence,
        *,
        callback_data: CallbackData,
        counts: Counts,
    ) -> None:
        self._context = context
        self._replies = replies
        self._evidence = evidence
        self._callback_data = callback_data
        self._counts = counts
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    async def apply(self, number: Number, statuses: list[Json]) -> None:
        """Report what is news; on disk when this returns. Raises JournalUnwritable, and nothing of it is kept."""
        read = [self._read(number, status) for status in statuses]
        found = [status for status in read if status is not None]
        known = await self._context.known([status.command_id for status in found])
        fresh = [status for status in found if status.command_id in known]
        self._counts.dropped("unknown_command", len(found) - len(fresh))
        if not fresh:
            return
        phone_number_id = number.config.phone_number_id
        changes: dict[str, bytes | None] = {}
        reports: list[tuple[str, Report]] = []
        taken: list[tuple[str, str]] = []
        for status in fresh:
            # Before anything is awaited: an answer that is lost meanwhile is settled by this.
            command_id, is_sent = status.command_id, isinstance(status.report, Submitted)
            said = status.report if isinstance(status.report, Failed) else Submitted([status.message_id])
            self._evidence.add(command_id, said)
            if is_sent and self._replies.command(phone_number_id, status.message_id) == command_id:
                continue  # the answer said so
            changes.update(self._replies.note(phone_number_id, status.message_id, command_id))
            if is_sent and self._evidence.is_asked(command_id):
                # The answer is still to come and will be the result; until then the mark tells `recover`.
                taken.append((command_id, status.message_id))
            else:
                reports.append((command_id, status.report))
        try:
            await self._context.report(reports, changes=changes, taken=taken, refusable=True)
        except JournalUnwritable:
            self._replies.take_back(changes)
            raise
        for status in fresh:
            self._note(number, status)
        self._counts.applied("status_applied", len(fresh))

    def _read(self, number: Number, status: Json) -> Status | None:
        """A status that is of one of our commands and no repeat, as far as it says itself."""
        phone_number_id = number.config.phone_number_id
        message_id = id_in(status, "id")
        name = text_in(status, "status", 64)
        if (phone_number_id, message_id, name) in self._seen:
            self._counts.applied("repeated")
            return None
        if not message_id or not name:
            self._counts.dropped("malformed")
            return None
        report, meaning = _report_of(status, name, message_id)
        if report is None:
            self._counts.applied("ignored")
            return None
        if told := text_in(status, "biz_opaque_callback_data", CHARACTERS_MAX):
            command_id = self._callback_data.read(told, phone_number_id)
        else:
            command_id = self._replies.command(phone_number_id, message_id)
        if not command_id:  # another program's with the same number, or a forgery
            self._counts.dropped("unknown_command")
            return None
        time = time_in(status)
        return Status(message_id, name, command_id, report, meaning, time.seconds if time else 0)

    def _note(self, number: Number, status: Status) -> None:
        """It is on disk: a repeat says nothing new."""
        self._seen[number.config.phone_number_id, status.message_id, status.name] = None
        if len(self._seen) > REPEATS_MAX:
            self._seen.popitem(last=False)
        is_recent = self._context.clock.wall_ns() // 1_000_000_000 - status.at <= PAUSES_FOR_S
        if status.meaning is not None and status.meaning.effect is Effect.NUMBER and is_recent:
            number.pause_for(status.meaning)


def _report_of(status: Json, name: str, message_id: str) -> tuple[Report | None, Meaning | None]:
    match name:
        case "sent":
            return Submitted([message_id]), None
        case "delivered":
            return Delivered(network_time=time_in(status)), None
        case "read" | "played":
            return Read(time_in(status)), None
        case "failed":
            error = next(iter(objects_in(status, "errors")), {})
            code = code_in(error)
            meaning = meaning_of(NO_CODE if code is None else code)
            said = text_in(object_in(error, "error_data"), "details", 300) or text_in(error, "title", 300)
            network_code = "" if code is None else str(code)
            # Meta had taken it, so it is not sent again, whatever the reason.
            return Failed(final(meaning.reason), network_code, detail_of(meaning, said)), meaning
        case _:
            return None, None
