"""Accounts: rows to proto. Owns that one conversion; no rules."""

from core.accounts import ApiKeyRecord
from core.api.convert_messages import timestamp
from infinireach.v1 import account_pb2


def api_key(record: ApiKeyRecord) -> account_pb2.ApiKey:
    """An API key without its secret."""
    row = record.row
    return account_pb2.ApiKey(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        scopes=row.scopes.split(),
        per_minute=record.per_minute,
        create_time=timestamp(row.created_ms),
        expire_time=timestamp(row.expires_ms),
        last_use_time=timestamp(row.last_used_ms),
        revoke_time=timestamp(row.revoked_ms),
    )
