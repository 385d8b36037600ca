"""`infinireach tenant`: customers, on the database. Owns also how other commands name a tenant."""

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from core import accounts
from core.cli.context import settings_or_exit, transact
from core.cli.options import AsJson
from core.cli.output import CommandFailed, say, say_json, table
from core.clock import SystemClock, rfc3339
from core.store.rows import TenantRow

PER_MINUTE_DEFAULT = 100

app = typer.Typer(
    no_args_is_help=True, help="Make and list tenants. Works on the database, also while it is in use."
)


@app.command("create", epilog="Example: infinireach tenant create acme --per-minute 600")
def create(
    name: Annotated[str, typer.Argument(help="A name that no other tenant has.")],
    *,
    per_minute: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Requests a minute of each of its keys.")
    ] = PER_MINUTE_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a tenant: a customer whose devices, keys and messages nobody else sees."""
    now_ms = SystemClock().now_ms()
    tenant = transact(settings_or_exit(), accounts.create_tenant, name, per_minute, now_ms)
    if as_json:
        say_json({"tenant": public(tenant)})
        return
    say(f"Made the tenant {tenant.name} with the id {tenant.id}.")
    say(f"Next: infinireach key create --tenant {tenant.name}")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List all tenants, oldest first."""
    tenants = transact(settings_or_exit(), accounts.list_tenants)
    if as_json:
        say_json({"tenants": [public(tenant) for tenant in tenants]})
        return
    table(
        ["ID", "NAME", "PER MINUTE", "CREATED"],
        [[row.id, row.name, row.per_minute, rfc3339(row.created_ms)] for row in tenants],
        none="There is no tenant yet. Make one: infinireach tenant create NAME",
    )


def public(tenant: TenantRow) -> dict[str, Any]:
    """A tenant as JSON shows it."""
    return {
        "id": tenant.id,
        "name": tenant.name,
        "perMinute": tenant.per_minute,
        "createdAt": rfc3339(tenant.created_ms),
    }


def chosen(session: Session, named: str) -> TenantRow:
    """The tenant with this name or id, or the only one if `named` is empty. Raises CommandFailed."""
    tenants = accounts.list_tenants(session)
    found = [tenant for tenant in tenants if named in {tenant.name, tenant.id}] if named else tenants
    if len(found) == 1:
        return found[0]
    if not tenants:
        raise CommandFailed("There is no tenant yet. Make one: infinireach tenant create NAME")
    names = ", ".join(tenant.name for tenant in tenants)
    if named:
        raise CommandFailed(f"There is no tenant named {named}. There are: {names}")
    raise CommandFailed(f"Say which tenant with --tenant. There are: {names}")
