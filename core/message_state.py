"""The states of a message and what may move them.

Rules of this file: everything that decides a state is in the tables below; it knows nothing of storage, time or
transport. Terminal states never change, except that late evidence settles `unknown`.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a message stands; the words are the public ones."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    """What was seen or decided about a message."""

    CLAIMED = "claimed"
    RELEASED = "released"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    FAILED = "failed"
    RETRY = "retry"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


TRANSITIONS: dict[State, dict[Evidence, State]] = {
    State.QUEUED: {
        Evidence.CLAIMED: State.SENDING,
        Evidence.SUBMITTED: State.SENT,
        Evidence.DELIVERED: State.DELIVERED,
        Evidence.CANCELLED: State.CANCELLED,
        Evidence.EXPIRED: State.EXPIRED,
        Evidence.FAILED: State.FAILED,
    },
    State.SCHEDULED: {
        Evidence.RELEASED: State.QUEUED,
        Evidence.SUBMITTED: State.SENT,
        Evidence.DELIVERED: State.DELIVERED,
        Evidence.CANCELLED: State.CANCELLED,
        Evidence.EXPIRED: State.EXPIRED,
        Evidence.FAILED: State.FAILED,
    },
    State.SENDING: {
        Evidence.SUBMITTED: State.SENT,
        Evidence.DELIVERED: State.DELIVERED,
        Evidence.FAILED: State.FAILED,
        Evidence.RETRY: State.SCHEDULED,
        Evidence.CANCELLED: State.CANCELLED,
        Evidence.EXPIRED: State.EXPIRED,
        Evidence.UNKNOWN: State.UNKNOWN,
    },
    State.SENT: {Evidence.DELIVERED: State.DELIVERED, Evidence.FAILED: State.FAILED},
    State.UNKNOWN: {
        Evidence.SUBMITTED: State.SENT,
        Evidence.DELIVERED: State.DELIVERED,
        Evidence.FAILED: State.FAILED,
    },
    State.DELIVERED: {},
    State.FAILED: {},
    State.EXPIRED: {},
    State.CANCELLED: {},
}
"""Evidence that a state's row does not name changes nothing and is kept in the timeline.

A message waits again after an attempt that failed before anything was sent. If that attempt turns out to have gone
out after all, the message has: it is not sent a second time.
"""

WAITING = (State.QUEUED, State.SCHEDULED)
"""States in which no driver has the message."""

REASON_UNKNOWN = "outcome_unknown"
REASON_EXPIRED = "expired"
REASON_CANCELLED = "cancelled"
REASON_DEVICE_REMOVED = "device_removed"
REASON_UNSUPPORTED = "content_unsupported"

RETRIED_REASONS = frozenset({"no_service", "device_fault", "rate_limited"})
"""Failures before anything was sent that pass by themselves; the message waits and is tried again."""

RETRY_DELAYS_S = (15, 60, 300, 900, 1800)
"""Waits between attempts at one message; the last one repeats until its deadline."""

RETRY_DELAY_MS_MIN = 1000
"""A driver cannot ask for less."""

USUAL_ATTEMPTS = 2
"""Attempts after which a driver may ask for any wait; after later ones for no less than a quarter of the table's."""


def retry_delay_s(attempt: int) -> int:
    """How long to wait after attempt number `attempt` (from 1) failed with a retried reason."""
    return RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S)) - 1]


def retry_wait_ms(attempt: int, asked_ms: int | None) -> int:
    """How long to wait after attempt number `attempt` (from 1), for which the driver asked for `asked_ms`; None: for
    nothing.

    A driver knows when its network takes more, yet one that is wrong each time must not try without end.
    """
    usual_ms = retry_delay_s(attempt) * 1000
    if asked_ms is None:
        return usual_ms
    return max(asked_ms, RETRY_DELAY_MS_MIN if attempt <= USUAL_ATTEMPTS else usual_ms // 4)


def next_state(state: State, evidence: Evidence) -> State | None:
    """The state that follows; None if `evidence` changes nothing in `state`."""
    return TRANSITIONS[state].get(evidence)


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that a state change gives: its type, and the status word it carries."""

    event_type: str
    status: State


def announcements(before: State, after: State, *, was_sent: bool) -> list[Announcement]:
    """The events of a change, in order.

    A delivered message was sent: where the report of that is late or lost, both are announced, so that every owner
    sees the same sequence whatever order the network chose. `was_sent`: message.sent was announced already.
    """
    events: list[Announcement] = []
    if after in (State.SENT, State.DELIVERED) and not was_sent:
        events.append(Announcement("message.sent", State.SENT))
    if after is State.DELIVERED:
        events.append(Announcement("message.delivered", State.DELIVERED))
    if after in (State.FAILED, State.EXPIRED, State.CANCELLED, State.UNKNOWN) and after is not before:
        events.append(Announcement("message.failed", after))
    return events
