"""`infinireach key`: API keys, on the database. A key is shown once, by the command that makes it."""

import sys
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from core import accounts
from core.accounts import ADMIN_SCOPE, SCOPES, ApiKeyRecord, NewApiKey
from core.cli import tenants
from core.cli.context import settings_or_exit, transact
from core.cli.options import AsJson, TenantOption, expiry_ms
from core.cli.output import CommandFailed, note, say, say_json, table
from core.clock import SystemClock, rfc3339

app = typer.Typer(no_args_is_help=True, help="Make, import, list and revoke API keys. Works on the database.")

NameOption = Annotated[str, typer.Option(help="What the key is for; shown in lists.")]
ScopesOption = Annotated[
    str, typer.Option(help=f"Comma-separated, out of {', '.join(SCOPES)}. {ADMIN_SCOPE} allows everything.")
]
PerMinuteOption = Annotated[
    int, typer.Option(min=0, max=1_000_000, help="Requests a minute; 0: as its tenant.")
]
ExpiresOption = Annotated[
    str, typer.Option(help="When it stops working: 30d, 12h, 90m, or a date; empty: never.")
]


@app.command(
    "create", epilog="Example: infinireach key create --tenant acme --scopes messages:send --expires 90d"
)
def create(
    *,
    tenant: TenantOption = "",
    name: NameOption = "",
    scopes: ScopesOption = ADMIN_SCOPE,
    per_minute: PerMinuteOption = 0,
    expires: ExpiresOption = "",
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown now and never again."""
    new = _New(tenant, name, scopes, per_minute, expires)

    def work(session: Session) -> tuple[ApiKeyRecord, str]:
        return accounts.create_api_key(session, new.of_tenant(session), new.now_ms)

    record, key = transact(settings_or_exit(), work)
    if as_json:
        say_json({"apiKey": key, **public(record)})
        return
    say(key)
    note("Keep it safe: it is stored as a digest and cannot be shown again.")


@app.command("import", epilog="Example: pass show reach/key | infinireach key import --tenant acme")
def import_(
    *,
    tenant: TenantOption = "",
    name: NameOption = "",
    scopes: ScopesOption = ADMIN_SCOPE,
    per_minute: PerMinuteOption = 0,
    expires: ExpiresOption = "",
    as_json: AsJson = False,
) -> None:
    """Take over an API key that programs use already, whatever its form. Reads it from stdin."""
    if sys.stdin.isatty():
        note("The key, then Enter:")
    key = sys.stdin.readline().strip()
    new = _New(tenant, name, scopes, per_minute, expires)

    def work(session: Session) -> ApiKeyRecord:
        return accounts.import_api_key(session, new.of_tenant(session), key, new.now_ms)

    record = transact(settings_or_exit(), work)
    if as_json:
        say_json(public(record))
    else:
        say(f"Imported the key; its id is {record.row.id}.")


@app.command("list")
def list_(*, tenant: TenantOption = "", as_json: AsJson = False) -> None:
    """List a tenant's API keys, revoked ones included, oldest first."""
    records = transact(
        settings_or_exit(),
        lambda session: accounts.list_api_keys(session, tenants.chosen(session, tenant).id),
    )
    shown = [public(record) for record in records]
    if as_json:
        say_json({"apiKeys": shown})
        return
    columns = ("id", "name", "status", "scopes", "perMinute", "lastUsedAt", "expiresAt")
    table(
        ["ID", "NAME", "STATUS", "SCOPES", "PER MINUTE", "LAST USED", "EXPIRES"],
        [[",".join(v) if isinstance(v := key[name], list) else v for name in columns] for key in shown],
        none="There is no key yet. Make one: infinireach key create",
    )


@app.command("revoke", epilog="Example: infinireach key revoke 0a1B2c3D --tenant acme")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, from `key list`; or the key itself.")],
    *,
    tenant: TenantOption = "",
    as_json: AsJson = False,
) -> None:
    """Revoke an API key for good. It stops working within 5 seconds everywhere."""
    now_ms = SystemClock().now_ms()

    def work(session: Session) -> ApiKeyRecord:
        tenant_id = tenants.chosen(session, tenant).id
        known = {record.row.id for record in accounts.list_api_keys(session, tenant_id)}
        public_id = key_id if key_id in known else accounts.read_api_key(key_id).public_id
        return accounts.revoke_api_key(session, tenant_id, public_id, now_ms)

    record = transact(settings_or_exit(), work)
    if as_json:
        say_json(public(record))
    else:
        say(f"Revoked the key {record.row.id}.")


class _New:
    """The options of a key to make; the tenant is looked up inside the transaction."""

    def __init__(self, *options: Any) -> None:
        self.tenant, self.name, scopes, self.per_minute, expires = options
        self.scopes = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        if unknown := [scope for scope in self.scopes if scope not in SCOPES]:
            raise CommandFailed(f"Unknown scope: {', '.join(unknown)}. There are: {', '.join(SCOPES)}")
        if not self.scopes:
            raise CommandFailed("A key needs at least one scope.")
        self.now_ms = SystemClock().now_ms()
        self.expires_ms = expiry_ms(expires, self.now_ms)

    def of_tenant(self, session: Session) -> NewApiKey:
        """The key that `core.accounts` is to make."""
        return NewApiKey(
            tenant_id=tenants.chosen(session, self.tenant).id,
            scopes=self.scopes,
            name=self.name,
            per_minute=self.per_minute,
            expires_ms=self.expires_ms,
        )


def public(record: ApiKeyRecord) -> dict[str, Any]:
    """A key's record as JSON shows it."""
    row = record.row

    def time(ms: int | None) -> str | None:
        return None if ms is None else rfc3339(ms)

    now_ms = SystemClock().now_ms()
    status = "live" if accounts.is_live(row, now_ms) else "expired" if row.revoked_ms is None else "revoked"
    return {
        "id": row.id,
        "tenantId": row.tenant_id,
        "name": row.name,
        "status": status,
        "scopes": row.scopes.split(),
        "perMinute": record.per_minute,
        "createdAt": time(row.created_ms),
        "expiresAt": time(row.expires_ms),
        "lastUsedAt": time(row.last_used_ms),
        "revokedAt": time(row.revoked_ms),
    }
