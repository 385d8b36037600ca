"""Use case of time: what is old and over is removed, a step at a time.

Owns the order and the size of steps. Deliveries go before the events that they deliver, and these before messages, so
that nobody finds a delivery whose event is gone; facts that were kept aside go at the age of messages. A step is one
short transaction; whoever dies between two steps leaves nothing half done, and any number may take steps at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.events import last_position
from core.store.retention import (
    Cutoffs,
    Looked,
    Run,
    remove_deliveries,
    remove_events,
    remove_messages,
    remove_rejected_facts,
)

LOOK_MAX = 500
"""Rows of one noun that a step looks at; bounds how long it takes, whatever is among them."""

DAY_MS = 86_400_000

KEPT_MS_MIN = DAY_MS
"""The shortest time that anything is kept: a report on a message that is older may name one that is gone."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long to keep what is over, in days; 0: for ever. Deliveries stay no longer than their events."""

    days: int
    delivery_days: int

    def cutoffs(self, now_ms: int, *, is_rehearsal: bool = False) -> Cutoffs:
        """What was over before these times may go."""
        messages_ms = now_ms - self.days * DAY_MS if self.days else 0
        deliveries_ms = now_ms - self.delivery_days * DAY_MS if self.delivery_days else 0
        return Cutoffs(messages_ms, max(messages_ms, deliveries_ms), is_rehearsal)

    @property
    def is_for_ever(self) -> bool:
        """Whether nothing is ever removed."""
        return not self.days and not self.delivery_days


def _deliveries(session: Session, after: str, cutoffs: Cutoffs) -> Looked:
    return remove_deliveries(session, Run(after, LOOK_MAX), cutoffs)


def _events(session: Session, after: str, cutoffs: Cutoffs) -> Looked:
    return remove_events(session, Run(after, LOOK_MAX), cutoffs, last_position(session))


def _messages(session: Session, after: str, cutoffs: Cutoffs) -> Looked:
    return remove_messages(session, Run(after, LOOK_MAX), cutoffs)


def _rejected_facts(session: Session, after: str, cutoffs: Cutoffs) -> Looked:
    return remove_rejected_facts(session, Run(after, LOOK_MAX), cutoffs)


Step = Callable[[Session, str, Cutoffs], Looked]
"""Looks at the rows after a key, removes those that may go, and answers from where to go on."""

STEPS: tuple[Step, ...] = (_deliveries, _events, _messages, _rejected_facts)
"""In the order in which they are taken."""
