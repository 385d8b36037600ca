"""Use cases on accounts: tenants, their API keys and the tokens of their drivers.

Owns what a credential is worth: whose it is, what it may do, until when. Credentials are kept as SHA-256 and
shown once, when they are made. Knows neither proto nor transport nor caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core import credentials
from core.credentials import API_KEY_PREFIX, DRIVER_TOKEN_PREFIX, Credential
from core.errors import AlreadyExists, FieldViolation, InvalidArgument, NotFound, Unauthenticated
from core.ids import new_id
from core.store import accounts as queries
from core.store.rows import ApiKeyRow, DriverTokenRow, TenantRow

SCOPES = ("messages:send", "messages:read", "devices", "webhooks", "admin")
ADMIN_SCOPE = "admin"
"""Implies all other scopes."""

USE_NOTED_EVERY_MS = 60_000
"""At most one write a minute says that a credential is in use."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key to make; its fields are valid by form. `per_minute` 0: whatever its tenant's rate is."""

    tenant_id: str
    scopes: Sequence[str]
    name: str = ""
    per_minute: int = 0
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key and the requests a minute that hold for it."""

    row: ApiKeyRow
    per_minute: int


def create_tenant(session: Session, name: str, per_minute: int, now_ms: int) -> TenantRow:
    """Make a tenant. Raises AlreadyExists if the name is taken."""
    if queries.tenant_named(session, name) is not None:
        raise AlreadyExists(f"There is a tenant named {name} already.")
    tenant = TenantRow(id=new_id(now_ms), name=name, per_minute=per_minute, created_ms=now_ms)
    session.add(tenant)
    session.flush()
    return tenant


def list_tenants(session: Session) -> Sequence[TenantRow]:
    """All tenants, oldest first."""
    return queries.tenants(session)


def find_tenant(session: Session, name: str) -> TenantRow:
    """The tenant of this name. Raises NotFound."""
    tenant = queries.tenant_named(session, name)
    if tenant is None:
        raise NotFound(f"There is no tenant named {name}.")
    return tenant


def create_api_key(session: Session, new: NewApiKey, now_ms: int) -> tuple[ApiKeyRecord, str]:
    """Make an API key; answers its record and the key, which is never to be had again.

    Raises NotFound if there is no such tenant, InvalidArgument if the expiry has passed.
    """
    _check_expiry(new, now_ms)
    key = _unused(session, ApiKeyRow, API_KEY_PREFIX)
    return _add_api_key(session, new, _own(key, API_KEY_PREFIX), now_ms), key


def import_api_key(session: Session, new: NewApiKey, key: str, now_ms: int) -> ApiKeyRecord:
    """Take over a key that was made elsewhere, by this software or another.

    Raises InvalidArgument if it is not 8 to 255 printable characters, or starts like one of ours and is none;
    AlreadyExists if it is known here.
    """
    _check_expiry(new, now_ms)
    credential = credentials.parse(key, API_KEY_PREFIX) or credentials.parse_foreign(key)
    if credential is None:
        raise InvalidArgument([
            FieldViolation(
                "key", "must be a whole irk_ key, or 8 to 255 printable ASCII characters without space"
            )
        ])
    if session.get(ApiKeyRow, credential.public_id) is not None:
        raise AlreadyExists("This key is known already.")
    return _add_api_key(session, new, credential, now_ms)


def list_api_keys(session: Session, tenant_id: str) -> list[ApiKeyRecord]:
    """The API keys of a tenant, revoked ones included, oldest first."""
    tenant = session.get(TenantRow, tenant_id)
    rate = tenant.per_minute if tenant else 0
    return [_record(row, rate) for row in queries.api_keys(session, tenant_id)]


def revoke_api_key(session: Session, tenant_id: str, key_id: str, now_ms: int) -> ApiKeyRecord:
    """Revoke an API key for good; again changes nothing. Raises NotFound."""
    found = queries.api_key_and_rate(session, key_id)
    if found is None or found[0].tenant_id != tenant_id:
        raise NotFound("There is no such API key.")
    row, rate = found
    if row.revoked_ms is None:
        row.revoked_ms = now_ms
        session.add(row)
    return _record(row, rate)


def read_api_key(key: str) -> Credential:
    """Where to look for an API key. Raises Unauthenticated, before any query, if it cannot be one."""
    credential = credentials.parse(key, API_KEY_PREFIX) or credentials.parse_foreign(key)
    if credential is None:
        raise Unauthenticated("The API key is malformed.")
    return credential


def resolve_api_key(session: Session, credential: Credential, now_ms: int) -> ApiKeyRecord:
    """The live key that `credential` is. Raises Unauthenticated if it is unknown, revoked or expired."""
    found = queries.api_key_and_rate(session, credential.public_id)
    if found is None or not credential.matches(found[0].secret_sha256):
        raise Unauthenticated("The API key is unknown.")
    row, rate = found
    if not is_live(row, now_ms):
        raise Unauthenticated("The API key is revoked or has expired.")
    return _record(row, rate)


def is_live(row: ApiKeyRow, now_ms: int) -> bool:
    """Whether an API key works at `now_ms`."""
    return row.revoked_ms is None and (row.expires_ms is None or now_ms < row.expires_ms)


def use_is_due(row: ApiKeyRow | DriverTokenRow, now_ms: int) -> bool:
    """Whether the use of a credential at `now_ms` is worth a write."""
    return row.last_used_ms is None or row.last_used_ms <= now_ms - USE_NOTED_EVERY_MS


def note_api_key_use(session: Session, key_id: str, now_ms: int) -> None:
    """Remember that the key was used; at most one write a minute."""
    queries.note_use(session, key_id, now_ms, USE_NOTED_EVERY_MS)


def create_driver_token(
    session: Session, tenant_id: str, name: str, now_ms: int
) -> tuple[DriverTokenRow, str]:
    """Make a driver token; answers its record and the token, shown only here. Raises NotFound."""
    _check_tenant(session, tenant_id)
    token = _unused(session, DriverTokenRow, DRIVER_TOKEN_PREFIX)
    credential = _own(token, DRIVER_TOKEN_PREFIX)
    row = DriverTokenRow(
        id=credential.public_id,
        tenant_id=tenant_id,
        name=name,
        secret_sha256=credential.sha256,
        created_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return row, token


def list_driver_tokens(session: Session, tenant_id: str) -> Sequence[DriverTokenRow]:
    """The driver tokens of a tenant that are not revoked, oldest first."""
    return queries.driver_tokens(session, tenant_id)


def revoke_driver_token(session: Session, tenant_id: str, token_id: str, now_ms: int) -> None:
    """Revoke a driver token for good. Raises NotFound, also if it was revoked before."""
    row = session.get(DriverTokenRow, token_id)
    if row is None or row.tenant_id != tenant_id or row.revoked_ms is not None:
        raise NotFound("There is no such driver token.")
    row.revoked_ms = now_ms
    session.add(row)


def live_driver_tokens(session: Session, token_ids: Sequence[str]) -> list[DriverTokenRow | None]:
    """The tokens of these ids; None where one is unknown or revoked."""
    rows = {row.id: row for row in queries.live_driver_tokens(session, token_ids)}
    return [rows.get(token_id) for token_id in token_ids]


def resolve_driver_token(session: Session, token: str, now_ms: int) -> DriverTokenRow:
    """The live token that `token` is, its use noted; for a write transaction. Raises Unauthenticated."""
    credential = credentials.parse(token, DRIVER_TOKEN_PREFIX)
    if credential is None:
        raise Unauthenticated("The driver token is malformed.")
    (row,) = live_driver_tokens(session, [credential.public_id])
    if row is None or not credential.matches(row.secret_sha256):
        raise Unauthenticated("The driver token is unknown or revoked.")
    if use_is_due(row, now_ms):
        row.last_used_ms = now_ms
        session.add(row)
    return row


def _add_api_key(session: Session, new: NewApiKey, credential: Credential, now_ms: int) -> ApiKeyRecord:
    tenant = _check_tenant(session, new.tenant_id)
    row = ApiKeyRow(
        id=credential.public_id,
        tenant_id=new.tenant_id,
        name=new.name,
        secret_sha256=credential.sha256,
        scopes=" ".join(scope for scope in SCOPES if scope in new.scopes),
        per_minute=new.per_minute,
        created_ms=now_ms,
        expires_ms=new.expires_ms,
    )
    session.add(row)
    session.flush()
    return _record(row, tenant.per_minute)


def _record(row: ApiKeyRow, tenant_per_minute: int) -> ApiKeyRecord:
    return ApiKeyRecord(row, row.per_minute or tenant_per_minute)


def _check_tenant(session: Session, tenant_id: str) -> TenantRow:
    tenant = session.get(TenantRow, tenant_id)
    if tenant is None:
        raise NotFound("There is no such tenant.")
    return tenant


def _check_expiry(new: NewApiKey, now_ms: int) -> None:
    if new.expires_ms is not None and new.expires_ms <= now_ms:
        raise InvalidArgument([FieldViolation("expire_time", "must be in the future")])


def _unused(session: Session, table: type[ApiKeyRow] | type[DriverTokenRow], prefix: str) -> str:
    """A fresh credential whose public id nobody has; of 2^47 ids one is taken once in a blue moon."""
    while True:
        text = credentials.new_credential(prefix)
        if session.get(table, _own(text, prefix).public_id) is None:
            return text


def _own(text: str, prefix: str) -> Credential:
    credential = credentials.parse(text, prefix)
    assert credential is not None, "what we make has our shape"
    return credential
