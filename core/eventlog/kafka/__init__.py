"""An event log on Apache Kafka: carries what the relay publishes to the workers that fan it out."""
