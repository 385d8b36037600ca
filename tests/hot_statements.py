"""The use cases that run often or over much, as the tests of query plans run them.

Owns the list, for every database. Each takes a session and a driver's session of tenant A, in a database in which every
state has some messages.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session

from core import events
from core.deadlines import expire_due, give_up_on_abandoned, release_held
from core.delivery.claims import Want
from core.delivery.claims import claim as claim_deliveries
from core.delivery.fanout import fan_out
from core.device_admin import list_devices
from core.dispatch import Holdings, reconcile, settled_elsewhere
from core.driver_sessions import Hello, OpenedSession, close_sessions, open_sessions, renew_leases
from core.event_feed import FeedRequest, read_feed
from core.events import PublishedEvent
from core.facts import Inbound
from core.message_state import Evidence
from core.messages import MessageFilter, accept, cancel, fail_waiting, get, list_messages
from core.retention import STEPS, Retention
from core.store.deliveries import stranded_endpoints, waiting_endpoints
from core.store.messages import devices_with_queued, timeline_of, webhook_attempts_of
from core.store.rows import DeviceRow
from core.webhooks import settle_backlog
from tests.core_fixtures import (
    LEASE_MS,
    NOW_MS,
    NUMBER,
    RECIPIENT,
    TTL_MS,
    accept_one,
    apply,
    claim_for,
    claimed_command,
    connect,
    device_of,
    hello,
    new_message,
    offered_device,
    report,
    settle,
    without_numbers,
)
from tests.fakes.database import TENANT_A

KEEP = Retention(days=90, delivery_days=30)


def open_world(session: Session) -> OpenedSession:
    """Have every state have some messages; answers the driver's session."""
    opened = connect(session, offered_device(), without_numbers(offered_device("modem-2")))
    for outcome in (Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.FAILED, Evidence.UNKNOWN):
        settle(session, opened, claimed_command(session, opened), outcome)
    failed = claimed_command(session, opened)
    apply(session, opened, report(5, failed.command_id, Evidence.FAILED, reason="no_service"))
    claimed_command(session, opened)
    accept_one(session)
    return opened


def an_inbound(sequence: int) -> Inbound:
    return Inbound(sequence, "modem-1", "sms", RECIPIENT, NUMBER, "Hi", 1, "", None)


def an_answer(sequence: int) -> Inbound:
    return replace(an_inbound(sequence), reply_to_command_id=f"{'0' * 24}-1")


def remove(session: Session, opened: OpenedSession) -> int:
    session.get_one(DeviceRow, device_of(opened)).deleted_ms = NOW_MS
    session.flush()
    return fail_waiting(session, device_of(opened), NOW_MS)


def a_hello(number: int) -> Hello:
    """The hello of one driver of many."""
    device = offered_device(f"modem-{number}", f"+1444{number:07}")
    return hello(device, driver_name=f"one-of-many-{number}")


def reconcile_many(session: Session, _: OpenedSession) -> object:
    """Many sessions that opened together reconcile together."""
    answers = open_sessions(session, [a_hello(n) for n in range(20)], NOW_MS, LEASE_MS)
    opened = [each for each in answers if isinstance(each, OpenedSession)]
    return reconcile(
        session, [Holdings(each.driver_id, each.epoch, set(), list(each.keys)) for each in opened], NOW_MS
    )


def unpublished(session: Session) -> list[PublishedEvent]:
    """Some events that have no position yet."""
    found = events.read_outbox(session, frozenset(), 100).events
    assert found
    return list(found)


USE_CASES: dict[str, Callable[[Session, OpenedSession], object]] = {
    "accept": lambda session, _: accept(session, [new_message(external_id="x")] * 2, NOW_MS, TTL_MS),
    "accept for a group": lambda session, _: accept(
        session, [new_message(to="1@g.us", channel="sms")] * 2, NOW_MS, TTL_MS
    ),
    "claim": claim_for,
    "poll": lambda session, _: devices_with_queued(session),
    "facts": lambda session, opened: apply(
        session, opened, report(6, f"{'0' * 24}-1", Evidence.SUBMITTED), an_inbound(7), an_answer(8)
    ),
    "open": lambda session, _: connect(
        session, without_numbers(offered_device()), offered_device("modem-2"), last_sequence=5
    ),
    "open many": lambda session, _: open_sessions(session, [a_hello(n) for n in range(20)], NOW_MS, LEASE_MS),
    "open many again": lambda session, _: [
        open_sessions(session, [a_hello(n) for n in range(20)], NOW_MS, LEASE_MS) for _ in range(2)
    ],
    "reconcile many": reconcile_many,
    "leases": lambda session, opened: renew_leases(
        session, [(opened.driver_id, opened.epoch)], NOW_MS, LEASE_MS
    ),
    "ends": lambda session, opened: close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS),
    "open again": lambda session, opened: settled_elsewhere(session, {opened.driver_id: [f"{'0' * 24}-1"]}),
    "open with a new journal": lambda session, _: connect(session, journal_id="journal-2"),
    "reconcile": lambda session, opened: reconcile(
        session,
        [Holdings(opened.driver_id, opened.epoch, set(), set(opened.keys))],
        NOW_MS,
    ),
    "release": lambda session, _: release_held(session, NOW_MS + 10**9),
    "expire": lambda session, _: expire_due(session, NOW_MS + 10**9),
    "give up": lambda session, _: give_up_on_abandoned(session, NOW_MS + 10**10),
    "remove a device": remove,
    "cancel": lambda session, _: cancel(session, TENANT_A, accept_one(session), NOW_MS),
    "get": lambda session, _: get(session, TENANT_A, accept_one(session)),
    "list": lambda session, _: list_messages(session, TENANT_A, MessageFilter(before_id="f" * 24), 100),
    "timeline": lambda session, _: timeline_of(session, "0" * 24, 100),
    "attempts": lambda session, _: webhook_attempts_of(session, "0" * 24, 100),
    "outbox": lambda session, _: events.read_outbox(session, frozenset(), 100),
    "positions": lambda session, _: events.mark_published(
        session,
        [event.id for event in events.lock_unpublished(session, [each.id for each in unpublished(session)])],
    ),
    "feed": lambda session, _: read_feed(session, TENANT_A, FeedRequest(0, [], 100)),
    "feed of some types": lambda session, _: read_feed(
        session, TENANT_A, FeedRequest(0, ["message.sent"], 9)
    ),
    "fan out": lambda session, _: fan_out(session, unpublished(session), NOW_MS),
    "deliveries due": lambda session, _: waiting_endpoints(session),
    "stranded deliveries": lambda session, _: stranded_endpoints(session),
    "claim deliveries": lambda session, _: claim_deliveries(session, [Want("w", 4, 4)], NOW_MS, worker="w1"),
    "settle a backlog": lambda session, _: settle_backlog(session, "w", NOW_MS),
    "devices": lambda session, _: list_devices(session, TENANT_A),
    "prune deliveries": lambda session, _: STEPS[0](session, "", KEEP.cutoffs(NOW_MS)),
    "prune events": lambda session, _: STEPS[1](session, "", KEEP.cutoffs(NOW_MS)),
    "prune messages": lambda session, _: STEPS[2](session, "", KEEP.cutoffs(NOW_MS)),
    "prune rejected facts": lambda session, _: STEPS[3](session, '["", "", 0]', KEEP.cutoffs(NOW_MS)),
}
