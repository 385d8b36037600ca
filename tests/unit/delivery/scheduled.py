"""What the tests of the scheduler share: deliveries out of nowhere, and the steps of a deliverer.

No database, no clock.
"""

from collections.abc import Iterable
from itertools import count

from core.delivery.claims import Claimed, ClaimedDelivery, Endpoint, Want
from core.delivery.scheduler import Flight, Limits, Scheduler

LIMITS = Limits(slots=16, per_endpoint=4)
_numbers = count()


def endpoint(name: str, *, tenant: str = "tenant", ordered: bool = False, version: int = 1) -> Endpoint:
    return Endpoint(
        webhook_id=name, tenant_id=tenant, url="", secret=b"", version=version, timeout_s=10, ordered=ordered
    )


def delivery(
    to: Endpoint, *, attempt: int = 1, message: str | None = None, replay: int = 0
) -> ClaimedDelivery:
    number = next(_numbers)
    return ClaimedDelivery(
        delivery_id=f"{number:024x}",
        endpoint=to,
        event_id="event",
        event_type="message.sent",
        message_id=message or f"message-{number}",
        attempt=attempt,
        replay=replay,
        due_ms=number,
        body=b"",
        traceparent=None,
    )


def give(scheduler: Scheduler, deliveries: Iterable[ClaimedDelivery], *, now_ms: int = 0) -> None:
    """Have a claim give these that the scheduler never asked for."""
    deliveries = list(deliveries)
    endpoints = dict.fromkeys(one.endpoint.webhook_id for one in deliveries)
    for name in endpoints:
        scheduler.wake(name, now_ms, first=False, again=False)
    wants = [Want(name, 0, 0) for name in endpoints]
    scheduler.claimed(wants, Claimed(deliveries=deliveries), now_ms, asked_ms=now_ms)


def start_all(scheduler: Scheduler, now_ms: int = 0) -> list[Flight]:
    flights = []
    while (flight := scheduler.start(now_ms)) is not None:
        flights.append(flight)
    return flights


def finish(
    scheduler: Scheduler, flight: Flight, now_ms: int = 0, *, success: bool = True, due_ms: int | None = None
) -> None:
    scheduler.ended(flight, now_ms, success=success)
    scheduler.settled(flight.delivery, now_ms, due_ms=due_ms, closed=False)


def names(flights: Iterable[Flight]) -> list[str]:
    return [flight.delivery.endpoint.webhook_id for flight in flights]
