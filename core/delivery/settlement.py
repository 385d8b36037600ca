"""What became of attempts: states, retries, the evidence, and the endpoint's health.

Owns the meaning of an attempt for its delivery and its endpoint. Knows no HTTP and no scheduling.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from core.clock import rfc3339_seconds
from core.delivery import backoff
from core.delivery.backoff import Control, Outcome
from core.delivery.health import Health, Verdict
from core.events import append, new_event
from core.store import deliveries as queries
from core.store.deliveries import AnyRow

REASON_GONE = "gone"
REASON_REQUESTED = "requested"
REASON_FAILING = "failing"
"""Why an endpoint was switched off: it answered 410, it asked for it, or it failed for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt that came to an end. `status` is None where no answer came; `error` says why, or is empty."""

    delivery_id: str
    webhook_id: str
    ordered: bool
    at_ms: int
    duration_ms: int
    status: int | None
    error: str
    response: str
    control: Control | None
    retry_after_s: int | None

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        return backoff.outcome(self.status, self.control)

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took it."""
        return self.outcome is Outcome.SUCCESS


@dataclass(frozen=True, slots=True)
class Settled:
    """What followed. `due_ms`: deliveries that are tried again, and when. `closed`: endpoints that are off now.

    `states` counts the attempts by what became of their deliveries; "late" are those whose lease had ended,
    "lost" those whose delivery is gone. `announced`: whether an event was appended.
    """

    due_ms: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    states: Counter[str] = field(default_factory=Counter)
    announced: bool = False


def settle(
    session: Session, attempts: Sequence[Attempt], now_ms: int, *, worker: str, rng: random.Random
) -> Settled:
    """Record attempts and move their deliveries and endpoints accordingly.

    An attempt whose lease has ended is recorded as evidence and moves nothing: another worker has the delivery. One
    that is on record already moves and counts nothing: it is settled again by who never heard that it was.
    """
    troubled = {a.webhook_id for a in attempts if not a.succeeded or a.control is Control.DISABLE}
    # Endpoints before deliveries, as in a claim, so that the two never wait for each other in PostgreSQL.
    endpoints = queries.lock_unwell_endpoints(session, {a.webhook_id for a in attempts}, troubled=troubled)
    rows = queries.lock(session, {a.delivery_id for a in attempts})
    fresh, again = _divided(session, attempts, rows=rows, worker=worker)
    closed, events = _judge_endpoints(session, fresh, endpoints=endpoints, now_ms=now_ms)
    append(session, events)
    closed |= {webhook_id for webhook_id, endpoint in endpoints.items() if not endpoint.enabled}
    deleted = troubled - endpoints.keys()
    states = dict.fromkeys(closed, "paused") | dict.fromkeys(deleted, "skipped")
    settled = Settled(closed=closed | deleted, announced=bool(events))
    settled.states.update(rows[each.delivery_id].state for each in again)
    moves = _Moves()
    for attempt in fresh:
        row = rows.get(attempt.delivery_id)
        if row is None:
            settled.states["lost"] += 1
            continue
        number = row.attempts + 1 + moves.counted[row.id]
        moves.record(attempt, number)
        if row.state != "pending" or row.lease_token != worker or number > row.attempts + 1:
            moves.late.append(row.id)
            settled.states["late"] += 1
            continue
        due_ms = _next_due_ms(attempt, number, now_ms, rng=rng)
        state = _next_state(attempt, due_ms, otherwise=states.get(attempt.webhook_id, "pending"))
        settled.states[state] += 1
        if state == "pending" and due_ms is not None:
            settled.due_ms[row.id] = due_ms
            moves.retry(row, due_ms, ordered=attempt.ordered)
        else:
            moves.ended.setdefault(state, []).append(row.id)
    moves.save(session, now_ms)
    return settled


def _divided(
    session: Session, attempts: Sequence[Attempt], *, rows: Mapping[str, AnyRow], worker: str
) -> tuple[Sequence[Attempt], Sequence[Attempt]]:
    """The attempts that are not on record, and those that are.

    With its record each of them ended its lease, so only deliveries that the worker has no longer are looked up.
    """
    passed_on = [row.id for row in rows.values() if row.state != "pending" or row.lease_token != worker]
    recorded = queries.recorded_attempts(session, passed_on) if passed_on else set[tuple[Any, ...]]()
    fresh: list[Attempt] = []
    again: list[Attempt] = []
    for each in attempts:
        evidence = (each.delivery_id, each.at_ms, each.duration_ms, each.status or 0)
        (again if evidence in recorded else fresh).append(each)
    return fresh, again


def _next_due_ms(attempt: Attempt, number: int, now_ms: int, *, rng: random.Random) -> int | None:
    """When to try again; None: never."""
    if attempt.succeeded or attempt.outcome is Outcome.ABORT:
        return None
    slowly = attempt.outcome is Outcome.RETRY_SLOWLY
    return backoff.next_due_ms(number, now_ms, attempt.retry_after_s, rng=rng, slowly=slowly)


def _next_state(attempt: Attempt, due_ms: int | None, *, otherwise: str) -> str:
    if attempt.succeeded:
        return "delivered"
    return "dead" if due_ms is None else otherwise


class _Moves:
    """The changes of one settlement, gathered so that each kind is one statement."""

    def __init__(self) -> None:
        self.ended: dict[str, list[str]] = {}
        self.late: list[str] = []
        self.counted: Counter[str] = Counter()
        self._retries: list[dict[str, Any]] = []
        self._attempts: list[dict[str, Any]] = []

    def record(self, attempt: Attempt, number: int) -> None:
        self.counted[attempt.delivery_id] += 1
        self._attempts.append({
            "delivery_id": attempt.delivery_id,
            "number": number,
            "at_ms": attempt.at_ms,
            "status": attempt.status or 0,
            "error": attempt.error,
            "duration_ms": attempt.duration_ms,
            "response": attempt.response,
        })

    def retry(self, row: AnyRow, due_ms: int, *, ordered: bool) -> None:
        """Due later. In an ordered endpoint it keeps its place at the head and only nobody may take it before."""
        self._retries.append({
            "row_id": row.id,
            "new_again": row.again if ordered else True,
            "new_due_ms": row.due_ms if ordered else due_ms,
            "new_lease_until_ms": due_ms if ordered else None,
        })

    def save(self, session: Session, now_ms: int) -> None:
        queries.insert_attempts(session, self._attempts)
        for state, ids in self.ended.items():
            queries.finish(session, ids, state=state, now_ms=None if state == "paused" else now_ms)
        queries.retry(session, self._retries)
        queries.count_attempts(session, self.late)


def _judge_endpoints(
    session: Session, attempts: Sequence[Attempt], *, endpoints: Mapping[str, AnyRow], now_ms: int
) -> tuple[set[str], list[dict[str, Any]]]:
    """Keep count of each unwell endpoint's failures, warn and switch off; answers those switched off and events."""
    closed: set[str] = set()
    events: list[dict[str, Any]] = []
    for webhook_id, endpoint in endpoints.items():
        before = Health(endpoint.failures, endpoint.failing_since_ms, endpoint.warned_ms)
        health, reason = before, ""
        for attempt in attempts:
            if attempt.webhook_id == webhook_id:
                health = health.after(attempt.at_ms, success=attempt.succeeded)
                reason = _reason_to_close(attempt) or reason
        verdict = health.verdict(now_ms) if endpoint.enabled else Verdict.NOTHING
        if verdict is Verdict.DISABLE:
            reason = reason or REASON_FAILING
        elif verdict is Verdict.WARN and not reason:
            health = health.warned(now_ms)
            events.append(_event(endpoint, health, now_ms, status="failing", reason=REASON_FAILING))
        values: dict[str, Any] = {}
        if health != before:
            values = {
                "failures": health.failures,
                "failing_since_ms": health.failing_since_ms,
                "warned_ms": health.warned_ms,
            }
        if reason and endpoint.enabled:
            values |= {"enabled": False, "disabled_reason": reason, "updated_ms": now_ms}
            events.append(_event(endpoint, health, now_ms, status="disabled", reason=reason))
            closed.add(webhook_id)
        if values:
            queries.save_endpoint(session, webhook_id, values)
    return closed, events


def _reason_to_close(attempt: Attempt) -> str:
    if attempt.status == 410:
        return REASON_GONE
    return REASON_REQUESTED if attempt.control is Control.DISABLE else ""


def _event(endpoint: AnyRow, health: Health, now_ms: int, *, status: str, reason: str) -> dict[str, Any]:
    """The announcement: `failing` says when the endpoint will be switched off, `disabled` that it was."""
    since_ms, end_ms = health.failing_since_ms, health.disable_at_ms
    data = {
        "webhookId": endpoint.id,
        "description": endpoint.description,
        "status": status,
        "timestamp": rfc3339_seconds(now_ms),
        "reason": reason,
        "failures": health.failures,
        "failingSince": None if since_ms is None else rfc3339_seconds(since_ms),
        "disableAt": rfc3339_seconds(end_ms) if status == "failing" and end_ms is not None else None,
    }
    return new_event("webhook.disabled", tenant_id=endpoint.tenant_id, at_ms=now_ms, data=data)
