"""What an operator is told about Kafka. Owns the names."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class KafkaMetrics:
    """The metrics of this process's clients in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.consumed = Counter(
            "infinireach_kafka_records_consumed", "Records whose events were fanned out.", registry=registry
        )
        self.rejected = Counter(
            "infinireach_kafka_records_rejected", "Records that could not be read.", registry=registry
        )
        self.unknown = Counter(
            "infinireach_kafka_records_unknown",
            "Records of events that are not in this database.",
            registry=registry,
        )
        self.rebuilds = Counter(
            "infinireach_kafka_rebuilds",
            "Clients that were given up and made anew, by side: producer or consumer.",
            ["side"],
            registry=registry,
        )
        self.lag = Gauge(
            "infinireach_kafka_lag_records",
            "Records that wait for this process, by partition.",
            ["partition"],
            registry=registry,
        )
