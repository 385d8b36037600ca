"""`infinireach driver-token`: credentials of drivers, on the database. Shown once, by the command that makes them."""

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from core import accounts
from core.cli import tenants
from core.cli.context import settings_or_exit, transact
from core.cli.options import AsJson, TenantOption
from core.cli.output import note, say, say_json, table
from core.clock import SystemClock, rfc3339
from core.store.rows import DriverTokenRow

app = typer.Typer(
    no_args_is_help=True, help="Enrol drivers: make, list and revoke their tokens. On the database."
)


@app.command("create", epilog="Example: infinireach driver-token create office-modem --tenant acme")
def create(
    name: Annotated[
        str, typer.Argument(help="What the token is for, such as the place of the modem.")
    ] = "driver",
    *,
    tenant: TenantOption = "",
    as_json: AsJson = False,
) -> None:
    """Make a token. A driver that presents it brings its devices into the tenant."""
    now_ms = SystemClock().now_ms()

    def work(session: Session) -> tuple[DriverTokenRow, str]:
        return accounts.create_driver_token(session, tenants.chosen(session, tenant).id, name, now_ms)

    row, token = transact(settings_or_exit(), work)
    if as_json:
        say_json({"token": token, **public(row)})
        return
    say(token)
    note("It cannot be shown again. A driver takes it from INFINIREACH_DRIVER_TOKEN.")


@app.command("list")
def list_(*, tenant: TenantOption = "", as_json: AsJson = False) -> None:
    """List a tenant's driver tokens that are not revoked, oldest first."""
    rows = transact(
        settings_or_exit(),
        lambda session: accounts.list_driver_tokens(session, tenants.chosen(session, tenant).id),
    )
    shown = [public(row) for row in rows]
    if as_json:
        say_json({"driverTokens": shown})
        return
    table(
        ["ID", "NAME", "CREATED", "LAST USED"],
        [[token["id"], token["name"], token["createdAt"], token["lastUsedAt"]] for token in shown],
        none="There is no driver token. Make one: infinireach driver-token create NAME",
    )


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(help="The token's id, from `driver-token list`.")],
    *,
    tenant: TenantOption = "",
) -> None:
    """Revoke a token for good: drivers that use it are not admitted again."""
    now_ms = SystemClock().now_ms()

    def work(session: Session) -> None:
        accounts.revoke_driver_token(session, tenants.chosen(session, tenant).id, token_id, now_ms)

    transact(settings_or_exit(), work)
    say(f"Revoked the driver token {token_id}.")


def public(row: DriverTokenRow) -> dict[str, Any]:
    """A token's record as JSON shows it."""
    return {
        "id": row.id,
        "tenantId": row.tenant_id,
        "name": row.name,
        "createdAt": rfc3339(row.created_ms),
        "lastUsedAt": None if row.last_used_ms is None else rfc3339(row.last_used_ms),
    }
