"""A certificate for each driver of the gateway.

Owns that one that is there is used again, and replaced where its enrolment was revoked or its database is gone.
"""

from pathlib import Path

from sqlalchemy.orm import Session

from core import accounts
from core.api.forwarded_certificate import token_ids
from core.certificates import alternative_names, certificates, read
from core.cli import certs
from core.cli.context import transact
from core.config import Settings


def enrol(settings: Settings, name: str, tenant_id: str) -> None:
    """Have a certificate of a live driver token in the folder of certificates."""
    files = certs.Files.of(settings, name)
    if files.cert.exists():
        if transact(settings, _is_live, tenant_id, _token_ids(files.cert)):
            return
        files.cert.unlink()
    certs.driver(name, tenant=tenant_id)


def _token_ids(path: Path) -> list[str]:
    names = [name.value for cert in certificates(read(path), path) for name in alternative_names(cert)]
    return token_ids(str(name) for name in names)


def _is_live(session: Session, tenant_id: str, ids: list[str]) -> bool:
    return bool(ids) and ids[0] in {row.id for row in accounts.list_driver_tokens(session, tenant_id)}
