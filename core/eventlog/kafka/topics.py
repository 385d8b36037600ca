"""The topics, made when they are missing.

Owns their settings. A topic that exists is left as it is: whoever made it knows why.
"""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from core.eventlog.kafka.cluster import REQUEST_S, Cluster

REJECTED_PARTITIONS = 1
REJECTED_RETENTION_HOURS = 30 * 24
_HOUR_MS = 3_600_000


async def ensure_topics(cluster: Cluster) -> None:
    """Make what is missing. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**cluster.client("admin"))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in _topics(cluster) if topic.name not in existing]
        if missing:
            answer: Any = await admin.create_topics(missing, timeout_ms=round(REQUEST_S * 1000))
            for name, code, *message in answer.topic_errors:
                error = for_code(code)
                if error not in (NoError, TopicAlreadyExistsError):  # another process was quicker
                    raise error(f"{name}: {message[0] if message else code}")
    finally:
        await admin.close()


def _topics(cluster: Cluster) -> list[NewTopic]:
    kept = {
        cluster.events: (cluster.partitions, cluster.retention_hours),
        cluster.rejected: (REJECTED_PARTITIONS, REJECTED_RETENTION_HOURS),
    }
    return [
        NewTopic(
            name,
            partitions,
            cluster.replication_factor or -1,
            # The client wants one of the two even where the cluster decides.
            replica_assignments=None if cluster.replication_factor else {},
            topic_configs={"cleanup.policy": "delete", "retention.ms": str(hours * _HOUR_MS)},
        )
        for name, (partitions, hours) in kept.items()
    ]
