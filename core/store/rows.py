"""The tables and their constraints.

Times are UTC milliseconds (`_ms`), enumerations short words, so that the database can be read by people.
Identities that must not repeat are UNIQUE constraints here, never checks in code alone. SQLModel table classes do
not validate: input is validated at the edge, integrity stands here.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

MESSAGE_STATES = (
    "queued", "scheduled", "sending", "sent", "delivered", "failed", "expired", "cancelled", "unknown",
)  # fmt: skip
DELIVERY_STATES = ("pending", "delivered", "dead", "paused", "skipped")
DEVICE_STATES = ("online", "offline", "degraded", "attention")

_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that it knows as INTEGER."""


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows of `where` only: mostly the few that still wait for something."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def _ms(*, nullable: bool = True, default: int | None = None):
    return Field(default=default, sa_type=BigInteger, nullable=nullable)


def record(values: Mapping[Any, Any]) -> Any:
    """A mutable record of a whole row, with the attributes of its class; it costs far less than an object of that."""
    return SimpleNamespace(**values)


class ContractionRow(SQLModel, table=True):
    """A migration that took something away. Versions that do not know the revision `needs` cannot work with it."""

    __tablename__ = "contraction"  # pyright: ignore[reportAssignmentType]
    revision: str = Field(primary_key=True)
    needs: str


class TenantRow(SQLModel, table=True):
    """A customer."""

    __tablename__ = "tenant"  # pyright: ignore[reportAssignmentType]
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    per_minute: int
    created_ms: int = _ms(nullable=False)


class ApiKeyRow(SQLModel, table=True):
    """An API key; `lookup` is its public id, or a digest of an imported key of another shape."""

    __tablename__ = "api_key"  # pyright: ignore[reportAssignmentType]
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    name: str = ""
    secret_sha256: bytes = Field(sa_type=LargeBinary)
    scopes: str
    per_minute: int
    created_ms: int = _ms(nullable=False)
    expires_ms: int | None = _ms()
    last_used_ms: int | None = _ms()
    revoked_ms: int | None = _ms()


class DriverTokenRow(SQLModel, table=True):
    """A credential of drivers of one tenant."""

    __tablename__ = "driver_token"  # pyright: ignore[reportAssignmentType]
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    name: str
    secret_sha256: bytes = Field(sa_type=LargeBinary)
    created_ms: int = _ms(nullable=False)
    last_used_ms: int | None = _ms()
    revoked_ms: int | None = _ms()


class DriverRow(SQLModel, table=True):
    """A driver process of a tenant. `epoch` fences its sessions, `applied_sequence` is where its facts stand."""

    __tablename__ = "driver"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    name: str
    kind: str
    version: str
    token_id: str
    instance_id: str
    journal_id: str
    epoch: int = Field(sa_type=BigInteger)
    applied_sequence: int = Field(sa_type=BigInteger)
    connected: bool
    lease_until_ms: int = _ms(nullable=False)
    seen_ms: int = _ms(nullable=False)
    created_ms: int = _ms(nullable=False)


class DeviceRow(SQLModel, table=True):
    """A modem, phone or account. Deleted ones keep their row: messages name them. `features`: see core.contents."""

    __tablename__ = "device"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("driver_id", "key"), _one_of("state", DEVICE_STATES))
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    driver_id: str = Field(foreign_key="driver.id")
    key: str
    name: str
    state: str
    state_reason: str = ""
    remedy: str = ""
    pairing_payload: str = ""
    enabled: bool = True
    window: int
    signal_percent: int = -1
    battery_percent: int = -1
    features: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    seen_ms: int = _ms(nullable=False)
    created_ms: int = _ms(nullable=False)
    deleted_ms: int | None = _ms()


class AddressRow(SQLModel, table=True):
    """Who owns a number: one device over all tenants."""

    __tablename__ = "address"  # pyright: ignore[reportAssignmentType]
    channel: str = Field(primary_key=True)
    number: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    device_id: str = Field(foreign_key="device.id", index=True)
    slot: int
    ready: bool


class MessageRow(SQLModel, table=True):
    """One message. While `sending`, `attempt` names the open command and `driver_id` who has it.

    `content`: what it carries besides the text in `body`, see core.contents.
    """

    __tablename__ = "message"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("tenant_id", "external_id"),
        UniqueConstraint("origin"),
        _one_of("state", MESSAGE_STATES),
        _one_of("direction", ("outbound", "inbound")),
        _one_of("channel", ("sms", "whatsapp")),
        Index("message_by_tenant", "tenant_id", "id"),
        _partial("message_queued", "device_id", "id", where="state = 'queued'"),
        _partial("message_sending", "driver_id", "id", where="state = 'sending'"),
        _partial("message_held", "hold_until_ms", where="state = 'scheduled'"),
        _partial("message_held_for", "device_id", "id", where="state = 'scheduled'"),
        _partial("message_deadline", "not_after_ms", where="state IN ('queued', 'scheduled', 'sending')"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    direction: str
    channel: str
    device_id: str
    source: str
    destination: str
    body: str = Field(sa_type=Text)
    external_id: str | None = None
    group_id: str | None = None
    origin: str | None = None
    state: str
    failure_reason: str | None = None
    failure_code: str | None = None
    failure_detail: str | None = None
    hold_reason: str | None = None
    hold_until_ms: int | None = _ms()
    encoding: str
    segments: int
    segments_delivered: int = Field(default=0, sa_type=BigInteger)
    attempt: int = 0
    driver_id: str | None = None
    epoch: int | None = Field(default=None, sa_type=BigInteger)
    events: int = 0
    traceparent: str | None = None
    not_after_ms: int = _ms(nullable=False)
    created_ms: int = _ms(nullable=False)
    claimed_ms: int | None = _ms()
    sent_ms: int | None = _ms()
    delivered_ms: int | None = _ms()
    failed_ms: int | None = _ms()
    content: str | None = Field(default=None, sa_type=Text)
    read_ms: int | None = _ms()
    reply_to_id: str | None = None
    sender_name: str | None = None


class TimelineRow(SQLModel, table=True):
    """One step of a message's life; `attributes` is a JSON object of strings."""

    __tablename__ = "timeline"  # pyright: ignore[reportAssignmentType]
    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=True))
    message_id: str = Field(index=True)
    at_ms: int = _ms(nullable=False)
    step: str
    attributes: str = Field(sa_type=Text)


class RejectedFactRow(SQLModel, table=True):
    """A fact that could not be applied, kept as evidence."""

    __tablename__ = "rejected_fact"  # pyright: ignore[reportAssignmentType]
    driver_id: str = Field(primary_key=True)
    journal_id: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    at_ms: int = _ms(nullable=False)
    reason: str
    fact: str = Field(sa_type=Text)


class EventRow(SQLModel, table=True):
    """Something a tenant is told. `body` never changes; `position` is given once, on publication."""

    __tablename__ = "event"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        # Over the published ones only: SQLite would look for the others in it too, and then has to sort them.
        _partial("event_position", "position", where="position IS NOT NULL", unique=True),
        Index("event_feed", "tenant_id", "position"),
        _partial("event_unpublished", "id", where="position IS NULL"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    type: str
    message_id: str | None = None
    device_id: str | None = None
    body: bytes = Field(sa_type=LargeBinary)
    traceparent: str | None = None
    created_ms: int = _ms(nullable=False)
    position: int | None = Field(default=None, sa_type=BigInteger)


class WebhookRow(SQLModel, table=True):
    """An endpoint. `secret` is sealed (core.vault); `version` changes with everything that a connection depends on."""

    __tablename__ = "webhook"  # pyright: ignore[reportAssignmentType]
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    url: str = Field(sa_type=Text)
    events: str = Field(sa_type=Text)
    description: str = ""
    enabled: bool = True
    disabled_reason: str = ""
    timeout_s: int
    ordered: bool
    secret: bytes = Field(sa_type=LargeBinary)
    version: int = 1
    created_ms: int = _ms(nullable=False)
    updated_ms: int = _ms(nullable=False)
    failures: int = 0
    failing_since_ms: int | None = _ms()
    warned_ms: int | None = _ms()


class DeliveryRow(SQLModel, table=True):
    """One event for one endpoint. `lease_token` fences the worker that has it; retries live in `due_ms`.

    A lease does not move `due_ms`, so order survives a worker that died. `again`: no longer a first attempt.
    """

    __tablename__ = "delivery"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("event_id", "webhook_id", "replay"),
        _one_of("state", DELIVERY_STATES),
        Index("delivery_of_webhook", "webhook_id", "id"),
        Index("delivery_of_message", "message_id"),
        _partial("delivery_due", "webhook_id", "again", "due_ms", "id", where="state = 'pending'"),
        _partial("delivery_paused", "webhook_id", "id", where="state = 'paused'"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    webhook_id: str
    event_id: str
    event_type: str
    message_id: str | None = None
    replay: int = 0
    state: str
    attempts: int = 0
    again: bool = False
    due_ms: int = _ms(nullable=False)
    lease_until_ms: int | None = _ms()
    lease_token: str | None = None
    created_ms: int = _ms(nullable=False)
    finished_ms: int | None = _ms()


class AttemptRow(SQLModel, table=True):
    """One attempt of a delivery."""

    __tablename__ = "delivery_attempt"  # pyright: ignore[reportAssignmentType]
    delivery_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    at_ms: int = _ms(nullable=False)
    status: int
    error: str
    duration_ms: int
    response: str = Field(sa_type=Text)


class LeaseRow(SQLModel, table=True):
    """Who does what only one process of all does, until a time by the database's clock."""

    __tablename__ = "lease"  # pyright: ignore[reportAssignmentType]
    name: str = Field(primary_key=True)
    holder: str
    until_ms: int = _ms(nullable=False)


SCHEMA = SQLModel.metadata
