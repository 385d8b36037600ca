"""Mistakes that the simulation has to catch, each planted into the product for the time of a test.

Owns the list. A mistake is what a plausible change could do; the rules are those by which it must be noticed.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from core import dispatch, facts, message_changes
from core.dispatch import Claimed, Holdings, ReadyDevice, Reconciled
from core.driver_sessions import Hello, OpenedSession, open_sessions
from core.errors import InfiniReachError, SessionSuperseded
from core.facts import Applied, DriverFacts
from core.message_state import TRANSITIONS, WAITING, Announcement, Evidence, State
from core.sessions.dispatcher import Dispatcher
from core.sessions.protocol import Effects, SessionProtocol
from core.store.rows import DriverRow, MessageRow
from drivers.runtime import Failed
from drivers.runtime.commands import CommandBook, Group
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, JournalState, PendingFact
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest
from infinireach.v1.message_pb2 import FAILURE_REASON_NO_SERVICE
from tests.simulation.checker import Rule

Plant = Callable[[pytest.MonkeyPatch], None]
Openings = list[OpenedSession | InfiniReachError]
Answers = list[Reconciled | SessionSuperseded]


@dataclass(frozen=True, slots=True)
class Mistake:
    """How to make it, and by which rules it must be noticed; any of them will do.

    `world`: the seed that the test tries first, since it is known to notice it; the others come after it.
    """

    plant: Plant
    noticed_by: frozenset[Rule]
    world: int


MISTAKES: dict[str, Mistake] = {}


def mistake(*noticed_by: Rule, world: int = 0) -> Callable[[Plant], Plant]:
    """Add a mistake to the list, named after its function."""

    def add(plant: Plant) -> Plant:
        MISTAKES[plant.__name__.replace("_", " ")] = Mistake(plant, frozenset(noticed_by), world)
        return plant

    return add


# The core.


@mistake(Rule.ACKNOWLEDGED)
def the_core_acknowledges_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    receive = SessionProtocol.receive

    def hasty(self: SessionProtocol, frame: ConnectRequest, now_s: float) -> Effects:
        effects = receive(self, frame, now_s)
        if effects.facts is not None:
            self.acknowledged = effects.facts.facts[-1].sequence
        return effects

    patch.setattr(SessionProtocol, "receive", hasty)


def _epochs(session: Session) -> dict[str, int]:
    return {row.id: row.epoch for row in session.execute(select(col(DriverRow.id), col(DriverRow.epoch)))}


@mistake(Rule.EPOCH, world=16)
def a_claim_does_not_look_at_the_epoch(patch: pytest.MonkeyPatch) -> None:
    @functools.wraps(dispatch.claim)
    def claim(session: Session, ready: Sequence[ReadyDevice], now_ms: int) -> Claimed:
        epochs = _epochs(session)
        unfenced = [dataclasses.replace(device, epoch=epochs[device.driver_id]) for device in ready]
        return dispatch.claim(session, unfenced, now_ms)

    patch.setattr("core.sessions.dispatcher.claim", claim)


@mistake(Rule.EPOCH, Rule.ACKNOWLEDGED, Rule.INBOUND, world=26)
def facts_are_applied_whatever_their_epoch(patch: pytest.MonkeyPatch) -> None:
    @functools.wraps(facts.apply_facts)
    def apply_facts(session: Session, batches: Sequence[DriverFacts], now_ms: int) -> list[Applied]:
        epochs = _epochs(session)
        unfenced = [dataclasses.replace(batch, epoch=epochs[batch.driver_id]) for batch in batches]
        return facts.apply_facts(session, unfenced, now_ms)

    patch.setattr("core.sessions.applier.apply_facts", apply_facts)


@mistake(Rule.EPOCH, world=127)
def a_superseded_session_reconciles(patch: pytest.MonkeyPatch) -> None:
    @functools.wraps(dispatch.reconcile)
    def reconcile(session: Session, holdings: Sequence[Holdings], now_ms: int) -> Answers:
        epochs = _epochs(session)
        unfenced = [dataclasses.replace(own, epoch=epochs[own.driver_id]) for own in holdings]
        return dispatch.reconcile(session, unfenced, now_ms)

    patch.setattr("core.sessions.lifecycle.reconcile", reconcile)


@mistake(Rule.ACKNOWLEDGED)
def the_core_forgets_which_facts_it_had(patch: pytest.MonkeyPatch) -> None:
    @functools.wraps(open_sessions)
    def forgetful(session: Session, hellos: Sequence[Hello], now_ms: int, lease_ms: int) -> Openings:
        answers = open_sessions(session, hellos, now_ms, lease_ms)
        for number, (hello, opened) in enumerate(zip(hellos, answers, strict=True)):
            if isinstance(opened, OpenedSession):
                resume_after = max(hello.first_unacknowledged - 1, 0)
                session.get_one(DriverRow, opened.driver_id).applied_sequence = resume_after
                answers[number] = dataclasses.replace(opened, resume_after=resume_after)
        session.flush()
        return answers

    patch.setattr("core.sessions.lifecycle.open_sessions", forgetful)


class _Hasty(SessionProtocol):
    def opened(self, opened: OpenedSession, now_s: float) -> Effects:
        self._replay_until = 0
        return super().opened(opened, now_s)


@mistake(Rule.REPLAY_FIRST)
def commands_are_offered_before_the_replay_is_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.sessions.session.SessionProtocol", _Hasty)


@mistake(Rule.LIVENESS, world=1)
def what_a_driver_never_got_is_not_offered_again(patch: pytest.MonkeyPatch) -> None:
    @functools.wraps(dispatch.reconcile)
    def reconcile(session: Session, holdings: Sequence[Holdings], now_ms: int) -> Answers:
        answers = dispatch.reconcile(session, holdings, now_ms)
        return [
            dataclasses.replace(each, offer=[]) if isinstance(each, Reconciled) else each for each in answers
        ]

    patch.setattr("core.sessions.lifecycle.reconcile", reconcile)


@mistake(Rule.COMMAND_TWICE, Rule.MESSAGE_TWICE, world=43)
def a_lost_journal_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.driver_sessions.lose_journals", lambda *_: None)


@mistake(Rule.COMMAND_TWICE, Rule.MESSAGE_TWICE, world=703)
def only_the_session_that_sees_a_new_journal_knows_of_the_loss(patch: pytest.MonkeyPatch) -> None:
    lost: set[tuple[str, int]] = set()

    @functools.wraps(open_sessions)
    def opening(session: Session, hellos: Sequence[Hello], now_ms: int, lease_ms: int) -> Openings:
        answers = open_sessions(session, hellos, now_ms, lease_ms)
        opened = [each for each in answers if isinstance(each, OpenedSession)]
        lost.update((each.driver_id, each.epoch) for each in opened if each.journal_lost)
        return answers

    @functools.wraps(dispatch.reconcile)
    def reconcile(session: Session, holdings: Sequence[Holdings], now_ms: int) -> Answers:
        losers = {own.driver_id for own in holdings if (own.driver_id, own.epoch) in lost}
        dispatch.lose_journals(session, losers, now_ms)
        return dispatch.reconcile(session, holdings, now_ms)

    patch.setattr("core.driver_sessions.lose_journals", lambda *_: None)
    patch.setattr("core.sessions.lifecycle.open_sessions", opening)
    patch.setattr("core.sessions.lifecycle.reconcile", reconcile)


@mistake(Rule.WINDOW)
def a_report_on_a_part_gives_the_place_in_the_window_back(patch: pytest.MonkeyPatch) -> None:
    applied = SessionProtocol.applied

    def generous(self: SessionProtocol, seen: Sequence[facts.Fact], result: Applied) -> Effects:
        return applied(self, seen, dataclasses.replace(result, unsettled=set()))

    patch.setattr(SessionProtocol, "applied", generous)


@mistake(Rule.OUTCOME, Rule.LIVENESS, world=14)
def a_replayed_change_of_a_device_undoes_the_hello(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.sessions.protocol.replace", lambda fact, **_: fact)


@mistake(Rule.INBOUND, world=5)
def what_came_in_is_told_apart_by_its_number_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.facts._origin", lambda driver, fact: f"{driver.id}:{fact.sequence}")


@mistake(Rule.WINDOW)
def windows_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    free = SessionProtocol.free
    patch.setattr(SessionProtocol, "free", lambda self, device_id: free(self, device_id) + 1)


@mistake(Rule.OUTCOME, Rule.LIVENESS, world=1)
def hints_are_all_that_the_dispatcher_knows(patch: pytest.MonkeyPatch) -> None:
    async def idle(self: Dispatcher) -> None:
        pass

    patch.setattr(Dispatcher, "_poll", idle)


@mistake(Rule.FAULT, Rule.EXTERNAL_ID)
def external_ids_are_not_looked_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.messages._by_external_id", lambda *_: {})


@mistake(Rule.EVENTS)
def a_delivered_message_is_not_announced_as_sent(patch: pytest.MonkeyPatch) -> None:
    announcements = message_changes.announcements

    def fewer(before: State, after: State, *, was_sent: bool) -> list[Announcement]:
        return announcements(before, after, was_sent=was_sent)[-1:]

    patch.setattr(message_changes, "announcements", fewer)


@mistake(Rule.EVENTS)
def reading_is_told_every_time(patch: pytest.MonkeyPatch) -> None:
    read = message_changes.MessageChanges.read

    def forgetful(changes: message_changes.MessageChanges, message: MessageRow) -> bool:
        message.read_ms = None
        return read(changes, message)

    patch.setattr(message_changes.MessageChanges, "read", forgetful)


@mistake(Rule.OUTCOME)
def a_report_of_reading_counts_only_as_delivery(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(message_changes.MessageChanges, "read", lambda *_: False)


@mistake(Rule.MESSAGE_TWICE, Rule.NOT_OPEN)
def what_is_unknown_is_tried_again(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(TRANSITIONS[State.SENDING], Evidence.UNKNOWN, State.QUEUED)


@mistake(Rule.STATE, world=3)
def what_is_unknown_may_still_be_cancelled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.messages.WAITING", (*WAITING, State.UNKNOWN))
    patch.setitem(TRANSITIONS[State.UNKNOWN], Evidence.CANCELLED, State.CANCELLED)


@mistake(Rule.NOT_OPEN, Rule.OUTCOME, world=12)
def a_message_is_cancelled_while_a_driver_has_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.messages.WAITING", (*WAITING, State.SENDING))


@mistake(Rule.NOT_OPEN, Rule.OUTCOME, world=12)
def a_message_expires_while_a_driver_has_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("core.store.messages.WAITING", text("message.state IN ('queued', 'scheduled', 'sending')"))


# The driver.


@mistake(Rule.JOURNAL_FIRST)
def the_driver_writes_its_journal_after_it_has_sent(patch: pytest.MonkeyPatch) -> None:
    start_waiting = CommandBook.start_waiting

    def unwritten(self: CommandBook, batch: Batch, *, now_ns: int) -> list[Group]:
        groups = start_waiting(self, batch, now_ns=now_ns)
        batch.start.clear()
        return groups

    patch.setattr(CommandBook, "start_waiting", unwritten)


@mistake(Rule.COMMAND_TWICE, Rule.MESSAGE_TWICE, world=4)
def what_was_started_is_taken_for_never_sent(patch: pytest.MonkeyPatch) -> None:
    state = Journal.state

    def optimistic(self: Journal) -> JournalState:
        found = state(self)
        held = [dataclasses.replace(entry, started=False) for entry in found.open_commands]
        return dataclasses.replace(found, open_commands=held)

    patch.setattr(Journal, "state", optimistic)


@mistake(Rule.MESSAGE_TWICE, world=5)
def what_nobody_can_know_is_taken_for_not_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "drivers.runtime.engine.Unknown", lambda detail: Failed(FAILURE_REASON_NO_SERVICE, "", detail)
    )


@mistake(Rule.INBOUND, Rule.OUTCOME, world=5)
def the_driver_forgets_facts_that_nobody_acknowledged(patch: pytest.MonkeyPatch) -> None:
    take_batch = DriverProtocol.take_batch

    def forgetful(self: DriverProtocol) -> Batch | None:
        batch = take_batch(self)
        if batch is not None:
            batch.acknowledged = self.facts.last
        return batch

    patch.setattr(DriverProtocol, "take_batch", forgetful)


@mistake(Rule.INBOUND)
def the_same_inbound_message_is_reported_again(patch: pytest.MonkeyPatch) -> None:
    add_fact = DriverProtocol.add_fact

    def again(self: DriverProtocol, pending: PendingFact) -> None:
        pending.identity = ""
        add_fact(self, pending)

    patch.setattr(DriverProtocol, "add_fact", again)
