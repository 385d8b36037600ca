"""What an operator is told about the relay. Owns the names."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class RelayMetrics:
    """The relay's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lease_held = Gauge(
            "infinireach_relay_lease_held",
            "1 in the process that runs the relay; the sum over all should be 1.",
            registry=registry,
        )
        self.in_flight = Gauge(
            "infinireach_relay_events_in_flight",
            "Events that the log has taken and that have no position yet.",
            registry=registry,
        )
        self.published = Counter(
            "infinireach_relay_events_published", "Events that the log has taken.", registry=registry
        )
        self.overdue = Counter(
            "infinireach_relay_events_overdue",
            "Events sent again because they had no position after a while.",
            registry=registry,
        )
