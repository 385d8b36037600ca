"""The tenant, API key and driver token of `infinireach up`: made once, kept in the data folder, used again.

Owns their files. A key or token that was revoked is replaced; one whose database is gone is taken over by the new one.
"""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from core import accounts
from core.accounts import ADMIN_SCOPE, NewApiKey
from core.cli.context import transact
from core.cli.roles import DRIVER_TOKEN_FILE_NAME
from core.cli.run_file import write_private
from core.cli.supervisor.phones import OUR_DRIVERS
from core.config import Settings
from core.devices import mark_replaced
from core.errors import InfiniReachError, NotFound, Unauthenticated

TENANT_NAME = "demo"
KEY_FILE_NAME = "demo.key"
NAME = "infinireach up"
PER_MINUTE = 60_000
"""Enough for trying things out with a load generator; a tenant that you make yourself has a rate of its own."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What a newcomer needs to send a first message."""

    tenant_id: str
    api_key: str = field(repr=False)
    driver_token: str = field(repr=False)


def prepare(settings: Settings, now_ms: int) -> Demo:
    """The demo's accounts, the ones of the last run where they still work. The database is current."""
    key_file = settings.var / KEY_FILE_NAME
    token_file = settings.var / DRIVER_TOKEN_FILE_NAME
    demo = transact(settings, _accounts, _read(key_file), _read(token_file), now_ms)
    for path, text in ((key_file, demo.api_key), (token_file, demo.driver_token)):
        if _read(path) != text:
            write_private(path, f"{text}\n")
    return demo


def make_room(settings: Settings, demo: Demo, driver_name: str, now_ms: int) -> None:
    """Have the driver of this name find its numbers free, whichever driver `up` ran before.

    Does nothing on a database that is shared: somebody else may run the other driver.
    """
    if driver_name and settings.embedded:
        others = [name for name in OUR_DRIVERS if name != driver_name]
        transact(settings, mark_replaced, demo.tenant_id, others, now_ms)


def _accounts(session: Session, key: str, token: str, now_ms: int) -> Demo:
    tenant_id = _tenant(session, now_ms)
    return Demo(tenant_id, _key(session, key, tenant_id, now_ms), _token(session, token, tenant_id, now_ms))


def _tenant(session: Session, now_ms: int) -> str:
    try:
        return accounts.find_tenant(session, TENANT_NAME).id
    except NotFound:
        return accounts.create_tenant(session, TENANT_NAME, PER_MINUTE, now_ms).id


def _key(session: Session, kept: str, tenant_id: str, now_ms: int) -> str:
    new = NewApiKey(tenant_id=tenant_id, scopes=[ADMIN_SCOPE], name=NAME)
    if kept:
        try:
            found = accounts.resolve_api_key(session, accounts.read_api_key(kept), now_ms)
            if found.row.tenant_id == tenant_id:
                return kept
        except Unauthenticated:
            try:
                accounts.import_api_key(session, new, kept, now_ms)
                return kept
            except InfiniReachError:  # it is known, so it was revoked; or it is no key
                pass
    return accounts.create_api_key(session, new, now_ms)[1]


def _token(session: Session, kept: str, tenant_id: str, now_ms: int) -> str:
    if kept:
        try:
            if accounts.resolve_driver_token(session, kept, now_ms).tenant_id == tenant_id:
                return kept
        except Unauthenticated:
            pass
    return accounts.create_driver_token(session, tenant_id, NAME, now_ms)[1]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
