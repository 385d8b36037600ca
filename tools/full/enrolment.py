"""A certificate for each driver of the gateway.

Owns that one that is there is used again, renewed where it ends soon or its authority was replaced, and gives way to
that of another token where its own was revoked or its database is gone.
"""

import contextlib
from pathlib import Path

from sqlalchemy.orm import Session

from core import accounts
from core.api.forwarded_certificate import token_ids
from core.certificates import CertificateFilesUnusable, alternative_names, certificates, read
from core.cli import certs
from core.cli.context import transact
from core.config import Settings


def enrol(settings: Settings, name: str, tenant_id: str) -> None:
    """Have a certificate of a live driver token in the folder of certificates. Raises CommandFailed."""
    files = certs.Files.of(settings, name)
    token_id = transact(settings, _live, tenant_id, _token_ids(files.cert))
    if token_id and certs.is_current(settings, name, token_id):
        return
    for file in (files.cert, files.key):
        file.unlink(missing_ok=True)
    certs.driver(name, tenant=tenant_id, token_id=token_id)


def _token_ids(path: Path) -> list[str]:
    """The tokens that the certificate stands for; none if it cannot be read."""
    with contextlib.suppress(CertificateFilesUnusable):
        names = [name.value for cert in certificates(read(path), path) for name in alternative_names(cert)]
        return token_ids(str(name) for name in names)
    return []


def _live(session: Session, tenant_id: str, ids: list[str]) -> str:
    """The first of these tokens, if it is live; else empty."""
    live = {row.id for row in accounts.list_driver_tokens(session, tenant_id)}
    return ids[0] if ids and ids[0] in live else ""
