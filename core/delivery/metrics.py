"""What an operator is told about deliveries.

Owns the names and buckets. The lag counts everything that is due and not delivered, deferred, throttled and in flight
included: a number that leaves those out is silent when it matters.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class DeliveryMetrics:
    """The deliverer's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "infinireach_webhook_attempts",
            "Attempts at deliveries by what became of them: 1xx to 5xx, or why no answer came.",
            ["outcome"],
            registry=registry,
        )
        self.settled = Counter(
            "infinireach_webhook_settled",
            "Attempts by the state that they left their delivery in.",
            ["state"],
            registry=registry,
        )
        self.duration = Histogram(
            "infinireach_webhook_attempt_duration_seconds",
            "How long attempts took.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge(
            "infinireach_webhook_in_flight", "Attempts under way by lane.", ["lane"], registry=registry
        )
        self.oldest_due_age = Gauge(
            "infinireach_webhook_oldest_due_age_seconds",
            "Age of the oldest due delivery of any endpoint that is switched on, whatever it waits for.",
            registry=registry,
        )
        self.open_breakers = Gauge(
            "infinireach_webhook_open_breakers",
            "Endpoints whose deliveries this process defers.",
            registry=registry,
        )

    def observe(self, status: int | None, error: str, duration_ms: int) -> None:
        """Count one attempt."""
        self.attempts.labels(error if status is None else f"{status // 100}xx").inc()
        self.duration.observe(duration_ms / 1_000)
