"""A PostgreSQL database that has been used for long: many messages of unequal tenants, with all that belongs to them.

Owns the proportions. Rows are made by the server itself, a hundred thousand messages a transaction; what is not given
here has the value of a plain message. Works on every schema, since it names only columns of the first one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

CHUNK = 100_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is, and since when until when. One tenant has a tenth of all messages, most have few."""

    messages: int
    now_ms: int
    tenants: int = 100
    devices: int = 4
    days: int = 90
    queued: int = 2_000

    @property
    def span_ms(self) -> int:
        """From the first message to the last."""
        return self.days * DAY_MS


def tenant_id(number: int) -> str:
    """The id of a tenant; the first is the largest."""
    return f"{number:024x}"


def device_id(tenant: int, device: int) -> str:
    """The id of a device of a tenant."""
    return f"d-{tenant}-{device}"


def webhook_id(tenant: int) -> str:
    """The id of a tenant's endpoint."""
    return f"{tenant:024x}"


_ID = "lpad(to_hex(at_ms), 12, '0') || lpad(to_hex(n), 12, '0')"
_MS = "(:now_ms - :span_ms + n * :span_ms / :messages)::bigint"
_ROWS = f"""
WITH numbered AS (
    SELECT n, {_MS} AS at_ms, floor(:tenants * power(random(), 2))::int AS t,
        floor(random() * :devices)::int AS d, random() AS luck
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
), made AS (
    SELECT *, {_ID} AS id, lpad(to_hex(t), 24, '0') AS tenant_id, 'd-' || t || '-' || d AS device_id,
        CASE WHEN n > :messages - :queued THEN (ARRAY['queued', 'queued', 'queued', 'scheduled', 'sending'])[1 + n % 5]
            WHEN luck < 0.90 THEN 'delivered' WHEN luck < 0.95 THEN 'sent' WHEN luck < 0.98 THEN 'failed'
            WHEN luck < 0.99 THEN 'expired' ELSE 'unknown' END AS state,
        luck BETWEEN 0.20 AND 0.25 AND n <= :messages - :queued AS is_inbound
    FROM numbered
)"""  # noqa: S608 - no text from outside
_FILL = f"""{_ROWS}, message_rows AS (
    INSERT INTO message (id, tenant_id, direction, channel, device_id, source, destination, body, external_id, origin,
        state, hold_reason, hold_until_ms, encoding, segments, segments_delivered, attempt, driver_id, epoch, events,
        not_after_ms, created_ms, claimed_ms, sent_ms, delivered_ms, failed_ms)
    SELECT id, tenant_id, CASE WHEN is_inbound THEN 'inbound' ELSE 'outbound' END, 'sms', device_id,
        '+1666' || lpad((t * 10 + d)::text, 7, '0'), '+1777' || lpad((n % 1000000)::text, 7, '0'),
        'Your order ' || n || ' is on its way and will be with you tomorrow between nine and twelve.',
        CASE WHEN n % 2 = 0 THEN 'order-' || md5(n::text) END, CASE WHEN is_inbound THEN 'journal:' || n END,
        state, CASE WHEN state = 'scheduled' THEN 'no_service' END,
        CASE WHEN state = 'scheduled' THEN :now_ms + n % 3600000 END, 'gsm7', 1, 0,
        CASE WHEN state = 'queued' THEN 0 ELSE 1 END, CASE WHEN state = 'sending' THEN 'driver-' || t END,
        CASE WHEN state = 'sending' THEN 1 END, 1,
        CASE WHEN n > :messages - :queued THEN :now_ms + 3600000 + n ELSE at_ms + 259200000 END, at_ms,
        CASE WHEN state <> 'queued' THEN at_ms END, CASE WHEN state IN ('sent', 'delivered') THEN at_ms + 2000 END,
        CASE WHEN state = 'delivered' THEN at_ms + 5000 END,
        CASE WHEN state IN ('failed', 'expired', 'unknown') THEN at_ms + 9000 END
    FROM made
), timeline_rows AS (
    INSERT INTO timeline (message_id, at_ms, step, attributes)
    SELECT id, at_ms, step, '{{"attempt": "1", "device": "d", "epoch": "1"}}'
    FROM made, unnest(ARRAY['claimed', 'sent', 'delivered']) AS step WHERE state <> 'queued'
), event_rows AS (
    INSERT INTO event (id, tenant_id, type, message_id, device_id, body, created_ms, position)
    SELECT id, tenant_id, CASE WHEN is_inbound THEN 'message.inbound' ELSE 'message.' || state END, id, device_id,
        convert_to('{{"event":"message.' || state || '","data":{{"messageId":"' || id || '","body":"'
            || repeat('x', 300) || '"}}}}', 'UTF8'), at_ms, n
    FROM made WHERE state IN ('sent', 'delivered', 'failed')
), delivery_rows AS (
    INSERT INTO delivery (id, tenant_id, webhook_id, event_id, event_type, message_id, replay, state, attempts, again,
        due_ms, created_ms, finished_ms)
    SELECT id, tenant_id, tenant_id, id, 'message.' || state, id, 0,
        CASE WHEN n > :messages - 2 * :queued THEN 'pending' WHEN luck > 0.75 THEN 'dead' ELSE 'delivered' END,
        CASE WHEN n > :messages - 2 * :queued THEN 0 ELSE 1 END, false, at_ms, at_ms,
        CASE WHEN n > :messages - 2 * :queued THEN NULL ELSE at_ms + 6000 END
    FROM made WHERE n % 2 = 0 AND state IN ('sent', 'delivered', 'failed')
)
INSERT INTO delivery_attempt (delivery_id, number, at_ms, status, error, duration_ms, response)
SELECT id, 1, at_ms, 200, '', 31, 'ok' FROM made
WHERE n % 2 = 0 AND state IN ('sent', 'delivered', 'failed') AND n <= :messages - 2 * :queued
"""  # noqa: S608 - no text from outside
_OWNERS = (
    """INSERT INTO tenant (id, name, per_minute, created_ms)
    SELECT lpad(to_hex(t), 24, '0'), 'tenant-' || t, 1000000, 1 FROM generate_series(0, :tenants - 1) AS t""",
    """INSERT INTO driver (id, tenant_id, name, kind, version, token_id, instance_id, journal_id, epoch,
        applied_sequence, connected, lease_until_ms, seen_ms, created_ms)
    SELECT 'driver-' || t, lpad(to_hex(t), 24, '0'), 'driver', 'simulated', '1', 't', 'i', 'j', 1, 0, false, 1, 1, 1
    FROM generate_series(0, :tenants - 1) AS t""",
    """INSERT INTO device (id, tenant_id, driver_id, key, name, state, state_reason, remedy, pairing_payload, enabled,
        "window", signal_percent, battery_percent, seen_ms, created_ms)
    SELECT 'd-' || t || '-' || d, lpad(to_hex(t), 24, '0'), 'driver-' || t, 'modem-' || d, 'Modem', 'offline', '', '',
        '', true, 3, -1, -1, 1, 1 FROM generate_series(0, :tenants - 1) AS t, generate_series(0, :devices - 1) AS d""",
    """INSERT INTO address (channel, number, tenant_id, device_id, slot, ready)
    SELECT 'sms', '+1666' || lpad((t * 10 + d)::text, 7, '0'), lpad(to_hex(t), 24, '0'), 'd-' || t || '-' || d, 1, true
    FROM generate_series(0, :tenants - 1) AS t, generate_series(0, :devices - 1) AS d""",
    """INSERT INTO webhook (id, tenant_id, url, events, description, enabled, disabled_reason, timeout_s, ordered,
        secret, version, created_ms, updated_ms, failures)
    SELECT lpad(to_hex(t), 24, '0'), lpad(to_hex(t), 24, '0'), 'https://example.com/', 'message.delivered', '', true,
        '', 10, false, 'x', 1, 1, 1, 0 FROM generate_series(0, :tenants - 1) AS t""",
)


def fill(connection: Connection, shape: Shape, told: Callable[[int], None] = lambda _: None) -> None:
    """Fill an empty database; commits as it goes. `told`: of the messages so far."""
    given = {"tenants": shape.tenants, "devices": shape.devices}
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SELECT setseed(0.5)"))
    for statement in _OWNERS:
        connection.execute(text(statement), given)
    connection.commit()
    given |= {
        "messages": shape.messages,
        "now_ms": shape.now_ms,
        "span_ms": shape.span_ms,
        "queued": min(shape.queued, shape.messages),
    }
    for first in range(1, shape.messages + 1, CHUNK):
        last = min(first + CHUNK - 1, shape.messages)
        connection.execute(text(_FILL), {**given, "first": first, "last": last})
        connection.commit()
        told(last)


def settle(connection: Connection) -> None:
    """Have the statistics and visibility that autovacuum brings in time."""
    autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
    autocommit.execute(text("VACUUM (ANALYZE)"))
