"""What one transaction does to messages.

Owns how a state change turns into a row, a timeline step and events. Callers look at messages, call `move` and
`note`, and `save` once at the end: one statement for each kind of row, however many messages there are.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from core import events
from core.message_state import Evidence, State, announcements, next_state
from core.payloads import message_data
from core.store import messages as queries
from core.store.rows import MessageRow


class MessageChanges:
    """Gathers changes that happen at `now_ms`."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._touched: dict[str, MessageRow] = {}
        self._steps: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    def touch(self, message: MessageRow) -> None:
        """Have `save` write this record back."""
        self._touched[message.id] = message

    def note(self, message: MessageRow, name: str, **attributes: object) -> None:
        """Add a step to the message's timeline; values are shown as text, None is left out."""
        shown = {key: str(value) for key, value in attributes.items() if value is not None}
        self._steps.append(queries.step(message.id, self.now_ms, name, shown))

    def move(
        self,
        message: MessageRow,
        evidence: Evidence,
        *,
        reason: str | None = None,
        code: str | None = None,
        detail: str | None = None,
    ) -> bool:
        """Let `evidence` change the state, with its times and events; False if it changes nothing."""
        before = State(message.state)
        after = next_state(before, evidence)
        if after is None:
            return False
        was_sent = message.sent_ms is not None
        message.state = after.value
        message.hold_reason = message.hold_until_ms = None
        message.failure_reason, message.failure_code, message.failure_detail = (
            reason,
            code or None,
            detail or None,
        )
        message.failed_ms = self.now_ms if after in _FAILED else None
        if after in (State.SENT, State.DELIVERED):
            message.sent_ms = message.sent_ms or self.now_ms
        self.touch(message)
        for announcement in announcements(before, after, was_sent=was_sent):
            if announcement.status is State.DELIVERED:
                message.delivered_ms = self.now_ms
            self._announce(message, announcement.event_type, announcement.status)
        return True

    def read(self, message: MessageRow) -> bool:
        """Note that a delivered message was read; False if it is known, or if it is not delivered."""
        if message.state != State.DELIVERED or message.read_ms is not None:
            return False
        message.read_ms = self.now_ms
        self.touch(message)
        self._announce(message, "message.read", State.DELIVERED)
        return True

    def announce_inbound(self, message: MessageRow) -> None:
        """Tell of a message that came in."""
        self._announce(message, "message.inbound", State.DELIVERED)

    def add_events(self, events: Iterable[dict[str, Any]]) -> None:
        """Record events that are not about a message."""
        self._events.extend(events)

    def save(self, session: Session) -> None:
        """Write everything gathered."""
        queries.save_all(session, self._touched.values())
        queries.append_steps(session, self._steps)
        events.append(session, self._events)

    def _announce(self, message: MessageRow, event_type: str, status: State) -> None:
        message.events += 1
        data = message_data(message, status=status, sequence=message.events, at_ms=self.now_ms)
        self._events.append(
            events.new_event(
                event_type,
                tenant_id=message.tenant_id,
                at_ms=self.now_ms,
                data=data,
                message_id=message.id,
                device_id=message.device_id,
                traceparent=message.traceparent,
            )
        )


_FAILED = (State.FAILED, State.EXPIRED, State.CANCELLED, State.UNKNOWN)
