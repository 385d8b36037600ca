"""Queries on tenants, API keys and driver tokens. Credentials are found by public id, never by their text."""

from collections.abc import Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from core.store.rows import ApiKeyRow, DriverTokenRow, TenantRow


def tenant_named(session: Session, name: str) -> TenantRow | None:
    """The tenant of this name."""
    return session.execute(select(TenantRow).where(col(TenantRow.name) == name)).scalar_one_or_none()


def tenants(session: Session) -> Sequence[TenantRow]:
    """All tenants, oldest first."""
    query = select(TenantRow).order_by(col(TenantRow.created_ms), col(TenantRow.id))
    return session.execute(query).scalars().all()


def api_key_and_rate(session: Session, key_id: str) -> tuple[ApiKeyRow, int] | None:
    """An API key of any tenant, and the requests a minute of its tenant."""
    found = session.execute(
        select(ApiKeyRow, col(TenantRow.per_minute))
        .join(TenantRow, col(TenantRow.id) == col(ApiKeyRow.tenant_id))
        .where(col(ApiKeyRow.id) == key_id)
    ).one_or_none()
    return (found[0], found[1]) if found else None


def api_keys(session: Session, tenant_id: str) -> Sequence[ApiKeyRow]:
    """The API keys of a tenant, oldest first."""
    query = (
        select(ApiKeyRow)
        .where(col(ApiKeyRow.tenant_id) == tenant_id)
        .order_by(col(ApiKeyRow.created_ms), col(ApiKeyRow.id))
    )
    return session.execute(query).scalars().all()


def driver_tokens(session: Session, tenant_id: str) -> Sequence[DriverTokenRow]:
    """The driver tokens of a tenant that are not revoked, oldest first."""
    query = (
        select(DriverTokenRow)
        .where(col(DriverTokenRow.tenant_id) == tenant_id, col(DriverTokenRow.revoked_ms).is_(None))
        .order_by(col(DriverTokenRow.created_ms), col(DriverTokenRow.id))
    )
    return session.execute(query).scalars().all()


def live_driver_tokens(session: Session, token_ids: Sequence[str]) -> Sequence[DriverTokenRow]:
    """Those of these driver tokens, of any tenant, that are not revoked."""
    where = (col(DriverTokenRow.id).in_(token_ids), col(DriverTokenRow.revoked_ms).is_(None))
    return session.execute(select(DriverTokenRow).where(*where)).scalars().all()


def note_use(session: Session, key_id: str, now_ms: int, every_ms: int) -> None:
    """Set an API key's last use unless it was set less than `every_ms` ago."""
    last = col(ApiKeyRow.last_used_ms)
    session.execute(
        update(ApiKeyRow)
        .where(col(ApiKeyRow.id) == key_id, or_(last.is_(None), last <= now_ms - every_ms))
        .values(last_used_ms=now_ms)
    )
