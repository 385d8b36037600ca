"""Use cases on endpoints: make, look at, change, switch on and off, remove.

Owns what a tenant may ask of its webhooks and what that does to the deliveries that wait for them. Knows
neither proto nor transport nor how a delivery is made. Whether a URL is allowed is for the egress policy to
say; callers have asked it.

A backlog may hold millions of deliveries, so it is moved in steps: the change of the endpoint is one
transaction and already decides, and `settle_backlog` follows until nothing is left. If whoever does so dies, the
deliverer goes on; therefore a backlog to skip is skipped before its endpoint is switched on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.delivery.signing import new_secret
from core.delivery.subscriptions import ALIASES, join
from core.errors import NotFound, TooManyWebhooks
from core.events import EVENT_TYPES, EVENT_TYPES_BY_DEFAULT
from core.ids import new_id
from core.store import webhooks as queries
from core.store.deliveries import close_backlog
from core.store.rows import WebhookRow
from core.vault import Place, Vault

WEBHOOKS_MAX = 50
"""Endpoints of one tenant."""

BACKLOG_STEP_MAX = 500
"""Deliveries that one transaction moves; bounds how long others wait for it."""

EVENT_NAMES = (*EVENT_TYPES, *ALIASES)
"""What an endpoint may ask for."""


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """An endpoint to make; its fields are valid by form. No `events`: EVENT_TYPES_BY_DEFAULT."""

    tenant_id: str
    url: str
    events: Sequence[str]
    timeout_s: int
    ordered: bool
    description: str


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """New values for an endpoint, valid by form; None: as it is."""

    webhook_id: str
    url: str | None = None
    events: Sequence[str] | None = None
    enabled: bool | None = None
    timeout_s: int | None = None
    ordered: bool | None = None
    description: str | None = None


def doubled_event(names: Sequence[str]) -> str | None:
    """An event that `names` holds under both its names, if there is one; an endpoint gets it under one."""
    return next((name for name in names if ALIASES.get(name) in names), None)


def create_webhook(session: Session, new: NewWebhook, vault: Vault, now_ms: int) -> tuple[WebhookRow, str]:
    """Make an endpoint; answers it and its secret, which is shown only here.

    Raises TooManyWebhooks if the tenant has WEBHOOKS_MAX, NotFound if there is no such tenant.
    """
    if queries.lock_tenant(session, new.tenant_id) is None:
        raise NotFound("There is no such tenant.")
    if queries.count_webhooks(session, new.tenant_id) >= WEBHOOKS_MAX:
        raise TooManyWebhooks(f"The account has {WEBHOOKS_MAX} webhooks, as many as it may have.")
    webhook_id, secret = new_id(now_ms), new_secret()
    row = WebhookRow(
        id=webhook_id,
        tenant_id=new.tenant_id,
        url=new.url,
        events=_stored(new.events),
        description=new.description,
        timeout_s=new.timeout_s,
        ordered=new.ordered,
        secret=vault.seal(secret.encode(), _place(new.tenant_id, webhook_id)),
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return row, secret


def open_secret(vault: Vault, sealed: bytes, tenant_id: str, webhook_id: str) -> str:
    """The secret of an endpoint, `whsec_…`. Raises VaultError."""
    return vault.open(sealed, _place(tenant_id, webhook_id)).decode()


def get_webhook(session: Session, tenant_id: str, webhook_id: str) -> WebhookRow:
    """One endpoint of the tenant. Raises NotFound."""
    return _own(session.get(WebhookRow, webhook_id), tenant_id)


def list_webhooks(session: Session, tenant_id: str) -> Sequence[WebhookRow]:
    """All endpoints of the tenant, oldest first."""
    return queries.webhooks(session, tenant_id)


def update_webhook(session: Session, tenant_id: str, change: WebhookChange, now_ms: int) -> WebhookRow:
    """Change an endpoint; attempts that begin later use the new values. Raises NotFound.

    When `enabled` is among the changes, call `settle_backlog` until it answers False.
    """
    row = _own(queries.lock_webhook(session, change.webhook_id), tenant_id)
    before = (row.url, row.timeout_s)
    row.url = row.url if change.url is None else change.url
    row.events = row.events if change.events is None else _stored(change.events)
    row.timeout_s = row.timeout_s if change.timeout_s is None else change.timeout_s
    row.ordered = row.ordered if change.ordered is None else change.ordered
    row.description = row.description if change.description is None else change.description
    if (row.url, row.timeout_s) != before:
        row.version += 1
    if change.enabled is not None:
        _switch(row, on=change.enabled)
    row.updated_ms = now_ms
    session.add(row)
    session.flush()
    return row


def enable_webhook(session: Session, tenant_id: str, webhook_id: str, now_ms: int) -> WebhookRow:
    """Switch an endpoint on with a clean record. Raises NotFound.

    Call `settle_backlog` afterwards until it answers False; to skip what piled up, `skip_paused` before it.
    """
    return update_webhook(session, tenant_id, WebhookChange(webhook_id, enabled=True), now_ms)


def delete_webhook(session: Session, tenant_id: str, webhook_id: str) -> None:
    """Remove an endpoint; what was delivered to it stays on record. Raises NotFound.

    Call `settle_backlog` afterwards until it answers False.
    """
    _own(queries.lock_webhook(session, webhook_id), tenant_id)
    queries.delete_webhook(session, webhook_id)


def skip_paused(session: Session, tenant_id: str, webhook_id: str, now_ms: int) -> bool:
    """Take one step to skip what is paused for an endpoint; answers whether more may follow. Raises NotFound."""
    _own(queries.lock_webhook(session, webhook_id), tenant_id)
    return _move_paused(session, webhook_id, state="skipped", now_ms=now_ms) == BACKLOG_STEP_MAX


def settle_backlog(session: Session, webhook_id: str, now_ms: int) -> bool:
    """Take one step to bring the waiting deliveries in line with their endpoint; answers whether more may
    follow.

    Removed: they are skipped. Switched off: they are paused. Switched on: paused ones become due. The endpoint
    is looked at in every step, so that of two changes at once the last one wins.
    """
    row = queries.lock_webhook(session, webhook_id)
    moved: list[int] = []
    if row is None or not row.enabled:
        state = "skipped" if row is None else "paused"
        moved.append(close_backlog(session, webhook_id, state=state, now_ms=now_ms, limit=BACKLOG_STEP_MAX))
    if row is None or row.enabled:
        state = "skipped" if row is None else "pending"
        moved.append(_move_paused(session, webhook_id, state=state, now_ms=now_ms))
    return BACKLOG_STEP_MAX in moved


def _move_paused(session: Session, webhook_id: str, *, state: str, now_ms: int) -> int:
    return queries.move_paused(session, webhook_id, state=state, now_ms=now_ms, limit=BACKLOG_STEP_MAX)


def _switch(row: WebhookRow, *, on: bool) -> None:
    row.enabled = on
    row.disabled_reason = ""
    if on:
        row.failures = 0
        row.failing_since_ms = row.warned_ms = None


def _own(row: WebhookRow | None, tenant_id: str) -> WebhookRow:
    if row is None or row.tenant_id != tenant_id:
        raise NotFound("There is no such webhook.")
    return row


def _stored(events: Sequence[str]) -> str:
    return join(events or EVENT_TYPES_BY_DEFAULT)


def _place(tenant_id: str, webhook_id: str) -> Place:
    return Place(table="webhook", column="secret", tenant_id=tenant_id, row_id=webhook_id)
